"""Where does one RPC message end? Pure: bytes in, lengths out.

A stream gives bytes in pieces; these functions tell from the first ones how many belong to the reply, so that a
reader knows when to stop, and refuses a reply that would be too long before it has read it.

Source: Kamailio src/modules/ctl/binrpc.h (packet header), RFC 9112 sections 2.1, 6 (HTTP/1.1 messages).
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError

BINRPC_MAGIC = 0xA1  # high nibble: magic; low nibble: version 1
REQUEST, REPLY, FAULT = 0, 1, 3
MAX_HTTP_HEAD = 64 * 1024


class BinrpcHeader(Struct, frozen=True):
    """The first 4 to 10 bytes of a BINRPC packet.

    Args:
        kind: REQUEST, REPLY or FAULT.
        size: bytes of the header itself. body: bytes of the body that follows. cookie: as sent by the asker.
    """

    kind: int
    size: int
    body: int
    cookie: int


def binrpc_header(prefix: bytes | bytearray) -> BinrpcHeader | None:
    """Read the header at the start of `prefix`; None while too few bytes are there to tell.

    Raises:
        ParseError: this is no BINRPC packet of version 1.
    """
    if prefix and prefix[0] != BINRPC_MAGIC:
        raise ParseError("BINRPC header", "0xa1 (magic and version)", bytes(prefix[:1]))
    if len(prefix) < 2:
        return None
    kind, lengths = prefix[1] >> 4, prefix[1] & 0xF
    if kind not in (REQUEST, REPLY, FAULT):
        raise ParseError("BINRPC header", "packet type 0, 1 or 3", kind)
    body_end = 2 + (lengths >> 2) + 1
    size = body_end + (lengths & 3) + 1
    if len(prefix) < size:
        return None
    return BinrpcHeader(
        kind, size, int.from_bytes(prefix[2:body_end], "big"), int.from_bytes(prefix[body_end:size], "big")
    )


def reply_length(prefix: bytes | bytearray) -> int | None:
    """Bytes of the whole BINRPC packet that starts with `prefix`; None while too few bytes are there to tell.

    Raises:
        ParseError: this is no BINRPC packet.
    """
    header = binrpc_header(prefix)
    return None if header is None else header.size + header.body


class HttpHead(Struct, frozen=True):
    """Status line and the one header that matters.

    Args:
        status: 200, 404, … reason: text after it.
        size: bytes of the head, empty line included. body: bytes of the body that follows.
    """

    status: int
    reason: str
    size: int
    body: int


def http_head(prefix: bytes | bytearray) -> HttpHead | None:
    """Read the head of an HTTP/1.x reply; None while its empty line has not come.

    Raises:
        ParseError: no HTTP reply, a head above 64 KiB, or a body whose length is not stated (xhttp always states it).
    """
    if not b"HTTP/1."[: len(prefix)] == prefix[:7]:
        raise ParseError("HTTP reply", "HTTP/1.x", bytes(prefix[:16]))
    end = prefix.find(b"\r\n\r\n", 0, MAX_HTTP_HEAD)
    if end < 0:
        if len(prefix) >= MAX_HTTP_HEAD:
            raise ParseError("HTTP reply", "a head of at most 64 KiB", bytes(prefix[:16]))
        return None
    first, *lines = prefix[:end].decode("latin-1").split("\r\n")
    status = first.split(" ", 2)
    if len(status) < 2 or not (status[1].isascii() and status[1].isdigit() and len(status[1]) == 3):
        raise ParseError("HTTP reply", "a status of three digits", first)
    for line in lines:
        name, _, text = line.partition(":")
        if name.strip().lower() == "content-length":
            text = text.strip()
            if not (text.isascii() and text.isdigit() and len(text) < 16):
                raise ParseError("HTTP reply", "a number as Content-Length", text)
            return HttpHead(int(status[1]), status[2] if len(status) > 2 else "", end + 4, int(text))
    raise ParseError("HTTP reply", "a Content-Length", first)


def with_reply_name(request: bytes, name: str) -> bytes:
    r"""A JSON-RPC request with the member that tells the FIFO server where to answer.

    It is put in here, at the last moment, because the name differs in every call while requests are the keys of
    recordings. Kamailio refuses names with `.`, `/` or `\`.

    Raises:
        ParseError: `request` is no JSON object with members.
    """
    if not request.startswith(b"{") or request[1:].lstrip()[:1] in (b"}", b""):
        raise ParseError("JSON-RPC request", "an object", request)
    return b'{"reply_name":"%s",' % name.encode("ascii") + request[1:]
