"""The result of a load as one JSON document; its schema is docs/load.schema.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import astuple

from kamtcp import __version__
from kamtcp.cli.encode import encode
from kamtcp.diagnose.finding import Finding
from kamtcp.loadgen.budget import Line
from kamtcp.loadgen.result import Percentiles
from kamtcp.loadgen.tally import Tally
from kamtcp.model.absent import Absent

if TYPE_CHECKING:
    from kamtcp.cli.load_run import Outcome

SCHEMA = "kamtcp-load/1"


class Predicted(Struct, frozen=True):
    """What the ladder said before the load would give first."""

    ceiling: str
    connections: int | None
    working: str


class Part(Struct, frozen=True):
    """One population in one phase; `offered == answered + failures`."""

    phase: int
    kind: str
    population: str
    trickle: bool
    begun: float
    seconds: float
    offered_rate: float | None
    answered_rate: float | None
    tally: Tally


class Second(Struct, frozen=True):
    """A second of the load, or several in a long one: connections since the one before; `held` at its end, `at`."""

    at: int
    offered: int
    answered: int
    failed: int
    lost: int
    keepalives: int
    held: int


class Document(Struct, frozen=True):
    """The whole answer of `kamtcp load --json`.

    Args:
        offered, served: connections due, and those that were answered. failures: the others, by cause.
        held_min, held_end, lost: of those that were answered.
        lateness: of the generator; latencies: by stage, from the scheduled moment, seconds.
        doubts: why the generator can't vouch for this; empty where it can.
    """

    schema: str
    kamtcp: str
    exit_code: int
    target: str
    kind: str
    permission: str
    offered: int
    served: int
    held_min: int
    held_end: int
    lost: int
    failures: dict[str, int]
    details: dict[str, dict[str, int]]
    statuses: dict[int, int]
    syn_retried: dict[int, int]
    answer_slow: dict[int, int]
    lateness: Percentiles | None
    latencies: dict[str, Percentiles]
    seconds: float
    cpu_seconds: float
    workers: int
    peak_bytes: int
    parts: tuple[Part, ...]
    trickle: Tally
    rows: tuple[Second, ...]
    losses: tuple[float, ...]
    doubts: tuple[str, ...]
    stopped: str
    gave: str
    sustained: float | None
    predicted: Predicted | None
    gave_way: tuple[Finding, ...]
    not_judged: tuple[Absent, ...]
    not_watched: tuple[str, ...]
    plan: tuple[Line, ...]


def document(outcome: Outcome, exit_code: int) -> bytes:
    """The document, indented for people, one newline at its end."""
    result, tally = outcome.result, outcome.result.load
    before = outcome.predicted
    whole = Document(
        schema=SCHEMA,
        kamtcp=__version__,
        exit_code=exit_code,
        target=str(outcome.aim),
        kind=outcome.kind,
        permission=f"{outcome.permission.kind.value}: {outcome.permission.reason}",
        offered=tally.offered,
        served=tally.answered,
        held_min=result.held_min,
        held_end=result.held_end,
        lost=tally.lost,
        failures=tally.failures.causes(),
        details=tally.details,
        statuses=tally.statuses,
        syn_retried=tally.syn_retried,
        answer_slow=tally.answer_slow,
        lateness=result.lateness,
        latencies=result.stages,
        seconds=result.seconds,
        cpu_seconds=result.cpu_seconds,
        workers=result.workers,
        peak_bytes=result.peak_bytes,
        parts=tuple(
            Part(
                each.phase, each.kind, each.population, each.trickle, each.begun, each.seconds, each.offered_rate,
                each.answered_rate, each.tally,
            )
            for each in result.stretches
        ),
        trickle=result.trickle,
        rows=tuple(Second(*astuple(row)) for row in result.rows),
        losses=result.losses,
        doubts=result.doubts,
        stopped=result.stopped,
        gave=result.gave,
        sustained=result.sustained,
        predicted=None if before is None else Predicted(
            before.name, before.at if isinstance(before.at, int) else None, before.working
        ),
        gave_way=outcome.gave_way,
        not_judged=outcome.judgement.unjudged,
        not_watched=outcome.unwatched,
        plan=outcome.plan,
    )  # fmt: skip
    return encode(whole)
