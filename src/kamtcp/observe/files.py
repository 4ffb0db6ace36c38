"""How many files, inodes and directory entries does the whole machine hold?

Reads   /proc/sys/fs/file-nr, /proc/sys/fs/inode-state, /proc/sys/fs/dentry-state
Source  Linux fs/file_table.c, fs/inode.c, fs/dcache.c; Documentation/admin-guide/sysctl/fs.rst
Needs   no privilege
Cost    0.05 ms
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent
from kamtcp.observe.attempt import attempt
from kamtcp.observe.kernel_text import integer, text

# /proc/sys gives ENOMEM to reads of 4 MiB, the door's default
_READ_BYTES = 4096


class FileNr(Struct, frozen=True, tag=True):
    """Open files of the machine; one file in two descriptor tables counts once.

    Args:
        allocated: files open now. Up to 6.12 it lags by a batch per CPU.
        maximum: fs.file-max; systemd sets it to 2**63 - 1. Holders of CAP_SYS_ADMIN may pass it.
    """

    allocated: int
    maximum: int


class InodeState(Struct, frozen=True, tag=True):
    """Inodes in memory, and how many of them are unused."""

    inodes: int
    unused: int


class DentryState(Struct, frozen=True, tag=True):
    """Directory entries in memory; they grow with sockets and with scans of /proc.

    Args:
        negative: unused entries of names that don't exist; printed since 5.0, 0 before.
    """

    dentries: int
    unused: int
    negative: int


class Files(Struct, frozen=True, tag=True):
    """All three; each fails by itself."""

    file_nr: FileNr | Absent
    inode_state: InodeState | Absent
    dentry_state: DentryState | Absent


def parse_file_nr(data: bytes) -> FileNr:
    """Parse "allocated 0 maximum".

    Raises:
        ParseError: not three or more numbers.
    """
    values = _numbers("/proc/sys/fs/file-nr", data, 3)
    return FileNr(values[0], values[2])


def parse_inode_state(data: bytes) -> InodeState:
    """Parse "nr_inodes nr_free 0 0 0 0 0".

    Raises:
        ParseError: not two or more numbers.
    """
    values = _numbers("/proc/sys/fs/inode-state", data, 2)
    return InodeState(values[0], values[1])


def parse_dentry_state(data: bytes) -> DentryState:
    """Parse "nr_dentry nr_unused age_limit want_pages nr_negative dummy".

    Raises:
        ParseError: not five or more numbers.
    """
    values = _numbers("/proc/sys/fs/dentry-state", data, 5)
    return DentryState(values[0], values[1], values[4])


def collect(host: Host) -> Files:
    """Read all three."""

    def read(name: str) -> bytes:
        return host.read(f"/proc/sys/fs/{name}", _READ_BYTES)

    return Files(
        attempt("/proc/sys/fs/file-nr", lambda: parse_file_nr(read("file-nr"))),
        attempt("/proc/sys/fs/inode-state", lambda: parse_inode_state(read("inode-state"))),
        attempt("/proc/sys/fs/dentry-state", lambda: parse_dentry_state(read("dentry-state"))),
    )


def _numbers(source: str, data: bytes, least: int) -> list[int]:
    words = data.split()
    if len(words) < least:
        raise ParseError(source, f"{least} or more numbers", text(data))
    return [integer(source, word) for word in words]
