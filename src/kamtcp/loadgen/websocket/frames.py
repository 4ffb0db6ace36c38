"""Frames of RFC 6455, and the messages they make up.

No extensions, so no reserved bit may be set. Text isn't checked for UTF-8: what it carries is SIP, whose parser
judges the bytes.

Source  RFC 6455 sections 5 and 7.1.5
Cost    masking takes 0.2 us for 40 bytes, 0.6 us for 500; cutting a whole frame from what recv(2) gave about 1 us
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_CONTINUATION = 0x0
_OPCODES = frozenset((_CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))

LARGEST = 65536  # bytes of one message, all of its fragments together
_LARGE = 2048  # bytes from which numpy masks faster than one long integer does
_CONTROL = 125  # bytes of a control frame's payload
_SOURCE = "WebSocket frame"


class Frame(Struct, frozen=True):
    """One message (its fragments joined) or one control frame.

    Args:
        opcode: TEXT, BINARY, CLOSE, PING or PONG.
        payload: unmasked.
    """

    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int | None:
        """The status of a CLOSE (1000: normal), None where it has none."""
        return int.from_bytes(self.payload[:2], "big") if self.payload else None


def mask_bytes(data: bytes | bytearray | memoryview, key: bytes) -> bytes:
    """`data` with the 4 bytes of `key` over it, again and again; the same once more gives `data` back."""
    size = len(data)
    if size >= _LARGE:
        import numpy as np

        words = np.frombuffer(bytes(data) + bytes(-size % 4), np.uint32)
        return (words ^ np.frombuffer(key, np.uint32)).tobytes()[:size]
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")


def frame(opcode: int, payload: bytes, mask: bytes | None = None) -> bytes:
    """One whole message or control frame.

    Args:
        opcode: one of the five.
        payload: at most 125 bytes for CLOSE, PING and PONG.
        mask: 4 bytes that nobody can guess, from a client; None from a server.

    Raises:
        ValueError: a control frame larger than the protocol has it.
    """
    size = len(payload)
    if opcode >= CLOSE and size > _CONTROL:
        raise ValueError(f"a control frame carries at most {_CONTROL} bytes, not {size}")
    bit = 0 if mask is None else 0x80
    if size < 126:
        head = bytes((0x80 | opcode, bit | size))
    elif size < 0x10000:
        head = bytes((0x80 | opcode, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, bit | 127)) + size.to_bytes(8, "big")
    return head + payload if mask is None else head + mask + mask_bytes(payload, mask)


def close_frame(code: int = 1000, mask: bytes | None = None) -> bytes:
    """A CLOSE with a status: 1000 normal, 1002 protocol error, 1009 too large (RFC 6455 section 7.4.1)."""
    return frame(CLOSE, code.to_bytes(2, "big"), mask)


class Frames:
    """Cuts messages and control frames out of one connection's bytes, however they are split.

    Args:
        masked: whether the peer masks: a client must, a server must not.
        largest: bytes of one message, at most.
    """

    __slots__ = ("_held", "_largest", "_masked", "_opcode", "_parts", "_room", "closed")

    def __init__(self, *, masked: bool, largest: int = LARGEST) -> None:
        self._masked, self._largest = masked, largest
        self._held: bytes | bytearray = b""
        self._opcode = 0  # of the message whose first fragments are in `_parts`
        self._parts: list[bytes] | None = None
        self._room = largest  # what the next fragment may have
        self.closed = False  # a CLOSE was read; what follows it is no more looked at

    def feed(self, data: bytes) -> tuple[Frame, ...]:
        """Take the next bytes; give what they complete, in order.

        Raises:
            ParseError: the peer broke the protocol or its message is too large; the connection is of no use any more.
        """
        if self._held:
            self._held += data  # a bytearray: bytes that trickle in aren't copied again each time
            seen: bytes | bytearray = self._held
        else:
            seen = data
        found: list[Frame] = []
        place = 0
        while not self.closed:
            cut = self._cut(seen, place)
            if cut is None:
                break
            first, begin, place = cut
            payload = bytes(seen[begin:place])
            if self._masked:
                payload = mask_bytes(payload, bytes(seen[begin - 4 : begin]))
            whole = self._join(first, payload)
            if whole is not None:
                found.append(whole)
        if self.closed or place == len(seen):
            self._held = b""
        elif place or seen is data:
            self._held = bytearray(seen[place:])
        return tuple(found)

    def _cut(self, seen: bytes | bytearray, place: int) -> tuple[int, int, int] | None:
        """First byte, begin and end of the payload of the frame at `place`; None while it isn't all there."""
        have = len(seen) - place
        if have < 1:
            return None
        first = seen[place]
        opcode = first & 0x0F
        if first & 0x70 or opcode not in _OPCODES:
            raise ParseError(_SOURCE, "an opcode without reserved bits", hex(first))
        if have < 2:
            return None
        second = seen[place + 1]
        if (second >= 0x80) is not self._masked:
            raise ParseError(_SOURCE, "a masked frame" if self._masked else "an unmasked frame", hex(second))
        size, begin = second & 0x7F, place + 2
        if opcode >= CLOSE and (size > _CONTROL or first < 0x80):
            raise ParseError(_SOURCE, f"a whole control frame of at most {_CONTROL} bytes", hex(second))
        if size >= 126:
            width = 2 if size == 126 else 8
            if have < 2 + width:
                return None
            size = int.from_bytes(seen[begin : begin + width], "big")
            if size < (126 if width == 2 else 0x10000):
                raise ParseError(_SOURCE, "the shortest form of a length", size)
            begin += width
        if size > (self._room if opcode < CLOSE else _CONTROL):
            raise ParseError(_SOURCE, f"a message of at most {self._largest} bytes", size)
        if self._masked:
            begin += 4
        end = begin + size
        return (first, begin, end) if end <= len(seen) else None

    def _join(self, first: int, payload: bytes) -> Frame | None:
        opcode, final = first & 0x0F, first >= 0x80
        if opcode >= CLOSE:
            if opcode == CLOSE:
                if len(payload) == 1:
                    raise ParseError(_SOURCE, "a CLOSE with a status of two bytes, or with none", payload)
                self.closed = True
            return Frame(opcode, payload)
        if (opcode == _CONTINUATION) is (self._parts is None):
            raise ParseError(_SOURCE, "fragments in turn", f"opcode {opcode}")
        if self._parts is None:
            if final:
                return Frame(opcode, payload)
            self._opcode, self._parts = opcode, []
        self._room -= len(payload)
        if payload:  # a peer may send empty fragments for ever
            self._parts.append(payload)
        if not final:
            return None
        whole = Frame(self._opcode, b"".join(self._parts))
        self._parts, self._room = None, self._largest
        return whole
