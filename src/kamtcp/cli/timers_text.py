"""The timer chain as text: what it means for a phone on each transport, then every timer."""

from __future__ import annotations

from kamtcp.capacity.outcomes import CUT, TITLES, Outcome
from kamtcp.capacity.timer import Timer
from kamtcp.cli.wrap import Screen, wrapped
from kamtcp.diagnose.verdict import Verdict
from kamtcp.model.absent import Absent

TRANSPORT, CASE, AFTER = 5, 26, 16


def lines(verdict: Verdict, screen: Screen) -> list[str]:
    """The table; timers that run, soonest first; those that don't, in one line."""
    timers = verdict.ladder.timers
    if not timers:
        return []
    out = [screen.style(" time: when a connection ends, and who ends it", "bold")]
    last = ""
    for each in verdict.ladder.outcomes:
        out += _outcome(each, screen, again=each.transport == last)
        last = each.transport
    running = [timer for timer in timers if isinstance(timer.seconds, int | float)]
    running.sort(key=_seconds)
    resting = [timer.title for timer in timers if timer.seconds is None]
    out.append("   every timer, soonest first:")
    for timer in running:
        out += _timer(timer, screen)
    if resting:
        out += wrapped("not running: " + "; ".join(resting), screen.width, "   ")
    return [*out, ""]


def _outcome(one: Outcome, screen: Screen, *, again: bool) -> list[str]:
    head = f"   {'' if again else one.transport:<{TRANSPORT}}{TITLES[one.case]:<{CASE}}{when(one):<{AFTER}} "
    return wrapped(_by(one), screen.width, " " * len(head), head)


def when(one: Outcome) -> str:
    """Seconds as a range or a bound; never, not seen, or not known for want of a target."""
    if one.case == CUT:
        if isinstance(one.seconds, Absent):
            return "not known" if one.why and one.seconds.source == "registration_seconds" else "not seen"
        return "never" if one.latest is None else f"up to {one.latest:,.0f} s"
    if isinstance(one.seconds, Absent):
        return "not seen" if one.latest is None else f"{one.latest:,.0f} s at most"
    return "never" if one.seconds is None else span(one.seconds, one.latest)


def _by(one: Outcome) -> str:
    said = f"{one.who}: {one.why}" if one.who else one.why
    if isinstance(one.seconds, Absent):
        said += f"; {one.seconds.source}: {one.seconds.why.value}"
    return said


def span(first: float, last: float | None) -> str:
    """A range of seconds."""
    ends = (first, first if last is None else last)
    low, high = (f"{each:,.0f}" if each >= 100 else f"{each:.1f}".removesuffix(".0") for each in ends)
    return f"{low} s" if low == high else f"{low}..{high} s"


def _seconds(timer: Timer) -> float:
    return timer.seconds if isinstance(timer.seconds, int | float) else 0.0


def _timer(timer: Timer, screen: Screen) -> list[str]:
    after = span(timer.seconds, timer.end) if isinstance(timer.seconds, int | float) else ""
    head = f"{after:>22}  "
    who = f"{timer.who} " if timer.who else ""
    return wrapped(f"{timer.title}: {who}{timer.does} ({timer.working})", screen.width, " " * len(head), head)
