"""Running Kamailios among all processes.

All processes of an instance share one name and command line; the attendant is the one whose parent is none
of them. Several instances are told apart by their attendants.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import attempt
from kamtcp.observe.processes import ProcessStat, parse_stat

COMM = "kamailio"
_NAME = b"(" + COMM.encode() + b")"


class Family(Struct, frozen=True):
    """One instance: the pid of its attendant, and its processes in the order of their pids."""

    attendant: int
    members: tuple[ProcessStat, ...]


def families(host: Host, only: str = "") -> tuple[Family, ...]:
    """Every running instance, by attendant.

    Args:
        host: where /proc is read.
        only: a pid: that process and all its descendants are one instance, whatever they are called.
    """
    table: dict[int, ProcessStat] = {}
    names = attempt("/proc", lambda: host.listdir("/proc"))
    wanted = {int(only)} if only.isascii() and only.isdigit() and len(only) < 12 else set()
    for name in () if isinstance(names, Absent) else names:
        if name.isascii() and name.isdigit():
            stat = _stat(host, int(name), anybody=bool(wanted))
            if stat is not None and not isinstance(stat, Absent):
                table[stat.pid] = stat
    kin = {pid for pid, stat in table.items() if stat.comm == COMM and stat.state not in "ZX"}
    for root in wanted & table.keys():
        kin |= {pid for pid in table if root in _ancestry(pid, table)}
    heads: dict[int, list[ProcessStat]] = {}
    for pid in sorted(kin):
        heads.setdefault(_head(pid, kin, table), []).append(table[pid])
    return tuple(Family(head, tuple(members)) for head, members in sorted(heads.items()))


def hidden(host: Host) -> Absent | None:
    """Why processes may be running that were not found; None where all of them were looked at."""
    names = attempt("/proc", lambda: host.listdir("/proc"))
    if isinstance(names, Absent):
        return names
    if "1" not in names:
        return Absent("/proc", Why.DENIED, "it hides the processes of other users (hidepid)")
    return None


def _stat(host: Host, pid: int, *, anybody: bool) -> ProcessStat | Absent | None:
    """One process; None for one that can't be a Kamailio's, unless `anybody` is wanted: a host has hundreds."""

    def read() -> ProcessStat | None:
        data = host.read(f"/proc/{pid}/stat", 4096)
        return parse_stat(data) if anybody or _NAME in data else None

    return attempt(f"/proc/{pid}/stat", read)


def _ancestry(pid: int, table: dict[int, ProcessStat]) -> set[int]:
    seen: set[int] = set()
    while pid in table and pid not in seen:
        seen.add(pid)
        pid = table[pid].ppid
    return seen


def _head(pid: int, kin: set[int], table: dict[int, ProcessStat]) -> int:
    """The oldest ancestor that is still one of them."""
    seen = {pid}
    while table[pid].ppid in kin:
        pid = table[pid].ppid
        if (
            pid in seen
        ):  # a ring: pids were reused between two reads, or a recording lies; the same head for all in it
            return min(seen)
        seen.add(pid)
    return pid
