"""Makes the answers of a host fit to be given away, before they are stored.

By operation and path: what carries only numbers passes, text is searched for addresses, users, hosts and secrets,
binary messages are taken apart and put together again. What can't be made safe is withheld, never stored.
Keys are scrubbed by the same rules, so that a path or an RPC address found in a scrubbed configuration leads to
its answer.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable

import msgspec

from kamtcp.host.door import DiskSpace, Reader, Stat
from kamtcp.record.addresses import AddressMap
from kamtcp.record.archive import Answer, Failed, Key, RpcFailed, TimedOut, Withheld
from kamtcp.record.scrub_config import Configuration
from kamtcp.record.scrub_log import Log
from kamtcp.record.scrub_names import SCRUBBED, Names, is_harmless
from kamtcp.record.scrub_netlink import CannotScrub, Netlink
from kamtcp.record.scrub_rpc import Rpc
from kamtcp.record.scrub_script import without_free_text
from kamtcp.record.scrub_text import AddressText, Identities

# Nothing but numbers and fixed words: these pass untouched, so that a version or a counter is never taken for an address.
_NUMBERS = re.compile(
    r"(?:/proc/\d+/root)?(?:"
    r"/proc/(?:\d+|self)(?:/task/\d+)?/(?:stat|statm|status|limits|io|sched|schedstat|oom_score|oom_score_adj|smaps_rollup|loginuid|auxv|timerslack_ns)"
    r"|/proc/(?:stat|meminfo|slabinfo|vmstat|uptime|loadavg|softirqs|interrupts|cpuinfo|zoneinfo|buddyinfo|pressure/\w+|sysvipc/\w+|devices|filesystems)"
    r"|/proc/(?:\d+/|self/)?net/(?:netstat|snmp|snmp6|sockstat6?|softnet_stat|protocols|dev|ptype|psched|stat/\w+|xfrm_stat)"
    r"|/proc/sys/(?!kernel/(?:hostname|domainname|core_pattern)$|.*(?:_key|_secret|secret)$).*"
    r"|/sys/(?:fs/cgroup|kernel|devices/system|module|block)/.*"
    r"|/sys/class/net/[^/]+/(?:statistics/\w+|queues/.*|mtu|operstate|speed|duplex|tx_queue_len|carrier\w*|flags|type|ifindex|iflink|proto_down|threaded"
    r"|gro_flush_timeout|napi_defer_hard_irqs)"
    r"|/sys/devices/.*/net/[^/]+/(?:statistics/\w+|queues/.*)"
    r"|/proc/(?:version|sys/kernel/osrelease)|/etc/os-release|/usr/lib/os-release|/etc/debian_version"
    r")"
)
_HEX = re.compile(
    r"/proc/(?:\d+/|self/|thread-self/)?net/(?:tcp6?|udp6?|udplite6?|raw6?|icmp6?|route|if_inet6|ipv6_route|anycast6|rt6_stats|arp|igmp6?|mcfilter6?|rt_cache)"
)
_HEX_ADDRESS = re.compile(
    r"(?<![0-9A-Fa-f])(?:([0-9A-F]{32}|[0-9A-F]{8})(?=:[0-9A-F]{4}\b)|([0-9a-f]{32})(?![0-9A-Fa-f]))"
)
_MAC = re.compile(r"(?<![0-9A-Fa-f:])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?![0-9A-Fa-f:])")
_LOG = re.compile(r"/(?:var/)?log/|\.log(?:\.\d+)?$|/syslog$|/messages$|kern\.log")
_SHELL = re.compile(
    r"/etc/(?:default|sysconfig|conf\.d|environment)(?:\.d)?(?:/|$)|\.env$|/kamctlrc$|/etc/environment$"
)
_KEYS = re.compile(
    r"\.(?:pem|key|crt|cer|csr|p12|pfx|jks|der|kdbx|gpg|asc)$|/(?:g?shadow-?|id_(?:rsa|dsa|ecdsa|ed25519)|\.pgpass|\.my\.cnf|\.netrc|krb5\.keytab)$"
)
_SECRET_SETTING = re.compile(r"/proc/sys/.*(?:_key|_secret|secret)$")
_HOST_NAME = re.compile(r"(?:/proc/sys/kernel/(?:hostname|domainname)|/etc/(?:hostname|mailname|HOSTNAME))$")
_HOSTS = re.compile(r"/etc/(?:hosts|resolv\.conf)$")
_MACHINE_ID = re.compile(
    r"/(?:etc|var/lib/dbus)/machine-id$|/sys/(?:class|devices/virtual)/dmi/.*(?:serial|uuid|asset_tag)$|/proc/sys/kernel/random/(?!boot_id)"
)
_ACCOUNTS = re.compile(r"/etc/(?:passwd|group)-?$")
_HARDWARE = re.compile(r"/net/[^/]+/(?:address|broadcast|perm_address)$")
_PROGRAM = re.compile(r"/(?:s?bin|lib\w*|exe|libexec)(?:/|$)|\.so(?:\.|$)")
_PRINTABLE = re.compile(rb"[\x20-\x7e]{6,}")
_ENTRY = re.compile(r"(?m)^([ \t]*(?:nameserver[ \t]+)?)(\S+)(.*)$")
_HOST_WORD = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")


class Scrubber:
    """Scrubs keys and answers of one recording. Feed it the `reader` answer first: it learns the host's name from it.

    Args:
        key: 16 to 64 random bytes, fresh for each recording and stored nowhere.
        keep_addresses: IP and hardware addresses stay as they are; users and secrets are scrubbed all the same.
    """

    def __init__(self, key: bytes, keep_addresses: bool = False) -> None:
        if not 16 <= len(key) <= 64:
            raise ValueError(f"the key of a scrubber has 16 to 64 bytes, not {len(key)}")
        self._keep = keep_addresses
        self._map: AddressMap = _Unmapped(key) if keep_addresses else AddressMap(key)
        self._names = Names(key)
        self._learnt: dict[str, str] = {}
        self._known: re.Pattern[str] | None = None
        self._addresses = AddressText(self._map)
        self._identities = Identities(self._names, self._learn)
        self._configuration = Configuration(self._identities)
        self._log = Log(self._names)
        self._netlink = Netlink(self._map, key)
        self._rpc = Rpc(self._configuration, self._names, self._last)

    def key(self, key: Key) -> Key:
        """The key under which a scrubbed answer is stored: addresses, users and hosts in it are mapped."""
        view, operation, *arguments = key
        if operation == "netlink":
            protocol = next((part for part in arguments if isinstance(part, int)), -1)
            return (view, operation, *(self._request(protocol, part) for part in arguments))
        if operation == "call":
            return (view, operation, *(self._endpoint_part(part) for part in arguments))
        if operation in {"probe", "reader"}:
            return key
        first = [self._path(part) if isinstance(part, str) else part for part in arguments[:1]]
        return (view, operation, *first, *arguments[1:])

    def answer(self, key: Key, value: Answer) -> Answer:
        """The answer to `key` (the real one, not the scrubbed) without addresses, users and secrets.

        Never raises on foreign bytes: what can't be scrubbed becomes `Withheld`.
        """
        try:
            return self._answer(key, value)
        except CannotScrub as reason:
            return Withheld(f"not stored: {reason}")
        except (ValueError, IndexError, RecursionError, OverflowError) as error:
            return Withheld(f"not stored: the scrubber failed on it ({type(error).__name__})")

    def residue(self, value: Answer) -> tuple[str, ...]:
        """Secrets that were learnt (also after `value` was scrubbed) and are still in it."""
        return leaks(value, self._learnt)

    def again(self, value: Answer) -> Answer:
        """A scrubbed answer, without secrets that were learnt only after it. For a last pass before writing."""
        if isinstance(value, bytes) and self.residue(value):
            return self._without_learnt(value.decode("utf-8", "surrogateescape")).encode(
                "utf-8", "surrogateescape"
            )
        return value

    # -- answers by operation

    def _answer(self, key: Key, value: Answer) -> Answer:
        operation, first = str(key[1]), key[2] if len(key) > 2 else ""
        if isinstance(value, Failed | Withheld | Stat | DiskSpace):
            return value
        if isinstance(value, TimedOut):
            return TimedOut(self._text(value.text))
        if isinstance(value, RpcFailed):
            return RpcFailed(self._text(value.text))
        if isinstance(value, Reader):
            self._learn_host(value.node)
            return msgspec.structs.replace(value, node=self._names.host(value.node.partition(".")[0]))
        if isinstance(value, tuple):
            return tuple(sorted(self._component(name) for name in value))
        if isinstance(value, str):
            return self._path(value)
        if operation == "netlink":
            return self._netlink.dump(next((part for part in key[2:] if isinstance(part, int)), -1), value)
        if operation == "call":
            return self._rpc.message(value)
        if operation == "search" and _PROGRAM.search(str(first)):
            return value  # a version text inside a program
        if operation == "probe":
            return self._encoded(self._text, value)
        limit = next((part for part in key[3:] if isinstance(part, int)), None)
        return self._file(str(first), value, operation, limit)

    def _file(self, path: str, data: bytes, operation: str, limit: int | None) -> Answer:
        if _KEYS.search(path) or _SECRET_SETTING.search(path):
            return Withheld("not stored: holds a key") if data.strip(b"\n 0-") else data
        if _MACHINE_ID.search(path):
            return SCRUBBED.encode() + b"\n"
        if _NUMBERS.fullmatch(path):
            return data
        if path.endswith("/environ") and path.startswith("/proc/"):
            return self._entries(self._configuration.environ, data)
        if path.endswith("/cmdline") and path.startswith("/proc/"):
            return self._entries(self._configuration.arguments, data)
        if _HARDWARE.search(path):
            return self._encoded(self._hardware, data)
        if _HOST_NAME.search(path):
            return self._encoded(self._host_file, data)
        log = operation == "tail" or bool(_LOG.search(path))
        if not log and b"\0" in data:
            return self._binary(data)
        data = _whole_lines(data, operation, limit)
        if log:
            return self._encoded(lambda text: self._text(self._log.text(text)), data)
        if _HEX.fullmatch(path):
            return self._encoded(self._table, data)
        if _HOSTS.search(path):
            return self._encoded(lambda text: self._last(_ENTRY.sub(self._hosts_line, text)), data)
        if _ACCOUNTS.search(path):
            return self._encoded(lambda text: re.sub(r"(?m)^((?:[^:\n]*:){4})[^:\n]*", r"\1", text), data)
        if _SHELL.search(path):
            return self._encoded(
                lambda text: self._last(self._configuration.shell(without_free_text(text))), data
            )
        if path.startswith(("/proc/", "/sys/")) and "/root/" not in path:
            return self._encoded(self._text, data)
        return self._encoded(lambda text: self._text(without_free_text(text)), data)

    def _binary(self, data: bytes) -> Answer:
        if _PRINTABLE.search(data):
            raise CannotScrub("binary with text in it")
        return data

    def _entries(self, scrub: Callable[[list[str]], list[str]], data: bytes) -> bytes:
        """NUL-separated strings."""
        end = b"\0" if data.endswith(b"\0") else b""
        entries = data.removesuffix(b"\0").decode("utf-8", "surrogateescape").split("\0")
        return "\0".join(map(self._last, scrub(entries))).encode("utf-8", "surrogateescape") + end

    def _table(self, text: str) -> str:
        """/proc/net tables with addresses in hexadecimal, as the kernel's own integers."""
        return _MAC.sub(
            lambda m: self._hardware(m[0]),
            self._addresses(_HEX_ADDRESS.sub(self._hexadecimal, self._routes(text))),
        )

    def _routes(self, text: str) -> str:
        """/proc/net/route: destination and gateway are the second and third column."""
        if not text.startswith("Iface\tDestination"):
            return text
        lines = text.splitlines(keepends=True)
        for n, line in enumerate(lines[1:], start=1):
            columns = line.split("\t")
            for column in (1, 2):
                if len(columns) > column and re.fullmatch(r"[0-9A-F]{8}", columns[column]):
                    columns[column] = self._words(columns[column])
            lines[n] = "\t".join(columns)
        return "".join(lines)

    def _hexadecimal(self, found: re.Match[str]) -> str:
        if found[1]:
            return self._words(found[1])
        return self._map.v6(bytes.fromhex(found[2])).hex()  # if_inet6, ipv6_route: in network order

    def _words(self, digits: str) -> str:
        """Groups of 8 digits, each a 32-bit integer in the byte order of the machine."""
        import sys

        def turned(raw: bytes) -> bytes:
            if sys.byteorder == "big":
                return raw
            return b"".join(raw[n : n + 4][::-1] for n in range(0, len(raw), 4))

        packed = turned(bytes.fromhex(digits))
        mapped = self._map.v4(packed) if len(packed) == 4 else self._map.v6(packed)
        return turned(mapped).hex().upper()

    def _hardware(self, text: str) -> str:
        bare = text.strip()
        if self._keep or not re.fullmatch(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*", bare):
            return text
        mapped = self._netlink.hardware(bytes.fromhex(bare.replace(":", "")))
        return text.replace(bare, mapped.hex(":"))

    def _host_file(self, text: str) -> str:
        name = text.strip()
        if not name or name in {"(none)", "localhost"}:
            return text
        self._learn_host(name)
        return text.replace(name, self._names.host(name.partition(".")[0]))

    def _hosts_line(self, found: re.Match[str]) -> str:
        """Lines of /etc/hosts and resolv.conf: every word that isn't an address or a keyword is a host."""
        if found[2].startswith(("#", "options", "sortlist")):
            return found[0] if found[2].startswith("options") else found[1] + "#"
        head = (
            found[2]
            if found[2] in {"search", "domain", "nameserver"} or _looks_like_address(found[2])
            else self._names.host(found[2])
        )
        tail = re.sub(r"#.*", "#", found[3])
        return (
            found[1]
            + head
            + _HOST_WORD.sub(lambda m: m[0] if _looks_like_address(m[0]) else self._names.host(m[0]), tail)
        )

    # -- keys

    def _path(self, path: str) -> str:
        if (
            path.startswith(("/proc/", "/sys/", "socket:[", "pipe:[", "anon_inode:", "net:["))
            and "root/" not in path
        ):
            return path
        return "/".join(self._component(part) if part else "" for part in path.split("/"))

    def _component(self, name: str) -> str:
        return self._last(self._identities.named(name)) if len(name) > 3 else name

    def _request(self, protocol: int, part: str | int | bytes) -> str | int | bytes:
        return self._netlink.request(protocol, part) if isinstance(part, bytes) else part

    def _endpoint_part(self, part: str | int | bytes) -> str | int | bytes:
        if isinstance(part, int):
            return part
        if isinstance(part, str):
            return self._path(part) if part.startswith("/") else self._text(part)
        try:
            return self._rpc.message(part)
        except CannotScrub:
            return b"scrubbed"

    # -- text

    def _text(self, text: str) -> str:
        return self._last(self._configuration.text(text))

    def _last(self, text: str) -> str:
        """The last step over any text, once: what was learnt, then addresses."""
        return self._addresses(self._without_learnt(text))

    @staticmethod
    def _encoded(scrub: Callable[[str], str], data: bytes) -> bytes:
        return scrub(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    # -- what was learnt in one place is removed in all

    def _learn(self, secret: str) -> None:
        """Remember a secret, unless it is a word that may well mean something else elsewhere."""
        kinds = sum(bool(re.search(kind, secret)) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]"))
        if (
            len(secret) >= 6
            and (kinds >= 2 or len(secret) >= 12)
            and not is_harmless(secret)
            and len(self._learnt) < 1000
        ):
            self._remember(secret, SCRUBBED)

    def _learn_host(self, name: str) -> None:
        for part in {name, name.partition(".")[0]}:
            if len(part) >= 4 and re.search(r"[0-9.-]", part) and not part.isdigit() and part != "localhost":
                self._remember(part, self._names.host(part))

    def _remember(self, word: str, instead: str) -> None:
        if word not in self._learnt:
            self._learnt[word] = instead
            self._known = None

    def _without_learnt(self, text: str) -> str:
        if not self._learnt:
            return text
        if self._known is None:
            longest = sorted(self._learnt, key=len, reverse=True)
            self._known = re.compile(
                r"(?<![A-Za-z0-9])(?:" + "|".join(map(re.escape, longest)) + r")(?![A-Za-z0-9])"
            )
        return self._known.sub(lambda m: self._learnt[m[0]], text)


class _Unmapped(AddressMap):
    """Addresses as they are."""

    def v4(self, address: bytes) -> bytes:
        return address

    def v6(self, address: bytes) -> bytes:
        return address


def _whole_lines(data: bytes, operation: str, limit: int | None) -> bytes:
    """Without the line that a limit has cut: half a secret is not recognised as one."""
    if limit is None or len(data) < limit:
        return data
    if operation == "tail":
        return data.partition(b"\n")[2]
    return data[: data.rfind(b"\n") + 1]


def _looks_like_address(word: str) -> bool:
    family = socket.AF_INET6 if ":" in word else socket.AF_INET
    try:
        socket.inet_pton(family, word.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True


def leaks(value: object, secrets: Iterable[str | bytes]) -> tuple[str, ...]:
    """Which of the secrets are still in a value (bytes, text, or anything msgspec can pack), in any case of letters.

    Addresses are looked for in text, packed and in the hexadecimal form of /proc/net/tcp.
    """
    packed = (value if isinstance(value, bytes) else msgspec.msgpack.encode(value)).lower()
    found = []
    for secret in secrets:
        raw = secret.encode("utf-8", "surrogateescape") if isinstance(secret, str) else secret
        forms = [raw.lower()]
        text = raw.decode("utf-8", "surrogateescape")
        if _looks_like_address(text):
            address = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
            turned = b"".join(address[n : n + 4][::-1] for n in range(0, len(address), 4))
            forms += [address.lower(), turned.hex().encode(), address.hex().encode()]
        if raw and any(form in packed for form in forms):
            found.append(text)
    return tuple(found)
