"""Sends, and keeps what a peer doesn't take: until it does, nothing more is read from it, so memory stays bounded.

Source  write(2) on a non-blocking socket, epoll(7)
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable

_MOST = 1 << 18  # bytes kept for a peer while bytes drip


class Outbox:
    """What one loop has to send.

    Args:
        epoll: the loop's, where connections are registered for EPOLLIN.
        close: closes a connection.
        dribble: send a byte of each at every call of `drip`, and nothing else.
    """

    def __init__(self, epoll: select.epoll, close: Callable[[int], None], *, dribble: bool = False) -> None:
        self._epoll, self._close, self._dribble = epoll, close, dribble
        self._unsent: dict[int, bytearray] = {}
        self._over: set[int] = set()  # to be closed once all is sent

    def send(self, fd: int, data: bytes) -> None:
        """Send, now or later."""
        if self._dribble or fd in self._unsent:  # the latter: the peer hung up, yet had something to say
            waiting = self._unsent.setdefault(fd, bytearray())
            waiting += data
            if len(waiting) > _MOST:
                self._close(fd)
            return
        try:
            sent = os.write(fd, data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(fd)
            return
        if sent < len(data):
            self._unsent[fd] = bytearray(data[sent:])
            self._epoll.modify(fd, select.EPOLLOUT)
        elif fd in self._over:
            self._close(fd)

    def send_last(self, fd: int, data: bytes) -> None:
        """Send, then close."""
        self._over.add(fd)
        if data:
            self.send(fd, data)
        elif fd not in self._unsent:
            self._close(fd)

    def writable(self, fd: int) -> None:
        """The peer takes bytes again."""
        if self._push(fd, _MOST):
            self._epoll.modify(fd, select.EPOLLIN)

    def drip(self) -> None:
        """A byte of everything."""
        for fd in list(self._unsent):
            self._push(fd, 1)

    def forget(self, fd: int) -> None:
        """The descriptor is closed now."""
        self._unsent.pop(fd, None)
        self._over.discard(fd)

    def _push(self, fd: int, most: int) -> bool:
        """Send up to `most` of what waits; true if all is sent and the connection goes on."""
        waiting = self._unsent[fd]
        try:
            sent = os.write(fd, waiting[:most])
        except BlockingIOError:
            return False
        except OSError:
            self._close(fd)
            return False
        del waiting[:sent]
        if waiting:
            return False
        del self._unsent[fd]
        if fd in self._over:
            self._close(fd)
            return False
        return True
