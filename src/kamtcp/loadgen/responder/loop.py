"""One process's event loop: accepts, reads, answers.

A plain TCP connection that is idle costs a slot in two lists here, nothing more: an object is only made for what has
to be remembered, half a message, TLS or WebSocket. Sockets are bare descriptors.

Source  epoll(7), accept4(2), tcp(7) (TCP_NODELAY and SO_LINGER are inherited from the listener)
Cost    about 24 us of CPU, the kernel's part included, for a connection accepted, asked once and answered;
        28 bytes of memory per idle TCP connection
"""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import sys
import time
from array import array
from functools import partial

from kamtcp.errors import ParseError
from kamtcp.loadgen.responder.answers import Answers
from kamtcp.loadgen.responder.faults import Fault, session_for
from kamtcp.loadgen.responder.messages import PONG, cut
from kamtcp.loadgen.responder.outbox import Outbox
from kamtcp.loadgen.responder.sessions import BROKEN, Session, Stream
from kamtcp.loadgen.responder.settings import Settings
from kamtcp.loadgen.target import Aim

_READ = 16384  # bytes at a time
_BATCH = 64  # connections accepted between two looks at epoll
_TICK = 0.25  # seconds between looks at the clock
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PACE: dict[Fault | None, float] = {Fault.SLOW_ACCEPT: 0.1, Fault.DRIBBLE: 0.001}  # seconds between ticks


class Loop:
    """Serves until its `leash`, a descriptor, can be read (or its other end is closed).

    Args:
        listeners: listening sockets of this process, with what is spoken there.
        context: for TLS; None where there is none.
        row: six words that others read: the fields of `Totals`.
    """

    def __init__(
        self,
        settings: Settings,
        listeners: list[tuple[Aim, socket.socket]],
        answers: Answers,
        context: ssl.SSLContext | None,
        *,
        row: memoryview,
    ) -> None:
        self._fault, self._answers, self._context, self._row = settings.fault, answers, context, row
        self._listeners = {each.fileno(): (aim, each) for aim, each in listeners}
        self._epoll = select.epoll()
        self._sessions: list[Session | None] = []
        self._hosts: list[str] = []
        self._ports = array("H")
        self._outbox = Outbox(self._epoll, self._close, dribble=self._fault is Fault.DRIBBLE)
        self._paused = False
        self._accepted = self._open = self._broken = self._full = 0

    def run(self, leash: int) -> None:
        """Serve."""
        slow = _PACE.get(self._fault, _TICK)
        self._epoll.register(leash, select.EPOLLIN)
        self._listen(self._fault not in (Fault.STALL_ACCEPT, Fault.SLOW_ACCEPT))
        following = 0.0
        while True:
            for fd, events in self._epoll.poll(slow, 1024):
                if fd in self._listeners:
                    self._accept(fd, _BATCH)
                elif fd == leash:
                    self._publish()
                    return
                elif events & select.EPOLLOUT:
                    self._outbox.writable(fd)
                else:
                    self._readable(fd)
            now = time.monotonic()
            if now >= following:
                following = now + slow
                self._tick()

    def _tick(self) -> None:
        self._publish()
        if self._paused and self._fault is None:
            self._listen(on=True)
        if self._fault is Fault.SLOW_ACCEPT:
            for fd in self._listeners:
                self._accept(fd, 1)
        elif self._fault is Fault.DRIBBLE:
            self._outbox.drip()

    def _publish(self) -> None:
        answers, row = self._answers, self._row
        row[0], row[1], row[2] = self._accepted, self._open, answers.answered
        row[3], row[4], row[5] = answers.challenged, self._broken, self._full

    def _listen(self, on: bool) -> None:
        """Look at the listeners, or don't while no descriptor is free."""
        self._paused = not on and self._full > 0
        for fd in self._listeners:
            try:
                self._epoll.unregister(fd)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
            if on:
                self._epoll.register(fd, select.EPOLLIN)

    # -- connections --------------------------------------------------------------------------------------------

    def _accept(self, listener: int, most: int) -> None:
        aim, sock = self._listeners[listener]
        for _ in range(most):
            try:
                fd, address = sock._accept()  # type: ignore[attr-defined]  # noqa: SLF001  (no object per socket)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _FULL:
                    self._full += 1
                    self._listen(on=False)
                return  # else the peer was faster: it is gone already
            self._accepted += 1
            self._open += 1
            if self._fault in (Fault.CLOSE, Fault.RESET):
                self._close(fd)
                continue
            os.set_blocking(fd, False)
            while fd >= len(self._sessions):
                self._sessions.append(None)
                self._hosts.append("")
                self._ports.append(0)
            self._hosts[fd] = sys.intern(address[0])
            self._ports[fd] = address[1]
            if aim.carrier != "tcp" or self._fault is not None:
                reply = partial(self._answers.answer, host=address[0], port=address[1])
                self._sessions[fd] = session_for(aim.carrier, reply, self._context, self._fault)
            if self._fault is not Fault.DEAF:
                self._epoll.register(fd, select.EPOLLIN)

    def _readable(self, fd: int) -> None:
        try:
            data = os.read(fd, _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(fd)
            return
        session = self._sessions[fd]
        if session is None:
            out = self._plain(fd, data)
        else:
            out = session.feed(data)
            if session.over:
                self._broken += session.over == BROKEN
                self._outbox.send_last(fd, out)
                return
        if out:
            self._outbox.send(fd, out)

    def _plain(self, fd: int, data: bytes) -> bytes:
        """SIP over TCP without a session; one is made for what isn't whole."""
        host, port = self._hosts[fd], self._ports[fd]
        if out := self._answers.usual(data, host, port):
            return out
        try:
            found, rest = cut(data)
        except ParseError:
            self._broken += 1
            self._close(fd)
            return b""
        if rest:
            session = self._sessions[fd] = Stream(partial(self._answers.answer, host=host, port=port))
            session.feed(rest)
        answer = self._answers.answer
        return b"".join([PONG if each is None else answer(each, host, port) for each in found])

    def _close(self, fd: int) -> None:
        if fd < len(self._sessions):
            self._sessions[fd] = None
        self._outbox.forget(fd)
        self._open -= 1
        os.close(fd)
