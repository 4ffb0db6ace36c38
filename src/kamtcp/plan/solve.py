"""All settings of a target together: raise what is too low, look at the ladder that gives, until nothing more is due.

More workers raise the TLS guard and the number of private tables, a larger table needs more descriptors: one pass
doesn't do. Values only ever go up, so that it ends.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity.ceiling import Ceiling
from kamtcp.capacity.ladder import Ladder, build
from kamtcp.capacity.situation import Situation
from kamtcp.catalogue.entry import Direction, Scope
from kamtcp.catalogue.load import entries
from kamtcp.catalogue.size import Size
from kamtcp.catalogue.sizing import SIZES
from kamtcp.diagnose.lines import at_home, numbers
from kamtcp.model.absent import Absent, Limit, Unlimited
from kamtcp.plan.after import with_value
from kamtcp.plan.rows import ROWS, Row

#: a round without a change ends it; each setting settles within a few
ROUNDS = 12


class Change(Struct, frozen=True):
    """One setting's new value.

    Args:
        now: before the plan, as printed. then: the new one.
        answers: ceilings below the target that ask for it. along: settings of the plan that need it.
        size: its arithmetic.
    """

    row: Row
    now: str
    then: str
    answers: tuple[str, ...]
    along: tuple[str, ...]
    size: Size


class Solution(Struct, frozen=True):
    """What to change, and the facts and the ladder before and after.

    Args:
        changes: in the order of ROWS.
        elsewhere: needed, but the machine's, and this Kamailio lives in a namespace: not this host's to change.
        unknown: due, but its present value or its size could not be told: nothing is proposed blindly.
    """

    before: Situation
    after: Situation
    ladder_before: Ladder
    ladder_after: Ladder
    changes: tuple[Change, ...]
    elsewhere: tuple[Change, ...]
    unknown: tuple[tuple[str, str], ...]


def solve(s: Situation) -> Solution:
    """Every change that the target of the situation asks for."""
    first = build(s)
    now, ladder = s, first
    found: dict[str, Change] = {}
    elsewhere: dict[str, Change] = {}
    unknown: dict[str, str] = {}
    for _ in range(ROUNDS):
        settled = True
        for row in ROWS:
            if row.of_kamailio and s.instance is None:
                continue
            low = _below(ladder, row)
            along = tuple(name for name in row.along if name in found)
            if not (low or along) or not _helps(now, row):
                continue
            present, size = row.now(now), SIZES[row.sizing](now, row.now(now))
            if isinstance(size, Absent) or size.enough is None:
                if low:
                    unknown[row.name] = str(size if isinstance(size, Absent) else present)
                continue
            then = _never_lower(now, row, size.value)
            if size.enough or then == _shown(now, row):
                continue
            earlier = found.get(row.name)
            change = Change(
                row, _shown(s, row), then, tuple(dict.fromkeys((*(earlier.answers if earlier else ()), *low))),
                along, size,
            )  # fmt: skip
            if not row.of_kamailio and _machines(row) and not at_home(s):
                elsewhere[row.name] = change
                continue
            found[row.name] = change
            now = with_value(now, row.name, then)
            ladder, settled = build(now), False
        if settled:
            break
    order = [row.name for row in ROWS]
    return Solution(
        s, now, first, ladder, _sorted(found, order), _sorted(elsewhere, order),
        tuple((name, unknown[name]) for name in order if name in unknown and name not in found),
    )  # fmt: skip


def _sorted(changes: dict[str, Change], order: list[str]) -> tuple[Change, ...]:
    return tuple(changes[name] for name in order if name in changes)


def _below(ladder: Ladder, row: Row) -> tuple[str, ...]:
    """The ceilings it answers that are below the target."""
    every: tuple[Ceiling, ...] = (*ladder.all, *ladder.defaults)
    return tuple(each.name for each in every if each.name in row.answers and each.met is False)


def _helps(s: Situation, row: Row) -> bool:
    """Somaxconn only where it is what cuts the queue: Kamailio before 6.1 asks for 1024 whatever stands there."""
    if row.name != "net.core.somaxconn":
        return True
    cap = s.sysctl(row.name)
    asked = 1024 if s.instance is None else s.number("tcp_listen_backlog")
    return isinstance(cap, int) and isinstance(asked, int) and cap < asked


def _machines(row: Row) -> bool:
    """Whether one value holds for the whole machine."""
    return entries()[row.name].scope is not Scope.NAMESPACE


def _shown(s: Situation, row: Row) -> str:
    """The present value as it is written, words parted by one space."""
    if row.text:
        return " ".join(str(s.sysctl_text(row.name)).split())
    present: Limit = row.now(s)
    return "unlimited" if isinstance(present, Unlimited) else str(present)


def _never_lower(s: Situation, row: Row, value: str) -> str:
    """Of several numbers each keeps its height where it is higher already."""
    if not row.text or row.direction is not Direction.AT_LEAST or "," in value:
        return value
    now, then = numbers(_shown(s, row)), numbers(value)
    if len(now) != len(then) or len(then) < 2:
        return value
    return " ".join(str(max(pair)) for pair in zip(now, then, strict=True))
