"""Plain peers: blocking sockets that are opened one by one, without epoll; to be used inside a namespace's thread."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager

NO_PORT = 24  # IP_BIND_ADDRESS_NO_PORT
CLIENT = "127.0.1.1"
SERVER = "127.0.0.1"
_OPTIONS = (
    f"OPTIONS sip:{SERVER} SIP/2.0\r\nVia: SIP/2.0/TCP {CLIENT};branch=z9hG4bKplain%d\r\nMax-Forwards: 70\r\n"
    f"From: <sip:plain@{CLIENT}>;tag=%d\r\nTo: <sip:plain@{SERVER}>\r\nCall-ID: plain%d\r\nCSeq: 1 OPTIONS\r\n"
    "Content-Length: 0\r\n\r\n"
)


def connect(address: str = SERVER, port: int = 5060) -> socket.socket:
    """A plain connection from `CLIENT`, its port chosen at connect(2)."""
    client = socket.socket()
    client.setsockopt(socket.IPPROTO_IP, NO_PORT, 1)
    try:
        client.bind((CLIENT, 0))
        client.connect((address, port))
    except BaseException:
        client.close()
        raise
    return client


class Peers:
    """Connections held by this process.

    Args:
        answer_timeout: seconds to wait for an answer.
    """

    def __init__(self, answer_timeout: float = 1.0) -> None:
        self.held: list[socket.socket] = []
        self._timeout = answer_timeout
        self._number = 0

    def open(self, count: int) -> str:
        """Open and ask, one after another; "" when all are answered, else how the first one was not."""
        for _ in range(count):
            client = connect()
            client.settimeout(self._timeout)
            self._number += 1
            try:
                client.sendall((_OPTIONS % ((self._number,) * 3)).encode())
                data = client.recv(4096)
            except OSError as error:
                client.close()
                return error.strerror or "no answer"
            if not data.startswith(b"SIP/2.0 200"):
                client.close()
                return "closed" if not data else "another answer"
            self.held.append(client)
        return ""

    def drop(self, count: int) -> None:
        """Close some, the oldest first."""
        for each in self.held[:count]:
            each.close()
        del self.held[:count]

    def close(self) -> None:
        for each in self.held:
            with contextlib.suppress(OSError):
                each.close()
        self.held.clear()


@contextmanager
def peers(answer_timeout: float = 1.0) -> Iterator[Peers]:
    """Closed at the end."""
    found = Peers(answer_timeout)
    try:
        yield found
    finally:
        found.close()
