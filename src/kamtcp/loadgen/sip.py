"""The least of SIP that a load generator needs: requests to send, the status of what comes back.

Requests are complete and legal (RFC 3261 section 8.1.1), differ in Call-ID, branch and tag, and carry a
Content-Length, which a stream transport needs. Responses are cut out of the stream as they arrive.

Source  RFC 3261 sections 7, 8.1.1, 18.3, 20; RFC 5626 section 4.4.1 (CRLF keepalive); RFC 7118 (WebSocket transports)
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError

LARGEST = 65536  # bytes of one message; more is no answer to what is sent here
_SOURCE = "SIP response"


class Requests(Struct, frozen=True):
    """Makes the request of each connection.

    Args:
        method: "OPTIONS" or "REGISTER".
        transport: as the Via header names it ("TCP", "TLS", "WS", "WSS").
        host: the server's address and port, as the request URI has it.
        run: sets this run's dialogues apart from those of any other.
    """

    method: str
    transport: str
    host: str
    run: str

    def template(self) -> bytes:
        """The request with `%d` at each place of the connection number, for `template % numbers(n)`."""
        tls = ";transport=tls" if self.transport == "TLS" else ";transport=" + self.transport.lower()
        head = (
            f"{self.method} sip:{self.host}{tls} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport} load.invalid;branch=z9hG4bK{self.run}%d;rport\r\n"
            "Max-Forwards: 70\r\n"
            f"From: <sip:load%d@load.invalid>;tag={self.run}%d\r\n"
            + (
                f"To: <sip:{self.host}>\r\n"
                if self.method != "REGISTER"
                else "To: <sip:load%d@load.invalid>\r\n"
            )
            + f"Call-ID: {self.run}%d@load.invalid\r\n"
            f"CSeq: 1 {self.method}\r\n"
        )
        if self.method == "REGISTER":
            head += "Contact: <sip:load%d@load.invalid>\r\nExpires: 3600\r\n"
        return (head + "Content-Length: 0\r\n\r\n").encode()

    def numbers(self, number: int) -> tuple[int, ...]:
        """What fills the template for one connection."""
        return (number,) * (6 if self.method == "REGISTER" else 4)

    def build(self, number: int) -> bytes:
        """The whole request of connection `number`."""
        return self.template() % self.numbers(number)


class Response(Struct, frozen=True):
    """One SIP response.

    Args:
        status: 100 to 699.
        cseq: number of its CSeq header. method: method of its CSeq header.
    """

    status: int
    cseq: int
    method: str


class Stream:
    """Cuts responses out of one connection's bytes, however they are split."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> tuple[Response, ...]:
        """Take the next bytes; give the responses they complete, in order. Keepalives and requests are skipped.

        Raises:
            ParseError: the stream is no SIP, or one message is larger than `LARGEST`; it is of no use any more.
        """
        held = self._held + data
        found = []
        while held := held.lstrip(b"\r\n"):
            head, mark, rest = held.partition(b"\r\n\r\n")
            if not mark:
                if not _may_begin(held):
                    raise ParseError(_SOURCE, "a SIP message", held[:60])
                if len(held) > LARGEST:
                    raise ParseError(_SOURCE, f"at most {LARGEST} bytes of headers", len(held))
                break
            start, headers = _headers(head)
            length = _number(headers.get(b"content-length", b""), "a Content-Length")
            if length > LARGEST:
                raise ParseError(_SOURCE, f"a body of at most {LARGEST} bytes", length)
            if len(rest) < length:
                break
            held = rest[length:]
            if start.startswith(b"SIP/2.0 "):
                found.append(_response(start, headers))
        self._held = held
        return tuple(found)


def only_status(data: bytes) -> int:
    """The status of `data` if it is exactly one response without a body, as servers answer OPTIONS; else 0.

    A look rather than a parse: 0.3 µs. Whatever it doesn't know is for `Stream`.
    """
    if (
        data.startswith(b"SIP/2.0 ")
        and data.endswith(b"\r\n\r\n")
        and b"\r\nContent-Length: 0\r\n" in data
        and data.find(b"\r\n\r\n") == len(data) - 4
        and data[8:11].isdigit()
    ):
        return int(data[8:11])
    return 0


def _may_begin(held: bytes) -> bool:
    """Whether bytes without an end of headers can still become a SIP message."""
    line = held.partition(b"\r\n")[0][:200]
    if line[:8] == b"SIP/2.0 "[: len(line)]:
        return True
    word = line.partition(b" ")[0]
    return len(word) <= 20 and word.isalpha() and word.isupper()


def _headers(head: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    lines = head.split(b"\r\n")
    start = lines[0]
    if not start.startswith(b"SIP/2.0 ") and not start.endswith(b" SIP/2.0"):
        raise ParseError(_SOURCE, "a SIP start line", start, 1)
    headers: dict[bytes, bytes] = {}
    for number, line in enumerate(lines[1:], start=2):
        if line[:1] in b" \t":
            continue  # a folded header; none of those read here may be folded usefully
        name, colon, value = line.partition(b":")
        if not colon:
            raise ParseError(_SOURCE, "a header", line, number)
        key = name.strip().lower()
        headers.setdefault(b"content-length" if key == b"l" else key, value.strip())
    return start, headers


def _response(start: bytes, headers: dict[bytes, bytes]) -> Response:
    code = start[8:11]
    if not code.isdigit() or not 100 <= int(code) <= 699 or start[11:12] not in (b" ", b""):
        raise ParseError(_SOURCE, "a status of 100 to 699", start, 1)
    number, _, method = headers.get(b"cseq", b"").partition(b" ")
    return Response(int(code), _number(number, "a CSeq"), method.strip().decode("ascii", "replace"))


def _number(text: bytes, what: str) -> int:
    if not text.isdigit() or len(text) > 10:
        raise ParseError(_SOURCE, what, text)
    return int(text)
