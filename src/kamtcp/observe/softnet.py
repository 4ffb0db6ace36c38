"""Does any CPU drop packets before the network stack sees them?

Reads   /proc/net/softnet_stat: a row per online CPU, hex columns, no header
Source  Linux net/core/net-procfs.c softnet_seq_show()
Needs   no privilege
Cost    0.03 ms

Of the whole machine, not of a namespace. Only loopback, veth, tunnels and receive packet steering
go through the backlog that drops here; network cards count their own drops.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.kernel_text import hexadecimal, rows, text

_SOURCE = "/proc/net/softnet_stat"
_LEAST_COLUMNS = 9


class SoftnetCpu(Struct, frozen=True, tag=True):
    """One CPU's counters since boot. Each is 32 bits wide and wraps.

    Args:
        cpu: number of the CPU; absent before 13 columns (a row is not a CPU: offline ones are left out).
        processed: packets.
        dropped: packets refused because the backlog held netdev_max_backlog.
        time_squeeze: rounds that ended with work left (netdev_budget, netdev_budget_usecs).
        received_rps: wake-ups by receive packet steering. flow_limit: packets refused by it.
        backlog: packets waiting now, a gauge (input and process queue together).
    """

    cpu: int | Absent
    processed: int
    dropped: int
    time_squeeze: int
    received_rps: int | Absent
    flow_limit: int | Absent
    backlog: int | Absent


def parse(data: bytes) -> tuple[SoftnetCpu, ...]:
    """Parse the whole file: 9 columns at first, then 10, 11, 13, and 15 today; more are fine.

    Returns:
        A row per online CPU, in the order of the file.

    Raises:
        ParseError: no row, a row of fewer than 9 columns, or a column that isn't hexadecimal.
    """
    lines = rows(data)
    if not lines:
        raise ParseError(_SOURCE, "a row per CPU", "an empty file")
    return tuple(_row(at, line) for at, line in enumerate(lines, start=1))


def collect(host: Host) -> tuple[SoftnetCpu, ...]:
    """Counters of all online CPUs.

    Raises:
        OSError, ParseError: as reading and parsing gave them.
    """
    return parse(host.read(_SOURCE))


def _row(at: int, line: bytes) -> SoftnetCpu:
    words = line.split()
    if len(words) < _LEAST_COLUMNS:
        raise ParseError(_SOURCE, f"{_LEAST_COLUMNS} or more hex columns", text(line), at)
    values = [hexadecimal(_SOURCE, word, at) for word in words]

    def column(number: int) -> int | Absent:
        if number <= len(values):
            return values[number - 1]
        return Absent(f"{_SOURCE} column {number}", Why.MISSING)

    return SoftnetCpu(
        cpu=column(13),
        processed=values[0],
        dropped=values[1],
        time_squeeze=values[2],
        received_rps=column(10),
        flow_limit=column(11),
        # 11 columns: no backlog column. 13 and more: 12 is the length, 13 the CPU.
        backlog=column(12),
    )
