"""What a finding is."""

from __future__ import annotations

from datetime import date

from msgspec import Struct

from kamtcp.diagnose.codes import Code, Severity


class Cure(Struct, frozen=True):
    """One way to mend it.

    Args:
        text: what to do, in words; the reason when it isn't possible.
        line: a shell line that does it as printed, "" where there is none.
        risk: what it may cost.
        possible: False where there is no such cure here; `text` then says why.
    """

    text: str
    line: str = ""
    risk: str = ""
    possible: bool = True


class Accepted(Struct, frozen=True):
    """The entry of accept.toml that accepts a finding.

    Args:
        until: last day on which it holds, in UTC; None for good.
        where: "FILE:LINE" of the entry.
        in_force: False when it has expired: the finding counts again.
    """

    reason: str
    until: date | None
    where: str
    in_force: bool


class Finding(Struct, frozen=True):
    """One thing that is wrong.

    Args:
        evidence: the numbers that show it, in one sentence.
        see: a shell line to see for oneself.
        now: cure without a restart, with no connection lost.
        for_good: cure that survives a restart.
        places: lines of files that it speaks of, as "FILE:LINE".
        acceptance: the operator's, in force or expired; None where there is none.
    """

    code: str
    name: str
    severity: Severity
    evidence: str
    see: str
    now: Cure
    for_good: Cure
    places: tuple[str, ...] = ()
    acceptance: Accepted | None = None

    @property
    def accepted(self) -> bool:
        """Whether it is shown, and doesn't count."""
        return self.acceptance is not None and self.acceptance.in_force


def finding(
    code: Code,
    evidence: str,
    see: str,
    now: Cure,
    for_good: Cure,
    *,
    severity: Severity | None = None,
    places: tuple[str, ...] = (),
) -> Finding:
    """A finding of a registered code."""
    return Finding(code.code, code.name, severity or code.severity, evidence, see, now, for_good, places)


def no_cure(why: str) -> Cure:
    """There is none of this kind, and why."""
    return Cure(why, possible=False)
