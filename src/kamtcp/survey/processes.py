"""Processes of one instance: roles, limits, descriptors, private memory.

Roles come from core.psx. Without RPC, tcp main is the process that owns the listening TCP sockets.
"""

from __future__ import annotations

from collections.abc import Iterable

from kamtcp.host.door import Host
from kamtcp.kamailio.identity import Process as Described
from kamtcp.kamailio.levels import Pkg
from kamtcp.model.absent import Absent, Limit, Why
from kamtcp.model.instance import Process, Role
from kamtcp.observe import descriptors, limits
from kamtcp.observe.attempt import attempt
from kamtcp.observe.processes import ProcessStat, ProcessStatus, parse_status
from kamtcp.survey.find import Family
from kamtcp.survey.main_table import low_descriptors

#: listing more descriptors than this costs milliseconds and kernel memory for each; the count is free
MOST_LISTED = 2000


def collect(
    host: Host,
    family: Family,
    described: tuple[Described, ...] | Absent,
    pools: tuple[Pkg, ...] | Absent,
    listening_inodes: Iterable[int],
) -> tuple[Process, ...]:
    """All processes of an instance, in the order of their pids.

    Args:
        host: the machine as the reader sees it.
        family: its pids.
        described: core.psx, with pids as they are inside the instance's pid namespace.
        pools: pkg.stats, with the same pids.
        listening_inodes: of its listening TCP sockets, to tell tcp main without RPC.
    """
    texts = {} if isinstance(described, Absent) else {each.pid: each.description for each in described}
    used = {} if isinstance(pools, Absent) else {each.pid: each for each in pools}
    found = [_one(host, stat, texts, used, family.attendant) for stat in family.members]
    if not any(each.role is Role.TCP_MAIN for each in found):
        found = _main_by_listener(host, found, set(listening_inodes))
    return tuple(found)


def _one(
    host: Host, stat: ProcessStat, texts: dict[int, str], used: dict[int, Pkg], attendant: int
) -> Process:
    pid = stat.pid
    status = attempt(f"/proc/{pid}/status", lambda: parse_status(host.read(f"/proc/{pid}/status", 16384)))
    inner = pid if isinstance(status, Absent) or isinstance(status.ns_pids, Absent) else status.ns_pids[-1]
    description = texts.get(inner, "")
    role = role_of(description) if texts else (Role.ATTENDANT if pid == attendant else Role.OTHER)
    soft, hard = _nofile(host, pid)
    count = attempt(f"/proc/{pid}/fd", lambda: descriptors.count(host, pid))
    pool = used.get(inner)
    missing = Absent("pkg.stats", Why.MISSING, f"no entry for pid {inner}")
    return Process(
        pid=pid,
        inner_pid=inner,
        role=role,
        description=description,
        uid=_id(status, "uids"),
        gid=_id(status, "gids"),
        capabilities=status if isinstance(status, Absent) else status.cap_effective,
        nofile_soft=soft,
        nofile_hard=hard,
        descriptors=count,
        highest_descriptor=_highest(host, pid, role, count),
        cpu_ticks=stat.utime_ticks + stat.stime_ticks,
        pkg_used_bytes=missing if pool is None else pool.real_used,
        pkg_total_bytes=missing if pool is None else pool.total_size,
        state=stat.state,
        bounding=status if isinstance(status, Absent) else status.cap_bounding,
    )


def role_of(description: str) -> Role:
    """The role behind a text of core.psx (Kamailio src/core/pt.c and the modules that fork)."""
    if description.startswith("tcp main"):
        return Role.TCP_MAIN
    if description.startswith("tcp receiver"):
        return Role.TCP_WORKER
    if description.startswith("main process") or "attendant" in description:
        return Role.ATTENDANT
    return Role.CTL if description.startswith("ctl") else Role.OTHER


def _id(status: ProcessStatus | Absent, which: str) -> int | Absent:
    """The effective id: second of real, effective, saved, file system."""
    if isinstance(status, Absent):
        return status
    ids: tuple[int, ...] = getattr(status, which)
    return ids[1]


def _nofile(host: Host, pid: int) -> tuple[Limit, Limit]:
    source = f"/proc/{pid}/limits"
    found = attempt(source, lambda: limits.open_files(host, pid))
    return (found, found) if isinstance(found, Absent) else (found.soft, found.hard)


def _highest(host: Host, pid: int, role: Role, count: int | Absent) -> int | Absent:
    source = f"/proc/{pid}/fd"
    if role is not Role.TCP_MAIN:
        return Absent(source, Why.NOT_ASKED, "only tcp main's matters")
    if isinstance(count, Absent):
        return count
    if count > MOST_LISTED:
        return Absent(source, Why.NOT_ASKED, f"listing {count} descriptors costs too much")
    return attempt(source, lambda: descriptors.highest(host, pid))


def _main_by_listener(host: Host, found: list[Process], inodes: set[int]) -> list[Process]:
    """Tcp main is the only process that holds its listening sockets in descriptors of its own epoll set.

    Descriptors are looked at in the order of their numbers and only as far as listeners can be: they are
    opened before any connection.
    """
    holders = [index for index, each in enumerate(found) if _holds(host, each.pid, inodes)]
    if len(holders) != 1:
        return found
    index = holders[0]
    return [
        each if at != index else _with_role(each, Role.TCP_MAIN) for at, each in enumerate(found)
    ]  # fmt: skip


def _holds(host: Host, pid: int, inodes: set[int]) -> bool:
    low = low_descriptors(host, pid, 64)
    return not isinstance(low, Absent) and any(each.inode in inodes for each in low.values())


def _with_role(process: Process, role: Role) -> Process:
    from msgspec.structs import replace

    return replace(process, role=role)
