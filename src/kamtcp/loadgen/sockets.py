"""What is asked of a connected socket by its descriptor alone.

Source  socket(7), SO_LINGER; tcp(7), TCP_INFO; Linux include/uapi/linux/tcp.h, struct tcp_info
"""

from __future__ import annotations

import socket
import struct
from _socket import socket as RawSocket  # noqa: N812  (the C type: half the cost of its Python subclass to make)

_RESET = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds
_RETRANS = struct.Struct("<100xI")  # of struct tcp_info: tcpi_total_retrans


def reset(fd: int) -> None:
    """Close with RST, whatever is in flight."""
    sock = RawSocket(socket.AF_INET, socket.SOCK_STREAM, 0, fd)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()


def retransmissions(fd: int) -> int:
    """Segments that this connection sent again, its SYN included. Source: tcp(7), TCP_INFO."""
    sock = RawSocket(socket.AF_INET, socket.SOCK_STREAM, 0, fd)
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    except OSError:
        return 0
    finally:
        sock.detach()
    return int(_RETRANS.unpack(info)[0]) if len(info) == _RETRANS.size else 0


def error_of(fd: int) -> int:
    """The errno that waits for it, 0 if none does; it is taken."""
    sock = RawSocket(socket.AF_INET, socket.SOCK_STREAM, 0, fd)
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    sock.detach()
    return code
