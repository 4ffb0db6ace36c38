"""Messages and attributes of route netlink, taken apart.

Source  Linux include/uapi/linux/netlink.h, rtnetlink.h; man netlink(7), rtnetlink(7)

Numbers are in the byte order of the machine that answered; all that kamtcp meets are little-endian,
so a recording is read as that wherever it is opened.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from kamtcp.errors import ParseError

NETLINK_ROUTE = 0

_HEADER = struct.Struct("<IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("<HH")  # length, type
_TYPE_MASK = 0x3FFF  # the upper two bits are flags (nested, network byte order)
_REQUEST_AND_DUMP = 0x301


def dump_request(message_type: int, body: bytes) -> bytes:
    """A whole dump request, as `Host.netlink` takes it."""
    return _HEADER.pack(_HEADER.size + len(body), message_type, _REQUEST_AND_DUMP, 1, 0) + body


def messages(source: str, data: bytes, wanted: int) -> Iterator[bytes]:
    """Bodies of all messages of one type; others (NLMSG_DONE, NLMSG_NOOP) are passed over.

    Raises:
        ParseError: a length that doesn't fit.
    """
    at = 0
    while at < len(data):
        if at + _HEADER.size > len(data):
            raise ParseError(source, "a netlink header of 16 bytes", len(data) - at)
        length, kind = _HEADER.unpack_from(data, at)[:2]
        if length < _HEADER.size or at + length > len(data):
            raise ParseError(source, "a message within the answer", f"length {length} at byte {at}")
        if kind == wanted:
            yield data[at + _HEADER.size : at + length]
        at += _aligned(length)


def attributes(source: str, data: bytes) -> dict[int, bytes]:
    """Attribute number to payload; of a repeated one the last.

    Raises:
        ParseError: a length that doesn't fit.
    """
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            raise ParseError(source, "an attribute within its message", f"length {length} at byte {at}")
        found[kind & _TYPE_MASK] = data[at + _ATTRIBUTE.size : at + length]
        at += _aligned(length)
    return found


def _aligned(length: int) -> int:
    return (length + 3) & ~3
