"""How large a setting must be for a number of connections: the arithmetic that cures, explain and plan share.

Plain numbers in, plain numbers out; where they come from and what a ceiling makes of them is said elsewhere.
"""

from __future__ import annotations

from kamtcp.capacity import reference
from kamtcp.capacity.rate_queue import BACKLOG_SECONDS

MIB = 1 << 20
#: descriptors of tcp main besides connections and 5 for each process: logs, listeners, modules
DESCRIPTOR_SPARE = 64
#: a TIME-WAIT lasts 60 s; half as many again
TW_SECONDS = 90
#: watches of a connection: tcp main's or that of the worker which holds it, and two to spare
WATCHES = 3
SPARE = 1.5
#: ports below belong to services
WIDE_RANGE = (10_000, 65_535)


def with_spare(goal: int) -> int:
    """The target with a tenth to spare, to the next hundred."""
    return -(-int(goal * 1.1) // 100) * 100


def power_of_two(value: float) -> int:
    """The lowest power of two that is not below it."""
    return 1 << max(0, int(-(-value // 1)) - 1).bit_length()


def descriptors(connections: int, processes: int, *, threads: bool = False) -> int:
    """RLIMIT_NOFILE of tcp main for `connections` as tcp_max_connections; `threads` for tcp_main_threads=1."""
    return connections + (9 if threads else 5) * processes + DESCRIPTOR_SPARE


def shm_megabytes(total: int, free: int, more: int, price: float, guard: float = 0) -> int:
    """-m for `more` connections of `price` bytes than are open in a pool of `total` bytes with `free` left.

    `guard` bytes are to be left over, for TLS. Never less than the pool has.
    """
    lacks = max(0, more) * price + guard - free
    return -(-int(total + max(0, lacks)) // MIB)


def pkg_megabytes(connections: int, processes: int, other: float = 0) -> int:
    """-M with which tcp_max_connections=`connections` starts, a quarter to spare.

    `other` bytes are used besides the descriptor table; 2 MB are allowed for in any case.
    """
    table = reference.PKG_BYTES_PER_DESCRIPTOR * (connections + 5 * processes)
    return -(-int((table + max(2 * MIB, other)) * 1.25) // MIB)


def workers(at_once: int, each: float) -> int:
    """tcp_children for so many connections readable at one instant, where one worker's socket takes `each`."""
    return max(1, -(-at_once // max(1, int(each))))


def conntrack_entries(entries: float) -> int:
    """nf_conntrack_max for so many entries at once, a half to spare, in steps of 1024."""
    return -(-int(SPARE * entries) // 1024) * 1024


def packet_backlog(connections_per_second: float) -> int:
    """netdev_max_backlog for what new connections send while softirq is away, a half to spare, in thousands."""
    packets = connections_per_second * BACKLOG_SECONDS * reference.PACKETS_PER_CONNECTION
    return -(-int(SPARE * packets) // 1000) * 1000


def port_range(low: int | None = None, high: int | None = None) -> tuple[int, int]:
    """ip_local_port_range as wide as is wise, and never narrower than the present one."""
    first, last = WIDE_RANGE
    return min(first, first if low is None else low), max(last, last if high is None else high)


def epoll_watches(connections: int) -> int:
    """fs.epoll.max_user_watches for one user's connections."""
    return WATCHES * connections


def tw_buckets(closes_per_second: float) -> int:
    """tcp_max_tw_buckets for so many closes a second by this host."""
    return int(-(-TW_SECONDS * closes_per_second // 1))
