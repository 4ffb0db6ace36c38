"""What every RPC transport has in common: a time by which the answer is there, its largest size, a unix connection.

Source: man unix(7), connect(2), socket(7) (SO_SNDTIMEO).
"""

from __future__ import annotations

import _socket
import os
from struct import pack
from time import monotonic

from kamtcp.host.door import MIB

MAX_REPLY = 8 * MIB
_SUN_PATH = 107  # longest path in a sockaddr_un, its NUL not counted


class Deadline:
    """What is left of a time span that began when this was made."""

    def __init__(self, seconds: float, what: str) -> None:
        self.end, self.what = monotonic() + seconds, f"{what}: no whole answer in {seconds:g} s"

    def left(self) -> float:
        """Seconds left, more than 0.

        Raises:
            TimeoutError: none.
        """
        left = self.end - monotonic()
        if left <= 0:
            raise TimeoutError(self.what)
        return left


def connect_unix(sock: _socket.socket, path: str, deadline: Deadline) -> None:
    """Connect a unix socket of either type; a path above 107 bytes goes through a descriptor of the socket's inode.

    A server that no longer accepts has a full queue, on which a non-blocking connect(), and that is what Python makes
    of settimeout(), fails at once with EAGAIN. SO_SNDTIMEO makes the kernel wait instead.
    """
    left = deadline.left()
    span = pack("ll", int(left), int(left % 1 * 1e6) or 1)
    sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, span)
    inode = -1
    try:
        if len(os.fsencode(path)) > _SUN_PATH:
            inode = os.open(path, os.O_PATH | os.O_CLOEXEC)
            path = f"/proc/self/fd/{inode}"
        sock.connect(path)
    except BlockingIOError as error:
        raise TimeoutError(deadline.what) from error
    finally:
        if inode >= 0:
            os.close(inode)
