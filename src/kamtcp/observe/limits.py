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
    source = "/proc/PID/limits"
    lines = rows(data)
    if not lines or not lines[0].startswith(b"Limit "):
        raise ParseError(source, "the heading", text(data))
    bounds = {}
    for at, line in enumerate(lines[1:], start=2):
        words = line[_NAME_COLUMNS:].split()
        if len(words) not in (2, 3):
            raise ParseError(source, "soft limit, hard limit and unit", text(line), at)
        soft, hard = (UNLIMITED if word == b"unlimited" else natural(source, word, at) for word in words[:2])
        bounds[text(line[:_NAME_COLUMNS].rstrip())] = Bound(soft, hard, text(b"".join(words[2:])))
    if OPEN_FILES not in bounds:
        raise ParseError(source, OPEN_FILES, sorted(bounds))
    return Limits(bounds)


def collect(host: Host, pid: int) -> Limits:
    """Limits of one process.

    Raises:
        OSError: as the kernel gave it; ESRCH also for a process that is just being removed, whose file is
            empty (one that has ended but wasn't waited for still shows its limits).
        ParseError: the file is malformed.
    """
    path = f"/proc/{pid}/limits"
    data = host.read(path)
    if not data:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), path)
    return parse(data)
