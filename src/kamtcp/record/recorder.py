"""A Host that notes every answer of another Host, errors included.

The same code that looks at a live machine is run on it; what it asked is then all that a recording holds.
Keys carry no read limits, so that a later kamtcp that reads more of a file still finds what there was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kamtcp.errors import RpcError
from kamtcp.host.door import MIB, DiskSpace, Endpoint, Host, Reader, Stat
from kamtcp.record.archive import Answer, Key, answer_of

T = TypeVar("T", bytes, str, tuple[str, ...], Stat, DiskSpace, Reader)


class Recorder:
    """Implements `door.Host` by passing every question on to `host` and noting the answer.

    Args:
        host: where the answers come from.
        notes: filled with them, by key; shared with the recorders of `within`.
        view: "" for the machine as the reader sees it, "within:PID" else.
    """

    def __init__(self, host: Host, notes: dict[Key, Answer] | None = None, view: str = "") -> None:
        self._host, self._view = host, view
        self.notes: dict[Key, Answer] = {} if notes is None else notes

    def _noted(self, key: Key, ask: Callable[[], T]) -> T:
        try:
            answer = ask()
        except (OSError, RpcError) as error:
            self.notes.setdefault((self._view, *key), answer_of(error))
            raise
        present = self.notes.get((self._view, *key))
        longer = isinstance(present, bytes) and isinstance(answer, bytes) and len(answer) <= len(present)
        if not longer:
            self.notes[(self._view, *key)] = answer
        return answer

    def read(self, path: str, limit: int = 4 * MIB) -> bytes:
        return self._noted(("read", path), lambda: self._host.read(path, limit))

    def tail(self, path: str, limit: int = 256 * 1024) -> bytes:
        return self._noted(("tail", path), lambda: self._host.tail(path, limit))

    def search(self, path: str, pattern: bytes) -> bytes:
        return self._noted(("search", path, pattern), lambda: self._host.search(path, pattern))

    def listdir(self, path: str) -> tuple[str, ...]:
        return self._noted(("listdir", path), lambda: self._host.listdir(path))

    def readlink(self, path: str) -> str:
        return self._noted(("readlink", path), lambda: self._host.readlink(path))

    def stat(self, path: str) -> Stat:
        return self._noted(("stat", path), lambda: self._host.stat(path))

    def disk(self, path: str) -> DiskSpace:
        return self._noted(("disk", path), lambda: self._host.disk(path))

    def netlink(self, protocol: int, request: bytes) -> bytes:
        return self._noted(("netlink", protocol, request), lambda: self._host.netlink(protocol, request))

    def call(self, endpoint: Endpoint, request: bytes, timeout: float = 2.0) -> bytes:
        key = ("call", endpoint.transport.value, endpoint.address, request)
        return self._noted(key, lambda: self._host.call(endpoint, request, timeout))

    def probe(self, name: str) -> bytes:
        return self._noted(("probe", name), lambda: self._host.probe(name))

    def reader(self) -> Reader:
        # one moment for the whole sample: ages and rates must not depend on how often it was asked
        present = self.notes.get((self._view, "reader"))
        return present if isinstance(present, Reader) else self._noted(("reader",), self._host.reader)

    def within(self, pid: int) -> Recorder:
        view = f"within:{pid}"
        try:
            inside = self._host.within(pid)
        except OSError as error:
            self.notes[(self._view, "within", pid)] = answer_of(error)
            raise
        self.notes[(self._view, "within", pid)] = b""
        return Recorder(inside, self.notes, view)
