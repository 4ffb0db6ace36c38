"""A Host that answers from a recording: the same questions get the same answers, errors included."""

from __future__ import annotations

from kamtcp.errors import NotRecorded, RecordingError
from kamtcp.host.door import MIB, DiskSpace, Endpoint, Reader, Stat
from kamtcp.record.archive import Answer, Key, Recording, result

_NEVER = 1e12  # seconds; NaN is not below it either


def samples(recording: Recording) -> tuple[Recorded, ...]:
    """A Host for each sample, oldest first.

    Raises:
        RecordingError: it holds none, or one without its reader.
    """
    found = tuple(Recorded(sample) for sample in recording.samples)
    if not found:
        raise RecordingError("the recording holds no sample")
    for number, host in enumerate(found, start=1):
        try:
            host.reader()
        except (NotRecorded, OSError) as error:
            raise RecordingError(f"sample {number} of the recording has no reader: {error}") from None
    return found


def _shown(part: str | int | bytes) -> str:
    return part if isinstance(part, str) else repr(part)


class Recorded:
    """Implements `door.Host` with the answers of one sample."""

    def __init__(self, answers: dict[Key, Answer], view: str = "") -> None:
        self._answers, self._view = answers, view

    def _answer(self, *key: str | int | bytes) -> object:
        found = self._answers.get((self._view, *key))
        if found is None:
            raise NotRecorded(f"{self._view or 'the host'}: {' '.join(_shown(part) for part in key)[:120]}")
        return result(found)

    def _bytes(self, *key: str | int | bytes) -> bytes:
        found = self._answer(*key)
        if not isinstance(found, bytes):
            raise NotRecorded(f"{_shown(key[0])}: the recording holds {type(found).__name__} here, not bytes")
        return found

    def read(self, path: str, limit: int = 4 * MIB) -> bytes:
        return self._bytes("read", path)[:limit]

    def tail(self, path: str, limit: int = 256 * 1024) -> bytes:
        return self._bytes("tail", path)[-limit:]

    def search(self, path: str, pattern: bytes) -> bytes:
        return self._bytes("search", path, pattern)

    def listdir(self, path: str) -> tuple[str, ...]:
        found = self._answer("listdir", path)
        return found if isinstance(found, tuple) else ()

    def readlink(self, path: str) -> str:
        return str(self._answer("readlink", path))

    def stat(self, path: str) -> Stat:
        found = self._answer("stat", path)
        if not isinstance(found, Stat):
            raise NotRecorded(f"stat {path}: the recording holds something else")
        return found

    def disk(self, path: str) -> DiskSpace:
        found = self._answer("disk", path)
        if not isinstance(found, DiskSpace):
            raise NotRecorded(f"disk {path}: the recording holds something else")
        return found

    def netlink(self, protocol: int, request: bytes) -> bytes:
        return self._bytes("netlink", protocol, request)

    def call(self, endpoint: Endpoint, request: bytes, timeout: float = 2.0) -> bytes:  # noqa: ARG002
        return self._bytes("call", endpoint.transport.value, endpoint.address, request)

    def probe(self, name: str) -> bytes:
        return self._bytes("probe", name)

    def reader(self) -> Reader:
        found = self._answers.get((self._view, "reader")) or self._answers.get(("", "reader"))
        if not isinstance(found, Reader):
            raise NotRecorded("reader")
        times = (found.realtime, found.boottime)
        if min(found.page_size, found.clock_ticks, found.cpus) <= 0 or not all(
            0 <= t < _NEVER for t in times
        ):
            raise NotRecorded("reader: no machine has such a page size, clock or number of CPUs")
        return found

    def within(self, pid: int) -> Recorded:
        self._answer("within", pid)
        return Recorded(self._answers, f"within:{pid}")
