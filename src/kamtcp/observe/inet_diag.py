"""The inet_diag wire format: how to ask the kernel for TCP sockets, and where its answer keeps what.

Source  Linux include/uapi/linux/inet_diag.h, net/ipv4/inet_diag.c: inet_diag_rcv_msg_compat(),
        inet_diag_bc_run(), inet_diag_bc_audit(), inet_diag_msg_attrs_fill()

Requests are of the older type TCPDIAG_GETSOCK, which `ss` uses too when no family is asked for: it is the
only one that answers IPv4 and IPv6 in one walk over the hash (SOCK_DIAG_BY_FAMILY refuses AF_UNSPEC with
ENOENT, and two dumps cost two walks). A request is the same bytes every time, so that a recording finds it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum

from kamtcp.errors import ParseError

NETLINK_SOCK_DIAG = 4
TCPDIAG_GETSOCK = 18
SOCK_DIAG_BY_FAMILY = 20

Buffer = bytes | bytearray | memoryview


class State(IntEnum):
    """TCP states as the kernel numbers them; a request's mask has bit 1 << state."""

    ESTABLISHED = 1
    SYN_SENT = 2
    SYN_RECV = 3
    FIN_WAIT1 = 4
    FIN_WAIT2 = 5
    TIME_WAIT = 6
    CLOSE = 7
    CLOSE_WAIT = 8
    LAST_ACK = 9
    LISTEN = 10
    CLOSING = 11
    NEW_SYN_RECV = 12  # never reported; shown as SYN_RECV
    BOUND_INACTIVE = 13  # bound, neither listening nor connected; kernels from 6.8 on tell it from CLOSE


def mask(*states: State) -> int:
    """The request's bit mask of some states."""
    return sum(1 << state for state in set(states))


LISTENING = mask(State.LISTEN)
# BOUND_INACTIVE is left out: its sockets are no connections, and asking for it walks one more hash.
EVERY = mask(*(State(number) for number in range(1, 12)))
CONNECTED = EVERY & ~LISTENING & ~mask(State.CLOSE)

# Byte offsets within one message, netlink header included (struct inet_diag_msg starts at 16).
FAMILY, STATE, TIMER, RETRANS = 16, 17, 18, 19
SPORT, DPORT, SRC, DST = 20, 22, 24, 40  # ports big-endian; addresses 16 bytes, IPv4 in the first 4
INTERFACE, COOKIE, EXPIRES = 56, 60, 68  # ifindex; u64; milliseconds until `timer` fires
RQUEUE, WQUEUE, UID, INODE = 72, 76, 80, 84
MESSAGE = 88  # bytes before the attributes

AF_INET, AF_INET6 = 2, 10
FAMILIES = bytes((AF_INET, AF_INET6))
ATTR_BYTECODE = 1
ATTR_SKMEMINFO = 7
ATTR_SKV6ONLY = 11
SKMEMINFO_DROPS = 8  # index of the u32
EXT_SKMEMINFO = 1 << (ATTR_SKMEMINFO - 1)

_REQUEST = struct.Struct("=IHHIIBBBB48xII")  # nlmsghdr, then inet_diag_req


def request(states: int, *, ext: int = 0, bytecode: bytes = b"") -> bytes:
    """A dump request for the TCP sockets, IPv4 and IPv6, of the namespace it is sent in.

    Args:
        states: bit mask, see `mask`. LISTEN alone costs nothing at any number of connections.
        ext: bit 1 << (n - 1) for attribute n.
        bytecode: a filter the kernel runs on each socket, see `not_from_ports`. It saves the reporting
            of a socket (1 us), not the walk to it (0.16 us).
    """
    attribute = struct.pack("=HH", 4 + len(bytecode), ATTR_BYTECODE) + bytecode if bytecode else b""
    length = _REQUEST.size + len(attribute)
    return _REQUEST.pack(length, TCPDIAG_GETSOCK, 0x301, 1, 0, 0, 0, 0, ext, states, 0) + attribute


MOST_RANGES = 2000  # the kernel's check of a program takes time by the square of its length


def not_from_ports(ports: Iterable[int]) -> bytes:
    """A filter program: sockets whose own port is none of `ports`. b"" (no filter) for no ports.

    A range of ports is two comparisons and a jump. In this machine the "yes" way must be the straight
    one, and a jump exactly to the end accepts while one 4 bytes beyond refuses, hence per range:

        S_GE first   no: to the next range
        S_LE last    no: to the next range
        JMP          beyond the end: refuse

    Raises:
        ValueError: more than 2,000 separate ranges.
    """
    ranges = list(_ranges(ports))
    if len(ranges) > MOST_RANGES:
        raise ValueError(f"{len(ranges)} separate port ranges are more than a filter holds ({MOST_RANGES})")
    left = 20 * len(ranges)
    code = b""
    for first, last in ranges:
        code += struct.pack(
            "=BBHBBHBBHBBHBBH", 2, 8, 20, 0, 0, first, 3, 8, 12, 0, 0, last, 1, 4, left - 16 + 4
        )
        left -= 20
    return code


def _ranges(ports: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ports as ranges (first, last) without gaps, ascending."""
    first = last = -1
    for port in sorted(set(ports)):
        if not 0 <= port <= 0xFFFF:
            raise ValueError(f"{port} is no port")
        if port == last + 1 and first >= 0:
            last = port
            continue
        if first >= 0:
            yield first, last
        first = last = port
    if first >= 0:
        yield first, last


def groups(data: Buffer) -> list[tuple[int, memoryview]]:
    """Split a dump into its messages by their length: (length, messages of that length joined), any order.

    Messages of one state mostly have one length, so this takes few steps, each at the speed of C: if the
    length fields at offset, offset + length, … all say `length`, they are exactly the messages there. Nothing
    is copied where a dump has one length; mixed messages are brought together, so that whoever counts has
    few columns to look at (half a microsecond per message instead of two).

    Raises:
        ParseError: a message is shorter than an inet_diag_msg, longer than what is left, or no TCP socket.
    """
    view = memoryview(data).cast("B")
    size = len(view)
    whole = size & ~3
    words = view[:whole].cast("I")
    pieces: dict[int, list[memoryview]] = {}
    at = 0
    while at < size:
        if size - at < MESSAGE:
            raise ParseError("inet_diag", f"a message of at least {MESSAGE} bytes at byte {at}", size - at)
        length = words[at >> 2]
        if length < MESSAGE or length & 3 or length > size - at:
            raise ParseError(
                "inet_diag", f"a message length from {MESSAGE} to {size - at} at byte {at}", length
            )
        end = at + length
        if end < whole and words[end >> 2] == length:
            end = at + length * _equal(words[at >> 2 :: length >> 2], length, (size - at) // length)
        pieces.setdefault(length, []).append(view[at:end])
        at = end
    found = [
        (length, run[0] if len(run) == 1 else memoryview(b"".join(run))) for length, run in pieces.items()
    ]
    for length, messages in found:
        _all_tcp(messages, length)
    return found


def _equal(lengths: memoryview, length: int, most: int) -> int:
    """How many of the first `most` values are `length`, looked at in blocks that double while they agree."""
    count, block = 1, 8
    while count < most:
        here = lengths[count : min(count + block, most)].tolist()
        if here.count(length) != len(here):
            return count + next(index for index, value in enumerate(here) if value != length)
        count += len(here)
        block *= 2
    return count


def _all_tcp(messages: memoryview, length: int) -> None:
    """Refuse messages that are anything but IPv4 and IPv6 sockets: two columns, each at the speed of C."""
    kinds = set(messages.cast("H")[2 :: length // 2])
    families = bytes(messages[FAMILY::length])
    if kinds <= {TCPDIAG_GETSOCK, SOCK_DIAG_BY_FAMILY} and not families.translate(None, FAMILIES):
        return
    raise ParseError("inet_diag", "TCP sockets of IPv4 and IPv6", f"types {kinds}, families {set(families)}")


def attributes(message: Buffer) -> Iterator[tuple[int, memoryview]]:
    """The attributes of one message: (number, payload).

    Raises:
        ParseError: an attribute is shorter than its header or longer than what is left.
    """
    view = memoryview(message)
    at, size = MESSAGE, len(view)
    while at + 4 <= size:
        length, kind = struct.unpack_from("=HH", view, at)
        if length < 4 or at + length > size:
            raise ParseError("inet_diag", f"an attribute length from 4 to {size - at}", length)
        yield kind & 0x3FFF, view[at + 4 : at + length]
        at += (length + 3) & ~3
