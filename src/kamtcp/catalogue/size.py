"""What a sizing function gives: the value to set, and the arithmetic that led to it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from kamtcp.capacity.situation import Situation
from kamtcp.model.absent import Absent, Limit, Unlimited, Why
from kamtcp.model.origin import Figure, Origin


class Size(Struct, frozen=True, tag="size"):
    """A proposed value.

    Args:
        value: as it is written ("20264", "10000 65535").
        working: the arithmetic, with its numbers.
        inputs: every number in it, with its origin.
        enough: whether the present value does already; None where that can't be seen. Where it does, `value` is it.
        note: one more thing to know; may be empty.
    """

    value: str
    working: str
    inputs: tuple[Figure, ...]
    enough: bool | None
    note: str = ""


#: (what is judged, the present value) -> the proposal, or why there is none
Sizing = Callable[[Situation, Limit], Size | Absent]


def at_least(now: Limit, need: int, working: str, inputs: tuple[Figure, ...], note: str = "") -> Size:
    """A value that must not be below `need`; a higher one is left."""
    enough = None if isinstance(now, Absent) else isinstance(now, Unlimited) or now >= need
    value = str(now) if enough else str(need)
    return Size(value, f"{working} = {need}", inputs, enough, note)


def exactly(value: str) -> Sizing:
    """A function for a setting with one right value, whatever the host and the target."""

    def fixed(_: Situation, now: Limit) -> Size:
        enough = None if isinstance(now, Absent) else str(now) == value
        return Size(value, f"always {value}", (), enough)

    return fixed


def at_least_always(need: int) -> Sizing:
    """A function for a setting with one least value, whatever the host and the target."""
    return lambda _, now: at_least(now, need, "always", ())


def wanted(s: Situation) -> Figure | Absent:
    """Connections to hold."""
    if not s.goal_held:
        return Absent("target", Why.NOT_ASKED, "state one with --connections N")
    return Figure(s.goal_held, "connections wanted", Origin.TARGET)


def arrivals(s: Situation) -> Figure | Absent:
    """New connections in the worst second."""
    if s.goal_rate is None:
        return Absent("target", Why.NOT_ASKED, "state one with --rate R or --storm N/SECONDS")
    return Figure(s.goal_rate, "new connections in the worst second", Origin.TARGET)


def no_kamailio(s: Situation) -> Absent | None:
    """Why nothing that depends on a Kamailio can be told, where none is judged."""
    return None if s.instance is not None else Absent("Kamailio", Why.MISSING, "none is running")


def not_needed(what: str, why: str) -> Absent:
    """Nothing needs setting, and why."""
    return Absent(what, Why.MISSING, why)
