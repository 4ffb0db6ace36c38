"""A process with a ctl socket that answers as it was told: hang, lie, flood. Run as a program by test_wrong_inputs.py.

python fake_kamailio.py SOCKET BEHAVIOUR
"""

from __future__ import annotations

import os
import socket
import sys

VERSION = b"kamailio 5.6.3 (x86_64/linux)"


def text(value: bytes) -> bytes:
    """One string record of BINRPC."""
    size = len(value) + 1
    return (bytes((size << 4 | 1,)) if size < 8 else bytes((0x91, size))) + value + b"\0"


def reply(cookie: bytes, body: bytes, size: int | None = None) -> bytes:
    """A whole reply; `size` is what its header says of the body."""
    length = (len(body) if size is None else size).to_bytes(4, "big")
    return bytes((0xA1, 0x1 << 4 | 3 << 2 | len(cookie) - 1)) + length + cookie + body


def answer(connection: socket.socket, behaviour: str) -> None:
    """Answer one request, or don't."""
    request = connection.recv(65536)
    if len(request) < 4:
        return
    sizes = request[1]
    start = 2 + (sizes >> 2 & 3) + 1
    cookie = request[start : start + (sizes & 3) + 1]
    first = b"core.version" in request
    if behaviour == "hang" or (behaviour == "hang later" and not first):
        while connection.recv(65536):
            pass
    elif behaviour == "garbage":
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n\xff\x00" * 20)
    elif behaviour == "close":
        return
    elif behaviour == "cut":
        connection.sendall(reply(cookie, text(VERSION))[:-9])
    elif behaviour == "says 50 MB":
        connection.sendall(reply(cookie, b"", 50 << 20))
        connection.recv(1)
    elif behaviour == "sends 50 MB":
        piece = text(b"x" * 200) * 4000
        connection.sendall(reply(cookie, b"", 50 << 20))
        for _ in range((50 << 20) // len(piece)):
            connection.sendall(piece)
    elif behaviour == "nonsense later" and not first:
        connection.sendall(reply(cookie, b"\xff\x13\x37" * 50))
    elif behaviour == "many" and not first:
        connection.sendall(reply(cookie, b"\x10" * (1 << 18)))
    else:  # "version": the version to everything
        connection.sendall(reply(cookie, text(VERSION)))


def main() -> None:
    path, behaviour = sys.argv[1:]
    server = socket.socket(socket.AF_UNIX)
    server.bind(path)
    if behaviour == "denied":
        os.chmod(path, 0)
    server.listen(16)
    print("up", flush=True)
    while True:
        connection, _ = server.accept()
        with connection:
            try:
                answer(connection, behaviour)
            except OSError:  # the client has had enough
                continue


if __name__ == "__main__":
    main()
