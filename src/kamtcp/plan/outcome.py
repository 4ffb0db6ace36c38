"""What a plan comes to: which ceiling binds before and after, whether the target is met, and what can't be."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from kamtcp.capacity.ceiling import Ceiling, Effect
from kamtcp.capacity.ladder import Ladder, blind_spots, stops
from kamtcp.capacity.situation import Situation
from kamtcp.plan.solve import Solution, solve
from kamtcp.plan.steps import Step, steps, why

#: ceilings that the steps themselves use up: -m and -M are memory of the machine
MEMORY = ("kernel-memory", "cgroup-memory")


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
        reach: connections that this host could hold with a plan, where the target is not met; None where it is.
        hosts: how many hosts of this kind hold the connections, None where that can't be told; 1 where this one does.
    """

    steps: tuple[Step, ...]
    elsewhere: tuple[Elsewhere, ...]
    short: tuple[Short, ...]
    unseen: tuple[str, ...]
    met: bool | None
    reach: int | None
    hosts: int | None
    solution: Solution


def plan(s: Situation) -> Plan:
    """Everything from one situation: same facts, same target, same plan.

    Where the memory of the machine is what lacks, the steps are those for what it can hold: a pool larger than the
    memory would end the server, not raise it.
    """
    full = solve(s)
    short = tuple(_short(each, dict(full.unknown)) for each in _below(full.ladder_after))
    blind = blind_spots(full.ladder_after, s.goal_held)
    reach = reachable(s) if short and s.goal_held else None
    lacks_memory = any(each.name in MEMORY for each in short)
    found = solve(scaled(s, reach or 1)) if lacks_memory and s.goal_held else full
    return Plan(
        steps(found), tuple(Elsewhere(each.row.name, each.now, each.then, why(each)) for each in found.elsewhere),
        short, tuple(f"{each.name}: {each.working}" for each in blind), False if short else (None if blind else True),
        reach, _hosts(s.goal_held, reach) if short else (None if blind else 1), found,
    )  # fmt: skip


def reachable(s: Situation) -> int:
    """About how many connections of this target a plan could hold here, its rates in proportion; within a hundredth.

    A ceiling that can't be told is left out of it. 0 where not one.
    """
    low, high = 0, s.goal_held or 0
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        if _below(solve(scaled(s, middle)).ladder_after):
            high = middle
        else:
            low = middle
    return low


def scaled(s: Situation, connections: int) -> Situation:
    """The same wish for fewer connections."""
    target, part = s.target, connections / max(1, s.goal_held or 0)
    return replace(s, target=replace(
        target, connections=connections, tls=int(target.tls * part), ws=int(target.ws * part), wss=int(target.wss * part),
        rate=None if target.rate is None else target.rate * part,
        storm=None if target.storm is None else int(target.storm * part),
        outbound={name: int(count * part) for name, count in target.outbound.items()},
        outbound_rate={name: rate * part for name, rate in target.outbound_rate.items()},
    ))  # fmt: skip


def _hosts(goal: int | None, reach: int | None) -> int | None:
    return -(-goal // reach) if goal and reach else None


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


def binding(ladder: Ladder) -> Ceiling | None:
    """The ceiling that stops new connections first."""
    order = stops(ladder)
    return order[0] if order else None
