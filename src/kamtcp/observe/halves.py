"""Two filters for inet_diag dumps: every TCP socket passes exactly one of them, whatever its ports are.

Two dumps that the kernel makes at once, each for half of the sockets, take less time than one of all.

Source  Linux net/ipv4/inet_diag.c: inet_diag_bc_run(), inet_diag_bc_audit(), __inet_diag_dump();
        RFC 6335 (49152 up: Windows, macOS, BSD), ip-sysctl (32768 to 60999: Linux)

A socket is in half 1 if either its own or its peer's port lies in `IN`, in half 0 if both do or neither does.
An inbound connection has one of few own ports, an outbound one few peer's ports; the other port then decides,
so nothing need be known of who listens where. `IN` holds half of each range that systems and address
translators take ports from. Where all ports are alike one half gets everything: slower, never wrong.
"""

from __future__ import annotations

import struct

from kamtcp.host.door import Reader
from kamtcp.observe import inet_diag

IN = ((5000, 15000), (25000, 33000), (38000, 44000), (52000, 60000))  # first port, first one beyond

_BOUNDS = tuple(bound for pair in IN for bound in pair)
_SOURCE_GE, _DESTINATION_GE = 2, 4
_JUMP = 1
_ACCEPT, _REFUSE = 0, -4  # where a jump must lead, in bytes before the end of the program


def half(number: int) -> bytes:
    """The filter program of half 0 or 1, for `inet_diag.request`."""
    same, other = (_ACCEPT, _REFUSE) if number == 0 else (_REFUSE, _ACCEPT)
    last = len(_BOUNDS)
    outside = _tree(_DESTINATION_GE, 0, last, 0, (same, other))
    inside = _tree(_DESTINATION_GE, 0, last, len(outside), (other, same))
    after = len(outside) + len(inside)
    return _tree(_SOURCE_GE, 0, last, after, (len(outside), after)) + inside + outside


def _tree(code: int, low: int, high: int, after: int, to: tuple[int, int]) -> bytes:
    """Finds the block between two bounds that a port is in, by halving; the kernel takes jumps forward only.

    Args:
        code: the comparison: port >= bound.
        low: first block still possible; blocks of odd number are in `IN`.
        high: last block still possible.
        after: bytes of program behind this piece.
        to: where to go on from blocks outside and inside of `IN`, in bytes before the end of the program.
    """
    if low == high:
        return struct.pack("=BBH", _JUMP, 4, 4 + after - to[low & 1])
    middle = (low + high + 1) // 2
    below = _tree(code, low, middle - 1, after, to)
    above = _tree(code, middle, high, after + len(below), to)
    bound = _BOUNDS[middle - 1]
    return struct.pack("=BBHBBH", code, 8, 8 + len(above), 0, 0, bound) + above + below


REQUESTS: tuple[bytes, ...] = tuple(
    inet_diag.request(inet_diag.EVERY, bytecode=half(number)) for number in (0, 1)
)


def worthwhile(reader: Reader) -> bool:
    """Whether two dumps at once can be faster on that machine: two CPUs, and a kernel that makes them at once.

    Kernels before 6.9 fill each datagram under one lock for all (inet_diag_table_mutex), so that two dumps
    wait for each other, spinning. Nothing but the release tells, and nothing but time depends on it.
    """
    numbers = reader.release.replace("-", ".").split(".")[:2]
    version = tuple(int(one) for one in numbers if one.isdecimal())
    return reader.cpus > 1 and len(version) == 2 and version >= (6, 9)
