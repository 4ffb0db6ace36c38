"""All ceilings of one instance, lowest first, and the one that gives first."""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity import defaults
from kamtcp.capacity.catalogue import ALL
from kamtcp.capacity.ceiling import Ceiling, Effect, Kind
from kamtcp.capacity.outcomes import Outcome, outcomes
from kamtcp.capacity.situation import Situation
from kamtcp.capacity.timer import Timer
from kamtcp.capacity.timers import chain
from kamtcp.model.absent import Absent


class Ladder(Struct, frozen=True):
    """Every ceiling of one situation.

    Args:
        held, rates: computed or unlimited ones, lowest `at` first; rates hold both kinds of rate.
        unseen: those that can't be told, in the order of the catalogue.
        timers: who closes first. outcomes: what they mean for a connection of each transport.
        defaults: without a Kamailio, what one with its defaults would add; never binding.
    """

    held: tuple[Ceiling, ...]
    rates: tuple[Ceiling, ...]
    unseen: tuple[Ceiling, ...]
    timers: tuple[Timer, ...]
    outcomes: tuple[Outcome, ...] = ()
    defaults: tuple[Ceiling, ...] = ()

    @property
    def all(self) -> tuple[Ceiling, ...]:
        return (*self.held, *self.rates, *self.unseen)


def build(s: Situation) -> Ladder:
    """Compute every ceiling that applies."""
    found = [entry.compute(s) for entry in ALL if s.instance is not None or not entry.needs_instance]
    seen = [each for each in found if not isinstance(each.at, Absent)]
    order = sorted(range(len(seen)), key=lambda i: (_height(seen[i]), i))
    ranked = [seen[i] for i in order]
    timers = chain(s) if s.instance is not None else ()
    return Ladder(
        held=tuple(each for each in ranked if each.kind is Kind.HELD),
        rates=tuple(each for each in ranked if each.kind is not Kind.HELD),
        unseen=tuple(each for each in found if isinstance(each.at, Absent)),
        timers=timers,
        outcomes=outcomes(s, timers),
        defaults=defaults.ceilings(s) if s.instance is None else (),
    )


def _height(ceiling: Ceiling) -> float:
    """Where it stands on the ladder; what limits nothing stands above all numbers."""
    return ceiling.at if isinstance(ceiling.at, int) else float("inf")


def stops(ladder: Ladder) -> tuple[Ceiling, ...]:
    """Held ceilings that can be binding, lowest first: only those that stop new connections."""
    return tuple(each for each in ladder.held if each.effect is Effect.STOPS and isinstance(each.at, int))


def slows_first(ladder: Ladder) -> tuple[Ceiling, ...]:
    """Rate ceilings that can be binding, lowest first."""
    effects = (Effect.STOPS, Effect.SLOWS)
    return tuple(each for each in ladder.rates if each.effect in effects and isinstance(each.at, int))


def _slows_a_stated_rate(ceiling: Ceiling) -> bool:
    """Whether it is a queue that could keep the target's new connections waiting; without a stated rate it concerns nobody."""
    return ceiling.kind is Kind.INSTANT and ceiling.effect is Effect.SLOWS and ceiling.goal is not None


def blind_spots(ladder: Ladder, target_held: int | None) -> tuple[Ceiling, ...]:
    """Ceilings that can't be told and could lie below the target or below the binding one.

    Only these make a check answer "could not see enough"; one that surely lies higher doesn't.
    """
    binding = stops(ladder)
    water = target_held if target_held is not None else (binding[0].at if binding else None)
    return tuple(
        each
        for each in ladder.unseen
        if (each.effect is Effect.STOPS or _slows_a_stated_rate(each))
        and not (each.floor is not None and isinstance(water, int) and each.floor >= water)
    )
