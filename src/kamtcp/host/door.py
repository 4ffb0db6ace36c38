"""The door to a machine: the few reads that everything in kamtcp is made of.

`Live` (live.py), `Recorded` (recorded.py) and the recorder (recorder.py) all offer this `Host`. Whatever
reads through it works from a recording. Reads give raw bytes; parsers live elsewhere.

Errors of every method: OSError exactly as the kernel gave it (ENOENT, EACCES, ESRCH, …), TimeoutError
where a peer didn't answer, `errors.NotRecorded` from a recording that lacks the read.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from msgspec import Struct

MIB = 1 << 20


class Transport(Enum):
    """How a Kamailio RPC endpoint is reached, and so how its messages are framed."""

    BINRPC_UNIX = "binrpc unix stream"  # ctl module, unixs:
    BINRPC_TCP = "binrpc tcp"  # ctl module, tcp:
    JSON_DGRAM = "jsonrpc unix datagram"  # jsonrpcs module
    JSON_FIFO = "jsonrpc fifo"  # jsonrpcs module; the reply FIFO is ours and is removed at once
    JSON_HTTP = "jsonrpc http"  # jsonrpcs over xhttp: goes through the TCP workers


class Endpoint(Struct, frozen=True):
    """One RPC endpoint.

    Args:
        transport: how to talk to it.
        address: a path as the *server* sees it (unix, FIFO), "ADDR:PORT" (tcp), or "http://ADDR:PORT/PATH".
        reply_dir: FIFO only: directory in which the server opens the reply FIFO (its `fifo_reply_dir`).
    """

    transport: Transport
    address: str
    reply_dir: str = "/tmp"  # noqa: S108  (Kamailio's own default)


class Stat(Struct, frozen=True):
    """The parts of stat(2) that are used.

    `size` of /proc/PID/fd is the number of open descriptors since Linux 6.2, and 0 before.
    """

    size: int
    inode: int
    uid: int
    gid: int
    mode: int
    mtime: float  # seconds since the epoch


class DiskSpace(Struct, frozen=True):
    """statvfs(3) of one path, in bytes."""

    total_bytes: int
    available_bytes: int


class Reader(Struct, frozen=True):
    """Who looked, on what machine, when. Part of every recording: `--from` never uses the reader's own.

    Args:
        uid, gid: effective ids of the process that read.
        capabilities: effective set as a bit mask (CapEff of /proc/self/status).
        page_size: bytes. clock_ticks: per second (unit of /proc/PID/stat times).
        cpus: CPUs online. release, machine, node: uname(2).
        realtime: seconds since the epoch. boottime: seconds since boot, suspends included.
        netns: "net:[inode]" of the reader, "" where /proc hides it.
    """

    uid: int
    gid: int
    capabilities: int
    page_size: int
    clock_ticks: int
    cpus: int
    release: str
    machine: str
    node: str
    realtime: float
    boottime: float
    netns: str


class Host(Protocol):
    """A machine, as seen from one place on it. Paths are absolute."""

    def read(self, path: str, limit: int = 4 * MIB) -> bytes:
        """The first `limit` bytes of a file."""

    def tail(self, path: str, limit: int = 256 * 1024) -> bytes:
        """The last `limit` bytes of a regular file (logs)."""

    def search(self, path: str, pattern: bytes) -> bytes:
        """The first match of a regular expression in a file (versions in binaries); b"" if none."""

    def listdir(self, path: str) -> tuple[str, ...]:
        """Names in a directory, sorted."""

    def readlink(self, path: str) -> str:
        """Target of a symbolic link, as it stands there."""

    def stat(self, path: str) -> Stat:
        """stat(2), links followed."""

    def disk(self, path: str) -> DiskSpace:
        """statvfs(3)."""

    def netlink(self, protocol: int, request: bytes) -> bytes:
        """All messages of one netlink dump, joined, without the final NLMSG_DONE.

        Args:
            protocol: NETLINK_ROUTE (0), NETLINK_SOCK_DIAG (4), …
            request: a whole nlmsghdr message with NLM_F_REQUEST | NLM_F_DUMP.

        Raises:
            OSError: errno of an NLMSG_ERROR answer.
        """

    def call(self, endpoint: Endpoint, request: bytes, timeout: float = 2.0) -> bytes:
        """Send one RPC request, return one whole reply, at most 8 MiB.

        Raises:
            TimeoutError: no whole reply in `timeout` seconds.
            RpcError: the reply is cut, foreign, or larger than 8 MiB.
        """

    def probe(self, name: str) -> bytes:
        """Result of a named harmless experiment on the kernel (host/probes.py), as text."""

    def reader(self) -> Reader:
        """Who reads, where and when."""

    def within(self, pid: int) -> Host:
        """The same machine as process `pid` sees it: its network namespace and its mount root.

        Paths below /proc and /sys keep the reader's process numbers, but /proc/sys/net and netlink
        speak of the namespace of `pid`; every other path is looked up below its root.

        Raises:
            OSError: the namespaces may not be entered (EACCES, EPERM), or `pid` is gone (ENOENT).
        """
