"""Verdicts as one JSON document; its schema is docs/check.schema.json."""

from __future__ import annotations

import msgspec

from kamtcp import __version__
from kamtcp.capacity.ceiling import Ceiling
from kamtcp.capacity.outcomes import Outcome
from kamtcp.capacity.timer import Timer
from kamtcp.cli.encode import encode
from kamtcp.cli.report import headline, headline_of_rates
from kamtcp.diagnose.accepting import Acceptances
from kamtcp.diagnose.finding import Finding
from kamtcp.diagnose.starting import Starting
from kamtcp.diagnose.verdict import Verdict
from kamtcp.model.absent import Absent
from kamtcp.model.snapshot import Snapshot
from kamtcp.model.target import Mix, Target

#: 2: findings may be accepted, and those don't count for the exit code
SCHEMA = "kamtcp-check/2"


class Judged(msgspec.Struct, frozen=True):
    """One instance in the document; `instance` is "" for a machine without Kamailio."""

    instance: str
    attendant: int
    headline: str
    headline_of_rates: str
    target: Target
    target_source: str
    mix: Mix
    binding: str
    stops_at: int | None
    target_met: bool | None
    held: tuple[Ceiling, ...]
    rates: tuple[Ceiling, ...]
    unseen_ceilings: tuple[Ceiling, ...]
    could_lie_below: tuple[str, ...]
    timers: tuple[Timer, ...]
    outcomes: tuple[Outcome, ...]
    defaults: tuple[Ceiling, ...]
    findings: tuple[Finding, ...]
    unseen: tuple[Absent, ...]
    start: Starting | None


class Document(msgspec.Struct, frozen=True):
    """The whole answer of `kamtcp check --json`."""

    schema: str
    kamtcp: str
    exit_code: int
    judged: tuple[Judged, ...]
    acceptances: Acceptances
    snapshot: Snapshot


def document(
    snapshot: Snapshot,
    rows: tuple[tuple[Verdict, str], ...],
    exit_code: int,
    acceptances: Acceptances | None = None,
) -> bytes:
    """The document, indented for people, one newline at its end."""
    judged = tuple(_judged(verdict, where) for verdict, where in rows)
    return encode(Document(SCHEMA, __version__, exit_code, judged, acceptances or Acceptances(), snapshot))


def _judged(verdict: Verdict, where: str) -> Judged:
    instance, binding = verdict.situation.instance, verdict.binding
    return Judged(
        instance="" if instance is None else instance.name,
        attendant=0 if instance is None else instance.attendant,
        headline=headline(verdict),
        headline_of_rates=headline_of_rates(verdict),
        target=verdict.situation.target,
        target_source=where,
        mix=verdict.situation.mix,
        binding="" if binding is None else binding.name,
        stops_at=binding.at if binding is not None and isinstance(binding.at, int) else None,
        target_met=verdict.target_met if where else None,
        held=verdict.ladder.held,
        rates=verdict.ladder.rates,
        unseen_ceilings=verdict.ladder.unseen,
        could_lie_below=tuple(each.name for each in verdict.blind),
        timers=verdict.ladder.timers,
        outcomes=verdict.ladder.outcomes,
        defaults=verdict.ladder.defaults,
        findings=verdict.findings,
        unseen=verdict.unseen,
        start=verdict.start,
    )
