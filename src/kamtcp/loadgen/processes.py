"""Spreads a load over worker processes and gathers what they saw.

Workers are fresh interpreters (`python -m kamtcp.loadgen.worker`), not forks: they inherit no descriptors and no
threads. They enter the target's network namespace, take their program from standard input, count on a shared board
and print their result. This process lets off each phase when all workers are through with the one before.

Needs   root where a namespace is to be entered (CAP_SYS_ADMIN)
Source  setns(2), getrlimit(2)
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from operator import or_
from typing import Self

import msgspec

from kamtcp.errors import KamtcpError
from kamtcp.loadgen.board import SKIPPED, Board, Progress
from kamtcp.loadgen.climbing import Climbing
from kamtcp.loadgen.dealing import at_once, deal, workers_for
from kamtcp.loadgen.descent import check_owned
from kamtcp.loadgen.merge import merge
from kamtcp.loadgen.order import Order
from kamtcp.loadgen.ordered import of_order
from kamtcp.loadgen.profile import Profile
from kamtcp.loadgen.profiled import of_profile
from kamtcp.loadgen.program import Burst, Hold, Storm
from kamtcp.loadgen.remains import remains
from kamtcp.loadgen.result import Result, WorkerResult
from kamtcp.loadgen.sources import Block

__all__ = ["Load", "check_owned", "workers_for"]

_LEAD = 0.02  # seconds between letting a phase off and its moment
#: reasons for an end that say nothing of the server
WORKER_ENDED, INTERRUPTED = "a worker ended before its time", "interrupted"
_UP = 20.0  # seconds in which workers must be up


class Load:
    """A load that runs in processes of its own. Leaving the context stops it.

    Args:
        order: what to do; of a profile, what it says of all populations: target, timeouts, transport where it has none.
        profile: populations and phases in place of the order's mode.
        processes: how many; None: as `workers_for` says.
        sources: source addresses and ports; None: planned on loopback addresses, if that is where the target is.
        i_own_this_host: the operator answers for the target.

    Raises:
        UsageError: the target isn't kamtcp's own and nobody answers for it, or the order can't be meant.
    """

    def __init__(
        self,
        order: Order,
        *,
        profile: Profile | None = None,
        processes: int | None = None,
        sources: tuple[Block, ...] | None = None,
        i_own_this_host: bool = False,
    ) -> None:
        check_owned(order.netns_pid, i_own_this_host=i_own_this_host)
        self.program = of_order(order) if profile is None else of_profile(profile, order)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        cores = len(os.sched_getaffinity(0))
        count = at_once(self.program)
        workers = processes or workers_for(count, cores=cores, nofile=hard, concurrency=order.concurrency)
        programs = deal(self.program, workers, sources)
        self.board = Board(workers)
        self.reason = ""  # why it was stopped
        self._climbing = Climbing(self.program)
        self._workers: list[subprocess.Popen[bytes]] = []
        self._said = [bytearray() for _ in programs]  # results as they come
        self._result: Result | None = None
        encode = msgspec.json.Encoder().encode
        try:
            for mine in programs:
                self._workers.append(self._start(workers))
                stdin = self._workers[-1].stdin
                assert stdin is not None
                stdin.write(encode(mine))
                stdin.close()
                self._workers[-1].stdin = None  # or communicate() would flush it
            self._await_all_up()
        except BaseException:
            self.close()
            raise

    def _start(self, workers: int) -> subprocess.Popen[bytes]:
        home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
        worker = subprocess.Popen(
            [sys.executable, "-m", "kamtcp.loadgen.worker", str(self.board.fd), str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            pass_fds=(self.board.fd,),
            env={**os.environ, "PYTHONPATH": path},
        )
        assert worker.stdout is not None
        os.set_blocking(worker.stdout.fileno(), False)
        return worker

    def _await_all_up(self) -> None:
        """Every worker has imported, entered and parsed before the common start."""
        deadline = time.monotonic() + _UP
        while self.board.progress().ready < len(self._workers):
            if any(worker.poll() is not None for worker in self._workers):
                self._raise_of_failed()
            if time.monotonic() > deadline:
                raise KamtcpError(f"load workers did not start within {_UP:g} s")
            time.sleep(0.002)
        moment = time.monotonic() + _LEAD
        self.board.release(0, moment)
        self.board.start_at = moment

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop all workers, whatever they do."""
        self.board.stop = True
        deadline = time.monotonic() + 10.0
        while any(worker.poll() is None for worker in self._workers):
            self._drain()
            if time.monotonic() > deadline:
                for worker in self._workers:
                    worker.kill()
                    worker.wait()
            time.sleep(0.002)
        for worker in self._workers:
            for pipe in (worker.stdin, worker.stdout, worker.stderr):
                if pipe is not None:
                    pipe.close()
        self.board.close()

    # -- while it runs ------------------------------------------------------------------------------------------

    def progress(self) -> Progress:
        """The counters now; the next phase is let off here, or in whatever waits, once every worker is ready."""
        self._drain()
        states = [worker.poll() for worker in self._workers]
        ended = sum(state is not None and state != 0 for state in states)
        progress = self.board.progress(ended)
        following = self._following()
        if following is not None and not self.board.stop:
            waiting = sum(
                self.board.value(number, "ready") == following + 1
                for number, state in enumerate(states)
                if state is None
            )
            if waiting and waiting == states.count(None):
                self._let_off(following, progress)
        return progress

    def _following(self) -> int | None:
        """The next phase that workers wait for."""
        phases = self.program.phases
        for number in range(self.board.released, len(phases)):
            if not isinstance(phases[number], Hold):
                return number
        return None

    def _let_off(self, number: int, progress: Progress) -> None:
        moment = time.monotonic() + _LEAD
        last = self._climbing.gave_before(number, progress)
        if last is not None:
            for skipped in range(number, last + 1):
                self.board.release(skipped, SKIPPED)
            return
        if isinstance(self.program.phases[number], Burst | Storm):
            self.board.burst_at = moment
        self.board.release(number, moment)

    def wait_settled(self, timeout: float = 600.0) -> bool:
        """Wait until every connection is answered or failed; false if that takes longer than `timeout` seconds.

        A worker that has ended has nothing to wait for; false if all have before they were through.
        """
        deadline = time.monotonic() + timeout
        while True:
            self.progress()
            settled = [bool(self.board.value(number, "settled")) for number in range(len(self._workers))]
            ended = [worker.poll() is not None for worker in self._workers]
            if all(map(or_, settled, ended)):
                return any(settled)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)

    def watch(self, look: Callable[[Progress], str | None], every: float = 0.25) -> Result:
        """Run to the end, with a look at the progress each `every` seconds; a reason returned by it ends the load.

        Ctrl-C ends it too, with a result of what was done so far.

        Raises:
            KamtcpError: a worker failed.
        """
        try:
            following = time.monotonic()
            while any(worker.poll() is None for worker in self._workers):
                progress = self.progress()
                if time.monotonic() >= following:
                    following = time.monotonic() + every
                    reason = look(progress) or (WORKER_ENDED if progress.ended else "")
                    if reason:
                        self.stop(reason)
                        break
                time.sleep(0.01)
        except KeyboardInterrupt:
            self.stop(INTERRUPTED)
        return self.result()

    def stop(self, reason: str = "") -> None:
        """End the load now; `result` then returns. reason: for the result, "" for the end that was meant."""
        self.reason = self.reason or reason
        self.board.stop = True

    # -- afterwards ---------------------------------------------------------------------------------------------

    def result(self) -> Result:
        """Wait for the workers to end and merge what they saw.

        Raises:
            KamtcpError: a worker failed. One that was killed doesn't: what it had is counted, the rest is "worker_ended".
        """
        if self._result is not None:
            return self._result
        while any(worker.poll() is None for worker in self._workers):
            self.progress()
            time.sleep(0.002)
        self._drain()
        self._raise_of_failed()
        parts, ended = [], 0
        for number, said in enumerate(self._said):
            if self._workers[number].returncode:
                ended += 1
                parts.append(remains(self.board, number, self.program))
            else:
                parts.append(msgspec.msgpack.decode(said, type=WorkerResult))
        progress = self.board.progress(ended)
        gave, sustained = self._climbing.outcome(progress, stopped=bool(self.reason))
        self._result = merge(
            self.program, parts, ended=ended, stopped=self.reason, gave=gave, sustained=sustained
        )
        return self._result

    def _drain(self) -> None:
        """Take what workers print, so that none waits for it."""
        for worker, said in zip(self._workers, self._said, strict=False):
            assert worker.stdout is not None
            while not worker.stdout.closed and (piece := worker.stdout.read(1 << 20)):
                said.extend(piece)

    def _raise_of_failed(self) -> None:
        """What a worker complained of that ended by itself."""
        for worker in self._workers:
            if worker.returncode is not None and worker.returncode > 0:
                assert worker.stderr is not None
                said = worker.stderr.read().decode(errors="replace").strip().splitlines() or [
                    "it said nothing"
                ]
                raise KamtcpError(f"a load worker failed: {said[-1]}")
