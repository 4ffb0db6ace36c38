"""A worker's event loop and its clock work: timeouts, keepalives, the board, the row of each second.

A plain loop on plain descriptors, because asyncio costs 298 KiB per TLS client and several times the CPU.

Source  epoll(7)
"""

from __future__ import annotations

import os
import select
import time

from kamtcp.loadgen.board import CAUSES, RECENT, Board
from kamtcp.loadgen.keeping import keep_alive, read_slowly
from kamtcp.loadgen.kinds import Kind
from kamtcp.loadgen.opening import Opening
from kamtcp.loadgen.peers import ASKED, CONNECTING, FREE, WAITING, Peers
from kamtcp.loadgen.program import Program
from kamtcp.loadgen.result import Row
from kamtcp.loadgen.sockets import error_of
from kamtcp.loadgen.talking import Talking

TICK = 0.1  # seconds between looks at timeouts, the board and the parent
_ROWS = 3600  # rows kept; more, and each stands for twice the time
_READ = 16384
_AT_ONCE = 1023  # events of one epoll_wait, as Python asks for them


class Loop:
    """Turns of the loop, and what there is to do between them.

    Attributes:
        out: clients of a storm that have no connection. longest_gap: seconds without a look at the sockets.
        stopped: told to stop, or the command is gone.
    """

    def __init__(self, program: Program, board: Board) -> None:
        self.program, self.board, self.worker = program, board, program.worker
        self.kinds = [
            Kind(what, place, f"{program.run}{program.worker}", program.of_worker(place))
            for place, what in enumerate(program.clients)
        ]
        self.peers = Peers(len(self.kinds), program.closing)
        self.talking = Talking(self.kinds, self.peers)
        self.opening = Opening(self.kinds, self.peers, self.talking, program.worker, program.workers)
        self.parent = os.getppid()
        self.start = 0.0
        self.rows: list[Row] = []
        self.row_seconds = 1
        self.out = self.late = 0
        self.longest_gap = 0.0
        self._looked = self._next_tick = 0.0
        self._row = board.row(self.worker)

    def begin(self, start: float) -> None:
        """The clock runs."""
        self.start = self.peers.begun = start
        self._looked = time.monotonic()
        self._next_tick = self._looked + TICK

    @property
    def stopped(self) -> bool:
        return self.board.stop or os.getppid() != self.parent

    def turn(self, wait: float = TICK) -> bool:
        """One look at the sockets, at most `wait` seconds long, and the clock work if it is time; false once stopped."""
        now = time.monotonic()
        self.poll(max(0.0, min(wait, self._next_tick - now)))
        now = time.monotonic()
        if now >= self._next_tick:
            self.tick(now)
        return not self.board.stop

    def until(self, moment: float) -> bool:
        """Turns until a moment of CLOCK_MONOTONIC; false once stopped."""
        while (left := moment - time.monotonic()) > 0:
            if not self.turn(left):
                return False
        return not self.board.stop

    def settle(self) -> bool:
        """Turns until every connection is answered or failed; false once stopped."""
        while any(True for _ in self.peers.unsettled()):
            if not self.turn():
                return False
        return not self.board.stop

    # -- events -------------------------------------------------------------------------------------------------

    def poll(self, wait: float) -> int:
        """Wait for events and handle them; how many there were."""
        peers, talking, wires = self.peers, self.talking, self.peers.wires
        states, read, data_only = peers.state, os.read, select.EPOLLIN
        before = time.monotonic()
        ready = peers.epoll.poll(wait)
        now = time.monotonic()
        gap = max(before - self._looked, now - before - wait)  # busy elsewhere, or woken late
        self.longest_gap = max(self.longest_gap, gap)
        self._looked = now
        for fd, events in ready:
            state = states[fd]
            if state == FREE:
                continue  # closed by an earlier event of this batch
            if events != data_only:
                if state == CONNECTING or events & select.EPOLLOUT:
                    if not self.opening.writable(fd, events):
                        continue
                elif talking.interest(fd) != data_only:
                    self._hung_up(fd, events)
                    continue
            try:
                data = read(fd, _READ)
            except BlockingIOError:
                continue
            except OSError as error:
                peers.broken(fd, error.errno or 0)
                continue
            if not data:
                peers.ended(fd)
            elif fd in wires:
                talking.wired(fd, data)
            else:
                talking.text(fd, data)
        return len(ready)

    def _hung_up(self, fd: int, events: int) -> None:
        """The end of one that doesn't read."""
        if events & select.EPOLLERR:
            self.peers.broken(fd, error_of(fd))
        else:
            self.peers.ended(fd)

    # -- clock work ---------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Keepalives, timeouts, counters; notice that the command is gone."""
        self._next_tick = now + TICK
        for place, kind in enumerate(self.kinds):
            keep_alive(place, kind, self.peers, self.talking, now)
            read_slowly(place, kind, self.peers, now)
        self._time_out()
        self.publish()
        self._note_row(now)
        for part in self.peers.parts:
            part.fold()
        if os.getppid() != self.parent:
            self.board.stop = True

    def _time_out(self) -> None:
        peers = self.peers
        connect, answer = self.program.connect_timeout, self.program.answer_timeout
        shortest = min(connect, answer)
        while self.poll(0.0) >= _AT_ONCE:
            pass  # whatever has come by now has come in time
        now = time.monotonic()
        overdue = []
        for fd in peers.pending:
            age = now - peers.since[fd]
            if age < shortest:
                break
            if age >= (answer if peers.state[fd] in (ASKED, WAITING) else connect):
                overdue.append(fd)
        for fd in overdue:
            peers.timed_out(fd)

    def publish(self) -> None:
        """The counters, for whoever looks at the board."""
        row, peers = self._row, self.peers
        tallies = [part.tally for part in peers.parts if not part.stretch.trickle]
        row[0] = sum(tally.offered for tally in tallies)
        row[1] = sum(tally.connected for tally in tallies)
        row[2] = sum(tally.answered for tally in tallies)
        row[3] = peers.held
        row[4] = sum(tally.failures.total() for tally in tallies)
        row[5] = sum(tally.lost for tally in tallies)
        row[8] = sum(tally.keepalives for tally in tallies)
        row[9] = sum(tally.keepalives_answered for tally in tallies)
        row[10], row[11], row[12] = self.out, self.late, self.talking.slow
        for place, cause in enumerate(CAUSES, start=13):
            row[place] = sum(getattr(tally.failures, cause) for tally in tallies)
        fresh = [value for part in peers.parts for value in part.answer.new()[-RECENT:]][-RECENT:]
        if fresh:
            recent = self.board.recent(self.worker)
            recent[: len(fresh)] = memoryview(type(peers.parts[0].answer.fresh)("f", fresh))

    def _note_row(self, now: float) -> None:
        at = int(now - self.start)
        last = self.rows[-1].at if self.rows else 0
        if at < last + self.row_seconds:
            return
        row = self._row
        self.rows.append(Row(at, row[0], row[2], row[4], row[5], row[8], row[3]))
        if len(self.rows) >= _ROWS:
            self.rows = self.rows[1::2]
            self.row_seconds *= 2
