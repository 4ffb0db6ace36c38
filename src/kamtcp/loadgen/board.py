"""Counters and orders that the command and its workers share while a load runs: a few words of shared memory.

Each worker writes its own row, the command writes the head; every word has one writer, and an aligned 8-byte
store is whole on the machines that Kamailio runs on, so nothing is locked.
"""

from __future__ import annotations

import mmap
import os

from msgspec import Struct

ROW = 16  # words of 8 bytes
_HEAD = ("start_at", "burst_at", "stop")
_FIELDS = ("offered", "connected", "answered", "held", "failed", "lost", "settled", "ready")


class Progress(Struct, frozen=True):
    """A run so far, over all workers.

    Args:
        offered, connected, answered, failed, lost: connections since the start; held: connections now.
        ready: workers whose connections are all open and wait for the burst.
        settled: workers whose connections are all answered or failed.
    """

    offered: int
    connected: int
    answered: int
    held: int
    failed: int
    lost: int
    settled: int
    ready: int


class Board:
    """The shared words. The command creates it, workers open it by its descriptor."""

    def __init__(self, workers: int, fd: int | None = None) -> None:
        size = (workers + 1) * ROW * 8
        if fd is None:
            self.fd = os.memfd_create("kamtcp-load", 0)  # to be inherited by the workers
            os.ftruncate(self.fd, size)
        else:
            self.fd = fd
        self._map = mmap.mmap(self.fd, size)
        self._whole = memoryview(self._map)
        self._head = self._whole[: ROW * 8].cast("d")
        self._rows = self._whole[ROW * 8 :].cast("q")
        self._workers = workers

    def row(self, worker: int) -> memoryview:
        """One worker's words, in the order of `_FIELDS`."""
        return self._rows[worker * ROW : worker * ROW + len(_FIELDS)]

    def progress(self) -> Progress:
        rows = [self.row(worker) for worker in range(self._workers)]
        return Progress(**{name: sum(row[place] for row in rows) for place, name in enumerate(_FIELDS)})

    @property
    def start_at(self) -> float:
        """CLOCK_MONOTONIC at which the schedule starts, 0 while it isn't set."""
        return float(self._head[0])

    @start_at.setter
    def start_at(self, moment: float) -> None:
        self._head[0] = moment

    @property
    def burst_at(self) -> float:
        """CLOCK_MONOTONIC of the burst, 0 while it isn't set."""
        return float(self._head[1])

    @burst_at.setter
    def burst_at(self, moment: float) -> None:
        self._head[1] = moment

    @property
    def stop(self) -> bool:
        """Whether the workers shall end their hold."""
        return bool(self._head[2])

    @stop.setter
    def stop(self, value: bool) -> None:
        self._head[2] = float(value)
