"""Counters and orders that the command and its workers share while a load runs: a few pages of shared memory.

Each worker writes its own row, the command writes the head; every word has one writer, and an aligned 8-byte
store is whole on the machines that Kamailio runs on, so nothing is locked.
"""

from __future__ import annotations

import mmap
import os

from msgspec import Struct

from kamtcp.loadgen.tally import Failures

PHASES = 1024  # that a program may have
RECENT = 126  # latencies that a worker shows
SKIPPED = -1.0  # in place of a moment: this phase is left out
CAUSES = Failures.__struct_fields__
FIELDS = (
    "offered",
    "connected",
    "answered",
    "held",
    "failed",
    "lost",
    "settled",
    "ready",
    "keepalives",
    "keepalives_answered",
    "out",
    "late",
    "slow",
)
_PLACE = {name: place for place, name in enumerate((*FIELDS, *CAUSES))}
ROW = 40  # words of 8 bytes
_HEAD = 8 + PHASES


class Progress(Struct, frozen=True):
    """A run so far, over all workers. The numbers are as of the workers' last look, 0.1 s ago at most.

    Args:
        offered, connected, answered, failed, lost: connections since the start; held: connections now.
        settled: workers whose connections are all answered or failed.
        ready: workers that wait for the next phase, or for the burst.
        keepalives, keepalives_answered: sent since the start, and of them answered.
        out: clients of a storm that have no connection again yet.
        late, slow: of this phase's connections, those started later than `Order.lateness_bound`, and answered later than `Climb.p99`.
        failures: by cause, only those there were.
        phase: number of the phase that was let off last, from 0 on; -1 before the first.
        ended: workers that have ended although they shouldn't.
        recent: the last answers' latencies in seconds, ascending, a sample.
    """

    offered: int
    connected: int
    answered: int
    held: int
    failed: int
    lost: int
    settled: int
    ready: int
    keepalives: int
    keepalives_answered: int
    out: int
    late: int
    slow: int
    failures: dict[str, int]
    phase: int
    ended: int
    recent: tuple[float, ...]

    def recent_percentile(self, percent: float) -> float | None:
        """Nearest rank among `recent`; None without."""
        if not self.recent:
            return None
        return self.recent[min(len(self.recent) - 1, int(percent / 100 * len(self.recent)))]


class Board:
    """The shared words. The command creates it, workers open it by its descriptor."""

    def __init__(self, workers: int, fd: int | None = None) -> None:
        size = (_HEAD + workers * (ROW + (RECENT + 2) // 2)) * 8
        if fd is None:
            self.fd = os.memfd_create("kamtcp-load", 0)  # to be inherited by the workers
            os.ftruncate(self.fd, size)
        else:
            self.fd = fd
        self._map = mmap.mmap(self.fd, size)
        whole = memoryview(self._map)
        self._head = whole[: _HEAD * 8].cast("d")
        self._rows = whole[_HEAD * 8 : (_HEAD + workers * ROW) * 8].cast("q")
        self._recent = whole[(_HEAD + workers * ROW) * 8 :].cast("f")
        self._workers = workers

    def close(self) -> None:
        """Give up the descriptor; the words stay as long as this object."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def row(self, worker: int) -> memoryview[int]:
        """One worker's words, in the order of `FIELDS` and `CAUSES`."""
        return self._rows[worker * ROW : worker * ROW + len(_PLACE)]

    def recent(self, worker: int) -> memoryview[float]:
        """One worker's sample of latencies, float32; 0 where there is none."""
        return self._recent[worker * (RECENT + 2) : worker * (RECENT + 2) + RECENT]

    def value(self, worker: int, name: str) -> int:
        return int(self._rows[worker * ROW + _PLACE[name]])

    def put(self, worker: int, name: str, value: int) -> None:
        self._rows[worker * ROW + _PLACE[name]] = value

    def progress(self, ended: int = 0) -> Progress:
        rows = [self.row(worker).tolist() for worker in range(self._workers)]
        sums = [sum(column) for column in zip(*rows, strict=True)]
        ready = FIELDS.index("ready")  # holds the number of the phase that is waited for, from 1 on
        sums[ready] = sum(row[ready] > self.released for row in rows)
        count = len(FIELDS)
        recent = sorted(
            value for worker in range(self._workers) for value in self.recent(worker).tolist() if value > 0
        )
        return Progress(
            **dict(zip(FIELDS, sums, strict=False)),
            failures={name: n for name, n in zip(CAUSES, sums[count:], strict=True) if n},
            phase=self.released - 1,
            ended=ended,
            recent=tuple(recent),
        )

    @property
    def start_at(self) -> float:
        """CLOCK_MONOTONIC at which the load starts, 0 while it isn't set."""
        return float(self._head[0])

    @start_at.setter
    def start_at(self, moment: float) -> None:
        self._head[0] = moment

    @property
    def burst_at(self) -> float:
        """CLOCK_MONOTONIC of the last burst or storm, 0 while there is none."""
        return float(self._head[1])

    @burst_at.setter
    def burst_at(self, moment: float) -> None:
        self._head[1] = moment

    @property
    def stop(self) -> bool:
        """Whether the workers shall end."""
        return bool(self._head[2])

    @stop.setter
    def stop(self, value: bool) -> None:
        self._head[2] = float(value)

    @property
    def released(self) -> int:
        """Phases that were let off, or skipped."""
        return int(self._head[3])

    def phase_at(self, phase: int) -> float:
        """CLOCK_MONOTONIC of a phase: 0 while it isn't let off, `SKIPPED` if it won't be."""
        return float(self._head[8 + phase])

    def release(self, phase: int, moment: float) -> None:
        """Let a phase begin at `moment`, or skip it."""
        self._head[8 + phase] = moment
        self._head[3] = float(max(self.released, phase + 1))
