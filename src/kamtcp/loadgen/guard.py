"""When a load has to end by itself: full disk, flooded logs, a kernel that drops more than was meant.

Asked again and again while a load runs. Two failures of Kamailio write over 25 MB/s of log, and a full disk takes
more than Kamailio with it; so growth is watched where it happens, in the files that the server has open for writing.

Reads   statvfs of the log directory; sizes of log files; /proc/net/netstat, softnet_stat
Cost    about 0.3 ms a look
"""

from __future__ import annotations

from functools import partial

from msgspec import Struct

from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe import snmp, softnet
from kamtcp.observe.attempt import attempt

LEAST_FREE = 0.10
#: a disk that is fuller than that before the load may lose this share more
MAY_LOSE = 0.01
#: bytes a second of one log file, over `FLOOD_SECONDS`, that are no log any more
FLOOD_BYTES = 10 << 20
FLOOD_SECONDS = 2.0
#: bytes that the server's logs may grow by in one load
LOG_BYTES = 512 << 20
MIB = 1 << 20


class Bounds(Struct, frozen=True):
    """What a load may bring about.

    Args:
        drops: connections that the kernel may drop (ListenDrops) and packets (softnet); None: as many as it likes.
        log_bytes: growth of the server's log files, all together.
        directories: whose disks are watched.
    """

    drops: int | None = None
    log_bytes: int = LOG_BYTES
    directories: tuple[str, ...] = ("/var/log", "/")


class Guard:
    """Remembers how it was when the load began.

    Args:
        host: the machine, as seen from the server's namespace.
        pid: a process in that namespace; None where it is the reader's own.
        files: log files of the server.
        bounds: what the load may bring about.
        now: CLOCK_MONOTONIC.
    """

    def __init__(
        self, host: Host, pid: int | None, files: tuple[str, ...], bounds: Bounds, now: float
    ) -> None:
        self.host, self.pid, self.files, self.bounds = host, pid, files, bounds
        self.free = {where: self._free(where) for where in bounds.directories}
        self.sizes = self._sizes()
        self.drops = self._dropped()
        self.marks = [(now, dict(self.sizes))]

    def look(self, now: float) -> str | None:
        """Why the load has to end, or None. What can't be seen any more ends nothing: it was said at the start."""
        return self._disk() or self._logs(now) or self._kernel()

    def unseen(self) -> tuple[str, ...]:
        """What is not watched, and why; to be said before the load."""
        found = [f"disk of {where}: {free}" for where, free in self.free.items() if isinstance(free, Absent)]
        if not self.files:
            found.append("log files of the server: none is known here")
        if isinstance(self.drops, Absent) and self.bounds.drops is not None:
            found.append(f"drops of the kernel: {self.drops}")
        return tuple(found)

    def _disk(self) -> str | None:
        for where, before in self.free.items():
            free = self._free(where)
            if isinstance(before, Absent) or isinstance(free, Absent):
                continue
            least = LEAST_FREE if before >= LEAST_FREE else before - MAY_LOSE
            if free < least:
                return f"the disk of {where} has {free:.1%} left, below {least:.1%} (before the load: {before:.1%})"
        return None

    def _logs(self, now: float) -> str | None:
        sizes = self._sizes()
        grown = sum(max(0, size - self.sizes.get(name, 0)) for name, size in sizes.items())
        if grown > self.bounds.log_bytes:
            return f"the server's logs grew by {grown // MIB:,} MiB, more than the {self.bounds.log_bytes // MIB:,} allowed"
        self.marks.append((now, sizes))
        while len(self.marks) > 2 and now - self.marks[1][0] >= FLOOD_SECONDS:
            del self.marks[0]
        since, first = self.marks[0]
        if now - since < FLOOD_SECONDS:
            return None
        for name, size in sizes.items():
            rate = (size - first.get(name, size)) / (now - since)
            if rate > FLOOD_BYTES:
                return f"{self._called(name)} grows by {rate / MIB:.0f} MiB/s: a flood, no log"
        return None

    def _called(self, name: str) -> str:
        """A log file by the name that its writer has for it."""
        link = attempt(name, partial(self.host.readlink, name)) if name.startswith("/proc/") else name
        return name if isinstance(link, Absent) else link

    def _kernel(self) -> str | None:
        if self.bounds.drops is None or isinstance(self.drops, Absent):
            return None
        now = self._dropped()
        if isinstance(now, Absent) or now - self.drops <= self.bounds.drops:
            return None
        return f"the kernel dropped {now - self.drops:,} (ListenDrops, softnet), more than the {self.bounds.drops:,} allowed"

    def _free(self, where: str) -> float | Absent:
        found = attempt(f"statvfs {where}", lambda: self.host.disk(where))
        if isinstance(found, Absent):
            return found
        if not found.total_bytes:
            return Absent(f"statvfs {where}", Why.MISSING, "a file system without a size")
        return found.available_bytes / found.total_bytes

    def _sizes(self) -> dict[str, int]:
        found = {name: attempt(name, partial(self.host.stat, name)) for name in self.files}
        return {name: stat.size for name, stat in found.items() if not isinstance(stat, Absent)}

    def _dropped(self) -> int | Absent:
        counters = attempt("/proc/net/netstat", lambda: snmp.collect(self.host, self.pid))
        drops = counters if isinstance(counters, Absent) else counters.get("TcpExt.ListenDrops")
        cpus = attempt("/proc/net/softnet_stat", lambda: softnet.collect(self.host))
        if isinstance(drops, Absent):
            return drops
        return drops + (0 if isinstance(cpus, Absent) else sum(cpu.dropped for cpu in cpus))
