"""Two hosts for tests: a tree of files, and this machine in its plainest form.

`TreeHost` raises what the kernel would: OSError with an errno, never something of its own.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
from pathlib import Path

from kamtcp.errors import NotRecorded
from kamtcp.host.door import MIB, DiskSpace, Endpoint, Host, Reader, Stat

READER = Reader(
    uid=0,
    gid=0,
    capabilities=(1 << 41) - 1,
    page_size=4096,
    clock_ticks=100,
    cpus=2,
    release="6.18.0",
    machine="x86_64",
    node="sip1",
    realtime=1_800_000_000.0,
    boottime=1000.0,
    netns="net:[4026531833]",
)


def oserror(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


class TreeHost:
    """A machine made of a dictionary.

    Args:
        files: path to content, or to the errno that opening it gives.
        links: path to target.
        netlink: message type of the request to the answer.
        namespaces: pid to the host that `within` gives.
    """

    def __init__(self, files=None, links=None, *, netlink=None, namespaces=None, sizes=None, reader=READER):
        self.files = dict(files or {})
        self.links = dict(links or {})
        self.answers = dict(netlink or {})
        self.namespaces = dict(namespaces or {})
        self.sizes = dict(sizes or {})  # path of a directory to the size that stat gives
        self._reader = reader
        self.asked = []

    @classmethod
    def below(cls, root, **more) -> TreeHost:
        """All files and links below a directory; `root/proc/uptime` is /proc/uptime."""
        root = Path(root)
        found = [path for path in root.rglob("*") if path.is_symlink() or path.is_file()]
        name = {path: "/" + str(path.relative_to(root)) for path in found}
        files = {name[path]: path.read_bytes() for path in found if not path.is_symlink()}
        return cls(files, {name[path]: os.readlink(path) for path in found if path.is_symlink()}, **more)

    def read(self, path: str, limit: int = 4 * MIB) -> bytes:
        self.asked.append(path)
        if path.startswith("/proc/sys/") and limit >= 4 * MIB:
            raise oserror(errno.ENOMEM, path)  # as the kernel does
        content = self.files.get(path)
        if content is None:
            raise oserror(errno.EISDIR if self._children(path) else errno.ENOENT, path)
        if isinstance(content, int):
            raise oserror(content, path)
        return content[:limit]

    def tail(self, path: str, limit: int = 256 * 1024) -> bytes:
        return self.read(path)[-limit:]

    def search(self, path: str, pattern: bytes) -> bytes:
        found = re.search(pattern, self.read(path))
        return found.group() if found else b""

    def listdir(self, path: str) -> tuple[str, ...]:
        if isinstance(self.files.get(path), int):
            raise oserror(self.files[path], path)
        children = self._children(path)
        if not children:
            raise oserror(errno.ENOENT, path)
        return tuple(sorted(children))

    def readlink(self, path: str) -> str:
        if path in self.links:
            return self.links[path]
        if path in self.files or self._children(path):
            number = self.files.get(path)
            raise oserror(number if isinstance(number, int) else errno.EINVAL, path)
        raise oserror(errno.ENOENT, path)

    def stat(self, path: str) -> Stat:
        if self._children(path):
            return Stat(self.sizes.get(path, 0), 1, 0, 0, 0o040555, 0.0)
        content = self.read(path)
        return Stat(len(content), 1, 0, 0, 0o020666 if path.startswith("/dev/") else 0o100640, 1.0)

    def disk(self, path: str) -> DiskSpace:
        return DiskSpace(100 << 30, 50 << 30)

    def netlink(self, protocol: int, request: bytes) -> bytes:
        kind = struct.unpack_from("=H", request, 4)[0]
        answer = self.answers.get(kind)
        if answer is None:
            raise oserror(errno.EOPNOTSUPP, "netlink")
        return answer

    def call(self, endpoint: Endpoint, request: bytes, timeout: float = 2.0) -> bytes:
        raise oserror(errno.ECONNREFUSED, endpoint.address)

    def probe(self, name: str) -> bytes:
        raise NotRecorded(name)

    def reader(self) -> Reader:
        return self._reader

    def within(self, pid: int) -> Host:
        if pid not in self.namespaces:
            raise oserror(errno.ENOENT, f"/proc/{pid}/ns/net")
        return self.namespaces[pid]

    def _children(self, path: str) -> set[str]:
        prefix = path.rstrip("/") + "/"
        names = (*self.files, *self.links)
        return {name[len(prefix) :].partition("/")[0] for name in names if name.startswith(prefix)}


class ThisHost(TreeHost):
    """The machine that the test runs on, in the namespaces of the test."""

    def read(self, path: str, limit: int = 4 * MIB) -> bytes:
        fd = os.open(path, os.O_RDONLY)
        try:
            parts, size = [], 0
            while size < limit and (part := os.read(fd, min(65536, limit - size))):
                parts.append(part)
                size += len(part)
            return b"".join(parts)
        finally:
            os.close(fd)

    def tail(self, path: str, limit: int = 256 * 1024) -> bytes:
        with open(path, "rb") as file:
            file.seek(max(0, os.stat(path).st_size - limit))
            return file.read(limit)

    def listdir(self, path: str) -> tuple[str, ...]:
        return tuple(sorted(os.listdir(path)))

    def readlink(self, path: str) -> str:
        return os.readlink(path)

    def stat(self, path: str) -> Stat:
        s = os.stat(path)
        return Stat(s.st_size, s.st_ino, s.st_uid, s.st_gid, s.st_mode, s.st_mtime)

    def netlink(self, protocol: int, request: bytes) -> bytes:
        parts = []
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as sock:
            sock.send(request)
            while True:
                data = sock.recv(1 << 17)
                at = 0
                while at < len(data):
                    length, kind = struct.unpack_from("=IH", data, at)
                    if kind == 3:  # NLMSG_DONE
                        return b"".join(parts)
                    if kind == 2:  # NLMSG_ERROR
                        raise oserror(-struct.unpack_from("=i", data, at + 16)[0], "netlink")
                    parts.append(data[at : at + length])
                    at += (length + 3) & ~3

    def within(self, pid: int) -> Host:
        raise oserror(errno.EPERM, f"/proc/{pid}/ns/net")
