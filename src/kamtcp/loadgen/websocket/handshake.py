"""The upgrade of an HTTP/1.1 connection to a WebSocket that carries SIP.

Source  RFC 6455 sections 4 and 1.3; RFC 7118 section 4; RFC 9112 sections 3 to 5
"""

from __future__ import annotations

import base64
import hashlib
import os
import re

from msgspec import Struct

from kamtcp.errors import ParseError, UsageError

LARGEST = 16384  # bytes of a head; more is no answer to what is sent here
SUBPROTOCOL = b"sip"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_ANSWER, _REQUEST = "WebSocket upgrade", "WebSocket upgrade request"
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: |$)")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_PHRASES = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    426: "Upgrade Required",
    503: "Service Unavailable",
}


class Refused(ParseError):
    """The server answered the upgrade with another HTTP status than 101.

    Args:
        status: 100 to 599.
    """

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(_ANSWER, "HTTP status 101", status)


class UpgradeRequest(Struct, frozen=True):
    """What a client asked for.

    Args:
        path: request target, as sent. host: of the Host header. key: of Sec-WebSocket-Key.
        origin: of the Origin header, which browsers send; None without.
    """

    path: bytes
    host: bytes
    key: bytes
    origin: bytes | None


def new_key() -> bytes:
    """A Sec-WebSocket-Key: 16 random bytes as base64 has them (24 characters)."""
    return base64.b64encode(os.urandom(16))


def accept_of(key: bytes) -> bytes:
    """The Sec-WebSocket-Accept that proves that the server read `key`."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def client_request(host: str, path: str, key: bytes, origin: str | None = None) -> bytes:
    """The request that asks for SIP over WebSocket.

    Args:
        host: the server's name or address and port, as a URL has it.
        path: begins with a slash.
        key: from `new_key`.
        origin: as a browser would send it.

    Raises:
        UsageError: a text that can't stand in an HTTP request.
    """
    for what, text in (("host", host), ("path", path), ("origin", origin or "")):
        if not text.isascii() or any(letter <= " " or letter == "\x7f" for letter in text):
            raise UsageError(f"WebSocket {what}: expected printable ASCII without spaces, got {text!r}")
    if not path.startswith("/"):
        raise UsageError(f"WebSocket path: expected a leading slash, got {path!r}")
    asked = f"Origin: {origin}\r\n" if origin else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key.decode('ascii')}\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: sip\r\n{asked}\r\n"
    ).encode()


class Upgrade:
    """Reads one connection's answer to `client_request`, however it is split.

    Args:
        key: that was sent.
    """

    __slots__ = ("_held", "_key")

    def __init__(self, key: bytes) -> None:
        self._key, self._held = key, b""

    def feed(self, data: bytes) -> bytes | None:
        """Take the next bytes. None: more are needed; else the upgrade is done, and these bytes came behind it.

        Raises:
            Refused: the server answered with another HTTP status.
            ParseError: this is no answer to this key, or not one with subprotocol sip.
        """
        self._held += data
        begin = b"HTTP/1."
        if not self._held.startswith(begin[: len(self._held)]):
            raise ParseError(_ANSWER, "HTTP/1.1", self._held[:60])
        cut = split_head(self._held, _ANSWER)
        if cut is None:
            return None
        head, rest = cut
        self._held = b""
        self._check(head)
        return rest

    def _check(self, head: bytes) -> None:
        start, headers = _headers(head, _ANSWER)
        match = _STATUS.match(start)
        if match is None:
            raise ParseError(_ANSWER, "a status line of HTTP/1.1", start, 1)
        if match[1] != b"101":
            raise Refused(int(match[1]))
        _check_upgrade(headers, _ANSWER)
        accept = headers.get(b"sec-websocket-accept")
        if accept != accept_of(self._key):
            raise ParseError(_ANSWER, "the Sec-WebSocket-Accept of the key sent", accept)
        if headers.get(b"sec-websocket-protocol") != SUBPROTOCOL:
            raise ParseError(_ANSWER, "Sec-WebSocket-Protocol: sip", headers.get(b"sec-websocket-protocol"))
        if extensions := headers.get(b"sec-websocket-extensions"):
            raise ParseError(_ANSWER, "no extensions, for none were offered", extensions)


def split_head(data: bytes, source: str = _REQUEST) -> tuple[bytes, bytes] | None:
    """A whole head (without its empty line) and what follows; None while it isn't whole.

    Raises:
        ParseError: it is larger than `LARGEST`.
    """
    end = data.find(b"\r\n\r\n", 0, LARGEST + 4)
    if end >= 0:
        return data[:end], data[end + 4 :]
    if len(data) > LARGEST:
        raise ParseError(source, f"a head of at most {LARGEST} bytes", len(data))
    return None


def read_request(head: bytes) -> UpgradeRequest:
    """What a client asks for in a head that `split_head` gave.

    Raises:
        ParseError: this is no request for SIP over WebSocket version 13.
    """
    start, headers = _headers(head, _REQUEST)
    words = start.split(b" ")
    if len(words) != 3 or words[0] != b"GET" or words[2] != b"HTTP/1.1" or not words[1]:
        raise ParseError(_REQUEST, "GET PATH HTTP/1.1", start, 1)
    _check_upgrade(headers, _REQUEST)
    if headers.get(b"sec-websocket-version") != b"13":
        raise ParseError(_REQUEST, "Sec-WebSocket-Version: 13", headers.get(b"sec-websocket-version"))
    key = headers.get(b"sec-websocket-key", b"")
    if not _KEY.fullmatch(key):
        raise ParseError(_REQUEST, "a Sec-WebSocket-Key of 16 bytes", key)
    if SUBPROTOCOL not in _tokens(headers.get(b"sec-websocket-protocol", b"")):
        raise ParseError(_REQUEST, "Sec-WebSocket-Protocol: sip", headers.get(b"sec-websocket-protocol"))
    if b"host" not in headers:
        raise ParseError(_REQUEST, "a Host header", head)
    return UpgradeRequest(words[1], headers[b"host"], key, headers.get(b"origin"))


def server_answer(request_head: bytes) -> bytes:
    """The answer that accepts the request in this head.

    Raises:
        ParseError: as `read_request` does; answer such a client with `refusal`.
    """
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept_of(read_request(request_head).key) + b"\r\n"
        b"Sec-WebSocket-Protocol: sip\r\n\r\n"
    )


def refusal(status: int) -> bytes:
    """An answer that refuses the upgrade; the server closes behind it."""
    phrase = _PHRASES.get(status, "Refused")
    return f"HTTP/1.1 {status} {phrase}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def _headers(head: bytes, source: str) -> tuple[bytes, dict[bytes, bytes]]:
    """Start line and headers, names in lower case; of headers that come twice the values, joined by commas."""
    lines = head.split(b"\r\n")
    headers: dict[bytes, bytes] = {}
    for number, line in enumerate(lines[1:], start=2):
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            raise ParseError(source, "a header", line, number)
        key, value = name.lower(), value.strip(b" \t")
        headers[key] = headers[key] + b", " + value if key in headers else value
    return lines[0], headers


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip(b" \t") for token in value.split(b",")]


def _check_upgrade(headers: dict[bytes, bytes], source: str) -> None:
    if b"websocket" not in _tokens(headers.get(b"upgrade", b"").lower()):
        raise ParseError(source, "Upgrade: websocket", headers.get(b"upgrade"))
    if b"upgrade" not in _tokens(headers.get(b"connection", b"").lower()):
        raise ParseError(source, "Connection: Upgrade", headers.get(b"connection"))
