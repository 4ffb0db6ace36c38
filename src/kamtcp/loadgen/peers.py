"""A worker's connections: what is known of each, in arrays by descriptor, and the ways they end.

Cost    about 50 bytes per connection beside the kernel's own, a TLS or WebSocket connection has an object as well
"""

from __future__ import annotations

import errno
import os
import select
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import suppress

from kamtcp.loadgen.order import Closing
from kamtcp.loadgen.part import Part, count, fail
from kamtcp.loadgen.result import Stretch
from kamtcp.loadgen.sip import Stream
from kamtcp.loadgen.sockets import reset, retransmissions
from kamtcp.loadgen.wire import Wire

# HELD: answered, counts as held. WAITING: held, a keepalive is unanswered. OPEN waits for a burst.
FREE, CONNECTING, SHAKING, OPEN, ASKED, HELD, WAITING = range(7)

LOSSES = 1000  # whose moments are kept
_CLOSED = (errno.ECONNRESET, errno.EPIPE)


class Peers:
    """State by descriptor.

    Attributes:
        state, kind, part, client, serial: what it is in, place of its clients in the program, its part's place in
            `parts`, number of the client among its kind, number of its last request.
        due, since, opened: CLOCK_MONOTONIC of the scheduled moment, of the running timeout's begin, of the open TCP
            connection; the last tells it from others that had its descriptor.
        pending: those whose timeout runs, oldest first. held: how many are held; held_of: by kind.
        wires: of those that aren't plain TCP. streams: of those in the middle of a message. unsent: bytes.
        missing: (kind, client) of those that were lost and aren't served again.
        challenged: challenges that were answered since the question.
        on_gone: told of each that ends by itself or couldn't begin, with (client, kind, part, was held).
        on_answered: told of each that is answered.
    """

    def __init__(self, kinds: int, closing: Closing) -> None:
        self.room = 0
        self.state, self.kind = bytearray(), bytearray()
        self.part, self.client, self.serial = array("H"), array("L"), array("L")
        self.due, self.since, self.opened = array("d"), array("d"), array("d")
        self.pending: dict[int, None] = {}
        self.wires: dict[int, Wire] = {}
        self.streams: dict[int, Stream] = {}
        self.unsent: dict[int, bytes] = {}
        self.challenged: dict[int, int] = {}
        self.parts: list[Part] = []
        self.losses: list[float] = []
        self.missing: set[tuple[int, int]] = set()
        self.held, self.held_of = 0, [0] * kinds
        self.lowest = 0  # of held, since it was last set
        self.on_gone: Callable[[int, int, Part, bool], None] | None = None
        self.on_answered: Callable[[int], None] | None = None
        self.epoll = select.epoll()
        self.closing = closing
        self.begun = 0.0

    def grow(self, fd: int) -> None:
        """Make room for a descriptor."""
        more = max(1024, self.room, fd + 1 - self.room)
        for table in (self.state, self.kind):
            table.extend(bytes(more))
        for numbers in (self.part, self.client, self.serial):
            numbers.extend([0] * more)
        for moments in (self.due, self.since, self.opened):
            moments.extend([0.0] * more)
        self.room += more

    def add_part(self, stretch: Stretch) -> int:
        """Its place in `parts`."""
        self.parts.append(Part(stretch))
        return len(self.parts) - 1

    def of_kind(self, kinds: tuple[int, ...], *states: int) -> list[int]:
        """Descriptors of connections in one of these states."""
        return [
            fd for fd, state in enumerate(self.state) if state and state in states and self.kind[fd] in kinds
        ]

    # -- ends ---------------------------------------------------------------------------------------------------

    def unsettled(self) -> Iterator[int]:
        """Those that are neither answered nor failed: held ones that wait for the answer to a keepalive are not among them."""
        state = self.state
        return (fd for fd in self.pending if state[fd] < HELD)

    def ended(self, fd: int) -> None:
        """The server closed (FIN, or a WebSocket's close)."""
        state = self.state[fd]
        if state >= HELD:
            self.lose(fd, "lost_closed")
        elif state == SHAKING and fd in self.wires and self.wires[fd].shaking_tls:
            self.fail(fd, "tls", "end of stream")
        else:
            self.fail(fd, "closed_before_answer")

    def broken(self, fd: int, code: int) -> None:
        """A system call on the connection failed."""
        state = self.state[fd]
        if state >= HELD:
            self.lose(fd, "lost_reset")
        elif code == errno.ECONNREFUSED:
            self.fail(fd, "refused")
        elif code in _CLOSED:
            self.fail(fd, "reset")
        elif code == errno.ETIMEDOUT:
            self.timed_out(fd)
        else:
            self.fail(fd, "other", errno.errorcode.get(code, str(code)))

    def timed_out(self, fd: int) -> None:
        """What was waited for didn't come."""
        state = self.state[fd]
        if state == CONNECTING:
            count(self.parts[self.part[fd]].tally.syn_retried, retransmissions(fd))
            self.fail(fd, "connect_timeout")
        elif state == SHAKING:
            wire = self.wires.get(fd)
            self.fail(fd, "handshake_timeout", "TLS" if wire is None or wire.shaking_tls else "WebSocket")
        elif state == WAITING:
            self.lose(fd, "lost_silent")
        else:
            self.fail(fd, "no_answer")

    def fail(self, fd: int, cause: str, which: str = "") -> None:
        """It ends without an answer."""
        part = self.parts[self.part[fd]]
        fail(part, cause, which)
        self._gone(fd, part, held=False)

    def lose(self, fd: int, how: str) -> None:
        """An answered one ends before its time."""
        part = self.parts[self.part[fd]]
        setattr(part.tally, how, getattr(part.tally, how) + 1)
        self.missing.add((self.kind[fd], self.client[fd]))
        if len(self.losses) < LOSSES:
            self.losses.append(time.monotonic() - self.begun)
        self._gone(fd, part, held=True)

    def _gone(self, fd: int, part: Part, *, held: bool) -> None:
        client, kind = self.client[fd], self.kind[fd]
        self.forget(fd)
        os.close(fd)
        if self.on_gone is not None:
            self.on_gone(client, kind, part, held)

    def forget(self, fd: int) -> None:
        """Nothing is known of this descriptor any more."""
        if self.state[fd] >= HELD:
            self.held -= 1
            self.held_of[self.kind[fd]] -= 1
            self.lowest = min(self.lowest, self.held)
        self.state[fd] = FREE
        self.pending.pop(fd, None)
        self.wires.pop(fd, None)
        self.streams.pop(fd, None)
        self.unsent.pop(fd, None)
        self.challenged.pop(fd, None)

    def ask_anew(self, fd: int, part_place: int) -> None:
        """A held one is to be asked as if it had just been opened: it counts once more, in another part."""
        self.held -= 1
        self.held_of[self.kind[fd]] -= 1
        self.lowest = min(self.lowest, self.held)
        self.state[fd], self.part[fd] = OPEN, part_place
        self.opened[fd] = (
            time.monotonic()
        )  # its turn in the keepalives is void, the answer gives it a new one
        tally = self.parts[part_place].tally
        tally.offered += 1
        tally.connected += 1

    def close(self, fd: int, closing: Closing | None = None) -> None:
        """End it ourselves; what wasn't answered is abandoned."""
        if self.state[fd] < HELD:
            fail(self.parts[self.part[fd]], "abandoned")
        wire = self.wires.get(fd)
        self.forget(fd)
        if (closing or self.closing) is Closing.RESET:
            reset(fd)
            return
        if wire is not None and (bye := wire.goodbye()):
            with suppress(OSError):  # it may have been going anyway
                os.write(fd, bye)
        os.close(fd)

    def close_all(self) -> None:
        """Whatever is still open."""
        for fd, state in enumerate(self.state):
            if state != FREE:
                self.close(fd)
        self.epoll.close()
