"""The machine itself, read through system calls.

Unprivileged it reads what it may; whatever it may not read raises the kernel's own EACCES or EPERM.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from kamtcp.host.door import MIB, DiskSpace, Endpoint, Reader, Stat, Transport
from kamtcp.host.inroot import in_root

if TYPE_CHECKING:
    from kamtcp.host.namespaces import NetnsThread

T = TypeVar("T")

_CHUNK = 1 << 16
_SEARCHED = 64 * MIB  # of a file: a sparse one may be as long as it likes


class Live:
    """The reader's own place on the machine. Implements `door.Host`."""

    def read(self, path: str, limit: int = 4 * MIB) -> bytes:
        descriptor = _open(path)
        try:
            parts: list[bytes] = []
            left = limit
            while left > 0:
                part = os.read(descriptor, min(left, _CHUNK))
                if not part:
                    break
                parts.append(part)
                left -= len(part)
            return b"".join(parts)
        finally:
            os.close(descriptor)

    def tail(self, path: str, limit: int = 256 * 1024) -> bytes:
        descriptor = _open(path)
        try:
            size = os.fstat(descriptor).st_size
            return os.pread(descriptor, limit, max(0, size - limit))
        finally:
            os.close(descriptor)

    def search(self, path: str, pattern: bytes) -> bytes:
        import re

        match = re.search(pattern, self.read(path, _SEARCHED))
        return match.group() if match else b""

    def listdir(self, path: str) -> tuple[str, ...]:
        return tuple(sorted(os.listdir(path)))

    def readlink(self, path: str) -> str:
        return os.readlink(path)

    def stat(self, path: str) -> Stat:
        found = os.stat(path)
        return Stat(found.st_size, found.st_ino, found.st_uid, found.st_gid, found.st_mode, found.st_mtime)

    def disk(self, path: str) -> DiskSpace:
        found = os.statvfs(path)
        return DiskSpace(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)

    def netlink(self, protocol: int, request: bytes) -> bytes:
        from kamtcp.host.netlink import dump

        return dump(protocol, request)

    def call(self, endpoint: Endpoint, request: bytes, timeout: float = 2.0) -> bytes:
        from kamtcp.host.exchange import exchange

        return exchange(endpoint, request, timeout)

    def probe(self, name: str) -> bytes:
        from kamtcp.host.probes import run

        return run(name)

    def reader(self) -> Reader:
        kernel = os.uname()
        try:
            netns = os.readlink("/proc/self/ns/net")
        except OSError:
            netns = ""
        return Reader(
            uid=os.geteuid(),
            gid=os.getegid(),
            capabilities=_effective_capabilities(),
            page_size=os.sysconf("SC_PAGE_SIZE"),
            clock_ticks=os.sysconf("SC_CLK_TCK"),
            cpus=os.sysconf("SC_NPROCESSORS_ONLN"),
            release=kernel.release,
            machine=kernel.machine,
            node=kernel.nodename,
            realtime=time.time(),
            boottime=time.clock_gettime(time.CLOCK_BOOTTIME),
            netns=netns,
        )

    def within(self, pid: int) -> Within:
        return Within(pid)


class Within(Live):
    """The machine as process `pid` sees it; see `door.Host.within`."""

    def __init__(self, pid: int) -> None:
        self._root = f"/proc/{pid}/root"
        root = os.stat(self._root + "/")  # ptrace access to its root, or an error that says so
        self._process = _pidfd(pid)
        if _same_namespace(pid, "mnt") and os.path.samestat(root, os.stat("/")):
            self._root = ""
        self._thread = None if _same_namespace(pid, "net") else _thread_in(pid)

    def _there(self, job: Callable[[], T]) -> T:
        return job() if self._thread is None else self._thread.do(job)

    def __del__(self) -> None:
        if getattr(self, "_process", -1) >= 0:
            os.close(self._process)

    def _below(self, path: str, job: Callable[[str], T]) -> T:
        """What `job` makes of `path` below the root of the process.

        Raises:
            ProcessLookupError: the process ended meanwhile: its number, and so its root, may be another's by now. Asked
                after the job, since only then is there no gap; and a process gives its root back before it can be
                seen to have ended (do_exit: exit_fs before exit_notify), so a root that is gone is the same news.
        """
        if not self._root or path.startswith(("/proc/", "/sys/")):
            return job(path)
        try:
            made = job(in_root(self._root, path))
        except OSError:
            self._must_be_there(path)
            raise
        self._must_be_there(path)
        return made

    def _must_be_there(self, path: str) -> None:
        gone = self._process >= 0 and _has_ended(self._process)
        try:
            os.stat(self._root + "/")
        except FileNotFoundError:
            gone = True
        except OSError:
            pass  # refused by now: the question itself was answered while it was not
        if gone:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), path) from None

    def read(self, path: str, limit: int = 4 * MIB) -> bytes:
        if path.startswith("/proc/sys/net/"):
            return self._there(lambda: Live.read(self, path, limit))
        return self._below(path, lambda at: Live.read(self, at, limit))

    def tail(self, path: str, limit: int = 256 * 1024) -> bytes:
        return self._below(path, lambda at: Live.tail(self, at, limit))

    def search(self, path: str, pattern: bytes) -> bytes:
        return self._below(path, lambda at: Live.search(self, at, pattern))

    def listdir(self, path: str) -> tuple[str, ...]:
        if path.startswith(("/proc/sys/net", "/sys/class/net")):
            return self._there(lambda: Live.listdir(self, path))
        return self._below(path, lambda at: Live.listdir(self, at))

    def readlink(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        return self._below(folder or "/", lambda at: Live.readlink(self, f"{at}/{name}"))

    def stat(self, path: str) -> Stat:
        return self._below(path, lambda at: Live.stat(self, at))

    def disk(self, path: str) -> DiskSpace:
        return self._below(path, lambda at: Live.disk(self, at))

    def netlink(self, protocol: int, request: bytes) -> bytes:
        return self._there(lambda: Live.netlink(self, protocol, request))

    def call(self, endpoint: Endpoint, request: bytes, timeout: float = 2.0) -> bytes:
        from kamtcp.host.exchange import exchange

        root = "" if endpoint.transport in (Transport.BINRPC_TCP, Transport.JSON_HTTP) else self._root
        return self._there(lambda: exchange(endpoint, request, timeout, root=root))

    def within(self, pid: int) -> Within:
        return Within(pid)


def _open(path: str) -> int:
    """A descriptor to read from, of a regular file unless it is the kernel's own.

    Paths come from configurations and links that other users wrote. Opening is not harmless for what is no file: a
    watchdog starts to count, a tape winds back, a FIFO loses what it held for another reader. So it is looked at first.

    Raises:
        OSError: EISDIR, or EINVAL for what is neither file nor directory.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    if path.startswith(("/proc/", "/sys/")) and "/root/" not in path:
        return os.open(path, flags)
    held = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mode = os.fstat(held).st_mode
        if not stat.S_ISREG(mode):
            number = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
            raise OSError(number, os.strerror(number), path)
        return os.open(f"/proc/self/fd/{held}", flags)
    finally:
        os.close(held)


def _thread_in(pid: int) -> NetnsThread:
    from kamtcp.host.namespaces import (
        NetnsThread,
    )  # threading and queue: only where there is another namespace

    return NetnsThread(pid)


def _pidfd(pid: int) -> int:
    """A descriptor that stays with one process (pidfd_open(2), Linux 5.3); -1 where the kernel has none."""
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno == errno.ESRCH:
            raise
        return -1


def _has_ended(pidfd: int) -> bool:
    """Whether the process of a pidfd has ended: then it is readable."""
    import select

    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _same_namespace(pid: int, kind: str) -> bool:
    return os.stat(f"/proc/{pid}/ns/{kind}").st_ino == os.stat(f"/proc/self/ns/{kind}").st_ino


def _effective_capabilities() -> int:
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"CapEff:"):
                return int(line.split()[1], 16)
    return 0
