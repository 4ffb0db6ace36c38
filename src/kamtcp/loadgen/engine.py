"""One worker's run: the phases of its program, one after the other.

Reads   nothing but its own sockets and clocks; the network namespace was entered before
"""

from __future__ import annotations

import resource
import time

from kamtcp.loadgen.acts import arrive, burst, close, hold, open_more
from kamtcp.loadgen.board import FIELDS, SKIPPED, Board
from kamtcp.loadgen.loop import Loop
from kamtcp.loadgen.program import Arrive, Burst, Close, Hold, Open, Phase, Program, Storm
from kamtcp.loadgen.result import WorkerResult
from kamtcp.loadgen.storm import Surge
from kamtcp.loadgen.times import MANY

_READY, _SETTLED = FIELDS.index("ready"), FIELDS.index("settled")


class Engine:
    """Carries out one worker's program. `run` returns when the last phase is over or the board says stop."""

    def __init__(self, program: Program, board: Board) -> None:
        self.program, self.board, self.row = program, board, board.row(program.worker)
        self.loop = Loop(program, board)
        if max(program.of_worker(place) for place in range(len(program.clients))) >= MANY:
            import kamtcp.loadgen.histogram  # noqa: F401  (numpy takes 0.1 s, which must not fall into the run)
        self.seconds: float | None = None  # from the start until all was settled

    def run(self) -> WorkerResult:
        """Do all of it."""
        before = time.process_time()
        loop, peers = self.loop, self.loop.peers
        self.row[_READY] = 1
        while not self.board.start_at and not loop.stopped:
            time.sleep(0.001)
        start = self.board.start_at
        loop.begin(start)
        self._phases()
        self._settled()
        peers.lowest = min(peers.lowest, peers.held)
        held_min, held_end = peers.lowest, peers.held
        loop.tick(time.monotonic())
        peers.close_all()
        cpu = time.process_time() - before
        loop.publish()
        assert self.seconds is not None
        return WorkerResult(
            stretches=[part.finish() for part in peers.parts],
            held_min=held_min,
            held_end=held_end,
            seconds=self.seconds,
            cpu_seconds=cpu,
            rows=loop.rows,
            row_seconds=loop.row_seconds,
            losses=peers.losses,
            longest_gap=loop.longest_gap,
            peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )

    def _phases(self) -> None:
        """All of them, or as far as it goes until the load is stopped."""
        phases = self.program.phases
        for number, phase in enumerate(phases):
            if all(isinstance(later, Hold) for later in phases[number:]):
                self._settled()
            if isinstance(phase, Hold):
                at = time.monotonic()
            else:
                at = self._released(number)
                if at == SKIPPED:
                    continue
                if at == 0.0:
                    return
            first = len(self.loop.peers.parts)
            going = self._do(number, phase, at)
            for part in self.loop.peers.parts[first:]:
                part.stretch.seconds = time.monotonic() - at
            if not going:
                return

    def _released(self, number: int) -> float:
        """Wait for the moment of a phase; 0 if the load is stopped before."""
        self.loop.publish()
        self.row[_READY] = number + 1
        while not (at := self.board.phase_at(number)):
            if not self.loop.turn(0.005):
                return 0.0
        return at

    def _settled(self) -> None:
        if self.seconds is None:
            self.seconds = time.monotonic() - self.loop.start
            self.loop.peers.lowest = self.loop.peers.held
            self.loop.publish()
            self.row[_SETTLED] = 1

    def _do(self, number: int, phase: Phase, at: float) -> bool:
        loop = self.loop
        match phase:
            case Arrive():
                return arrive(loop, number, phase, at)
            case Open():
                return open_more(loop, number, phase, at)
            case Burst():
                return burst(loop, number, phase, at)
            case Storm():
                return Surge(loop, number, phase, at).run()
            case Close():
                return close(loop, phase, at)
            case Hold():
                return hold(loop, phase, at)
