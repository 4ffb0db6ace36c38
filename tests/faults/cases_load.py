"""The load itself is killed, or told to end: nothing of it stays."""

from __future__ import annotations

import os
import signal
from functools import partial

from fault_case import Case
from fault_rig import PORT, Found, Stage

from kamtcp.rehearse.standin import StandIn

TARGET = f"tcp:127.0.0.1:{PORT}"
COUNT = 200
WORDS = ("hold", TARGET, "--connections", str(COUNT), "--rate", "400", "--duration", "60", "--processes", "2")


def worker_killed(stage: Stage) -> Found:
    """One of two processes of the generator is killed: what it had answered is known, the other goes on."""
    with StandIn() as host, stage.responder(host, TARGET):
        words = (*WORDS[:-4], "--duration", "3", *WORDS[-2:])
        with stage.load(host, *words) as load:
            load.held(COUNT)
            first, *others = load.workers
            assert len(others) == 1
            os.kill(first, signal.SIGKILL)
            found = load.finish()
    assert found.result.offered == COUNT
    assert found.result.held_end == COUNT // 2
    assert any("ended before their time" in each for each in found.result.doubts)
    return found


def parent_killed(stage: Stage) -> Found:
    """The command is killed: its processes notice, and end with all their connections."""
    with StandIn() as host, stage.responder(host, TARGET), stage.load(host, *WORDS) as load:
        load.held(COUNT)
        load.process.kill()
        found = load.finish()
    assert found.code == -signal.SIGKILL
    return found


def told_to_end(stage: Stage, *, number: int, held: int) -> Found:
    """Ctrl-C, SIGTERM, SIGHUP: a report of what was done so far."""
    with StandIn() as host, stage.responder(host, TARGET), stage.load(host, *WORDS) as load:
        load.held(held)
        load.process.send_signal(number)
        found = load.finish()
    assert found.result.stopped == "interrupted"
    assert found.result.served >= held
    return found


CASES = (
    Case("worker-killed", "a process of the load killed", worker_killed, code=3, quick=True),
    Case("parent-killed", "the load killed", parent_killed, code=-signal.SIGKILL, quick=True),
    Case(
        "interrupt-holding",
        "Ctrl-C while holding",
        partial(told_to_end, number=signal.SIGINT, held=COUNT),
        code=3,
        quick=True,
    ),
    Case(
        "interrupt-opening",
        "Ctrl-C while opening",
        partial(told_to_end, number=signal.SIGINT, held=20),
        code=None,
    ),
    Case(
        "term-holding",
        "SIGTERM while holding",
        partial(told_to_end, number=signal.SIGTERM, held=COUNT),
        code=3,
    ),
    Case(
        "hangup-holding",
        "SIGHUP while holding",
        partial(told_to_end, number=signal.SIGHUP, held=COUNT),
        code=3,
    ),
)
