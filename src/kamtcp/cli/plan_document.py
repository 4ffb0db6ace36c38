"""Plans as one JSON document; its schema is docs/plan.schema.json. No time and nothing random is in it."""

from __future__ import annotations

import msgspec

from kamtcp import __version__
from kamtcp.capacity.ceiling import Ceiling
from kamtcp.capacity.ladder import Ladder
from kamtcp.cli.encode import encode
from kamtcp.diagnose.verdict import Verdict
from kamtcp.model.target import Mix, Target
from kamtcp.plan.outcome import Elsewhere, Plan, Short, binding
from kamtcp.plan.steps import Step

SCHEMA = "kamtcp-plan/1"


class Rungs(msgspec.Struct, frozen=True):
    """A ladder: what stops first, at how many, and all its ceilings."""

    binding: str
    stops_at: int | None
    held: tuple[Ceiling, ...]
    rates: tuple[Ceiling, ...]
    unseen: tuple[Ceiling, ...]


class Planned(msgspec.Struct, frozen=True):
    """One instance in the document; `instance` is "" for a machine without Kamailio."""

    node: str
    instance: str
    attendant: int
    target: Target
    mix: Mix
    met: bool | None
    reach: int | None
    hosts: int | None
    steps: tuple[Step, ...]
    elsewhere: tuple[Elsewhere, ...]
    short: tuple[Short, ...]
    unseen: tuple[str, ...]
    before: Rungs
    after: Rungs


class Document(msgspec.Struct, frozen=True):
    """The whole answer of `kamtcp plan --format json`."""

    schema: str
    kamtcp: str
    planned: tuple[Planned, ...]


def document(plans: tuple[tuple[Verdict, Plan], ...]) -> bytes:
    """The document, indented for people, one newline at its end."""
    return encode(Document(SCHEMA, __version__, tuple(_planned(verdict, found) for verdict, found in plans)))


def _planned(verdict: Verdict, found: Plan) -> Planned:
    s = verdict.situation
    return Planned(
        s.machine.node, "" if s.instance is None else s.instance.name, 0 if s.instance is None else s.instance.attendant,
        s.target, s.mix, found.met, found.reach, found.hosts, found.steps, found.elsewhere, found.short, found.unseen,
        _rungs(found.solution.ladder_before), _rungs(found.solution.ladder_after),
    )  # fmt: skip


def _rungs(ladder: Ladder) -> Rungs:
    first = binding(ladder)
    at = first.at if first is not None and isinstance(first.at, int) else None
    return Rungs("" if first is None else first.name, at, ladder.held, ladder.rates, ladder.unseen)
