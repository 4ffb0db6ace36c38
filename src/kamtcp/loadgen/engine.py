"""One worker's event loop: opens connections when they are due, asks on each, counts answers, holds, notices losses.

Reads   nothing but its own sockets and clocks; the network namespace was entered before
Source  epoll(7), connect(2) (non-blocking), ip(7), tcp(7); Linux net/ipv4/af_inet.c, __inet_stream_connect()
Cost    per connection: socket, bind, connect, send, epoll_ctl, recv, close. On loopback the handshake is over when
        connect(2) returns, so the request goes out at once and epoll is first asked for the answer.

A plain loop on plain descriptors, because asyncio costs 298 KiB per TLS client and several times the CPU.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from _socket import socket as RawSocket  # noqa: N812  (the C type: half the cost of its Python subclass to make)
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kamtcp.errors import ParseError
from kamtcp.loadgen.board import Board
from kamtcp.loadgen.order import Carrier, Closing, Mode, Order
from kamtcp.loadgen.result import Tally, WorkerResult
from kamtcp.loadgen.schedule import share
from kamtcp.loadgen.sip import Requests, Stream, only_status
from kamtcp.loadgen.sources import endpoints

if TYPE_CHECKING:
    from kamtcp.loadgen.tls import TlsStream

CONNECTING, SHAKING, OPEN, ASKED, HELD = range(5)

_BATCH = 128  # connections opened between two looks at epoll
_TICK = 0.1  # seconds between looks at timeouts, the board and the parent
_PORT_TRIES = 16  # planned ports that may be taken by others before it is the plan that is wrong
_RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # struct linger: on, 0 seconds
_LOCAL_PORTS = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)
_LOCAL_FDS = (errno.EMFILE, errno.ENFILE)
_IP_BIND_ADDRESS_NO_PORT = 24


class Peer:
    """One connection."""

    __slots__ = ("due", "number", "since", "sock", "state", "stream", "tally", "tls", "unsent")

    def __init__(self, sock: RawSocket, number: int, due: float, tally: Tally) -> None:
        self.sock, self.number, self.due, self.tally = sock, number, due, tally
        self.state = CONNECTING
        self.since = 0.0  # start of the phase whose timeout runs
        self.tls: TlsStream | None = None
        self.stream: Stream | None = None
        self.unsent = b""


class Engine:
    """Carries out one order. `run` returns when the hold is over or the board says stop."""

    def __init__(self, order: Order, board: Board) -> None:
        self.order, self.board, self.row = order, board, board.row(order.worker)
        self.load, self.trickle = Tally(), Tally()
        self.latency, self.lateness = array("f"), array("f")
        self.errors: dict[str, int] = {}
        self.peers: dict[int, Peer] = {}  # by descriptor
        self.pending: dict[int, Peer] = {}  # by descriptor, those whose timeout runs, oldest first
        self.held = 0
        self.epoll = select.epoll()
        self.family = socket.AF_INET6 if ":" in order.address else socket.AF_INET
        self.target = (order.address, order.port)
        self.sources: Iterator[tuple[str, int]] = endpoints(order.sources)
        bracketed = f"[{order.address}]" if ":" in order.address else order.address
        self.requests = Requests(
            order.method,
            order.carrier.value.upper(),
            f"{bracketed}:{order.port}",
            f"{order.run}{order.worker}x",
        )
        self.template = self.requests.template()
        self.places = len(self.requests.numbers(0))
        self.parent = os.getppid()
        self.started = 0  # connections of both tallies, also their number
        self.bursting = order.mode is Mode.BURST
        if order.carrier is Carrier.TLS:
            from kamtcp.loadgen.tls import client_context

            self.context = client_context(order.ca_file)

    # -- the run ------------------------------------------------------------------------------------------------

    def run(self) -> WorkerResult:
        """Do all of it: open, (burst,) wait for answers, hold, close."""
        before = time.process_time()
        while not self.board.start_at and not self._orphaned():
            time.sleep(0.001)
        start = self.board.start_at
        self._open_all(start)
        if self.bursting:
            self._burst()
        while self.pending and not self.board.stop:
            self._turn(_TICK)
        seconds = time.monotonic() - start
        self.row[6] = 1
        held_min = self._hold()
        held_end = self.held
        cpu = time.process_time() - before
        self._close_all()
        return WorkerResult(
            load=self.load,
            trickle=self.trickle,
            held_min=held_min,
            held_end=held_end,
            seconds=seconds,
            cpu_seconds=cpu,
            latency=self.latency.tobytes(),
            lateness=self.lateness.tobytes(),
            errors=self.errors,
        )

    def _open_all(self, start: float) -> None:
        """Start every connection when it is due, or as soon as the bound on concurrency allows."""
        bound = self.order.concurrency or 1 << 62
        now = time.monotonic
        tick = now() + _TICK
        batch = 0
        for moment in share(self.order.schedule, self.order.worker, self.order.workers):
            due = start + moment
            while True:
                wait = due - now()
                if wait <= 0 and len(self.pending) < bound and batch < _BATCH:
                    break
                batch = 0
                self._poll(min(max(wait, 0.0), _TICK) if len(self.pending) < bound else _TICK)
                if now() >= tick:
                    self._tick()
                    tick = now() + _TICK
                    if self.board.stop:
                        return
            batch += 1
            self._open(due, self.load)

    def _burst(self) -> None:
        """Wait until all are open and all workers are, send everywhere at once, wait for the answers."""
        while self.pending and not self.board.stop:
            self._turn(_TICK)
        self._tick()
        self.row[7] = 1
        while not self.board.burst_at and not self.board.stop:
            self._turn(0.005)
        instant = self.board.burst_at
        while (wait := instant - time.monotonic()) > 0 and not self.board.stop:
            self._turn(min(wait, 0.005))
        self.bursting = False
        for fd, peer in list(self.peers.items()):
            if peer.state == OPEN:
                peer.due = instant
                self._ask(fd, peer)
        every = self.order.trickle_seconds
        following = instant
        while self.pending and not self.board.stop:
            if every is None:
                self._turn(_TICK)
                continue
            if time.monotonic() >= following:
                self._open(following, self.trickle)
                following += every
            self._turn(max(0.0, following - time.monotonic()))
            if all(peer.tally is self.trickle for peer in self.pending.values()):
                break

    def _hold(self) -> int:
        """Keep answered connections open; returns the fewest there were."""
        lowest = self.held
        seconds = self.order.hold_seconds
        end = None if seconds is None else time.monotonic() + seconds
        while not self.board.stop:
            left = _TICK if end is None else min(_TICK, end - time.monotonic())
            if left <= 0:
                break
            self._turn(left)
            lowest = min(lowest, self.held)
        return lowest

    def _close_all(self) -> None:
        for peer in self.peers.values():
            if self.order.closing is Closing.RESET:
                peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            peer.sock.close()
        self.peers.clear()
        self.epoll.close()

    # -- time ---------------------------------------------------------------------------------------------------

    def _turn(self, wait: float) -> None:
        self._poll(wait)
        self._tick()

    def _tick(self) -> None:
        """Time out the oldest, publish the counters, notice that the command is gone."""
        now = time.monotonic()
        connect, answer = self.order.connect_timeout, self.order.answer_timeout
        shortest = min(connect, answer)
        overdue = []
        for fd, peer in self.pending.items():
            age = now - peer.since
            if age < shortest:
                break
            if age >= (answer if peer.state == ASKED else connect):
                overdue.append((fd, peer))
        for fd, peer in overdue:
            self._fail(fd, peer, "no_answer" if peer.state == ASKED else "connect_timeout")
        self._publish()
        if self._orphaned():
            self.board.stop = True

    def _publish(self) -> None:
        row, load = self.row, self.load
        row[0], row[1], row[2] = load.offered, load.connected, load.answered
        row[3], row[4], row[5] = self.held, load.failures.total(), load.lost_closed + load.lost_reset

    def _orphaned(self) -> bool:
        return self.board.stop or os.getppid() != self.parent

    # -- one connection -----------------------------------------------------------------------------------------

    def _open(self, due: float, tally: Tally) -> None:
        tally.offered += 1
        number = self.started
        self.started = number + 1
        now = time.monotonic()
        self.lateness.append(now - due)
        try:
            sock = RawSocket(self.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                self._bind(sock)
                code = sock.connect_ex(self.target)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            self._local_failure(tally, error.errno or 0)
            return
        if code not in (0, errno.EINPROGRESS):
            sock.close()
            self._local_failure(tally, code)
            return
        fd = sock.fileno()
        peer = self.peers[fd] = Peer(sock, number, due, tally)
        peer.since = now
        self.pending[fd] = peer
        self.epoll.register(fd, select.EPOLLIN if code == 0 else select.EPOLLIN | select.EPOLLOUT)
        if code == 0:
            self._connected(fd, peer)

    def _bind(self, sock: RawSocket) -> None:
        for attempt in range(_PORT_TRIES):
            source = next(self.sources, None)
            if source is None:
                return  # the plan is used up (a trickle goes beyond it): the kernel chooses
            if source[1] == 0:
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            try:
                sock.bind(source)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or attempt == _PORT_TRIES - 1:
                    raise
            else:
                return

    def _local_failure(self, tally: Tally, code: int) -> None:
        """A connection that failed in socket(2), bind(2) or at once in connect(2)."""
        if code in _LOCAL_PORTS:
            tally.failures.local_ports += 1
        elif code in _LOCAL_FDS:
            tally.failures.local_descriptors += 1
        elif code == errno.ECONNREFUSED:
            tally.failures.refused += 1
        else:
            self._note(tally, code)

    def _note(self, tally: Tally, code: int) -> None:
        tally.failures.other += 1
        name = errno.errorcode.get(code, str(code))
        self.errors[name] = self.errors.get(name, 0) + 1

    def _connected(self, fd: int, peer: Peer) -> None:
        """TCP is up: begin TLS, or ask."""
        if self.order.carrier is Carrier.TLS:
            from kamtcp.loadgen.tls import TlsStream

            peer.tls = TlsStream(self.context)
            peer.state = SHAKING
            peer.tls.shake()
            self._send(fd, peer, peer.tls.out.read())
        else:
            self._usable(fd, peer)

    def _usable(self, fd: int, peer: Peer) -> None:
        """The transport is up: ask now, or wait for the burst."""
        peer.tally.connected += 1
        peer.state = OPEN
        if not self.bursting:
            self._ask(fd, peer)
            return
        self.pending.pop(fd, None)  # it waits for the instant, which has no timeout
        if peer.tls is not None:
            self._send(fd, peer, peer.tls.out.read())

    def _ask(self, fd: int, peer: Peer) -> None:
        request = self.template % ((peer.number,) * self.places)
        peer.state = ASKED
        peer.since = time.monotonic()
        self.pending.pop(fd, None)
        self.pending[fd] = peer  # to the end: its timeout begins now
        self._send(fd, peer, peer.tls.encrypt(request) if peer.tls is not None else request)

    def _send(self, fd: int, peer: Peer, data: bytes) -> None:
        try:
            sent = peer.sock.send(data) if not peer.unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._broken(fd, peer, error)
            return
        if sent < len(data):
            peer.unsent += data[sent:]
            self.epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)

    # -- events -------------------------------------------------------------------------------------------------

    def _poll(self, wait: float) -> None:
        peers = self.peers
        for fd, events in self.epoll.poll(wait):
            peer = peers.get(fd)
            if peer is None:
                continue  # closed by an earlier event of this batch
            if peer.state == CONNECTING or peer.unsent:
                self._writable(fd, peer, events)
                if fd not in peers or not events & ~select.EPOLLOUT:
                    continue
            try:
                data = peer.sock.recv(16384)
            except BlockingIOError:
                continue
            except OSError as error:
                self._broken(fd, peer, error)
                continue
            if not data:
                self._ended(fd, peer)
            elif peer.tls is not None:
                self._tls_data(fd, peer, data)
            else:
                self._data(fd, peer, data)

    def _writable(self, fd: int, peer: Peer, events: int) -> None:
        if peer.state == CONNECTING:
            code = peer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._broken(fd, peer, OSError(code, ""))
                return
            if not events & select.EPOLLOUT:
                return
            self.epoll.modify(fd, select.EPOLLIN)
            self._connected(fd, peer)
            return
        data, peer.unsent = peer.unsent, b""
        self.epoll.modify(fd, select.EPOLLIN)
        self._send(fd, peer, data)

    def _tls_data(self, fd: int, peer: Peer, data: bytes) -> None:
        from ssl import SSLError

        assert peer.tls is not None
        try:
            if peer.state == SHAKING:
                if not peer.tls.shake(data):
                    if out := peer.tls.out.read():
                        self._send(fd, peer, out)
                    return
                self._usable(fd, peer)
                data = b""
            text = peer.tls.decrypt(data)
            if out := peer.tls.out.read():
                self._send(fd, peer, out)
        except SSLError:
            if peer.state == HELD:
                self._lose(fd, peer, reset=False)
            else:
                self._fail(fd, peer, "tls")
            return
        if text and fd in self.peers:
            self._data(fd, peer, text)

    def _data(self, fd: int, peer: Peer, data: bytes) -> None:
        if peer.state != ASKED:
            return  # keepalives and requests of the server: nothing is promised to it here
        if peer.stream is None:
            status = only_status(data)
            if status >= 200:
                self._answered(fd, peer, status)
                return
            peer.stream = Stream()
        try:
            for response in peer.stream.feed(data):
                if response.status >= 200:
                    peer.stream = None
                    self._answered(fd, peer, response.status)
                    return
        except ParseError:
            self._fail(fd, peer, "not_sip")

    def _answered(self, fd: int, peer: Peer, status: int) -> None:
        tally = peer.tally
        tally.answered += 1
        tally.statuses[status] = tally.statuses.get(status, 0) + 1
        peer.state = HELD
        self.pending.pop(fd, None)
        self.held += 1
        if tally is self.load:
            self.latency.append(time.monotonic() - peer.due)

    # -- ends ---------------------------------------------------------------------------------------------------

    def _ended(self, fd: int, peer: Peer) -> None:
        """The server closed (FIN)."""
        if peer.state == HELD:
            self._lose(fd, peer, reset=False)
        else:
            self._fail(fd, peer, "tls" if peer.state == SHAKING else "closed_before_answer")

    def _broken(self, fd: int, peer: Peer, error: OSError) -> None:
        """A system call on the connection failed."""
        code = error.errno or 0
        if peer.state == HELD:
            self._lose(fd, peer, reset=True)
        elif code == errno.ECONNREFUSED:
            self._fail(fd, peer, "refused")
        elif code in (errno.ECONNRESET, errno.EPIPE):
            self._fail(fd, peer, "reset")
        elif code == errno.ETIMEDOUT:
            self._fail(fd, peer, "connect_timeout" if peer.state in (CONNECTING, SHAKING) else "no_answer")
        else:
            self._note(peer.tally, code)
            self._drop(fd, peer)

    def _fail(self, fd: int, peer: Peer, cause: str) -> None:
        failures = peer.tally.failures
        setattr(failures, cause, getattr(failures, cause) + 1)
        self._drop(fd, peer)

    def _lose(self, fd: int, peer: Peer, *, reset: bool) -> None:
        if reset:
            peer.tally.lost_reset += 1
        else:
            peer.tally.lost_closed += 1
        self.held -= 1
        self._drop(fd, peer)

    def _drop(self, fd: int, peer: Peer) -> None:
        self.peers.pop(fd, None)
        self.pending.pop(fd, None)
        peer.sock.close()
