"""Finds addresses, users, hosts and secrets in any text: configuration, logs, unit files, RPC strings.

Two steps, in this order: `identities` (may run twice over a text without harm) and `addresses` (exactly once,
because an address that is mapped again is another one). When in doubt a text is scrubbed.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

from kamtcp.record.addresses import AddressMap, network
from kamtcp.record.scrub_names import SCRUBBED, Names, is_harmless, is_place, is_secret, is_strong, is_switch

# -- addresses -----------------------------------------------------------------------------------------------

# Four numbers; five where the last may be a port; not six and more (object identifiers), not lib.so.1.2.3.4.
_V4 = (
    r"(?<![0-9])(?<![0-9]\.)(?<!\.so\.)(?P<v4>[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?![0-9])(?!\.[0-9]+\.[0-9])"
    r"(?P<net>/[0-9]{1,2}(?![0-9.]))?"
)
_ADDRESS_V4 = re.compile(_V4, re.ASCII)
_ADDRESS = re.compile(r"(?P<v6>(?:[0-9A-Fa-f]{0,4}:){2,8}[0-9A-Fa-f:.]*)|" + _V4, re.ASCII)
_VERSION_BEFORE = re.compile(
    r"(?:\b(?:version|release|ver)[ :=/\"']{0,3}v?|(?<![A-Za-z0-9])v)$", re.IGNORECASE
)
_PORT = re.compile(r":[0-9]{1,5}$", re.ASCII)


class AddressText:
    """Maps the addresses in a text and leaves the rest: versions, times, hardware addresses, netmasks."""

    def __init__(self, addresses: AddressMap) -> None:
        self._map = addresses

    def __call__(self, text: str) -> str:
        """The text with its addresses mapped. Call it once per text."""
        return _ADDRESS.sub(self._found, text)

    def _found(self, found: re.Match[str]) -> str:
        if found["v6"] is None:
            return self._dotted(found)
        token, text = found["v6"], found.string
        glued = _glued(text, found.start() - 1) or _glued(text, found.end())
        for start, end in _readings(token):
            part = token[start:end]
            if (glued and part.count(":") < 3) or (
                part.endswith("::") and _PATH_AFTER.match(text, found.start() + end)
            ):
                continue  # "std::add"; "0::/system.slice", "user:x:100:102::/home"
            mapped = self._colons(part, text, found.start() + end)
            if mapped is not None:
                return token[:start] + mapped + token[end:]
        return _ADDRESS_V4.sub(self._dotted, token)

    def _dotted(self, found: re.Match[str]) -> str:
        octets = [int(part) for part in found["v4"].split(".")]
        if max(octets) > 255 or _VERSION_BEFORE.search(
            found.string[max(0, found.start() - 12) : found.start()]
        ):
            return found[0]
        packed = bytes(octets)
        net = found["net"] or ""
        if net and int(net[1:]) < 24:
            return socket.inet_ntoa(network(packed, self._map.v4(packed), int(net[1:]))) + net
        mapped = self._map.v4(packed)
        return found[0] if mapped == packed else socket.inet_ntoa(mapped) + net

    def _colons(self, part: str, text: str, end: int) -> str | None:
        try:
            packed = socket.inet_pton(socket.AF_INET6, part)
        except (OSError, ValueError):
            return None
        mapped = self._map.v6(packed)
        net = _NET_AFTER.match(text, end)
        if net and int(net[1]) < 64:
            mapped = network(packed, mapped, int(net[1]))
        if mapped == packed:
            return part
        if "::" not in part and "." not in part:  # Kamailio prints all eight groups, in capitals
            groups = ":".join(f"{mapped[n] << 8 | mapped[n + 1]:x}" for n in range(0, 16, 2))
            return groups.upper() if part != part.lower() else groups
        return socket.inet_ntop(socket.AF_INET6, mapped)


_PATH_AFTER = re.compile(r"/(?![0-9])", re.ASCII)
_NET_AFTER = re.compile(r"/([0-9]{1,2})(?![0-9.])", re.ASCII)


def _glued(text: str, position: int) -> bool:
    return 0 <= position < len(text) and (text[position].isalnum() or text[position] == "_")


def _readings(token: str) -> list[tuple[int, int]]:
    """The parts of a run of hex digits and colons that may be an address: a port or a prefix may cling to it."""
    starts, ends = [0], [len(token)]
    if token.startswith(":") and not token.startswith("::"):
        starts = [1]
    stripped = token.rstrip(".")
    if stripped.endswith(":") and not stripped.endswith("::"):
        stripped = stripped[:-1]
    if len(stripped) < len(token):
        ends = [len(stripped)]
    port = _PORT.search(stripped)
    if port:
        ends.append(port.start())
    if token.startswith(":::"):
        starts.append(1)
    return [(start, end) for start in starts for end in ends]


# -- identities ----------------------------------------------------------------------------------------------

_PEM = re.compile(
    r"(-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|CERTIFICATE)[A-Z0-9 ]*-----)(.*?)(-----END |\Z)", re.DOTALL
)
_SCHEME = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{0,31})://")
_URL_HOST = re.compile(r"[A-Za-z0-9_.-]+")
_SIP_USER = re.compile(
    r"(?i)(?<![A-Za-z0-9])(sips?|pres|im|xmpp|h323|mailto)(:|%3a)([^\s@<>\"'{}|\\^`%]{1,256})(@|%40)"
)
_SIP_HOST = re.compile(
    r"(?i)(?<![A-Za-z0-9])(sips?:(?:[^\s@<>\"']{1,256}@)?)([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?)(?=[^A-Za-z0-9_.-]|$)"
)
_TEL = re.compile(r"(?i)(?<![A-Za-z0-9])(tel:)(\+?[0-9*#().A-Fa-f-]{2,40})")
_QUOTED_NAME = re.compile(
    r"(\\\")([^\"\\\n<>]{1,128})(\\\"\s{0,4}<(?=(?:sips?|tel):))"  # quotes that are escaped themselves
    r"|(\")((?:[^\"\\\n<>]|\\.){1,128})(\"\s{0,4}<(?=(?:sips?|tel):))",
    re.IGNORECASE,
)
_HEADER_NAME = re.compile(
    r"(?i)(?<![A-Za-z-])((?:From|To|Contact|P-Asserted-Identity|P-Preferred-Identity|Remote-Party-ID|Diversion|Refer-To"
    r"|Referred-By|Reply-To|History-Info)\s{0,4}[:=]\s{0,4})([^<>\s\"\n;,:=][^<>\"\n:;]{0,127}?)(\s{0,4}<(?=(?:sips?|tel):))"
)
_SECRET_HEADER = re.compile(
    r"(?i)((?<![A-Za-z-])(?:(?:Proxy-)?Authorization|(?:WWW|Proxy)-Authenticate|Set-Cookie|Cookie|Identity)[\"']?\s{0,4}:\s{0,4})"
    r"((?:(?!\\r|\\n|#01[25])[^\r\n])+)"
)
_CALL_ID = re.compile(
    r"(?i)(?<![A-Za-z])(call[-_ ]?id[\"']?(?:\s{0,4}[:=]\s{0,4}[\[<(\"']?|\s{0,4}[\[<(\"']))([^\s\"'<>;,\])}=|:][^\s\"'<>;,\])}=|]{0,255})"
)
_DIGEST = re.compile(
    r"(?i)(?<![A-Za-z0-9_])(username|response|nonce|cnonce|opaque|realm|uri)(\s{0,2}=(?!=)\s{0,2})(\\?\")((?:[^\"\\\n]|\\(?!\"))*)(?=\\?\"|$)",
)
_BEARER = re.compile(r"(?i)(?<![A-Za-z])(Bearer\s{1,2})([A-Za-z0-9._~+/=-]{12,})")
_ASSIGN = re.compile(
    r"(?<![A-Za-z0-9_.$#-])([A-Za-z_][A-Za-z0-9_.-]{1,63})(\\?[\"']?[ \t]{0,8}(?:=>|=(?!=)|:(?![:/]))[ \t]{0,8})"
    r"(\\?\"(?:[^\"\\\n]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?|[^\s;,&\"'()<>{}\[\]]+)"
)
_MAIL = re.compile(
    r"(?<![A-Za-z0-9_.+@%-])([A-Za-z0-9_.+%!~*-]{1,128})@([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\])(?![A-Za-z0-9@])"
)
_UNIT = re.compile(
    r"\.(?:service|socket|timer|slice|scope|target|mount|device|swap|path|conf|d)$|^%", re.IGNORECASE
)
_E164 = re.compile(r"(?<![A-Za-z0-9_)\]+.])\+[1-9][0-9]{7,14}(?![0-9.])", re.ASCII)
_TOP = (
    "com|net|org|biz|edu|gov|mil|arpa|tel|voip|telecom|eu|de|at|ch|fr|it|es|pt|nl|be|lu|uk|ie|dk|se|no|fi|cz|sk|hu|ro|bg|gr|tr|ru|ua|by"
    "|us|ca|mx|br|ar|cl|co|pe|au|nz|jp|cn|kr|hk|tw|sg|my|th|vn|ph|za|eg|ng|ke|ma|il|ae|sa|ir|pk|lk|kz|lt|lv|ee|si|hr|ba"
)
_INNER_TOP = (
    "io|local|lan|internal|intranet|corp|home|cloud|app|dev|site|int|info|test|example|localdomain|private"
)
_FQDN = re.compile(
    rf"(?i)(?<![A-Za-z0-9_.@$-])((?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{{0,62}})\.){{1,8}}(?:{_TOP})"
    rf"|(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{{0,62}})\.){{2,8}}(?:{_INNER_TOP}))(?![A-Za-z0-9_-]|\.[A-Za-z0-9_]|\()"
)
_NAMED_HOST = re.compile(
    r"(?i)(?<![A-Za-z0-9_])((?:alias|domain|server_name|listen|bind|realm|host|hostname|servername|advertised_address|server_address)\s{0,4}=(?!=)\s{0,4}"
    r"[\"']?(?:(?:udp|tcp|tls|sctp|ws|wss|sips?):)?|\badvertise\s{1,4}[\"']?)"
    r"([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.[A-Za-z][A-Za-z0-9-]*)(?![A-Za-z0-9_./-])"
)
_RANDOM = re.compile(
    r"(?<![A-Za-z0-9/_+=.:-])(?:[0-9a-fA-F]{32,}"
    r"|(?=(?:[A-Za-z+]{0,511}[0-9]){3})(?=[a-z0-9+]{0,511}[A-Z])(?=[A-Z0-9+]{0,511}[a-z])[A-Za-z0-9+]{24,512}={0,2})"
    r"(?![A-Za-z0-9/_+=.-])"
)


class Identities:
    """Replaces users, hosts and secrets in a text.

    Args:
        names: the pseudonyms.
        learn: is told each secret that was found, so that it can be looked for elsewhere.
    """

    def __init__(self, names: Names, learn: Callable[[str], None]) -> None:
        self._names, self._learn = names, learn

    def __call__(self, text: str) -> str:
        """The text without identities. Numbers, function names, paths and keywords stay."""
        return _RANDOM.sub(SCRUBBED, self.named(text))

    def named(self, text: str) -> str:
        """As `__call__`, but long random words stay: in paths they are the names of containers."""
        user, call = self._names.user, self._names.call
        if "-----BEGIN " in text:
            text = _PEM.sub(rf"\1{SCRUBBED}\3", text)
        if "://" in text:
            text = self._urls(text)
        if ":" in text:
            text = _SECRET_HEADER.sub(_header, text)
            text = _QUOTED_NAME.sub(lambda m: (m[1] or m[4]) + user(m[2] or m[5]) + (m[3] or m[6]), text)
            text = _HEADER_NAME.sub(lambda m: m[1] + user(m[2]) + m[3], text)
            text = _TEL.sub(lambda m: m[1] + user(m[2]), text)
        text = _SIP_USER.sub(lambda m: m[1] + m[2] + user(m[3].partition(":")[0]) + m[4], text)
        if "sip" in text.lower():
            text = _SIP_HOST.sub(lambda m: m[1] + self._host(m[2]), text)
        text = _CALL_ID.sub(lambda m: m[1] + call(m[2]), text)
        if "=" in text or ":" in text:
            text = _DIGEST.sub(self._digest, text)
            text = _BEARER.sub(rf"\1{SCRUBBED}", text)
            text = _ASSIGN.sub(self._assigned, text)
        if "@" in text:
            text = _MAIL.sub(self._mail, text)
        text = _NAMED_HOST.sub(lambda m: m[1] + self._host(m[2]), text)
        text = _FQDN.sub(lambda m: self._host(m[1]), text)
        return _E164.sub(lambda m: user(m[0]), text)

    def secret(self, name: str, value: str) -> str:
        """What a parameter of this name and (unquoted) value becomes: the value itself if nothing is secret."""
        if not is_secret(name) or value == SCRUBBED or is_place(name, value) or is_switch(value):
            return value
        if not is_strong(name) and is_harmless(value):
            return value
        if "://" in value:
            return self(value)
        self._learn(value)
        return "0" if value.isdigit() else SCRUBBED

    def _assigned(self, found: re.Match[str]) -> str:
        name, between, value = found[1], found[2], found[3]
        if not is_secret(name) or (":" in between and value[0] not in "\\\"'" and not is_strong(name)):
            return found[0]
        quote = value[: len(value) - len(value.lstrip("\\\"'"))]
        body = value[len(quote) :]
        tail = quote if quote and body.endswith(quote) else ""
        body = body[: len(body) - len(tail)] if tail else body
        if re.match(rf"{SCRUBBED}(?![A-Za-z0-9])", body):
            return found[0]
        if ":" in between and not quote and (is_harmless(body) or body.startswith(("$", "/", "["))):
            return found[0]
        return name + between + quote + self.secret(name, body) + tail

    def _digest(self, found: re.Match[str]) -> str:
        name, value = found[1].lower(), found[4]
        if name == "username":
            value = self._names.user(value)
        elif name in {"realm", "uri"}:
            value = self._host(value) if name == "realm" else value
        elif not is_harmless(value):
            value = SCRUBBED
        return found[1] + found[2] + found[3] + value

    def _mail(self, found: re.Match[str]) -> str:
        if _UNIT.search(found[2]) or _UNIT.search(found[1]):
            return found[0]
        return self._names.user(found[1]) + "@" + self._host(found[2])

    def _host(self, name: str) -> str:
        """A host pseudonym; addresses (mapped later), numbers and defined words stay."""
        if (
            _UNIT.search(name)
            or name.startswith(("[", "$"))
            or re.fullmatch(r"[0-9.]+|[A-Z][A-Z0-9_]*", name)
        ):
            return name
        return self._names.host(name) if re.search(r"[A-Za-z]", name) else name

    def _urls(self, text: str) -> str:
        """User, password and host of every URL; a password may hold any character, even @ and quotes."""
        done, position = [], 0
        for found in _SCHEME.finditer(text):
            if found.start() < position:
                continue
            end = _url_end(text, found.start(), found.end())
            at = text.rfind("@", found.end(), end)
            done.append(text[position : found.end()])
            position = found.end()
            if at >= 0:
                user, colon, password = text[found.end() : at].partition(":")
                done.append(self._names.user(user) + (":" + SCRUBBED if colon else "") + "@")
                if colon and password != SCRUBBED:
                    self._learn(password)
                position = at + 1
            host = _URL_HOST.match(text, position)
            if host and found[1].lower() not in {"file", "unix", "text", "dbtext"}:
                done.append(self._host(host[0]))
                position = host.end()
        done.append(text[position:])
        return "".join(done)


def _header(found: re.Match[str]) -> str:
    """A header inside a quoted string ends with the string: `append_hf("Authorization: …")`."""
    text, value = found.string, found[2]
    before = text[max(text.rfind("\n", 0, found.start()) + 1, found.start() - 512) : found.start()]
    if len(_BARE_QUOTE.findall(before)) % 2:
        close = _BARE_QUOTE.search(value)
        return found[1] + SCRUBBED + (value[close.start() :] if close else "")
    return found[1] + SCRUBBED


_BARE_QUOTE = re.compile(r"(?<!\\)\"")


def _url_end(text: str, start: int, body: int) -> int:
    """Where the URL that begins at `start` ends: at its closing quote if it stands in quotes, else at a space."""
    line = text.rfind("\n", max(0, start - 512), start) + 1
    opening = max(text.rfind('"', line, start), text.rfind("'", line, start))
    stop = text.find("\n", body)
    stop = len(text) if stop < 0 else stop
    if opening >= 0 and text.count(text[opening], max(line, start - 512), start) % 2:
        quote = text[opening]
        close = text.find(quote, body, stop)
        while close > 0 and text[close - 1] == "\\" and text[opening - 1 : opening] != "\\":
            close = text.find(quote, close + 1, stop)
        return stop if close < 0 else close
    space = re.compile(r"[\s\"'<>]").search(text, body, stop)
    return space.start() if space else stop
