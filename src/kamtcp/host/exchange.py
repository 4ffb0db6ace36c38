"""One question to a Kamailio RPC endpoint, one whole answer: the socket side of `Host.call`.

Needs   permission on the socket or FIFO (ctl: 0600 of the run user; jsonrpcs: 0660), for TCP and HTTP the network
        namespace of the server (the caller's thread is in it already), for datagrams see local.py
Cost    0.2 to 1 ms where the server is idle. Every call is one connection, closed at once: ctl serves at most 128

Errors: TimeoutError when no whole answer came in time, RpcError for one that is cut, foreign or above 8 MiB, and
OSError as the kernel gave it (ECONNREFUSED, ENOENT, EACCES, ENXIO: a FIFO that nobody reads).

The server sends with a timeout of 10 ms per reply and drops what did not fit, so nothing is done between two reads.

Source: Kamailio src/modules/ctl/io_listener.c, src/modules/jsonrpcs/jsonrpcs_{sock,fifo}.c, src/modules/xhttp.
"""

from __future__ import annotations

import _socket
import errno
import os
from collections.abc import Callable

from kamtcp.errors import ParseError, RpcError, UsageError
from kamtcp.host.awaited import MAX_REPLY, Deadline, connect_unix
from kamtcp.host.bare_socket import Socket
from kamtcp.host.door import MIB, Endpoint, Transport
from kamtcp.host.framing import http_head, reply_length
from kamtcp.host.inroot import in_root

_CHUNK = 256 * 1024


def exchange(endpoint: Endpoint, request: bytes, timeout: float, *, root: str = "") -> bytes:
    """Send one request, return one whole reply of at most 8 MiB.

    Args:
        endpoint: where to, and how messages are framed there.
        request: from kamailio.binrpc or kamailio.jsonrpc, whichever the transport speaks.
        timeout: seconds for all of it.
        root: where the server's root directory is seen from here ("/proc/831/root"), for paths.

    Raises:
        TimeoutError, RpcError, OSError: see above.
        UsageError: the address can't be one of this transport.
    """
    deadline = Deadline(timeout, endpoint.address)
    try:
        match endpoint.transport:
            case Transport.BINRPC_UNIX:
                path = in_root(root, endpoint.address)
                return _over_stream(unix_stream(path, deadline), request, _binrpc_size, deadline)
            case Transport.BINRPC_TCP:
                return _over_stream(tcp(endpoint.address, deadline), request, _binrpc_size, deadline)
            case Transport.JSON_HTTP:
                return _over_http(endpoint.address, request, deadline)
            case Transport.JSON_DGRAM:
                from kamtcp.host.local import ask_datagram

                return ask_datagram(endpoint.address, request, deadline, root)
            case Transport.JSON_FIFO:
                from kamtcp.host.local import ask_fifo

                return ask_fifo(endpoint, request, deadline, root)
    except ParseError as error:
        raise RpcError(f"{endpoint.address}: {error}") from error
    except TimeoutError as error:  # of a socket: "timed out" says neither where nor after what
        raise TimeoutError(deadline.what) from error


def unix_stream(path: str, deadline: Deadline) -> Socket:
    """Connect to a unix stream socket, however long its path is seen from here."""
    sock = Socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        connect_unix(sock, path, deadline)
    except BaseException:
        sock.close()
        raise
    return sock


def tcp(address: str, deadline: Deadline) -> Socket:
    """Connect to "ADDR:PORT" or "[ADDR]:PORT". Numbers only: a name server that hangs must not hang us.

    Raises:
        UsageError: not of that form.
    """
    host, _, port = address.rpartition(":")
    try:
        found = _socket.getaddrinfo(
            host.removeprefix("[").removesuffix("]").encode("ascii"),  # bytes: str would load the IDNA tables
            port.encode("ascii"),
            type=_socket.SOCK_STREAM,
            flags=_socket.AI_NUMERICHOST | _socket.AI_NUMERICSERV,
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"expected ADDR:PORT in numbers, got {address!r}") from error
    family, _, _, _, place = found[0]
    sock = Socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        # Before connect(), because the window scale is agreed in the SYN. (On unix sockets the sender's buffer is
        # the only one that counts, so it is set here alone.)
        sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, 4 * MIB)
        sock.settimeout(deadline.left())
        sock.connect(place)
    except BaseException:
        sock.close()
        raise
    if sock.getsockname() == sock.getpeername():
        # Nobody listens, and the kernel chose that very port as ours: it connects the socket to itself.
        sock.close()
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED), address)
    return sock


def _binrpc_size(got: bytearray) -> tuple[int, int] | None:
    size = reply_length(got)
    return None if size is None else (0, size)


def _http_size(got: bytearray) -> tuple[int, int] | None:
    head = http_head(got)
    return None if head is None else (head.size, head.size + head.body)


def _over_stream(
    sock: Socket,
    request: bytes,
    size_of: Callable[[bytearray], tuple[int, int] | None],
    deadline: Deadline,
) -> bytes:
    """Send, then read until `size_of` (what was got → begin and end of the reply in it, None: not known yet) is met."""
    with sock:
        sock.settimeout(deadline.left())
        sock.sendall(request)
        got, span = bytearray(), None
        while True:
            if span is None and (span := size_of(got)) is not None and span[1] > MAX_REPLY:
                raise RpcError(f"reply of {span[1]} bytes, more than {MAX_REPLY}")
            if span is not None and len(got) >= span[1]:
                if len(got) > span[1]:
                    raise RpcError(f"{len(got) - span[1]} bytes after the reply")
                return bytes(got[span[0] : span[1]])
            sock.settimeout(deadline.left())
            piece = sock.recv(_CHUNK)
            if not piece:
                whole = "unknown" if span is None else str(span[1])
                raise RpcError(f"reply cut after {len(got)} bytes of {whole}")
            got += piece


def _over_http(address: str, request: bytes, deadline: Deadline) -> bytes:
    """POST. An error status with a JSON body is an answer: jsonrpcs sends its faults as HTTP 500."""
    place, slash, path = address.removeprefix("http://").partition("/")
    if (
        not address.startswith("http://")
        or not (address.isascii() and address.isprintable())
        or " " in address
    ):
        raise UsageError(f"expected http://ADDR:PORT/PATH, got {address!r}")
    head = (
        f"POST {slash or '/'}{path} HTTP/1.1\r\nHost: {place}\r\nUser-Agent: kamtcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(request)}\r\nConnection: close\r\n\r\n"
    )
    body = _over_stream(tcp(place, deadline), head.encode("ascii") + request, _http_size, deadline)
    if not body.lstrip().startswith(b"{"):
        raise RpcError(f"{address}: answered without a JSON object: {body[:60]!r}")
    return body
