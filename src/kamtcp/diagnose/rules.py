"""All findings of one situation, worst first."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose import fatal, high
from kamtcp.diagnose.below import below
from kamtcp.diagnose.codes import RANK
from kamtcp.diagnose.finding import Finding


def findings(s: Situation, ladder: Ladder) -> tuple[Finding, ...]:
    """Everything that is wrong: by severity, then by code. The same facts give the same findings."""
    found = list(below(s, ladder))
    if s.instance is not None:
        for rule in (*fatal.RULES, *high.RULES):
            found.extend(rule(s, ladder))
    else:
        found.extend(high.tw_recycle(s, ladder))
    return tuple(sorted(found, key=lambda each: (RANK[each.severity], each.code)))
