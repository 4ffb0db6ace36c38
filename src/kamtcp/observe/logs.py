"""Which log does a process write to, and what are its last lines?

Reads   links of descriptors 1 and 2, else the usual files below /var/log; the end of the file only
Needs   to read that file; for the links to be the same user, or root
Cost    one read of at most 256 KiB

The journal of systemd is a binary file that only journalctl(1) reads; that is said, and not looked at.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import attempt
from kamtcp.observe.descriptors import Kind, target
from kamtcp.observe.kernel_text import rows, text

CANDIDATES: tuple[str, ...] = (
    "/var/log/kamailio.log",
    "/var/log/kamailio/kamailio.log",
    "/var/log/syslog",
    "/var/log/messages",
)
TAIL_BYTES = 256 * 1024

_JOURNAL = "/run/systemd/journal"
_FORMAT_MASK, _REGULAR = 0o170000, 0o100000


class Log(Struct, frozen=True, tag=True):
    """A log file.

    Args:
        path: as the process sees it.
        chosen: why this one: "fd 2 of 831" or "exists".
        size_bytes, modified_at: of the file; the second in seconds since the epoch.
    """

    path: str
    chosen: str
    size_bytes: int
    modified_at: float


class Tail(Struct, frozen=True, tag=True):
    """The end of a log.

    Args:
        log: which.
        lines: oldest first, without the one that was cut at the front.
        whole: the lines are all there is.
    """

    log: Log
    lines: tuple[str, ...]
    whole: bool


def parse(data: bytes, *, whole: bool = True) -> tuple[str, ...]:
    """Lines of a log, or of the end of one.

    Args:
        data: raw bytes; any.
        whole: False drops what stands before the first newline.
    """
    lines = rows(data)
    return tuple(text(line) for line in (lines if whole else lines[1:]))


def find(host: Host, pid: int, inside: Host | None = None) -> Log | Absent:
    """The log of one process.

    Args:
        host: the machine as the reader sees it.
        pid: the process.
        inside: the machine as the process sees it (`host.within(pid)`); None where that is the same.
    """
    seen = inside or host
    for number in (2, 1):
        path = _file_of(host, pid, number)
        log = path and _regular(seen, path, f"fd {number} of {pid}")
        if isinstance(log, Log):
            return log
    denied: Absent | None = None
    for path in CANDIDATES:
        log = _regular(seen, path, "exists")
        if isinstance(log, Log):
            return log
        if isinstance(log, Absent) and log.why is not Why.MISSING:
            denied = denied or log
    if denied is not None:
        return denied
    if isinstance(attempt(_JOURNAL, lambda: seen.listdir(_JOURNAL)), Absent):
        return Absent("log", Why.MISSING, f"none of {', '.join(CANDIDATES)}")
    return Absent("log", Why.NOT_ASKED, "it goes to the journal; see journalctl -t kamailio")


def collect(host: Host, pid: int, inside: Host | None = None, limit: int = TAIL_BYTES) -> Tail | Absent:
    """The last `limit` bytes of the log of one process, as lines. Arguments as `find`."""
    log = find(host, pid, inside)
    if isinstance(log, Absent):
        return log
    data = attempt(log.path, lambda: (inside or host).tail(log.path, limit))
    if isinstance(data, Absent):
        return data
    whole = len(data) < limit
    return Tail(log, parse(data, whole=whole), whole)


def _file_of(host: Host, pid: int, number: int) -> str:
    """Path of the file that a descriptor writes to, "" where it is something else."""
    found = attempt(f"/proc/{pid}/fd/{number}", lambda: target(host, pid, number))
    if isinstance(found, Absent) or found.kind is not Kind.FILE or found.deleted:
        return ""
    return found.name


def _regular(host: Host, path: str, chosen: str) -> Log | Absent:
    stat = attempt(path, lambda: host.stat(path))
    if isinstance(stat, Absent):
        return stat
    if stat.mode & _FORMAT_MASK != _REGULAR:  # /dev/null, a terminal
        return Absent(path, Why.MISSING, "not a regular file")
    return Log(path, chosen, stat.size, stat.mtime)
