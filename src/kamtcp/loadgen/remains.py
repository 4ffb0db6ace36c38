"""What is known of a worker that ended before it could tell: its words on the board."""

from __future__ import annotations

from kamtcp.loadgen.board import CAUSES, Board
from kamtcp.loadgen.program import Program
from kamtcp.loadgen.result import Failures, Stretch, Tally, WorkerResult


def remains(board: Board, worker: int, program: Program) -> WorkerResult:
    """Its counts, as of 0.1 s before its end at most; what wasn't settled then failed by "worker_ended"."""
    failures = Failures(**{cause: board.value(worker, cause) for cause in CAUSES})
    offered, answered = board.value(worker, "offered"), board.value(worker, "answered")
    failures.worker_ended += max(0, offered - answered - failures.total())
    tally = Tally(
        offered=offered,
        connected=board.value(worker, "connected"),
        answered=answered,
        failures=failures,
        lost_closed=board.value(worker, "lost"),
        keepalives=board.value(worker, "keepalives"),
        keepalives_answered=board.value(worker, "keepalives_answered"),
    )
    return WorkerResult(
        stretches=[Stretch(0, program.phases[0].kind, program.clients[0].name, tally=tally)],
        held_min=0,
        held_end=0,
        seconds=0.0,
        cpu_seconds=0.0,
        rows=[],
        row_seconds=1,
        losses=[],
        longest_gap=0.0,
        peak_bytes=0,
    )
