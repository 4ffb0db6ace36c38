"""The TCP sockets of one network namespace: listeners, sockets by state, outbound connections by peer.

Reads   inet_diag dumps, see inet_diag.py; never /proc/net/tcp: text, two files, 2 to 4 times the cost
Needs   no privilege
Cost    listeners: 0.2 ms at any number of connections. states: 0.16 us for each ESTABLISHED socket (the
        kernel walks past it) and 1 us for each other. outbound: the same with inbound sockets walked past.
        A walk of the empty hash is 7 ms for 262,144 buckets.

No numpy here: `kamtcp check` calls these, and importing numpy costs as much as twenty of them. The full census
is in census.py. A dump is no snapshot: sockets that come or go meanwhile may be missed or seen twice.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe import inet_diag
from kamtcp.observe.inet_diag import Buffer, State

SOURCE = "inet_diag"
LISTENERS = inet_diag.request(inet_diag.LISTENING, ext=inet_diag.EXT_SKMEMINFO)
NOT_ESTABLISHED = inet_diag.request(inet_diag.EVERY & ~inet_diag.mask(State.ESTABLISHED))

_MAPPED = bytes(10) + b"\xff\xff"
# family, state, timer, retrans, sport, dport (both below), src, dst, if, cookie, expires, rqueue, wqueue, uid, inode
_SOCKET = struct.Struct("=16x4B4x16s16sIQ5I")
_PORTS = struct.Struct("!HH")
_AT_ONCE = 500  # messages copied at a time: memory that the CPU's cache still holds
_PORT, _NATIVE = struct.Struct("!H"), struct.Struct("=H")


class Socket(Struct, frozen=True):
    """One socket as the kernel reported it. Fields as in struct inet_diag_msg, addresses 16 raw bytes.

    `rqueue` and `wqueue` are bytes not read and bytes not yet acknowledged; for LISTEN the accept queue now
    and its bound, in connections. SYN_RECV and TIME_WAIT have no queues, uid or inode: all 0.
    """

    family: int
    state: int
    timer: int  # 0 none, 1 retransmission, 2 keepalive, 3 TIME_WAIT, 4 zero-window probe
    retrans: int
    sport: int
    dport: int
    src: bytes
    dst: bytes
    interface: int  # ifindex it is bound to, 0 none
    cookie: int
    expires: int  # milliseconds until `timer` fires
    rqueue: int
    wqueue: int
    uid: int
    inode: int


class Listener(Struct, frozen=True):
    """One listening socket.

    Args:
        address: local address, "0.0.0.0" or "::" for any.
        rqueue: connections in the accept queue now.
        wqueue: bound of the accept queue: the backlog in force, after somaxconn cut it. The kernel lets one more in.
        drops: SYNs and final ACKs this listener dropped since it was opened.
        uid: owner. inode: as in the links of /proc/PID/fd.
        v6only: True where it takes no IPv4; False for IPv4 listeners.
        interface: ifindex it is bound to, 0 where it is not.
    """

    address: str
    port: int
    rqueue: int
    wqueue: int
    drops: int | Absent
    uid: int
    inode: int
    v6only: bool | Absent
    interface: int


class States(Struct, frozen=True):
    """Sockets by state, and those of listening ports by port.

    Args:
        by_state: count by state name; ESTABLISHED is not among them.
        by_port: listening port → count by state name (LISTEN included, ESTABLISHED not).
        established: CurrEstab less CLOSE_WAIT where the kernel counts that in it.
    """

    by_state: dict[str, int]
    by_port: dict[int, dict[str, int]]
    established: int | Absent


class Destination(Struct, frozen=True):
    """Outbound sockets of one source address towards one peer address and port: each holds one local port.

    Args:
        source, address: text; IPv4-mapped addresses as IPv4.
        ports: local ports in use, TIME_WAIT included.
        time_wait: how many of them are in TIME_WAIT.
    """

    source: str
    address: str
    port: int
    ports: int
    time_wait: int


class Outbound(Struct, frozen=True):
    """Connections that this host opened (their local port is no listening port).

    Args:
        sockets: all of them, in any state but LISTEN and CLOSE.
        by_state: count by state name.
        pairs: distinct (source, peer, port). destinations: distinct (peer, port).
        top: the pairs that hold most ports, most first, at most as many as asked for.
    """

    sockets: int
    by_state: dict[str, int]
    pairs: int
    destinations: int
    top: tuple[Destination, ...]


def listeners(host: Host) -> tuple[Listener, ...]:
    """Every TCP listener, IPv4 and IPv6, in the order of port and address."""
    return parse_listeners(host.netlink(inet_diag.NETLINK_SOCK_DIAG, LISTENERS))


def parse_listeners(data: Buffer) -> tuple[Listener, ...]:
    """Listeners of a dump made with SKMEMINFO; other states are left out.

    Raises:
        ParseError: not an inet_diag dump.
    """
    found = [_listener(one, message) for one, message in _each(data) if one.state == State.LISTEN]
    return tuple(sorted(found, key=lambda one: (one.port, one.address, one.inode)))


def _listener(one: Socket, message: memoryview) -> Listener:
    held = dict(inet_diag.attributes(message))
    drops: int | Absent = Absent(SOURCE, Why.MISSING, "no SKMEMINFO")
    memory = held.get(inet_diag.ATTR_SKMEMINFO, memoryview(b""))
    if len(memory) >= 4 * (inet_diag.SKMEMINFO_DROPS + 1):
        drops = struct.unpack_from("=I", memory, 4 * inet_diag.SKMEMINFO_DROPS)[0]
    only = held.get(inet_diag.ATTR_SKV6ONLY, memoryview(b""))
    v6only: bool | Absent = False
    if one.family == inet_diag.AF_INET6:
        v6only = bool(only[0]) if len(only) else Absent(SOURCE, Why.MISSING, "no SKV6ONLY")
    address = address_text(one.family, one.src, unmap=False)
    return Listener(
        address, one.sport, one.rqueue, one.wqueue, drops, one.uid, one.inode, v6only, one.interface
    )


def sockets(data: Buffer) -> Iterator[Socket]:
    """All sockets of a dump, one by one, in no order: 1 us each. For many, use census.py.

    Raises:
        ParseError: not an inet_diag dump.
    """
    for one, _ in _each(data):
        yield one


def _each(data: Buffer) -> Iterator[tuple[Socket, memoryview]]:
    """Each socket with its whole message."""
    for length, messages in inet_diag.groups(data):
        for at in range(0, len(messages), length):
            family, state, timer, retrans, src, dst, *rest = _SOCKET.unpack_from(messages, at)
            sport, dport = _PORTS.unpack_from(messages, at + inet_diag.SPORT)
            one = Socket(family, state, timer, retrans, sport, dport, src, dst, *rest)
            yield one, messages[at : at + length]


def states(host: Host, curr_estab: int, *, close_wait_counted: bool | None) -> States:
    """Sockets by state and listening port, without having ESTABLISHED ones reported.

    Args:
        host: in whose network namespace.
        curr_estab: Tcp.CurrEstab of /proc/net/snmp of the same namespace, read at the same time.
        close_wait_counted: whether this kernel counts CLOSE_WAIT in CurrEstab (kernels since 2024 do, and
            those before don't: it has to be probed); None where nobody has probed.
    """
    data = host.netlink(inet_diag.NETLINK_SOCK_DIAG, NOT_ESTABLISHED)
    return parse_states(data, curr_estab, close_wait_counted=close_wait_counted)


def parse_states(data: Buffer, curr_estab: int, *, close_wait_counted: bool | None) -> States:
    """`states` of a dump. ESTABLISHED sockets in it, if any, are ignored.

    Raises:
        ParseError: not an inet_diag dump, or a state that doesn't exist.
    """
    counted: Counter[tuple[int, int]] = Counter()
    for length, messages in inet_diag.groups(data):
        ports = messages.cast("H")[inet_diag.SPORT // 2 :: length // 2]
        counted.update(zip(messages[inet_diag.STATE :: length], ports, strict=True))
    listening = {port for state, port in counted if state == State.LISTEN}
    by_state: Counter[str] = Counter()
    by_port: dict[int, dict[str, int]] = {}
    for (number, raw), count in counted.items():
        name = state_name(number)
        if number == State.ESTABLISHED:
            continue
        by_state[name] += count
        if raw in listening:
            by_port.setdefault(_PORT.unpack(_NATIVE.pack(raw))[0], {})[name] = count
    waiting = by_state[State.CLOSE_WAIT.name]
    established: int | Absent = max(0, curr_estab - waiting if close_wait_counted else curr_estab)
    if close_wait_counted is None and waiting:
        established = Absent("Tcp.CurrEstab", Why.NOT_ASKED, "whether it counts CLOSE_WAIT was not probed")
    return States(dict(sorted(by_state.items())), dict(sorted(by_port.items())), established)


def outbound_request(listening_ports: Iterable[int]) -> bytes:
    """The dump request of `outbound`; the same bytes for the same ports."""
    return inet_diag.request(inet_diag.CONNECTED, bytecode=inet_diag.not_from_ports(listening_ports))


def outbound(host: Host, listening_ports: Iterable[int], *, keep: int = 1000) -> Outbound:
    """Connections this host opened, by source, peer and port.

    A connection made from a listening port (Kamailio's `tcp_reuse_port`) can't be told from an inbound one
    and is not counted.

    Args:
        host: in whose network namespace.
        listening_ports: local ports to leave out; the kernel does so before it reports.
        keep: length of `top`.
    """
    return parse_outbound(
        host.netlink(inet_diag.NETLINK_SOCK_DIAG, outbound_request(listening_ports)), keep=keep
    )


def parse_outbound(data: Buffer, *, keep: int = 1000) -> Outbound:
    """`outbound` of a dump that holds outbound sockets only.

    Raises:
        ParseError: not an inet_diag dump, or a state that doesn't exist.
    """
    # Family, state, peer port and both addresses stand together, with timer, retransmissions and local port between:
    # those are blanked, so that one piece of bytes is what is counted, in a third of the time of a tuple.
    counted: Counter[bytes] = Counter()
    for length, messages in inet_diag.groups(data):
        pieces = struct.Struct(f"=16x40s{length - 56}x")
        for start in range(0, len(messages), length * _AT_ONCE):
            blanked = bytearray(messages[start : start + length * _AT_ONCE])
            zeros = bytes(len(blanked) // length)
            for at in (inet_diag.TIMER, inet_diag.RETRANS, inet_diag.SPORT, inet_diag.SPORT + 1):
                blanked[at::length] = zeros
            kinds = sorted(chain.from_iterable(pieces.iter_unpack(blanked)))
            begin = 0
            while begin < len(
                kinds
            ):  # equal ones now stand together, and the end of each run is found by halving
                end = bisect_right(kinds, kinds[begin], begin)
                counted[kinds[begin]] += end - begin
                begin = end
    by_state: Counter[str] = Counter()
    ports: Counter[tuple[int, bytes]] = Counter()
    time_wait: Counter[tuple[int, bytes]] = Counter()
    for kind, count in counted.items():
        family, number, tuple_ = kind[0], kind[1], kind[6:]
        by_state[state_name(number)] += count
        ports[family, tuple_] += count
        if number == State.TIME_WAIT:
            time_wait[family, tuple_] += count
    top = tuple(
        Destination(
            source=address_text(family, key[2:18]),
            address=address_text(family, key[18:34]),
            port=int.from_bytes(key[:2]),
            ports=count,
            time_wait=time_wait[family, key],
        )
        for (family, key), count in sorted(ports.items(), key=lambda one: (-one[1], one[0]))[:keep]
    )
    peers = {(family, key[:2], key[18:34]) for family, key in ports}
    return Outbound(ports.total(), dict(sorted(by_state.items())), len(ports), len(peers), top)


def state_name(number: int) -> str:
    """The name of a TCP state, as `State` has it.

    Raises:
        ParseError: there is no such state.
    """
    try:
        return _NAMES[number]
    except KeyError:
        raise ParseError(SOURCE, "a TCP state from 1 to 13", number) from None


_NAMES = {state.value: state.name for state in State}


def address_text(family: int, raw: bytes, *, unmap: bool = True) -> str:
    """An address of 16 raw bytes as text; an IPv4-mapped one as IPv4 unless told otherwise."""
    if family == inet_diag.AF_INET:
        return ".".join(map(str, raw[:4]))
    if unmap and raw.startswith(_MAPPED):
        return ".".join(map(str, raw[12:]))
    import socket  # not before an IPv6 address is there: it costs 3 ms

    return socket.inet_ntop(socket.AF_INET6, raw)
