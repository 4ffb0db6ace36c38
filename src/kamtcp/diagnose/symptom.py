"""What a symptom is: a failure that two looks at a host, and the clients of a load, can tell from its look-alikes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from kamtcp.capacity import needs
from kamtcp.capacity.ceiling import Ceiling
from kamtcp.capacity.change import Change
from kamtcp.capacity.ladder import Ladder
from kamtcp.diagnose import cures
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, Finding, finding
from kamtcp.diagnose.see import line_for
from kamtcp.model.absent import Absent

#: the evidence, in one sentence with its numbers; and each fact without which it could not be judged
Signs = Iterator[str | Absent]


class Cured(Struct, frozen=True):
    """How to see and mend a symptom that no ceiling explains: see a shell line, both cures."""

    see: str
    now: Cure
    for_good: Cure


class Symptom(Struct, frozen=True):
    """One symptom.

    Args:
        code: what it is called.
        ceiling: name of the ceiling that was met, whose shell line and cures it has; "" where none was.
        judge: the ladder is that of the second look; yields nothing where all is well.
        silences: codes of symptoms that are mere consequences of this one.
        cured: where no ceiling explains it; a function says whether that is so this time.
    """

    code: str
    ceiling: str
    judge: Callable[[Change, Ladder], Signs]
    silences: tuple[str, ...] = ()
    cured: Cured | Callable[[Change], Cured | None] | None = None


def named(symptom: Symptom, evidence: str, change: Change, ladder: Ladder) -> Finding:
    """The finding of a symptom that was seen."""
    code = BY_CODE[symptom.code]
    cured = symptom.cured(change) if callable(symptom.cured) else symptom.cured
    if cured is not None:
        return finding(code, evidence, cured.see, cured.now, cured.for_good)
    s = change.after
    found = next((each for each in ladder.all if each.name == symptom.ceiling), None)
    if found is None:
        now = good = cures.unknown(symptom.ceiling)
    else:
        evidence = f"{evidence} (ceiling {found.name}: {_height(found)})"
        now, good = cures.of(_beyond(found), s, ladder)
    return finding(code, evidence, line_for(symptom.ceiling, s), now, good)


def _height(ceiling: Ceiling) -> str:
    return f"{ceiling.limit:,} {ceiling.unit}" if isinstance(ceiling.limit, int) else str(ceiling.limit)


def _beyond(ceiling: Ceiling) -> Ceiling:
    """The ceiling with a goal that is out of its reach: what a cure of it has to reach at least."""
    limit = ceiling.limit if isinstance(ceiling.limit, int) else 0
    return replace(ceiling, goal=max(ceiling.goal or 0, needs.with_spare(limit)))
