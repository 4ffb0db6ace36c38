"""What a rule is: a function from facts to findings, and to the facts it lacked."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.finding import Finding
from kamtcp.model.absent import Absent

#: findings; and each fact without which the rule could not judge ("missing" ones are known not to be there)
Said = Iterator[Finding | Absent]


class Rule(Struct, frozen=True):
    """One rule.

    Args:
        codes: what it may find.
        judge: yields nothing where all is well.
        needs_instance: whether it speaks of a Kamailio.
    """

    codes: tuple[str, ...]
    judge: Callable[[Situation, Ladder], Said]
    needs_instance: bool = True


def lacking(*facts: object) -> Iterator[Absent]:
    """Those of some facts that could not be seen."""
    for fact in facts:
        if isinstance(fact, Absent):
            yield fact
