"""For what share of time did tasks wait for CPU, memory or storage?

Reads   /proc/pressure/cpu, memory, io
Source  Linux kernel/sched/psi.c psi_show(); Documentation/accounting/psi.rst
Needs   CONFIG_PSI, and psi=1 on kernels that have it off by default; no privilege
Cost    0.06 ms
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import attempt
from kamtcp.observe.kernel_text import decimal, natural, rows, text

_SOURCE = "/proc/pressure"


class Stall(Struct, frozen=True, tag=True):
    """Share of time in percent over the last 10, 60 and 300 seconds; total time in µs since boot."""

    avg10: float
    avg60: float
    avg300: float
    total_us: int


class Pressure(Struct, frozen=True, tag=True):
    """One resource.

    Args:
        some: at least one task waited.
        full: all tasks that weren't idle waited; absent for cpu before 5.13.
    """

    some: Stall
    full: Stall | Absent


class Pressures(Struct, frozen=True, tag=True):
    """All three; each fails by itself."""

    cpu: Pressure | Absent
    memory: Pressure | Absent
    io: Pressure | Absent


def parse(data: bytes) -> Pressure:
    """Parse one file: "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and perhaps the same with "full".

    Raises:
        ParseError: no line "some", or one without its four values.
    """
    found: dict[bytes, Stall] = {}
    for at, line in enumerate(rows(data), start=1):
        kind, *words = line.split() or [b""]
        values = dict(word.split(b"=", 1) for word in words if b"=" in word)
        try:
            found[kind] = Stall(
                decimal(_SOURCE, values[b"avg10"], at),
                decimal(_SOURCE, values[b"avg60"], at),
                decimal(_SOURCE, values[b"avg300"], at),
                natural(_SOURCE, values[b"total"], at),
            )
        except KeyError as error:
            raise ParseError(_SOURCE, text(error.args[0]), text(line), at) from None
    if b"some" not in found:
        raise ParseError(_SOURCE, "a line `some`", text(data))
    return Pressure(found[b"some"], found.get(b"full", Absent(f"{_SOURCE} full", Why.MISSING)))


def collect(host: Host) -> Pressures:
    """All three. Where they are switched off the kernel says EOPNOTSUPP, which is "missing"."""

    def one(name: str) -> Pressure | Absent:
        path = f"{_SOURCE}/{name}"
        return attempt(path, lambda: parse(host.read(path)))

    return Pressures(cpu=one("cpu"), memory=one("memory"), io=one("io"))
