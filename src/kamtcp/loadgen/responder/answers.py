"""What the responder answers: 200 to OPTIONS and REGISTER, 401 where a password is asked for, 405 to the rest.

Source  RFC 3261 sections 8.2.6 (headers of a response), 8.2.7 (the tag of one who keeps nothing), 18.2.1; RFC 3581
        (rport)
Cost    an OPTIONS as generators write it 2 us, any other request 6 us
"""

from __future__ import annotations

import hashlib
import re
import zlib

from kamtcp.loadgen.responder.messages import Request
from kamtcp.loadgen.responder.registrar import Door, granted

_ALLOW = b"Allow: OPTIONS, REGISTER\r\n"
# OPTIONS as generators write it, its headers in the usual order: read at one go. All else takes the longer way.
_USUAL = re.compile(
    rb"OPTIONS [^\r\n ]+ SIP/2\.0\r\nVia: ([^\r\n,]+)\r\n(?:Max-Forwards: [0-9]+\r\n)?From: ([^\r\n]+)\r\nTo: ([^\r\n]+)"
    rb"\r\nCall-ID: ([^\r\n]+)\r\nCSeq: ([0-9]+ OPTIONS)\r\n(?:(?:Contact|User-Agent|Accept|Supported): [^\r\n]*\r\n)*"
    rb"Content-Length: 0\r\n\r\n"
)
_OPTIONS_200 = (
    b"SIP/2.0 200 OK\r\nVia: %b;received=%b\r\nFrom: %b\r\nTo: %b\r\nCall-ID: %b\r\nCSeq: %b\r\n"
    b"Allow: OPTIONS, REGISTER\r\nContent-Length: 0\r\n\r\n"
)
_PHRASES = {
    b"200": b"OK",
    b"400": b"Bad Request",
    b"401": b"Unauthorized",
    b"405": b"Method Not Allowed",
    b"503": b"Service Unavailable",
}


class Answers:
    """Makes the answer to each request.

    Args:
        token: tells this responder's tags from those of others.
        door: who may register; None: everybody.
        expires: seconds that are granted at most.
        refuse: answer everything with this status.
    """

    def __init__(
        self,
        token: bytes,
        door: Door | None = None,
        *,
        expires: int = 3600,
        refuse: int | None = None,
    ) -> None:
        self._door, self._expires = door, expires
        self._tag = hashlib.sha256(b"tag" + token).hexdigest()[:8].encode()
        self._refuse = None if refuse is None else str(refuse).encode()
        self.answered = self.challenged = 0

    def answer(self, request: Request, host: str, port: int) -> bytes:
        """The whole answer, b"" where there is none.

        Args:
            request: the request.
            host: address it came from, without brackets.
            port: likewise.
        """
        method = request.method
        if method == b"ACK":
            return b""
        if self._refuse is not None:
            return self._make(self._refuse, request, host, port, b"")
        if method == b"OPTIONS":
            return self._make(b"200", request, host, port, _ALLOW)
        if method == b"REGISTER":
            return self._register(request, host, port)
        return self._make(b"405", request, host, port, _ALLOW)

    def usual(self, data: bytes, host: str, port: int) -> bytes:
        """The answer to bytes that are one usual OPTIONS and nothing else; b"" for all others, which `answer` takes."""
        found = _USUAL.fullmatch(data)
        if found is None or self._refuse is not None:
            return b""
        self.answered += 1
        via, sender, to, call_id, line = found.groups()
        if b";rport" in via and b";rport=" not in via:
            via = via.replace(b";rport", b";rport=%d" % port, 1)
        if b";tag=" not in to:
            to = b"%b;tag=%b%08x" % (to, self._tag, zlib.crc32(call_id))
        return _OPTIONS_200 % (via, host.encode(), sender, to, call_id, line)

    def _make(self, status: bytes, request: Request, host: str, port: int, more: bytes) -> bytes:
        self.answered += 1
        first, comma, others = request.vias[0].partition(b",")
        if b";rport" in first and b";rport=" not in first:
            first = first.replace(b";rport", b";rport=%d" % port, 1)
        vias = b"\r\nVia: ".join(
            [b"%b;received=%b%b%b" % (first, host.encode(), comma, others), *request.vias[1:]]
        )
        to = request.to
        if b";tag=" not in to:
            to = b"%b;tag=%b%08x" % (to, self._tag, zlib.crc32(request.call_id))
        return (
            b"SIP/2.0 %b %b\r\nVia: %b\r\nFrom: %b\r\nTo: %b\r\nCall-ID: %b\r\nCSeq: %b\r\n%bContent-Length: 0\r\n\r\n"
            % (
                status,
                _PHRASES[status],
                vias,
                request.sender,
                to,
                request.call_id,
                request.line,
                more,
            )
        )

    def _register(self, request: Request, host: str, port: int) -> bytes:
        challenge = self._door.judge(request) if self._door is not None else None
        if challenge is not None:
            self.challenged += 1
            asked = f"WWW-Authenticate: {challenge.header()}\r\n".encode()
            return self._make(b"401", request, host, port, asked)
        contacts = granted(request, self._expires)
        if contacts is None:
            return self._make(b"400", request, host, port, b"")
        return self._make(b"200", request, host, port, contacts)
