"""Spreads a load over worker processes and gathers what they saw.

Workers are fresh interpreters (`python -m kamtcp.loadgen.worker`), not forks: they inherit no descriptors and no
threads. They enter the target's network namespace, take their order from standard input, count on a shared board
and print their result.

Needs   root where a namespace is to be entered (CAP_SYS_ADMIN)
Source  setns(2), getrlimit(2)
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from typing import Self

import msgspec

from kamtcp.errors import KamtcpError, UsageError
from kamtcp.loadgen.board import Board, Progress
from kamtcp.loadgen.order import Mode, Order
from kamtcp.loadgen.result import Result, WorkerResult, merge
from kamtcp.loadgen.schedule import share_count
from kamtcp.loadgen.sources import Block, plan_sources, split

RESERVE = 64  # descriptors of a worker that are no connections
_SMALL = 2000  # connections below which a second process costs more than it gives


def workers_for(connections: int, *, cores: int, nofile: int, concurrency: int | None = None) -> int:
    """How many processes a load needs: one per core, more if the descriptor limit asks for it, one if it is small.

    Args:
        connections: of the whole load.
        cores: that may be used.
        nofile: hard limit of descriptors per process.
        concurrency: bound on unanswered connections; it is kept in one process.
    """
    least = -(-connections // max(1, nofile - RESERVE))
    if concurrency is not None or connections < _SMALL:
        return max(1, least)
    return max(cores, least)


def check_owned(netns_pid: int | None, *, i_own_this_host: bool) -> None:
    """Refuse every target but a namespace that this very process started, unless the operator answers for it.

    Raises:
        UsageError: `netns_pid` is None or no descendant of this process, or lives in this process's namespace.
    """
    if i_own_this_host:
        return
    if netns_pid is None:
        raise UsageError(
            "load goes to servers that kamtcp itself started; for any other say --i-own-this-host"
        )
    try:
        same = os.readlink(f"/proc/{netns_pid}/ns/net") == os.readlink("/proc/self/ns/net")
        pid = netns_pid
        while pid > 1 and pid != os.getpid():
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
    except OSError as error:
        raise UsageError(f"process {netns_pid}: {error.strerror}") from error
    if same or pid != os.getpid():
        raise UsageError(
            f"process {netns_pid} is not kamtcp's own test host; for any other say --i-own-this-host"
        )


class Load:
    """A load that runs in processes of its own. Leaving the context stops it.

    Args:
        order: what to do; its sources, worker and workers are filled in here.
        processes: how many; None: as `workers_for` says.
        sources: source addresses and ports; None: planned on loopback addresses.
        i_own_this_host: the operator answers for the target.

    Raises:
        UsageError: the target isn't kamtcp's own and nobody answers for it.
    """

    def __init__(
        self,
        order: Order,
        *,
        processes: int | None = None,
        sources: tuple[Block, ...] | None = None,
        i_own_this_host: bool = False,
    ) -> None:
        check_owned(order.netns_pid, i_own_this_host=i_own_this_host)
        count = order.schedule.count
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        cores = len(os.sched_getaffinity(0))
        workers = processes or workers_for(count, cores=cores, nofile=hard, concurrency=order.concurrency)
        planned = (
            sources if sources is not None else plan_sources(count, avoid=(5060, 5061, 5062, order.port))
        )
        shares = split(planned, [share_count(count, worker, workers) for worker in range(workers)])
        self.board = Board(workers)
        self._burst = order.mode is Mode.BURST
        self._workers: list[subprocess.Popen[bytes]] = []
        encode = msgspec.json.Encoder().encode
        try:
            for worker, mine in enumerate(shares):
                self._workers.append(self._start(workers))
                text = encode(msgspec.structs.replace(order, sources=mine, worker=worker, workers=workers))
                stdin = self._workers[-1].stdin
                assert stdin is not None
                stdin.write(text)
                stdin.close()
                self._workers[-1].stdin = None  # or communicate() would flush it
            self._await_all_up(workers)
        except BaseException:
            self.close()
            raise

    def _start(self, workers: int) -> subprocess.Popen[bytes]:
        home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
        return subprocess.Popen(
            [sys.executable, "-m", "kamtcp.loadgen.worker", str(self.board.fd), str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(self.board.fd,),
            env={**os.environ, "PYTHONPATH": path},
        )

    def _await_all_up(self, workers: int) -> None:
        """Every worker has imported, entered and parsed before the common start."""
        deadline = time.monotonic() + 20.0
        while self.board.progress().ready < workers:
            if any(worker.poll() is not None for worker in self._workers) or time.monotonic() > deadline:
                self.result()  # raises what the worker said
            time.sleep(0.002)
        for worker in range(workers):
            self.board.row(worker)[7] = 0
        self.board.start_at = time.monotonic() + 0.02

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop all workers, whatever they do."""
        self.board.stop = True
        for worker in self._workers:
            if worker.poll() is None:
                try:
                    worker.communicate(timeout=10.0)
                except subprocess.TimeoutExpired:
                    worker.kill()
                    worker.wait()
            for pipe in (worker.stdout, worker.stderr):
                if pipe is not None:
                    pipe.close()

    def progress(self) -> Progress:
        """The counters now; a burst is let off here, or in `wait_settled`, once every worker is ready."""
        progress = self.board.progress()
        if self._burst and not self.board.burst_at and progress.ready == len(self._workers):
            self.board.burst_at = time.monotonic() + 0.02
        return progress

    def wait_settled(self, timeout: float = 600.0) -> bool:
        """Wait until every connection is answered or failed; false if that takes longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self.progress().settled < len(self._workers):
            if time.monotonic() > deadline or all(worker.poll() is not None for worker in self._workers):
                return False
            time.sleep(0.005)
        return True

    def stop(self) -> None:
        """End the hold; `result` then returns."""
        self.board.stop = True

    def result(self) -> Result:
        """Wait for the workers to end and merge what they saw.

        Raises:
            KamtcpError: a worker failed.
        """
        while self._burst and not self.board.burst_at and not self.board.stop:
            self.progress()
            time.sleep(0.002)
        parts = []
        for worker in self._workers:
            assert worker.stdout is not None
            assert worker.stderr is not None
            out = worker.stdout.read()
            said = worker.stderr.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            if worker.wait():
                raise KamtcpError(f"a load worker failed: {said[-1]}")
            parts.append(msgspec.msgpack.decode(out, type=WorkerResult))
        return merge(parts)
