"""Cuts SIP requests out of a stream, and reads what an answer needs of them.

Source  RFC 3261 sections 7, 18.3, 20 (compact names); RFC 5626 section 3.5.1 (a ping is two CRLF, its pong one)
Cost    about 4 us per request
"""

from __future__ import annotations

from kamtcp.errors import ParseError

LARGEST = 65536  # bytes of one message, and of what is kept of one that isn't whole
_HEAD = 16384  # bytes of its head
PING, PONG = b"\r\n\r\n", b"\r\n"
_SOURCE = "SIP request"
_COMPACT = {
    b"v": b"via",
    b"f": b"from",
    b"t": b"to",
    b"i": b"call-id",
    b"m": b"contact",
    b"l": b"content-length",
}
_END = b"\r\n\r\n"


class Request:
    """One request. `copied` are the header lines that its answer repeats: Via, From, To, Call-ID, CSeq.

    A plain class with slots: one is made for each request, and lives for some microseconds.
    """

    __slots__ = (
        "authorization",
        "call_id",
        "contacts",
        "expires",
        "length",
        "line",
        "method",
        "sender",
        "to",
        "vias",
    )

    def __init__(self, head: bytes) -> None:
        """Read a head without its empty line.

        Raises:
            ParseError: it is none, or lacks a header that every request has.
        """
        lines = head.split(b"\r\n")
        method, _, rest = lines[0].partition(b" ")
        if not rest.endswith(b" SIP/2.0") or not method.isalpha():
            raise ParseError(_SOURCE, "METHOD URI SIP/2.0", lines[0], 1)
        self.method = method
        self.vias: list[bytes] = []
        self.contacts: list[bytes] = []
        self.sender = self.to = self.call_id = self.line = b""
        self.authorization = self.expires = b""
        self.length: int | None = None
        for line in _unfold(lines[1:]):
            name, colon, value = line.partition(b":")
            key = name.strip().lower()
            match _COMPACT.get(key, key):
                case b"via":
                    self.vias.append(value.strip())
                case b"from":
                    self.sender = value.strip()
                case b"to":
                    self.to = value.strip()
                case b"call-id":
                    self.call_id = value.strip()
                case b"cseq":
                    self.line = value.strip()
                case b"contact":
                    self.contacts.append(value.strip())
                case b"expires":
                    self.expires = value.strip()
                case b"authorization":
                    self.authorization = value.strip()
                case b"content-length":
                    self.length = _length(value.strip())
                case _:
                    if not colon:
                        raise ParseError(_SOURCE, "a header", line)
        if not (self.vias and self.sender and self.to and self.call_id and self.line):
            raise ParseError(_SOURCE, "Via, From, To, Call-ID and CSeq", head)


def _unfold(lines: list[bytes]) -> list[bytes]:
    """Headers a line each: one that begins with a blank goes on with the one before (RFC 3261 section 7.3.1)."""
    if not any(line[:1] in (b" ", b"\t") for line in lines):
        return lines
    whole: list[bytes] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and whole:
            whole[-1] += b" " + line.strip()
        else:
            whole.append(line)
    return whole


def cut(data: bytes) -> tuple[list[Request | None], bytes]:
    """What is whole in a stream's bytes, in order (None: a ping; responses are left out), and the rest.

    Raises:
        ParseError: this is no SIP, or a message is larger than `LARGEST`.
    """
    found: list[Request | None] = []
    while data:
        if data[:1] == b"\r":
            if data.startswith(PING):
                found.append(None)
                data = data[4:]
            elif PING.startswith(data):
                break  # half of a ping, or one CRLF: nothing to answer until more comes
            else:
                data = data[2:] if data[:2] == PONG else _no_sip(data)
            continue
        end = data.find(_END, 0, _HEAD + 4)
        if end < 0:
            if len(data) > _HEAD:
                raise ParseError(_SOURCE, f"a head of at most {_HEAD} bytes", len(data))
            if not _may_begin(data):
                _no_sip(data)
            break
        if data.startswith(b"SIP/2.0 "):
            whole = end + 4 + _length_of_answer(data[:end])
            if whole > len(data):
                break
            data = data[whole:]
            continue
        request = Request(data[:end])
        if request.length is None:
            raise ParseError(_SOURCE, "a Content-Length, for this is a stream", data[:60])
        whole = end + 4 + request.length
        if whole > len(data):
            break
        found.append(request)
        data = data[whole:]
    return found, data


def _length(text: bytes) -> int:
    if not text.isdigit() or len(text) > 5 or int(text) > LARGEST - _HEAD:
        raise ParseError(_SOURCE, f"a Content-Length of at most {LARGEST - _HEAD}", text)
    return int(text)


def _length_of_answer(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() in (b"content-length", b"l"):
            return _length(value.strip())
    return 0


def _may_begin(data: bytes) -> bool:
    """Whether a SIP message may begin with these bytes."""
    word = data[:32].split(b" ", 1)[0].split(b"/", 1)[0]
    return len(word) <= 20 and word.isalpha() and word.isupper()


def _no_sip(data: bytes) -> bytes:
    raise ParseError(_SOURCE, "a SIP message", data[:60])
