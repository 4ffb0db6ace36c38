"""Cures for processes of Kamailio that do nothing: a longer queue in front of them mends nothing."""

from __future__ import annotations

from collections.abc import Sequence

from kamtcp.capacity.change import Change
from kamtcp.diagnose.finding import Cure, no_cure
from kamtcp.diagnose.see import text_for
from kamtcp.diagnose.symptom import Cured
from kamtcp.model.absent import Absent
from kamtcp.model.instance import Process

_STATE = "grep State {files}"
_WAITS = "grep State /proc/{main}/status; cat /proc/{main}/wchan /proc/{main}/stack"


def stopped_workers(change: Change) -> tuple[Process, ...]:
    """TCP workers that a signal or a debugger holds, at the second look."""
    return tuple(each for each in change.after.workers if each.stopped) if change.instance is not None else ()


def of_main(change: Change) -> Cured | None:
    """Of a tcp main that accepts nothing."""
    main = change.after.tcp_main
    if isinstance(main, Absent):
        return None
    if main.stopped:
        return _go_on((main,))
    why = Cure(
        "find out what it waits for: that is what it does not accept for; a longer queue only delays this"
    )
    return Cured(text_for(_WAITS, change.after), no_cure("nothing is accepted before tcp main goes on"), why)


def of_workers(change: Change) -> Cured | None:
    """Of workers that are stopped; None where none is."""
    found = stopped_workers(change)
    return _go_on(found) if found else None


def _go_on(held: Sequence[Process]) -> Cured:
    pids = " ".join(str(each.pid) for each in held)
    files = " ".join(f"/proc/{each.pid}/status" for each in held)
    return Cured(
        _STATE.format(files=files),
        Cure("let them go on, unless a debugger holds them on purpose", f"kill -CONT {pids}"),
        Cure(
            "find out who stopped them: a debugger, a freezer, SIGSTOP; TracerPid in the same file tells the first"
        ),
    )
