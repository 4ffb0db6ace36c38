"""What a load run saw, as its workers hand it back and as one result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from kamtcp.loadgen.tally import Failures, Tally

if TYPE_CHECKING:
    from kamtcp.loadgen.histogram import Histogram  # numpy takes time, and workers count durations without

__all__ = [
    "STAGES",
    "Failures",
    "Percentiles",
    "Result",
    "Row",
    "Stretch",
    "Tally",
    "WorkerResult",
    "percentiles",
]

# Each from the scheduled moment: TCP open, TLS handshake done, WebSocket up, answer; storm: loss to answer.
STAGES = ("connect", "tls", "upgrade", "answer", "back")


class Percentiles(Struct, frozen=True):
    """A distribution of times, in seconds, to three digits."""

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    highest: float


def percentiles(times: Histogram) -> Percentiles | None:
    """None without values."""
    if not times.count:
        return None
    p50, p90, p99, p999 = times.percentiles((50.0, 90.0, 99.0, 99.9))
    return Percentiles(times.count, p50, p90, p99, p999, times.maximum)


class Row(Struct, frozen=True, array_like=True):
    """A second of a load, or several in a long one.

    Args:
        at: its end, seconds after the start of the load.
        offered, answered, failed, lost: connections since the row before; keepalives: sent likewise.
        held: at its end.
    """

    at: int
    offered: int
    answered: int
    failed: int
    lost: int
    keepalives: int
    held: int


class Stretch(Struct):
    """One population in one phase.

    Args:
        phase: number of the phase, from 0 on. kind: of the phase ("ramp", "hold", ...).
        population: its name; "" where there is only one.
        trickle: whether this is what trickled beside a burst.
        tally: of the connections begun in this phase, whatever became of them later.
        begun: seconds after the start of the load. seconds: from there to the last one settled.
        due_last: seconds from `begun` to the last scheduled moment.
        times: of each of `STAGES` and "lateness", as `times.Times` hands on.
    """

    phase: int
    kind: str
    population: str
    trickle: bool = False
    tally: Tally = field(default_factory=Tally)
    begun: float = 0.0
    seconds: float = 0.0
    due_last: float = 0.0
    times: dict[str, bytes] = field(default_factory=dict)

    @property
    def offered_rate(self) -> float | None:
        """Connections per second as the schedule had them; None if it had all at one moment."""
        return (
            (self.tally.offered - 1) / self.due_last if self.due_last > 0 and self.tally.offered > 1 else None
        )

    @property
    def answered_rate(self) -> float | None:
        """Answers per second until the last one was settled."""
        return self.tally.answered / self.seconds if self.seconds > 0 else None


class WorkerResult(Struct):
    """What one worker hands back.

    Args:
        stretches: a row per phase and population that began connections.
        held_min: fewest connections held at any moment between the last settled connection and the end of the hold.
        held_end: connections held at the end of the hold.
        seconds: from the start of the schedule to the last settled connection.
        cpu_seconds: user and system time of the worker, its start left out.
        rows: cumulative (at, offered, answered, failed, lost, keepalives, held), one for each `row_seconds`.
        losses: seconds after the start of each loss; the first `LOSSES`.
        longest_gap: seconds, the longest in which the loop didn't look at its sockets.
        peak_bytes: most resident memory.
    """

    stretches: list[Stretch]
    held_min: int
    held_end: int
    seconds: float
    cpu_seconds: float
    rows: list[Row]
    row_seconds: int
    losses: list[float]
    longest_gap: float
    peak_bytes: int


class Result(Struct, frozen=True):
    """A whole run; fields as in `Tally` and `WorkerResult`.

    Args:
        load: all but what trickled. trickle: that.
        latency: scheduled moment (burst: the instant) to answer; the other stages are in `stages`.
        lateness: scheduled moment to connect(2).
        rows: one a second; of a long run one for several.
        doubts: why the generator can't vouch for its result, one line each; empty where it can.
        stopped: why the load ended before its end; "" if it didn't.
        gave: of a ramp: what gave, and at which step; "" if nothing did. sustained: height of the last step that held.
    """

    load: Tally
    trickle: Tally
    stretches: tuple[Stretch, ...]
    held_min: int
    held_end: int
    seconds: float
    cpu_seconds: float
    latency: Percentiles | None
    lateness: Percentiles | None
    stages: dict[str, Percentiles]
    rows: tuple[Row, ...]
    losses: tuple[float, ...]
    longest_gap: float
    peak_bytes: int
    workers: int
    doubts: tuple[str, ...] = ()
    stopped: str = ""
    gave: str = ""
    sustained: float | None = None
