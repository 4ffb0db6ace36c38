"""Which boot of the machine is this, and since when? Counters of two boots must never be subtracted.

Reads   /proc/sys/kernel/random/boot_id, /proc/uptime, /proc/stat (btime)
Source  Linux drivers/char/random.c, fs/proc/uptime.c, fs/proc/stat.c
Needs   no privilege
Cost    0.1 ms; /proc/stat more on machines with many interrupts
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent
from kamtcp.observe.attempt import attempt
from kamtcp.observe.kernel_text import decimal, natural, rows, text

_HEX_AND_DASH = frozenset(b"0123456789abcdef-")
_UUID_BYTES = 36
_READ_BYTES = 4096  # /proc/sys gives ENOMEM to reads of 4 MiB, the door's default


class Boot(Struct, frozen=True, tag=True):
    """One boot.

    Args:
        boot_id: random for each boot; containers show their machine's.
        uptime_seconds: since boot, suspends included.
        booted_at: seconds since the epoch; moves when the clock is set.
    """

    boot_id: str | Absent
    uptime_seconds: float | Absent
    booted_at: int | Absent


def parse_boot_id(data: bytes) -> str:
    """Parse the one line.

    Raises:
        ParseError: it is no UUID.
    """
    line = data.strip()
    if len(line) != _UUID_BYTES or not _HEX_AND_DASH.issuperset(line):
        raise ParseError("/proc/sys/kernel/random/boot_id", "a UUID", text(data))
    return text(line)


def parse_uptime(data: bytes) -> float:
    """Parse "uptime idle"; idle is the sum over CPUs and not used.

    Raises:
        ParseError: the first word is no number.
    """
    return decimal("/proc/uptime", (data.split() or [b""])[0])


def parse_btime(data: bytes) -> int:
    """Parse /proc/stat for its line "btime SECONDS".

    Raises:
        ParseError: there is no such line.
    """
    for line in rows(data):
        if line.startswith(b"btime "):
            return natural("/proc/stat", line[6:].strip())
    raise ParseError("/proc/stat", "a line btime", text(data))


def collect(host: Host) -> Boot:
    """All three; each fails by itself."""
    boot_id = "/proc/sys/kernel/random/boot_id"
    return Boot(
        attempt(boot_id, lambda: parse_boot_id(host.read(boot_id, _READ_BYTES))),
        attempt("/proc/uptime", lambda: parse_uptime(host.read("/proc/uptime"))),
        attempt("/proc/stat", lambda: parse_btime(host.read("/proc/stat"))),
    )
