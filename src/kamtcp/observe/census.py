"""The full census: every TCP socket of a network namespace as columns, and the questions asked of them.

Reads   one inet_diag dump, or two at once that hold half of the sockets each
Needs   numpy (100 ms to import: nothing imports this module at its top)
Cost    the kernel's own, about 1 us per socket, and a fifth of that for memory, columns and counting; 67 bytes kept each.
        Two dumps at once: 0.63 to 0.71 of the time for a fifth more CPU, on two free CPUs.

Messages of one state mostly have one length, and then the dump is an array of records as it stands. Where
lengths are mixed (listeners, TIME_WAIT, a namespace asked without CAP_NET_ADMIN) the starts of all messages
are found by their common header words at once, and proven by the lengths chaining up to the end.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from kamtcp.errors import NotRecorded, ParseError
from kamtcp.host.door import Host
from kamtcp.observe import halves, inet_diag
from kamtcp.observe.inet_diag import Buffer, State
from kamtcp.observe.sockets import SOURCE, address_text, state_name

REQUEST = inet_diag.request(inet_diag.EVERY)

_WORDS = inet_diag.MESSAGE // 4
_FIELDS: dict[str, tuple[str, int]] = {
    "family": ("u1", inet_diag.FAMILY),
    "state": ("u1", inet_diag.STATE),
    "timer": ("u1", inet_diag.TIMER),
    "sport": (">u2", inet_diag.SPORT),
    "dport": (">u2", inet_diag.DPORT),
    "src": ("(4,)u4", inet_diag.SRC),
    "dst": ("(4,)u4", inet_diag.DST),
    "cookie": ("u8", inet_diag.COOKIE),
    "expires": ("u4", inet_diag.EXPIRES),
    "rqueue": ("u4", inet_diag.RQUEUE),
    "wqueue": ("u4", inet_diag.WQUEUE),
    "uid": ("u4", inet_diag.UID),
    "inode": ("u4", inet_diag.INODE),
}
_RECORD = np.dtype(
    {
        "names": ["length", "kind", *_FIELDS],
        "formats": ["u4", "u2", *(form for form, _ in _FIELDS.values())],
        "offsets": [0, 4, *(offset for _, offset in _FIELDS.values())],
        "itemsize": inet_diag.MESSAGE,
    }
)
_BLOCK = 4096  # records copied at a time: they then stay in the cache for all columns
_MAPPED_WORD = int(np.frombuffer(b"\0\0\xff\xff", np.uint32)[0])  # third word of ::ffff:0:0/96


# rows of 1 (IPv4) or 4 (IPv6) words in network order, and a count for each
Counted = tuple[NDArray[np.uint32], NDArray[np.intp]]
Addresses = tuple[Counted, Counted]


class Census:
    """Columns, a row per socket in the kernel's order.

    Attributes:
        family, state, timer: u8. sport, dport: u16, host order. src, dst: (n, 4) u32, network order as in memory.
        cookie: u64, one for each socket while the system is up. expires: milliseconds.
        rqueue, wqueue: bytes (LISTEN: connections). uid, inode: 0 for SYN_RECV, TIME_WAIT and orphans.
    """

    family: NDArray[np.uint8]
    state: NDArray[np.uint8]
    timer: NDArray[np.uint8]
    sport: NDArray[np.uint16]
    dport: NDArray[np.uint16]
    src: NDArray[np.uint32]
    dst: NDArray[np.uint32]
    cookie: NDArray[np.uint64]
    expires: NDArray[np.uint32]
    rqueue: NDArray[np.uint32]
    wqueue: NDArray[np.uint32]
    uid: NDArray[np.uint32]
    inode: NDArray[np.uint32]

    def __init__(self, columns: dict[str, NDArray[np.generic]]) -> None:
        for name, column in columns.items():
            setattr(self, name, column)

    def __len__(self) -> int:
        return len(self.state)

    def by_state(self) -> dict[str, int]:
        """Count by state name."""
        counts = np.bincount(self.state)
        return {state_name(int(number)): int(counts[number]) for number in np.flatnonzero(counts)}

    def listening_ports(self) -> NDArray[np.intp]:
        """Ports with a listener, ascending."""
        return np.flatnonzero(np.bincount(self.sport[self.state == State.LISTEN]))

    def inbound(self, ports: Collection[int] | None = None) -> NDArray[np.bool_]:
        """Which rows are connections to one of `ports`; None: to any listening port."""
        wanted = np.zeros(65536, np.bool_)
        wanted[self.listening_ports() if ports is None else np.array(list(ports), np.intp)] = True
        held: NDArray[np.bool_] = wanted[self.sport] & (self.state != State.LISTEN)
        return held

    def by_port(self) -> dict[int, dict[str, int]]:
        """Listening port → count by state name, as `sockets.States.by_port` but with ESTABLISHED."""
        ports = self.listening_ports()
        if not len(ports):
            return {}
        place = np.full(65536, -1, np.int32)
        place[ports] = np.arange(len(ports), dtype=np.int32)
        at = place[self.sport]
        held = at >= 0
        width = int(self.state.max()) + 1
        table = np.bincount(at[held] * width + self.state[held], minlength=len(ports) * width)
        return {
            int(port): {state_name(int(number)): int(row[number]) for number in np.flatnonzero(row)}
            for port, row in zip(ports, table.reshape(-1, width), strict=True)
        }

    def peers(self, rows: NDArray[np.bool_], *, ipv4: int = 32, ipv6: int = 128, keep: int = 100) -> Peers:
        """Connections by peer address or network; IPv4-mapped peers count as IPv4.

        Args:
            rows: which sockets, see `inbound`.
            ipv4: prefix length to group by, 0 to 32.
            ipv6: the same, 0 to 128.
            keep: length of `top`.
        """
        return _ranked(self.addresses(rows), ipv4, ipv6, keep)

    def addresses(self, rows: NDArray[np.bool_]) -> Addresses:
        """Distinct peer addresses of `rows` and how many sockets each has, IPv4 (mapped ones too) and IPv6 apart."""
        where = np.flatnonzero(rows)  # take() by number is ten times faster than choosing rows by truth
        dst, family = self.dst.take(where, 0), self.family.take(where)
        plain = family == inet_diag.AF_INET
        if plain.all():
            four, six = dst[:, 0], dst[:0]
        else:
            mapped = ~plain & (dst[:, 2] == _MAPPED_WORD) & (dst[:, 0] == 0) & (dst[:, 1] == 0)
            four, six = np.concatenate((dst[plain, 0], dst[mapped, 3])), dst[~(plain | mapped)]
        addresses, counts = np.unique(four, return_counts=True)
        return (addresses[:, None], counts), _merged(six, np.ones(len(six), np.intp))

    def distinct(self) -> int:
        """How many different sockets the rows are: fewer than rows where the dump reported some twice."""
        if not len(self):
            return 0
        ordered = np.sort(self.cookie)  # np.unique goes by hashes, six times slower here
        return 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))

    def keepalive(self, rows: NDArray[np.bool_]) -> int:
        """How many of `rows` wait for their keepalive timer: 0 means that nobody asked for keepalive there."""
        return int(np.count_nonzero(self.timer[rows] == 2))


class Peers(Struct, frozen=True):
    """Connections by peer.

    Args:
        sockets: all connections counted.
        peers: distinct addresses or networks.
        top: (text, connections), most first. The first is what a cap per source address has to allow.
    """

    sockets: int
    peers: int
    top: tuple[tuple[str, int], ...]


class Summary(Struct, frozen=True):
    """The census in numbers: what the monitor keeps of it."""

    sockets: int
    by_state: dict[str, int]
    by_port: dict[int, dict[str, int]]
    networks: Peers
    addresses: Peers


def collect(host: Host, *, at_once: bool = True) -> Census:
    """Every TCP socket but those that are only bound.

    Args:
        host: in whose network namespace. A recording answers with what it holds, one dump or two.
        at_once: two dumps by two threads where that is faster (`halves.worthwhile`). False: one dump and one
            thread, which is slower and takes less CPU; for whoever reads often.
    """
    ways = [halves.REQUESTS, (REQUEST,)]
    if not at_once or not halves.worthwhile(host.reader()):
        ways.reverse()
    try:
        return _asked(host, ways[0])
    except NotRecorded:
        return _asked(host, ways[1])


def _asked(host: Host, requests: tuple[bytes, ...]) -> Census:
    """Sockets of all `requests`, each received and decoded by a thread of its own, the last by this one."""
    found: list[Census] = []
    failed: list[BaseException] = []

    def ask(request: bytes) -> None:
        try:
            found.append(parse(host.netlink(inet_diag.NETLINK_SOCK_DIAG, request)))
        except BaseException as error:  # noqa: BLE001  (raised again below, by the thread that asked)
            failed.append(error)

    threads = []
    for request in requests[:-1]:
        thread = threading.Thread(target=ask, args=(request,), daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread to be had (RLIMIT_NPROC, pids.max): in turn, then
            ask(request)
        else:
            threads.append(thread)
    ask(requests[-1])
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return found[0] if len(found) == 1 else _together(found)


def _together(parts: list[Census]) -> Census:
    return Census({name: np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS})


def parse(data: Buffer) -> Census:
    """Decode a dump.

    Raises:
        ParseError: not an inet_diag dump.
    """
    return Census(_columns(np.frombuffer(data, np.uint8)))


def summary(census: Census, *, keep: int = 100) -> Summary:
    """By state, by listening port, and the inbound connections by peer network (/24, /64) and address."""
    addresses = census.addresses(census.inbound())
    return Summary(
        sockets=len(census),
        by_state=census.by_state(),
        by_port=census.by_port(),
        networks=_ranked(addresses, 24, 64, keep),
        addresses=_ranked(addresses, 32, 128, keep),
    )


def _columns(data: NDArray[np.uint8]) -> dict[str, NDArray[np.generic]]:
    """The messages as columns: straight from the dump where all have one length, else brought together first."""
    size = len(data)
    if not size:
        return _copied(np.empty(0, _RECORD))
    if size % 4 or size < inet_diag.MESSAGE:
        raise ParseError(SOURCE, f"messages of at least {inet_diag.MESSAGE} bytes", size)
    words = data.view(np.uint32)
    length = int(words[0])
    if length >= inet_diag.MESSAGE and size % length == 0 and length % 4 == 0:
        columns = _copied(_strided(length, data.data), length)
        if columns:
            return columns
    starts = _starts(words)
    if starts is None:
        return _copied(np.concatenate([_strided(*group) for group in inet_diag.groups(data.data)]))
    together = np.empty((len(starts), _WORDS), np.uint32)
    for start in range(0, len(starts), _BLOCK):
        part = starts[start : start + _BLOCK]
        together[start : start + _BLOCK] = words[part[:, None] + np.arange(_WORDS)]
    return _copied(together.view(_RECORD)[:, 0])


def _copied(records: NDArray[np.void], length: int | None = None) -> dict[str, NDArray[np.generic]]:
    """Columns of their own memory, so that the dump can go; checked on the way, while the block is in the cache.

    Returns:
        {} where `length` is given and a message has another one: then these were not the messages.

    Raises:
        ParseError: a message is no TCP socket of IPv4 or IPv6.
    """
    size = len(records)
    columns = {
        name: np.empty((size, *_RECORD[name].shape), _RECORD[name].base.newbyteorder("=")) for name in _FIELDS
    }
    for start in range(0, size, _BLOCK):
        block = records[start : start + _BLOCK]
        if length is not None and (block["length"] != length).any():
            return {}
        kind, family = block["kind"], block["family"]
        kinds = (kind == inet_diag.TCPDIAG_GETSOCK) | (kind == inet_diag.SOCK_DIAG_BY_FAMILY)
        if not (kinds & ((family == inet_diag.AF_INET) | (family == inet_diag.AF_INET6))).all():
            found = f"types {set(kind.tolist())}, families {set(family.tolist())}"
            raise ParseError(SOURCE, "TCP sockets of IPv4 and IPv6", found)
        for name, column in columns.items():
            column[start : start + _BLOCK] = block[name]
    return columns


def _strided(length: int, messages: memoryview) -> NDArray[np.void]:
    """Messages of one length as records, without copying."""
    return np.ndarray((len(messages) // length,), _RECORD, messages, 0, (length,))


def _starts(words: NDArray[np.uint32]) -> NDArray[np.intp] | None:
    """Indexes at which messages start, or None where they can't be told by their common header words."""
    header = words[1:4]
    found = np.flatnonzero(words[3 : len(words) - _WORDS + 4] == header[2])
    found = found[(words[found + 1] == header[0]) & (words[found + 2] == header[1])]
    lengths = words[found].astype(np.intp)
    ends = found + lengths // 4
    if len(found) == 0 or found[0] != 0 or ends[-1] != len(words) or (ends[:-1] != found[1:]).any():
        return None
    return None if (lengths % 4).any() or (lengths < inet_diag.MESSAGE).any() else found


def _prefix(bits: int, words: int) -> NDArray[np.uint32]:
    """A netmask of `words` u32 in network order."""
    if not 0 <= bits <= 32 * words:
        raise ValueError(f"{bits} is no prefix length of {32 * words} bits")
    value = (1 << 32 * words) - (1 << 32 * words - bits)
    return np.frombuffer(value.to_bytes(4 * words), np.uint32)


def _merged(rows: NDArray[np.uint32], counts: NDArray[np.intp]) -> Counted:
    """Distinct rows and the sums of their counts; sorted by u64 halves, which beats sorting 16-byte strings."""
    if not len(rows):
        return rows, counts
    keys = np.ascontiguousarray(rows).view(np.uint64) if rows.shape[1] % 2 == 0 else rows
    order = np.lexsort(keys.T[::-1])
    ordered = rows[order]
    first = np.flatnonzero(np.concatenate(([True], (ordered[1:] != ordered[:-1]).any(axis=1))))
    return ordered[first], np.add.reduceat(counts[order], first)


def _ranked(addresses: Addresses, ipv4: int, ipv6: int, keep: int) -> Peers:
    """The largest of distinct addresses, or of the networks they are in."""
    found, sockets, peers = [], 0, 0
    kinds = (inet_diag.AF_INET, ipv4, 1), (inet_diag.AF_INET6, ipv6, 4)
    for (family, bits, words), (rows, counts) in zip(kinds, addresses, strict=True):
        mask = _prefix(bits, words)
        nets, sums = (rows, counts) if bits == 32 * words else _merged(rows & mask, counts)
        sockets += int(sums.sum())
        peers += len(nets)
        suffix = "" if bits == 32 * words else f"/{bits}"
        found += [(int(sums[i]), family, nets[i].tobytes(), suffix) for i in _largest(sums, keep)]
    found.sort(key=lambda one: (-one[0], one[1:]))
    top = tuple((address_text(family, raw) + suffix, count) for count, family, raw, suffix in found[:keep])
    return Peers(sockets, peers, top)


def _largest(counts: NDArray[np.intp], keep: int) -> NDArray[np.intp]:
    """Indexes of the `keep` largest counts, in no order; among equals the kernel's order decides nothing."""
    if len(counts) <= keep:
        return np.arange(len(counts))
    return np.argpartition(counts, -keep)[-keep:]
