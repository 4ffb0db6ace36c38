"""The least of SIP that a load generator needs: requests to send, the status of what comes back.

Requests are complete and legal (RFC 3261 section 8.1.1), differ in Call-ID, branch and tag, and carry a
Content-Length, which a stream transport needs. Responses are cut out of the stream as they arrive.

Source  RFC 3261 sections 7, 8.1.1, 18.3, 20; RFC 5626 section 4.4.1 (CRLF keepalive); RFC 7118 (WebSocket transports)
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

from msgspec import Struct

from kamtcp.errors import ParseError

LARGEST = 65536  # bytes of one message; more is no answer to what is sent here
_SOURCE = "SIP response"
_ANSWERED_BY = {b"www-authenticate": "Authorization", b"proxy-authenticate": "Proxy-Authorization"}


_SERIAL, _CLIENT = "\x01", "\x02"  # places of the two numbers, until `%d` stands there


class Requests:
    """Makes requests: each a dialogue of its own, so that none is taken for another's retransmission.

    Args:
        method: "OPTIONS" or "REGISTER".
        transport: as the Via header names it ("TCP", "TLS", "WS", "WSS").
        host: the server's address and port, as the request URI has it.
        run: sets this run's dialogues apart from those of any other.
        user: `{n}` stands for the number of the client. domain: of its address of record.
        expires: seconds that a REGISTER asks for.
    """

    def __init__(
        self,
        method: str,
        transport: str,
        host: str,
        run: str,
        *,
        user: str = "load{n}",
        domain: str = "load.invalid",
        expires: int = 3600,
    ) -> None:
        self.method, self.user, self.host, self.run = method, user, host, run
        self.transport, self.domain, self.expires = transport, domain, expires
        self.uri = f"sip:{host};transport={transport.lower()}"
        text = self._text(1)
        order = [0 if letter == _SERIAL else 1 for letter in text if letter in (_SERIAL, _CLIENT)]
        self._pick = itemgetter(*order)  # the numbers, from (serial, client), in the order of their places
        self._template = text.replace("%", "%%").replace(_SERIAL, "%d").replace(_CLIENT, "%d").encode()

    def _text(self, cseq: int, header: str = "") -> str:
        name = self.user.replace("{n}", _CLIENT)
        own = f"<sip:{name}@{self.domain}>"
        registers = self.method == "REGISTER"
        again = f"c{cseq}" if cseq > 1 else ""
        return (
            f"{self.method} {self.uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/{self.transport} load.invalid;branch=z9hG4bK{self.run}{_SERIAL}{again};rport\r\n"
            "Max-Forwards: 70\r\n"
            f"From: {own};tag={self.run}{_SERIAL}\r\n"
            f"To: {own if registers else f'<sip:{self.host}>'}\r\n"
            f"Call-ID: {self.run}{_SERIAL}@load.invalid\r\n"
            f"CSeq: {cseq} {self.method}\r\n"
            + (f"Contact: <sip:{name}@load.invalid>\r\nExpires: {self.expires}\r\n" if registers else "")
            + f"{header}Content-Length: 0\r\n\r\n"
        )

    def build(self, serial: int, client: int | None = None) -> bytes:
        """The request that is number `serial` of its worker, of client number `client` (None: the same)."""
        request: bytes = self._template % self._pick((serial, serial if client is None else client))
        return request

    def again(self, serial: int, client: int, cseq: int, header: str) -> bytes:
        """The same once more, with a further header: the answer to a challenge (RFC 3261 section 22.2)."""
        text = self._text(cseq, header + "\r\n")
        return text.replace(_SERIAL, str(serial)).replace(_CLIENT, str(client)).encode()

    def name(self, client: int) -> str:
        """The user of a client."""
        return self.user.replace("{n}", str(client))


class Response(Struct, frozen=True):
    """One SIP response.

    Args:
        status: 100 to 699.
        cseq: number of its CSeq header. method: method of its CSeq header.
        challenges: (header that answers it, challenge) of each WWW- or Proxy-Authenticate header, topmost first.
    """

    status: int
    cseq: int
    method: str
    challenges: tuple[tuple[str, str], ...] = ()


class Stream:
    """Cuts responses out of one connection's bytes, however they are split."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held = b""

    @property
    def idle(self) -> bool:
        """Whether no message is half read."""
        return not self._held

    def feed(self, data: bytes, *, whole: bool = False) -> tuple[Response, ...]:
        """Take the next bytes; give the responses they complete, in order. Keepalives and requests are skipped.

        Args:
            data: any bytes of the stream.
            whole: they are one whole message, as a WebSocket carries it; it may have no Content-Length (RFC 7118).

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
            told = headers.get(b"content-length", b"")
            length = len(rest) if whole and not told else _number(told, "a Content-Length")
            if length > LARGEST:
                raise ParseError(_SOURCE, f"a body of at most {LARGEST} bytes", length)
            if len(rest) < length:
                break
            held = rest[length:]
            if start.startswith(b"SIP/2.0 "):
                found.append(_response(start, headers, head))
        if whole and held:
            raise ParseError(_SOURCE, "a whole message", held[:60])
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


def _response(start: bytes, headers: dict[bytes, bytes], head: bytes) -> Response:
    code = start[8:11]
    if not code.isdigit() or not 100 <= int(code) <= 699 or start[11:12] not in (b" ", b""):
        raise ParseError(_SOURCE, "a status of 100 to 699", start, 1)
    number, _, method = headers.get(b"cseq", b"").partition(b" ")
    status = int(code)
    return Response(
        status,
        _number(number, "a CSeq"),
        method.strip().decode("ascii", "replace"),
        tuple(_challenges(head)) if status in (401, 407) else (),
    )


def _challenges(head: bytes) -> Iterator[tuple[str, str]]:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        answer = _ANSWERED_BY.get(name.strip().lower())
        if answer is not None:
            yield answer, value.strip().decode("utf-8", "surrogateescape")


def _number(text: bytes, what: str) -> int:
    if not text.isdigit() or len(text) > 10:
        raise ParseError(_SOURCE, what, text)
    return int(text)
