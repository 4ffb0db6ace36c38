"""What a symptom is: a failure that two looks at a host, and the clients of a load, can tell from its look-alikes."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from kamtcp.capacity import needs
from kamtcp.capacity.ceiling import Ceiling
from kamtcp.capacity.change import Change
from kamtcp.capacity.ladder import Ladder
from kamtcp.diagnose import cures
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Finding, finding
from kamtcp.diagnose.rule import Said
from kamtcp.diagnose.see import line_for


class Symptom(Struct, frozen=True):
    """One symptom.

    Args:
        code: what it is called.
        judge: the ladder is that of the second look; yields the finding, and the facts it lacked.
        silences: codes of symptoms that are mere consequences of this one.
    """

    code: str
    judge: Callable[[Change, Ladder], Said]
    silences: tuple[str, ...] = ()


def seen(code: str, evidence: str, ceiling: str, change: Change, ladder: Ladder) -> Finding:
    """The finding of a symptom that the ceiling of this name explains: its shell line and its cures are the ceiling's."""
    s = change.after
    found = next((each for each in ladder.all if each.name == ceiling), None)
    if found is not None:
        evidence = f"{evidence} (ceiling {found.name}: {_height(found)})"
        now, good = cures.of(_beyond(found), s, ladder)
    else:
        now = good = cures.unknown(ceiling)
    return finding(BY_CODE[code], evidence, line_for(ceiling, s), now, good)


def _height(ceiling: Ceiling) -> str:
    return f"{ceiling.limit:,} {ceiling.unit}" if isinstance(ceiling.limit, int) else str(ceiling.limit)


def _beyond(ceiling: Ceiling) -> Ceiling:
    """The ceiling with a goal that is out of its reach: what a cure of it has to reach at least."""
    limit = ceiling.limit if isinstance(ceiling.limit, int) else 0
    return replace(ceiling, goal=max(ceiling.goal or 0, needs.with_spare(limit)))
