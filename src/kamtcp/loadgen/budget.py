"""Does the load fit, before its first connect: descriptors, source ports, memory; each with its arithmetic.

Source  getrlimit(2); Linux net/ipv4/inet_hashtables.c __inet_hash_connect() (a port per source, destination and
        destination port); prices measured, see docs/performance.md
"""

from __future__ import annotations

from msgspec import Struct

#: descriptors of a worker that are no connections
RESERVE = 64
#: bytes of the generator for one held connection, by carrier; the kernel's own come on top
CLIENT_BYTES = {"tcp": 1_200, "tls": 26_000, "ws": 2_000, "wss": 27_000}
#: the share of MemAvailable that a load may take
SHARE = 0.8
MIB = 1 << 20


class Line(Struct, frozen=True):
    """One resource.

    Args:
        name: what it is.
        need, have: in the unit of the working; have is None where it could not be told.
        working: the arithmetic.
        way_out: what to do where it doesn't fit.
    """

    name: str
    need: int
    have: int | None
    working: str
    way_out: str

    @property
    def fits(self) -> bool:
        return self.have is None or self.need <= self.have

    def __str__(self) -> str:
        have = "not known" if self.have is None else f"{self.have:,}"
        sign = "fits" if self.fits else f"does not fit: {self.way_out}"
        return f"{self.name}: needs {self.need:,}, has {have} ({self.working}); {sign}"


class Means(Struct, frozen=True):
    """What there is to load with.

    Args:
        nofile_hard: descriptors that one process may open.
        ports: source ports of one source address that may be used.
        addresses: source addresses.
        memory_available: bytes, MemAvailable; None where it could not be read.
        connection_bytes: kernel memory of one end of a connection.
        local: whether the server's end is on this machine too.
    """

    nofile_hard: int
    ports: int
    addresses: int
    memory_available: int | None
    connection_bytes: int
    local: bool


def lines(connections: int, carrier: str, processes: int, means: Means) -> tuple[Line, ...]:
    """What a load of so many connections at once needs, and has."""
    each = -(-connections // processes)
    room = max(0, means.nofile_hard - RESERVE)
    enough = -(-connections // max(1, room))
    ends = 2 if means.local else 1
    own, kernel = CLIENT_BYTES[carrier], means.connection_bytes
    available = None if means.memory_available is None else int(means.memory_available * SHARE)
    more = -(-connections // max(1, means.ports))
    return (
        Line(
            "descriptors of a process", each, room,
            f"{connections:,} connections / {processes} processes; hard limit {means.nofile_hard:,} - {RESERVE} others",
            f"--processes {enough}, or a higher hard limit (ulimit -Hn)",
        ),
        Line(
            "source ports", connections, means.ports * means.addresses,
            f"{means.addresses:,} addresses x {means.ports:,} ports",
            f"--sources with {more:,} addresses or more",
        ),
        Line(
            "memory, MiB", connections * (own + ends * kernel) // MIB, None if available is None else available // MIB,
            f"{connections:,} x ({own:,} bytes of the load + {ends} x {kernel:,} of the kernel); {SHARE:.0%} of MemAvailable",
            "fewer connections, or a machine of its own for the load",
        ),
    )  # fmt: skip
