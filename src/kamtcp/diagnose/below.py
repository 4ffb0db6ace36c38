"""Ceilings below the target: one finding each, with the ceiling's own arithmetic as evidence."""

from __future__ import annotations

from collections.abc import Iterator

from kamtcp.capacity.ceiling import Ceiling
from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose import cures
from kamtcp.diagnose.codes import below_target
from kamtcp.diagnose.finding import Finding, finding
from kamtcp.diagnose.see import line_for


def below(s: Situation, ladder: Ladder) -> Iterator[Finding]:
    """One finding for each ceiling that the target passes."""
    for ceiling in ladder.all:
        if ceiling.met is False:
            yield _finding(ceiling, s, ladder)


def _finding(ceiling: Ceiling, s: Situation, ladder: Ladder) -> Finding:
    now, good = cures.of(ceiling, s, ladder)
    goal = ceiling.goal or 0
    return finding(
        below_target(ceiling.name),
        f"{ceiling.limit:,} {ceiling.unit}, {'target' if s.target_stated else 'highest use seen'} {goal:,}: {ceiling.working}",
        line_for(ceiling.name, s), now, good,
    )  # fmt: skip
