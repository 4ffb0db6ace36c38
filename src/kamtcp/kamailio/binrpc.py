"""BINRPC: the wire format of Kamailio's ctl module. Pure: bytes in, values out.

Packet = header (host/framing.py) + body. The body is a row of records: one byte `S(1 bit) size(3 bits) type(4 bits)`,
then `size` bytes of value (S=0), or `size` bytes of length and then the value (S=1). A struct is 0x03, members
(a name record, then a value record; the name may be missing), 0x83; an array is 0x04 … 0x84.

Two habits of the server that a plain reading of the format gets wrong:
 - A double is a 64-bit integer = value × 1000. One that needs all 8 bytes carries the size 8 in a 3-bit field: the
   header byte is 0x82, which looks like an end mark. Seen when shm.stats `free` goes below zero.
 - 64-bit numbers are sent as such doubles. Whole ones decode to int, so that BINRPC and JSON give equal values.

Source: Kamailio src/modules/ctl/binrpc.h (binrpc_write_int, binrpc_read_record), binrpc_run.c.
"""

from __future__ import annotations

from collections.abc import Sequence

from kamtcp.errors import ParseError, RpcFault
from kamtcp.host.framing import BINRPC_MAGIC, FAULT, REPLY, REQUEST, binrpc_header, reply_length
from kamtcp.kamailio.values import MAX_DEPTH, MAX_VALUES, Members, Value, Values

__all__ = ["COOKIE", "decode_reply", "encode_request", "reply_length"]

COOKIE = 0x6B616D74  # "kamt". Fixed: a request is the key under which a recording keeps its reply
MAX_REQUEST = 65_535  # bytes that ctl accepts

_INT, _STR, _DOUBLE, _STRUCT, _ARRAY, _NAME, _BYTES = range(7)
_SOURCE = "BINRPC reply"


def encode_request(method: str, args: Sequence[int | str] = (), cookie: int = COOKIE) -> bytes:
    """One request packet.

    Args:
        method: "core.tcp_info", ….
        args: sent as they are: the server converts nothing, so numbers must be int where the command wants one.
        cookie: 32 bits, echoed in the reply.

    Raises:
        ValueError: an argument can't be sent (a NUL, a number beyond 32 bits), or the packet exceeds 65,535 bytes.
    """
    if not 0 <= cookie < 1 << 32:
        raise ValueError(f"cookie {cookie} does not fit into 32 bits")
    body = b"".join(_record(value) for value in (method, *args))
    length = _minimal(len(body))
    cookie_bytes = _minimal(cookie)
    head = bytes((BINRPC_MAGIC, REQUEST << 4 | (len(length) - 1) << 2 | len(cookie_bytes) - 1))
    packet = head + length + cookie_bytes + body
    if len(packet) > MAX_REQUEST:
        raise ValueError(f"request of {len(packet)} bytes, ctl takes {MAX_REQUEST}")
    return packet


def decode_reply(data: bytes) -> Values:
    """The top-level values of one whole reply packet.

    Raises:
        RpcFault: the server refused; code and text as sent.
        ParseError: not one whole BINRPC reply, nested deeper than 32, or more than 200,000 values.
    """
    header = binrpc_header(data)
    if header is None or header.size + header.body != len(data):
        raise ParseError(_SOURCE, "one whole packet", data[:40])
    if header.kind not in (REPLY, FAULT):
        raise ParseError(_SOURCE, "a reply or a fault", header.kind)
    values = _Body(data, header.size).values()
    if header.kind == REPLY:
        return values
    code, text = [*values, None, None][:2]
    if not isinstance(code, int) or not isinstance(text, str):
        raise ParseError(_SOURCE, "code and text of a fault", values)
    raise RpcFault(code, text)


def _minimal(number: int) -> bytes:
    """An unsigned number in the fewest bytes, at least one."""
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")


def _record(value: int | str) -> bytes:
    if isinstance(value, int):
        if not -(1 << 31) <= value < 1 << 31:
            raise ValueError(f"{value} does not fit into 32 bits")
        digits = _minimal(value & 0xFFFFFFFF) if value else b""
        return bytes((len(digits) << 4 | _INT,)) + digits
    text = value.encode() + b"\0"
    if b"\0" in text[:-1]:
        raise ValueError(f"{value!r} has a NUL in it")
    if len(text) < 8:
        return bytes((len(text) << 4 | _STR,)) + text
    length = _minimal(len(text))
    return bytes((0x80 | len(length) << 4 | _STR,)) + length + text


class _Body:
    """One walk over the records of a body. Iterative: hostile nesting can't reach Python's stack."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.at = data, start

    def values(self) -> Values:
        # Each open level holds its type, its members, and the name that waits for its value.
        top: list[tuple[str | None, Value]] = []
        levels: list[tuple[int, list[tuple[str | None, Value]], str | None]] = []
        kind, members, name = _STRUCT, top, None
        seen = 0
        while self.at < len(self.data):
            seen += 1
            if seen > MAX_VALUES:
                raise ParseError(_SOURCE, f"at most {MAX_VALUES} values", "more")
            record, payload = self.record()
            if record in (_STRUCT, _ARRAY):
                if len(levels) >= MAX_DEPTH:
                    raise ParseError(_SOURCE, f"at most {MAX_DEPTH} levels", "more")
                levels.append((kind, members, name))
                kind, members, name = record, [], None
                continue
            if record in (-_STRUCT, -_ARRAY):
                if not levels or kind != -record or name is not None:
                    raise ParseError(_SOURCE, "an end mark that closes what is open", self.at)
                inner = self.closed(kind, members)
                kind, members, name = levels.pop()
                members.append((name, inner))
                name = None
            elif record == _NAME:
                if not levels or kind != _STRUCT or name is not None or not isinstance(payload, str):
                    raise ParseError(_SOURCE, "a name within a struct", self.at)
                name = payload
            else:
                members.append((name, payload))
                name = None
        if levels or name is not None:
            raise ParseError(_SOURCE, "structs closed at the end", f"{len(levels)} open")
        return [value for _, value in top]

    @staticmethod
    def closed(kind: int, members: list[tuple[str | None, Value]]) -> Value:
        return Members(tuple(members)) if kind == _STRUCT else tuple(value for _, value in members)

    def record(self) -> tuple[int, Value]:
        """The next record as (type, value); struct and array as (type, None), their end as (-type, None)."""
        head = self.data[self.at]
        self.at += 1
        kind, size = head & 0xF, head >> 4
        if kind in (_STRUCT, _ARRAY):
            if size not in (0, 8):
                raise ParseError(_SOURCE, "a struct or array mark", hex(head))
            return (-kind if size else kind), None
        if kind == _DOUBLE:
            if size > 8:  # 8 is the server's overflow into the S bit, not a long form
                raise ParseError(_SOURCE, "a double of at most 8 bytes", hex(head))
        elif size > 8:
            size = int.from_bytes(self.take(size - 8), "big")
        elif size == 8:
            raise ParseError(_SOURCE, "a record", hex(head))
        payload = self.take(size)
        if kind == _INT:
            return kind, self.integer(payload)
        if kind == _DOUBLE:
            return kind, self.double(payload)
        if kind in (_STR, _NAME):
            if payload[-1:] != b"\0":
                raise ParseError(_SOURCE, "a NUL at the end of a string", payload)
            return kind, payload[:-1].decode("utf-8", "replace")
        if kind == _BYTES:
            return kind, payload
        raise ParseError(_SOURCE, "a record type from 0 to 6", hex(head))

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise ParseError(_SOURCE, f"{size} bytes at {self.at}", len(self.data) - self.at)
        self.at += size
        return self.data[self.at - size : self.at]

    @staticmethod
    def integer(payload: bytes) -> int:
        if len(payload) > 4:
            raise ParseError(_SOURCE, "an int of at most 4 bytes", payload)
        # Only a 4-byte value can be negative: shorter ones had leading zero bytes taken off.
        return int.from_bytes(payload, "big", signed=len(payload) == 4)

    @staticmethod
    def double(payload: bytes) -> int | float:
        thousandths = int.from_bytes(payload, "big", signed=len(payload) == 8)
        if thousandths % 1000 and abs(thousandths) < 1 << 53:
            return thousandths / 1000
        # Above 2**53 the server itself had no thousandths any more: it multiplied as double, and saturated.
        return thousandths // 1000
