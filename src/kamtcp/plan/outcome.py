"""What a plan comes to: which ceiling binds before and after, whether the target is met, and what can't be."""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity.ceiling import Ceiling, Effect
from kamtcp.capacity.ladder import Ladder, blind_spots, stops
from kamtcp.capacity.situation import Situation
from kamtcp.model.absent import Absent
from kamtcp.plan.solve import Solution, solve
from kamtcp.plan.steps import Step, steps, why


class Elsewhere(Struct, frozen=True):
    """A value of the whole machine that the target needs, and that this namespaced host doesn't own."""

    name: str
    now: str
    then: str
    why: str


class Short(Struct, frozen=True):
    """A ceiling that stays below the target.

    Args:
        at: connections at which it is met, None where the ceiling is no count of them.
        why: its arithmetic, and why it is not raised.
    """

    name: str
    title: str
    at: int | None
    goal: int
    why: str


class Plan(Struct, frozen=True):
    """One instance's plan.

    Args:
        met: whether the target is met once the plan is in; None where something unseen could lie below it.
        hosts: how many hosts of this kind hold the connections, None where that can't be told; 1 where this one does.
    """

    steps: tuple[Step, ...]
    elsewhere: tuple[Elsewhere, ...]
    short: tuple[Short, ...]
    unseen: tuple[str, ...]
    met: bool | None
    hosts: int | None
    solution: Solution


def plan(s: Situation) -> Plan:
    """Everything from one situation: same facts, same target, same plan."""
    found = solve(s)
    ladder = found.ladder_after
    short = tuple(_short(each, dict(found.unknown)) for each in _below(ladder))
    blind = blind_spots(ladder, s.goal_held)
    met = False if short else (None if blind else True)
    return Plan(
        steps(found), tuple(Elsewhere(each.row.name, each.now, each.then, why(each)) for each in found.elsewhere),
        short, tuple(f"{each.name}: {each.working}" for each in blind), met, _hosts(ladder, s.goal_held, met), found,
    )  # fmt: skip


def _below(ladder: Ladder) -> tuple[Ceiling, ...]:
    effects = (Effect.STOPS, Effect.SLOWS)
    return tuple(each for each in ladder.all if each.met is False and each.effect in effects)


def _short(ceiling: Ceiling, unknown: dict[str, str]) -> Short:
    reasons = [f"{name}: {said}" for raiser in ceiling.raised_by for name, said in unknown.items()
               if raiser.rpartition(":")[2].split(" ")[0] == name]  # fmt: skip
    return Short(
        ceiling.name, ceiling.title, ceiling.at if isinstance(ceiling.at, int) else None, ceiling.goal or 0,
        "; ".join((ceiling.working, *reasons)),
    )  # fmt: skip


def _hosts(ladder: Ladder, goal: int | None, met: bool | None) -> int | None:
    if met:
        return 1
    order = stops(ladder)
    if (
        not order
        or not goal
        or isinstance(order[0].at, Absent)
        or not isinstance(order[0].at, int)
        or order[0].at < 1
    ):
        return None
    return -(-goal // order[0].at)


def binding(ladder: Ladder) -> Ceiling | None:
    """The ceiling that stops new connections first."""
    order = stops(ladder)
    return order[0] if order else None
