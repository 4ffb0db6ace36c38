"""What a ceiling is: one limit, the number of connections at which it is met, and how that was found."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from kamtcp.model.absent import Absent, Limit, Unlimited
from kamtcp.model.origin import Figure, Origin, softest


class Kind(Enum):
    """What is counted."""

    HELD = "held connections"
    RATE = "new connections per second"
    INSTANT = "connections at one instant"


class Effect(Enum):
    """What happens to connections beyond it. Only `STOPS` can be binding (for rates also `SLOWS`)."""

    STOPS = "stops"
    SLOWS = "slows"
    LOSES_PROTECTION = "loses protection"
    HURTS_OTHERS = "hurts others"


class Ceiling(Struct, frozen=True):
    """One limit.

    Args:
        name: stable, as `kamtcp explain` knows it ("tcp-main-descriptors").
        title: for people ("descriptors of tcp main").
        kind: what `limit` and `at` count.
        effect: what happens beyond it.
        limit: the limit in its own unit; Unlimited where nothing limits, Absent where it can't be told.
        unit: what `limit` counts ("connections", "TLS connections", "connections to 10.0.0.9:5060").
        at: the number of connections of the target's mix at which it is met; Unlimited where this mix
            never meets it. The same as `limit` for most.
        now: use now, in the unit of `limit`.
        working: the arithmetic, with its numbers.
        inputs: every number in it, with its origin.
        raised_by: settings that raise it, the cheapest cure first.
        note: one more thing to know; may be empty.
        goal: the target in the unit of `limit`, None where the target doesn't say.
        floor: where `at` is Absent: a number of connections that it surely lies above; None if nothing is sure.
    """

    name: str
    title: str
    kind: Kind
    effect: Effect
    limit: Limit
    unit: str
    at: Limit
    now: int | Absent
    working: str
    inputs: tuple[Figure, ...]
    raised_by: tuple[str, ...]
    note: str = ""
    goal: int | None = None
    floor: int | None = None

    @property
    def origin(self) -> Origin:
        """No firmer than the softest number in it."""
        return softest(self.inputs)

    @property
    def met(self) -> bool | None:
        """Whether the target fits below it: None where the target or the ceiling is not known."""
        if self.goal is None or isinstance(self.limit, Absent):
            return None
        return isinstance(self.limit, Unlimited) or self.limit >= self.goal
