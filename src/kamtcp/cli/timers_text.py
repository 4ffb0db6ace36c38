"""The timer chain as text."""

from __future__ import annotations

from kamtcp.capacity.timer import Timer
from kamtcp.cli.wrap import Screen, wrapped
from kamtcp.diagnose.verdict import Verdict


def lines(verdict: Verdict, screen: Screen) -> list[str]:
    """Timers that run, soonest first; then those that don't, in one line."""
    timers = verdict.ladder.timers
    if not timers:
        return []
    running = [timer for timer in timers if isinstance(timer.seconds, int | float)]
    running.sort(key=_seconds)
    resting = [timer.title for timer in timers if timer.seconds is None]
    out = [screen.style(" time: what happens to an idle connection, soonest first", "bold")]
    for timer in running:
        out += _timer(timer, screen)
    if resting:
        out += wrapped("not running: " + "; ".join(resting), screen.width, "   ")
    return [*out, ""]


def _seconds(timer: Timer) -> float:
    return timer.seconds if isinstance(timer.seconds, int | float) else 0.0


def _timer(timer: Timer, screen: Screen) -> list[str]:
    head = f"{timer.seconds:>9,g} s  " if isinstance(timer.seconds, int | float) else " " * 13
    return wrapped(f"{timer.title}: {timer.does} ({timer.working})", screen.width, " " * len(head), head)
