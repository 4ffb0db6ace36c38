"""The line that raises RLIMIT_NOFILE of running processes, for the privilege that is there.

tcp main *and every worker*: raising tcp main alone only moves the failure to the workers. No limit is ever
lowered, neither a soft one nor a hard one.

Source  prlimit(2): without CAP_SYS_RESOURCE the caller's user and group ids must equal all ids of the target,
        and the hard limit can't be raised; above fs.nr_open nobody can raise it (Linux kernel/sys.c do_prlimit())
"""

from __future__ import annotations

from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.finding import Cure, no_cure
from kamtcp.model.absent import Absent
from kamtcp.model.instance import Process, Role

CAP_SYS_RESOURCE = 24
_RISK = "none known: descriptors are handed out as before; it ends with the next restart"


def raise_descriptors(s: Situation, need: int) -> Cure:
    """Raise the soft limit of tcp main and every worker to `need`, as far as this reader may.

    Args:
        s: where the processes, their limits and the reader's privilege are known.
        need: descriptors that each process should be able to open.
    """
    main = s.tcp_main
    if isinstance(main, Absent):
        return no_cure(f"tcp main could not be told: {main}")
    family = (main, *s.workers)
    if any(isinstance(limit, Absent) for each in family for limit in (each.nofile_soft, each.nofile_hard)):
        return no_cure("the limits of some of its processes could not be read")
    hards = [each.nofile_hard for each in family if isinstance(each.nofile_hard, int)]
    lowest = min(hards, default=need)
    privileged = bool(s.machine.capabilities >> CAP_SYS_RESOURCE & 1)
    if privileged and lowest < need:
        return _raise_hard(s, need, max(need, *hards), _short(family, need))
    reach = min(need, lowest)
    short = _short(family, reach)
    if not short:
        return no_cure(
            f"not possible here: the hard limit is {lowest:,} and raising it needs CAP_SYS_RESOURCE"
        )
    text = _what(reach, short) + (
        "" if reach == need else f" (all that the hard limit allows; {need:,} are wanted)"
    )
    if privileged or all((each.uid, each.gid) == (s.machine.uid, s.machine.gid) for each in short):
        return Cure(text, _line(short, f"{reach}:"), _RISK)
    ids = _one_identity(short)
    if ids is None:
        return no_cure(
            "not possible here: its processes run under different ids and CAP_SYS_RESOURCE is missing"
        )
    become = f"setpriv --reuid={ids[0]} --regid={ids[1]} --clear-groups "
    return Cure(
        f"{text}; as its own user, since CAP_SYS_RESOURCE is missing",
        _line(short, f"{reach}:", become=become), _RISK,
    )  # fmt: skip


def _raise_hard(s: Situation, need: int, hard: int, short: tuple[Process, ...]) -> Cure:
    """Both limits, with CAP_SYS_RESOURCE; fs.nr_open first where it is lower."""
    highest = s.sysctl("fs.nr_open")
    line = _line(short, f"{need}:{hard}")
    if isinstance(highest, int) and highest < hard:
        return Cure(f"{_what(need, short)}; fs.nr_open first, which is {highest:,}",
                    f"sysctl -w fs.nr_open={hard} && {line}", _RISK)  # fmt: skip
    return Cure(_what(need, short), line, _RISK)


def _short(family: tuple[Process, ...], limit: int) -> tuple[Process, ...]:
    """Those whose soft limit is lower: for the others the line would lower it, or do nothing."""
    return tuple(each for each in family if isinstance(each.nofile_soft, int) and each.nofile_soft < limit)


def _what(limit: int, processes: tuple[Process, ...]) -> str:
    workers = sum(each.role is Role.TCP_WORKER for each in processes)
    who = [] if workers == len(processes) else ["tcp main"]
    who += [] if not workers else [f"{'its ' if who else ''}{workers} workers"]
    return f"soft limit {limit:,} for {' and '.join(who)}; nothing is dropped"


def _line(processes: tuple[Process, ...], value: str, *, become: str = "") -> str:
    pids = " ".join(str(process.pid) for process in processes)
    return f"for p in {pids}; do {become}prlimit --pid $p --nofile={value}; done"


def _one_identity(processes: tuple[Process, ...]) -> tuple[int, int] | None:
    """User and group id that all of them share, or None."""
    found = {(process.uid, process.gid) for process in processes}
    if len(found) != 1:
        return None
    user, group = found.pop()
    return (user, group) if isinstance(user, int) and isinstance(group, int) else None
