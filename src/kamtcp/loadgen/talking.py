"""Asks on open connections and reads the answers."""

from __future__ import annotations

import os
import select
import time
from typing import get_args

from kamtcp.errors import ParseError
from kamtcp.loadgen.kinds import Kind
from kamtcp.loadgen.part import count
from kamtcp.loadgen.peers import ASKED, HELD, OPEN, SHAKING, WAITING, Peers
from kamtcp.loadgen.program import Asked
from kamtcp.loadgen.sip import Response, Stream, only_status
from kamtcp.loadgen.sockets import retransmissions
from kamtcp.loadgen.wire import WireError

_SLOW = 0.9  # seconds until an answer that had to be asked for again: TCP's first retransmission of a lost request
_QUESTIONS: tuple[Asked, ...] = get_args(Asked)
_PLACE = {name: place for place, name in enumerate(_QUESTIONS)}


class Talking:
    """What is said on connections.

    Attributes:
        asking: whether connections ask as soon as they are up; false: they wait for a burst.
        closing: places of parts whose connections are closed when they are answered.
        asked: question that runs, by descriptor.
        slow_after: seconds; `slow` counts later answers. None: none are.
    """

    def __init__(self, kinds: list[Kind], peers: Peers) -> None:
        self.kinds, self.peers = kinds, peers
        self.asking = True
        self.closing: set[int] = set()
        self.asked = bytearray()
        self.serial = 0
        self.slow_after: float | None = None
        self.slow = 0

    def up(self, fd: int) -> None:
        """The transport is up: ask now, or wait for the burst."""
        peers = self.peers
        place = peers.kind[fd]
        kind = self.kinds[place]
        peers.parts[peers.part[fd]].tally.connected += 1
        peers.state[fd] = OPEN
        if self.asking:
            if kind.question != "nothing":
                self.ask(fd, kind.question)
            if kind.question in ("nothing", "half") and peers.state[fd]:
                self.answered(fd, 0)
            return
        peers.pending.pop(fd, None)  # it waits for the instant, which has no timeout

    def ask(self, fd: int, question: Asked) -> None:
        """Send a question; its timeout begins."""
        peers = self.peers
        serial = self.serial
        self.serial = serial + 1
        self._note(fd, question, serial)
        peers.state[fd] = ASKED if peers.state[fd] < HELD else WAITING
        peers.since[fd] = time.monotonic()
        peers.pending.pop(fd, None)
        peers.pending[fd] = None  # to the end: its timeout begins now
        kind = self.kinds[peers.kind[fd]]
        text = kind.request(question, peers.client[fd], serial)
        if kind.plain:
            self.send(fd, text)
        else:
            wire = peers.wires[fd]
            self.send(fd, wire.wrap(text) if text else wire.ping())

    def ask_at_once(self, fd: int, kind: Kind) -> bool:
        """Ask on plain TCP right after connect(2), as if it were open; false if it isn't yet."""
        peers, question = self.peers, kind.question
        if question not in ("options", "register", "crlf"):
            return False
        serial = self.serial
        text = kind.request(question, peers.client[fd], serial)
        try:
            sent = os.write(fd, text)
        except BlockingIOError:
            return False
        except OSError as error:
            peers.broken(fd, error.errno or 0)
            return True
        self.serial = serial + 1
        now = time.monotonic()
        part = peers.parts[peers.part[fd]]
        part.tally.connected += 1
        part.connect.fresh.append(now - peers.due[fd])
        peers.state[fd], peers.opened[fd], peers.since[fd] = ASKED, now, now
        self._note(fd, question, serial)
        if sent < len(text):
            peers.unsent[fd] = text[sent:]
        peers.epoll.register(fd, select.EPOLLIN | select.EPOLLOUT if sent < len(text) else select.EPOLLIN)
        return True

    def _note(self, fd: int, question: Asked, serial: int) -> None:
        peers = self.peers
        if fd >= len(self.asked):
            self.asked.extend(bytes(peers.room - len(self.asked)))
        self.asked[fd] = _PLACE[question]
        peers.serial[fd] = serial

    def send(self, fd: int, data: bytes) -> None:
        """Send, or keep what the socket doesn't take yet."""
        peers = self.peers
        if fd in peers.unsent:
            peers.unsent[fd] += data
            return
        try:
            sent = os.write(fd, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            peers.broken(fd, error.errno or 0)
            return
        if sent < len(data):
            peers.unsent[fd] = data[sent:]
            peers.epoll.modify(fd, self.interest(fd) | select.EPOLLOUT)

    def interest(self, fd: int) -> int:
        """Events that are waited for: a slow reader only wants to know of the end."""
        peers = self.peers
        slow = peers.state[fd] >= HELD and self.kinds[peers.kind[fd]].slow
        return select.EPOLLRDHUP if slow else select.EPOLLIN

    # -- answers ------------------------------------------------------------------------------------------------

    def wired(self, fd: int, data: bytes) -> None:
        """Bytes of a connection that isn't plain TCP."""
        peers = self.peers
        wire = peers.wires[fd]
        part = peers.parts[peers.part[fd]]
        shaking, was_up, pongs = wire.shaking_tls, wire.up, wire.pongs
        try:
            texts = wire.take(data)
            out = wire.drain()
        except WireError as error:
            if peers.state[fd] >= HELD:
                peers.lose(fd, "lost_closed")
            else:
                peers.fail(fd, error.cause, error.which)
            return
        if shaking and not wire.shaking_tls:
            part.times["tls"].fresh.append(time.monotonic() - peers.due[fd])
            part.tally.resumed += wire.resumed
        if out:
            self.send(fd, out)
            if not peers.state[fd]:
                return
        if wire.up and not was_up:
            if self.kinds[peers.kind[fd]].web:
                part.times["upgrade"].fresh.append(time.monotonic() - peers.due[fd])
            self.up(fd)
        if wire.pongs > pongs and peers.state[fd] in (ASKED, WAITING) and self._asked(fd) == "ping":
            self.answered(fd, 0)
        for text in texts:
            if peers.state[fd] > SHAKING:
                self.text(fd, text)
        if wire.closed and peers.state[fd]:
            peers.ended(fd)

    def text(self, fd: int, data: bytes) -> None:
        """SIP, or line ends."""
        peers = self.peers
        waits = peers.state[fd] in (ASKED, WAITING)
        stream = peers.streams.get(fd)
        if stream is None:
            if waits and 200 <= (status := only_status(data)) < 300:
                self.answered(fd, status)
                return
            if data[:2] == b"\r\n" and waits and self._asked(fd) == "crlf":
                self.answered(fd, 0)
                if not peers.state[fd] or not data.strip(b"\r\n"):
                    return
                waits = False
            stream = peers.streams[fd] = Stream()
        try:
            found = stream.feed(data, whole=self.kinds[peers.kind[fd]].web)
        except ParseError:
            if peers.state[fd] < HELD:
                peers.fail(fd, "not_sip")
            elif waits:
                peers.lose(fd, "lost_silent")
            else:
                peers.streams.pop(fd, None)  # nothing was asked, and nothing is promised to the server
            return
        if stream.idle:
            peers.streams.pop(fd, None)
        if not waits or self._asked(fd) not in ("options", "register"):
            return
        for response in found:
            if response.status >= 200:
                self._response(fd, response)
                return

    def _asked(self, fd: int) -> Asked:
        return _QUESTIONS[self.asked[fd]]

    def _response(self, fd: int, response: Response) -> None:
        peers = self.peers
        kind, question = self.kinds[peers.kind[fd]], self._asked(fd)
        status = response.status
        if status in (401, 407):
            before = peers.challenged.get(fd, 0)
            again = kind.authorized(
                question, response, client=peers.client[fd], serial=peers.serial[fd], before=before
            )
            if again is not None:
                peers.challenged[fd] = before + 1
                peers.parts[peers.part[fd]].tally.challenged += not before
                self.send(fd, again if kind.plain else peers.wires[fd].wrap(again))
                return
        if peers.state[fd] == WAITING or kind.serves(question, status):
            self.answered(fd, status)
        else:
            count(peers.parts[peers.part[fd]].tally.statuses, status)
            peers.fail(fd, "sip_status", str(status))

    def answered(self, fd: int, status: int) -> None:
        """What was asked for came: it is held now, still, or closed."""
        peers = self.peers
        place = peers.kind[fd]
        part_place = peers.part[fd]
        part = peers.parts[part_place]
        tally = part.tally
        peers.pending.pop(fd, None)
        if peers.challenged:
            peers.challenged.pop(fd, None)
        now = time.monotonic()
        if peers.state[fd] == WAITING:
            peers.state[fd] = HELD
            tally.keepalives_answered += 1
            return
        tally.answered += 1
        if status:
            tally.statuses[status] = tally.statuses.get(status, 0) + 1
        latency = now - peers.due[fd]
        part.answer.fresh.append(latency)
        if self.slow_after is not None and latency > self.slow_after:
            self.slow += 1
        if latency > _SLOW and now - peers.since[fd] > _SLOW:
            count(tally.answer_slow, retransmissions(fd))
        peers.state[fd] = HELD
        peers.held += 1
        peers.held_of[place] += 1
        if peers.missing:
            peers.missing.discard((place, peers.client[fd]))
        if peers.on_answered is not None:
            peers.on_answered(fd)
        if part_place in self.closing:
            peers.close(fd)
            return
        kind = self.kinds[place]
        if kind.what.keepalive is not None:
            kind.alive.append((fd, peers.opened[fd], now + kind.what.keepalive.every))
        if kind.slow:
            peers.epoll.modify(fd, select.EPOLLRDHUP)
            if kind.what.read_rate:
                kind.readers.append((fd, peers.opened[fd], now + 1.0))
