"""A place on a machine that may not be entered: every read of it is denied, none is answered from elsewhere.

A namespace that can't be entered must not be described by the reader's own values.
"""

from __future__ import annotations

import errno
from typing import NoReturn

from kamtcp.host.door import MIB, DiskSpace, Endpoint, Reader, Stat
from kamtcp.model.absent import Absent


class Nowhere:
    """Implements `door.Host` by refusing. `obstacle` says why the place can't be entered."""

    def __init__(self, obstacle: Absent) -> None:
        self._obstacle = obstacle

    def _deny(self) -> NoReturn:
        raise PermissionError(errno.EACCES, str(self._obstacle))

    def read(self, path: str, limit: int = 4 * MIB) -> bytes:  # noqa: ARG002
        self._deny()

    def tail(self, path: str, limit: int = 256 * 1024) -> bytes:  # noqa: ARG002
        self._deny()

    def search(self, path: str, pattern: bytes) -> bytes:  # noqa: ARG002
        self._deny()

    def listdir(self, path: str) -> tuple[str, ...]:  # noqa: ARG002
        self._deny()

    def readlink(self, path: str) -> str:  # noqa: ARG002
        self._deny()

    def stat(self, path: str) -> Stat:  # noqa: ARG002
        self._deny()

    def disk(self, path: str) -> DiskSpace:  # noqa: ARG002
        self._deny()

    def netlink(self, protocol: int, request: bytes) -> bytes:  # noqa: ARG002
        self._deny()

    def call(self, endpoint: Endpoint, request: bytes, timeout: float = 2.0) -> bytes:  # noqa: ARG002
        self._deny()

    def probe(self, name: str) -> bytes:  # noqa: ARG002
        self._deny()

    def reader(self) -> Reader:
        self._deny()

    def within(self, pid: int) -> NoReturn:  # noqa: ARG002
        self._deny()
