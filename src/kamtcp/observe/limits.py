"""What may a process take? The limits in force in *it*, not those of somebody's shell.

Reads   /proc/PID/limits
Source  Linux fs/proc/base.c proc_pid_limits(); man getrlimit(2)
Needs   to be the same user, or root
Cost    0.03 ms a process
"""

from __future__ import annotations

import errno
import os

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import UNLIMITED, Absent, Unlimited, Why
from kamtcp.observe.kernel_text import natural, rows, text

_SOURCE = "/proc/PID/limits"
_NAME_COLUMNS = 26  # "%-25s " and then the soft limit
OPEN_FILES = "Max open files"
LOCKED_MEMORY = "Max locked memory"


class Bound(Struct, frozen=True):
    """One limit.

    Args:
        soft: in force. hard: up to which the process may raise it by itself.
        unit: "files", "bytes", "processes", …; "" for priorities.
    """

    soft: int | Unlimited
    hard: int | Unlimited
    unit: str


class Limits(Struct, frozen=True, tag=True):
    """All limits of a process, by the kernel's names ("Max open files", "Max locked memory")."""

    bounds: dict[str, Bound]

    @property
    def open_files(self) -> Bound:
        """Descriptors: the highest number is one less. Never unlimited on Linux."""
        return self.bounds[OPEN_FILES]

    def get(self, name: str) -> Bound | Absent:
        """One limit; missing where this kernel has none of that name."""
        return self.bounds.get(name, Absent(f"/proc/PID/limits {name}", Why.MISSING))


def parse(data: bytes) -> Limits:
    """Parse the whole file: a heading, then fixed columns of name, soft, hard and unit.

    Raises:
        ParseError: no heading, a row without two limits, or no "Max open files".
    """
    lines = rows(data)
    if not lines or not lines[0].startswith(b"Limit "):
        raise ParseError(_SOURCE, "the heading", text(data))
    bounds = {}
    for at, line in enumerate(lines[1:], start=2):
        bounds[text(line[:_NAME_COLUMNS].rstrip())] = _bound(line, at)
    if OPEN_FILES not in bounds:
        raise ParseError(_SOURCE, OPEN_FILES, sorted(bounds))
    return Limits(bounds)


def parse_open_files(data: bytes) -> Bound:
    """The one row "Max open files": a check reads it for every process, and leaves the fifteen others.

    Raises:
        ParseError: there is no such row, or it has no two limits.
    """
    for at, line in enumerate(rows(data), start=1):
        if line.startswith(OPEN_FILES.encode()):
            return _bound(line, at)
    raise ParseError(_SOURCE, OPEN_FILES, text(data))


def _bound(line: bytes, at: int) -> Bound:
    words = line[_NAME_COLUMNS:].split()
    if len(words) not in (2, 3):
        raise ParseError(_SOURCE, "soft limit, hard limit and unit", text(line), at)
    soft, hard = (UNLIMITED if word == b"unlimited" else natural(_SOURCE, word, at) for word in words[:2])
    return Bound(soft, hard, text(b"".join(words[2:])))


def collect(host: Host, pid: int) -> Limits:
    """Limits of one process.

    Raises:
        OSError: as the kernel gave it; ESRCH also for a process that is just being removed, whose file is
            empty (one that has ended but wasn't waited for still shows its limits).
        ParseError: the file is malformed.
    """
    return parse(_read(host, pid))


def open_files(host: Host, pid: int) -> Bound:
    """Bound of the descriptors of one process; errors as `collect`."""
    return parse_open_files(_read(host, pid))


def _read(host: Host, pid: int) -> bytes:
    path = f"/proc/{pid}/limits"
    data = host.read(path)
    if not data:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), path)
    return data
