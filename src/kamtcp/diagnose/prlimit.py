"""The line that raises RLIMIT_NOFILE of running processes, for the privilege that is there.

tcp main *and every worker*: raising tcp main alone only moves the failure to the workers.

Source  prlimit(2): without CAP_SYS_RESOURCE the caller's user and group ids must equal all ids of the target,
        and the hard limit can't be raised
"""

from __future__ import annotations

from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.finding import Cure, no_cure
from kamtcp.model.absent import Absent, Unlimited
from kamtcp.model.instance import Process

CAP_SYS_RESOURCE = 24


def raise_descriptors(s: Situation, need: int) -> Cure:
    """Raise the soft limit of tcp main and every worker to `need`, as far as this reader may.

    Args:
        s: where the processes, their limits and the reader's privilege are known.
        need: descriptors that each process should be able to open.
    """
    main = s.tcp_main
    if isinstance(main, Absent):
        return no_cure(f"tcp main could not be told: {main}")
    processes = (main, *s.workers)
    hards = [process.nofile_hard for process in processes]
    if any(isinstance(hard, Absent) for hard in hards):
        return no_cure("the limits of some of its processes could not be read")
    hard = min((value for value in hards if isinstance(value, int)), default=need)
    may_raise_hard = bool(s.machine.capabilities >> CAP_SYS_RESOURCE & 1)
    risk = "none known: descriptors are handed out as before; it ends with the next restart"
    if may_raise_hard and not any(isinstance(value, Unlimited) for value in hards):
        return Cure(_what(need, processes), _line(processes, need, max(need, hard)), risk)
    soft = main.nofile_soft
    reach = min(need, hard)
    if isinstance(soft, int) and reach <= soft:
        return no_cure(f"not possible here: the hard limit is {hard:,} and raising it needs CAP_SYS_RESOURCE")
    short = "" if reach == need else f" (all that the hard limit allows; {need:,} are wanted)"
    text = _what(reach, processes) + short
    if may_raise_hard or _same_ids(s.machine.uid, processes):
        return Cure(text, _line(processes, reach), risk)
    ids = _one_identity(processes)
    if ids is None:
        return no_cure(
            "not possible here: its processes run under different ids and CAP_SYS_RESOURCE is missing"
        )
    user, group = ids
    become = f"setpriv --reuid={user} --regid={group} --clear-groups "
    return Cure(
        text + "; as its own user, since CAP_SYS_RESOURCE is missing",
        _line(processes, reach, become=become),
        risk,
    )


def _what(limit: int, processes: tuple[Process, ...]) -> str:
    return f"soft limit {limit:,} for tcp main and its {len(processes) - 1} workers; nothing is dropped"


def _line(processes: tuple[Process, ...], soft: int, hard: int | None = None, *, become: str = "") -> str:
    pids = " ".join(str(process.pid) for process in processes)
    value = f"{soft}:" if hard is None else f"{soft}:{hard}"
    return f"for p in {pids}; do {become}prlimit --pid $p --nofile={value}; done"


def _same_ids(uid: int, processes: tuple[Process, ...]) -> bool:
    return all(process.uid == uid for process in processes)


def _one_identity(processes: tuple[Process, ...]) -> tuple[int, int] | None:
    """User and group id that all of them share, or None."""
    found = {(process.uid, process.gid) for process in processes}
    if len(found) != 1:
        return None
    user, group = found.pop()
    return (user, group) if isinstance(user, int) and isinstance(group, int) else None
