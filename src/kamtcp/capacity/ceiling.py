"""What a ceiling is: one limit, the number of connections at which it is met, and how that was found."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from kamtcp.model.absent import UNLIMITED, Absent, Limit, Unlimited, Why
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


#: use now of a rate: a single look doesn't show it, and that is not 0
NOT_MEASURED = Absent("use now", Why.NOT_ASKED, "one look shows no rate")


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


#: more than any machine holds, and the most that a JSON number of 64 bits tells
MOST = (1 << 63) - 1


def _within(number: int) -> int:
    return min(max(0, number), MOST)


class Spec(Struct, frozen=True):
    """What is the same for a ceiling on every host: its row in the reference table.

    Args:
        group: the words DESIGN uses for it in its list of ceilings.
        source: where the rule was read (kernel file and function, Kamailio file, man page).
    """

    name: str
    title: str
    kind: Kind
    effect: Effect
    unit: str
    raised_by: tuple[str, ...]
    group: str
    source: str

    def met(
        self,
        limit: int,
        working: str,
        inputs: tuple[Figure, ...],
        *,
        at: Limit | None = None,
        now: int | Absent,
        goal: int | None,
        note: str = "",
        title: str = "",
        unit: str = "",
        effect: Effect | None = None,
        raised_by: tuple[str, ...] | None = None,
    ) -> Ceiling:
        """The ceiling, computed. `at` is the limit itself unless the mix makes it another number."""
        limit = _within(limit)
        at = _within(at) if isinstance(at, int) else at
        return Ceiling(
            name=self.name, title=title or self.title, kind=self.kind, effect=effect or self.effect,
            limit=limit, unit=unit or self.unit, at=limit if at is None else at, now=now, working=working,
            inputs=inputs, raised_by=self.raised_by if raised_by is None else raised_by, note=note, goal=goal,
        )  # fmt: skip

    def none(self, why: str, *, now: int | Absent = 0, inputs: tuple[Figure, ...] = ()) -> Ceiling:
        """Nothing limits here, and that is known."""
        return Ceiling(
            name=self.name, title=self.title, kind=self.kind, effect=self.effect, limit=UNLIMITED, unit=self.unit,
            at=UNLIMITED, now=now, working=why, inputs=inputs, raised_by=(),
        )  # fmt: skip

    def unseen(self, absent: Absent, *, goal: int | None = None, floor: int | None = None) -> Ceiling:
        """It can't be told. `floor` is a number that it surely lies above, where there is one."""
        return Ceiling(
            name=self.name, title=self.title, kind=self.kind, effect=self.effect, limit=absent, unit=self.unit,
            at=absent, now=absent, working=str(absent), inputs=(), raised_by=self.raised_by, goal=goal, floor=floor,
        )  # fmt: skip
