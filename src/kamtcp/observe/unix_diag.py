"""The Unix-domain sockets of one network namespace: send buffers, paths, who is connected to whom.

Reads   a unix_diag dump (kernels without CONFIG_UNIX_DIAG answer ENOENT)
Source  Linux net/unix/diag.c: unix_diag_dump(), sk_diag_fill(); include/uapi/linux/unix_diag.h
Needs   no privilege
Cost    about 1 us per socket

Kamailio hands connections from tcp main to its workers over socketpairs: their send buffer bounds the
hand-off burst, and only the kernel tells it. Control sockets are found by path here even where the directory
can't be read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.inet_diag import NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, Buffer

SOURCE = "unix_diag"
AF_UNIX = 1
SHOW_NAME, SHOW_PEER, SHOW_RQLEN, SHOW_MEMINFO = 0x1, 0x4, 0x10, 0x20
ATTR_NAME, ATTR_PEER, ATTR_RQLEN, ATTR_MEMINFO = 0, 2, 4, 5
MESSAGE = 32  # nlmsghdr and struct unix_diag_msg

# nlmsghdr, then unix_diag_req: family, protocol, pad, states, inode, show, cookie
_REQUEST = struct.Struct("=IHHIIBBHIIIII")
REQUEST = _REQUEST.pack(
    40, SOCK_DIAG_BY_FAMILY, 0x301, 1, 0, AF_UNIX, 0, 0, 0xFFFFFFFF, 0,
    SHOW_NAME | SHOW_PEER | SHOW_RQLEN | SHOW_MEMINFO, 0, 0,
)  # fmt: skip
_HEAD = struct.Struct("=IH10xBBBxI")  # length, message type, family, socket type, state, inode
_SKMEMINFO = struct.Struct("=9I")


class Type(IntEnum):
    """Socket types of AF_UNIX."""

    STREAM = 1
    DGRAM = 2
    SEQPACKET = 5


class UnixSocket(Struct, frozen=True):
    """One Unix-domain socket.

    Args:
        inode: as in the links of /proc/PID/fd.
        type: a number of `Type`. state: 1 connected, 7 not connected, 10 listening.
        path: of the socket as it was bound, "@…" for an abstract name, "" for none (a socketpair has none).
        peer: inode of the other end; 0 where there is none.
        rqueue: bytes not read; listening: connections waiting.
        wqueue: memory of what the peer has not read (as `wmem_alloc`); listening: the backlog.
        sndbuf, rcvbuf: bounds in bytes as the kernel keeps them, twice what SO_SNDBUF and SO_RCVBUF set.
        wmem_alloc: bytes of `sndbuf` in use, with the kernel's overhead per message.
    """

    inode: int
    type: int
    state: int
    path: str
    peer: int
    rqueue: int | Absent
    wqueue: int | Absent
    sndbuf: int | Absent
    rcvbuf: int | Absent
    wmem_alloc: int | Absent


def collect(host: Host) -> tuple[UnixSocket, ...]:
    """Every Unix-domain socket of the namespace, ascending by inode."""
    return parse(host.netlink(NETLINK_SOCK_DIAG, REQUEST))


def parse(data: Buffer) -> tuple[UnixSocket, ...]:
    """Decode a dump.

    Raises:
        ParseError: not a unix_diag dump.
    """
    return tuple(sorted(_messages(memoryview(data).cast("B")), key=lambda one: one.inode))


def _messages(view: memoryview) -> Iterator[UnixSocket]:
    at, size = 0, len(view)
    while at < size:
        if size - at < MESSAGE:
            raise ParseError(SOURCE, f"a message of at least {MESSAGE} bytes at byte {at}", size - at)
        length, message, family, kind, state, inode = _HEAD.unpack_from(view, at)
        if message != SOCK_DIAG_BY_FAMILY or family != AF_UNIX:
            raise ParseError(SOURCE, f"a Unix socket at byte {at}", f"type {message}, family {family}")
        if length < MESSAGE or length > size - at:
            raise ParseError(SOURCE, f"a message length from {MESSAGE} to {size - at} at byte {at}", length)
        held = dict(_attributes(view[at + MESSAGE : at + length]))
        yield _socket(inode, kind, state, held)
        at += (length + 3) & ~3


def _attributes(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    at, size = 0, len(view)
    while at + 4 <= size:
        length, kind = struct.unpack_from("=HH", view, at)
        if length < 4 or at + length > size:
            raise ParseError(SOURCE, f"an attribute length from 4 to {size - at}", length)
        yield kind & 0x3FFF, view[at + 4 : at + length]
        at += (length + 3) & ~3


def _socket(inode: int, kind: int, state: int, held: dict[int, memoryview]) -> UnixSocket:
    missing = Absent(SOURCE, Why.MISSING)
    rqueue: int | Absent = missing
    wqueue: int | Absent = missing
    sndbuf: int | Absent = missing
    rcvbuf: int | Absent = missing
    used: int | Absent = missing
    peer = 0
    if len(held.get(ATTR_RQLEN, b"")) >= 8:
        rqueue, wqueue = struct.unpack_from("=II", held[ATTR_RQLEN])
    if len(held.get(ATTR_MEMINFO, b"")) >= _SKMEMINFO.size:
        _, rcvbuf, used, sndbuf, *_ = _SKMEMINFO.unpack_from(held[ATTR_MEMINFO])
    if len(held.get(ATTR_PEER, b"")) >= 4:
        (peer,) = struct.unpack_from("=I", held[ATTR_PEER])
    path = _path(bytes(held.get(ATTR_NAME, b"")))
    return UnixSocket(inode, kind, state, path, peer, rqueue, wqueue, sndbuf, rcvbuf, used)


def _path(raw: bytes) -> str:
    """A name as `ss -x` shows it; bytes that are no UTF-8 escaped in hex, so that it can be written to JSON."""
    if raw.startswith(b"\0"):
        return "@" + raw[1:].decode(errors="backslashreplace")
    return raw.split(b"\0", 1)[0].decode(errors="backslashreplace")
