"""One netlink dump, received whole: the socket side, without any knowledge of what is dumped.

Reads   an AF_NETLINK socket of the namespace that the calling thread is in
Source  Linux net/netlink/af_netlink.c: netlink_dump(), netlink_recvmsg(), netlink_connect()
Needs   no privilege for most dumps
Cost    the kernel's. It fills one datagram per recv(2), of 32 KiB at most whatever is offered, so a larger
        buffer or recvmmsg(2) saves nothing. What we add is the touching of fresh memory (a tenth of the whole
        at 300,000 sockets; huge pages made no difference). So datagrams come into one small buffer that stays
        in the CPU's cache, and from there into a BytesIO, which grows by mremap(2) and hands out what it holds
        without a copy.
"""

from __future__ import annotations

import errno
import os
import struct
from _socket import AF_NETLINK, MSG_TRUNC, SO_RCVTIMEO, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET
from io import BytesIO

from kamtcp.host.bare_socket import Socket

HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port id
NLMSG_NOOP = 1
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLM_F_REQUEST = 0x1
NLM_F_MULTI = 0x2
NLM_F_DUMP = 0x300

_ROOM = 1 << 16  # bytes offered to recv(2): twice the largest datagram of a dump
_DONE = struct.Struct("=IHHIIi")  # NLMSG_DONE with the dump's result


def dump(protocol: int, request: bytes, *, bound: int = 1 << 30, timeout: float = 10.0) -> bytes:
    """Send one dump request, return all its messages joined, without the final NLMSG_DONE.

    Args:
        protocol: NETLINK_ROUTE (0), NETLINK_SOCK_DIAG (4), …
        request: a whole nlmsghdr message; its sequence number tells our answer from strays.
        bound: bytes the answer may take.
        timeout: seconds the kernel may take for each datagram.

    Raises:
        OSError: errno of an NLMSG_ERROR or of the dump itself; EMSGSIZE where the answer is larger than
            `bound`, or a datagram was cut; EBADMSG where the answer is not netlink.
        TimeoutError: no datagram in `timeout` seconds.
        ValueError: `request` is no netlink message.
    """
    if len(request) < HEADER.size:
        raise ValueError("request is shorter than a netlink header")
    sequence = HEADER.unpack_from(request)[3]
    with Socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol) as sock:
        sock.connect((0, 0))  # from now on the kernel refuses datagrams of anyone but itself
        micros = max(1, int(timeout * 1e6))
        sock.setsockopt(SOL_SOCKET, SO_RCVTIMEO, struct.pack("@ll", *divmod(micros, 1_000_000)))
        try:
            sock.send(request)
            return _receive(sock, sequence, bound)
        except BlockingIOError:
            raise TimeoutError(errno.ETIMEDOUT, f"netlink {protocol}: no answer in {timeout:g} s") from None


def _receive(sock: Socket, sequence: int, bound: int) -> bytes:
    """All datagrams of one dump, one after the other."""
    whole = BytesIO()
    room = memoryview(bytearray(_ROOM))
    while True:
        got = sock.recv_into(room, 0, MSG_TRUNC)
        if got > _ROOM:
            raise OSError(errno.EMSGSIZE, f"netlink datagram of {got} bytes was cut")
        taken, ended = _judge(room[:got], sequence)
        whole.write(room[:taken])
        if whole.tell() > bound:
            raise OSError(errno.EMSGSIZE, f"netlink dump is larger than {bound} bytes")
        if ended:
            return whole.getvalue()


def _judge(datagram: memoryview, sequence: int) -> tuple[int, bool]:
    """How many bytes of a datagram belong to the answer, and whether it is the last one.

    The kernel makes a datagram for one dump only, so its first header speaks for all messages in it, and
    only a datagram whose end looks like NLMSG_DONE is walked message by message.
    """
    size = len(datagram)
    if size < HEADER.size:
        raise OSError(errno.EBADMSG, f"netlink datagram of {size} bytes has no header")
    _, kind, flags, seen, _ = HEADER.unpack_from(datagram)
    if seen != sequence:
        return 0, False  # the answer to something that was asked before
    if kind <= NLMSG_DONE:
        return _walk(datagram)
    if not flags & NLM_F_MULTI:  # a single answer, nothing follows
        return size, True
    if size >= _DONE.size and _DONE.unpack_from(datagram, size - _DONE.size)[:2] == (_DONE.size, NLMSG_DONE):
        return _walk(datagram)
    return size, False


def _walk(datagram: memoryview) -> tuple[int, bool]:
    """`_judge` message by message, up to NLMSG_DONE or an error."""
    at, size = 0, len(datagram)
    while at + HEADER.size <= size:
        length, kind, *_ = HEADER.unpack_from(datagram, at)
        if length < HEADER.size or at + length > size:
            raise OSError(errno.EBADMSG, f"netlink message of {length} bytes in {size - at}")
        if kind in (NLMSG_ERROR, NLMSG_DONE):
            code = struct.unpack_from("=i", datagram, at + HEADER.size)[0] if length >= 20 else 0
            if code < 0:
                raise OSError(-code, os.strerror(-code))
            return at, True  # an NLMSG_ERROR of 0 is an acknowledgement: nothing was dumped
        at += (length + 3) & ~3
    return min(at, size), False
