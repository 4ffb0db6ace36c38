"""What the responder answers: 200 to OPTIONS and REGISTER, 401 where a password is asked for, 405 to the rest.

A registrar that keeps nothing: it grants what is asked and names the contact back, since nobody is ever called here.
Nonces are times with a proof that this responder made them, so that none need be kept either; a nonce may be used
again until it is too old.

Source  RFC 3261 sections 8.2.6 (headers of a response), 8.2.7 (the tag of one who keeps nothing), 10.3, 18.2.1, 22;
        RFC 3581 (rport)
"""

from __future__ import annotations

import hashlib
import hmac
import time
import zlib
from collections.abc import Callable

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.loadgen.digest import Challenge, parse_answer
from kamtcp.loadgen.responder.messages import Request

_ALLOW = b"Allow: OPTIONS, REGISTER\r\n"
_PHRASES = {
    b"200": b"OK",
    b"400": b"Bad Request",
    b"401": b"Unauthorized",
    b"405": b"Method Not Allowed",
    b"503": b"Service Unavailable",
}


class Guard(Struct, frozen=True):
    """Who may register.

    Args:
        password: of every user, or of `user` alone. user: None: any.
        realm, algorithm: of the challenge. lifetime: seconds after which a nonce is stale.
    """

    password: str
    user: str | None = None
    realm: str = "kamtcp"
    algorithm: str | None = None
    lifetime: float = 300.0


class Answers:
    """Makes the answer to each request.

    Args:
        token: tells this responder's tags and nonces from those of others; not to be guessed.
        guard: None: everybody may register.
        expires: seconds that are granted at most.
        clock: seconds, as time.monotonic has them.
        refuse: answer everything with this status.
    """

    def __init__(
        self,
        token: bytes,
        guard: Guard | None = None,
        *,
        expires: int = 3600,
        clock: Callable[[], float] = time.monotonic,
        refuse: int | None = None,
    ) -> None:
        self._token, self._guard, self._expires, self._clock = token, guard, expires, clock
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
                request.froms,
                to,
                request.call_id,
                request.line,
                more,
            )
        )

    # -- the registrar ------------------------------------------------------------------------------------------

    def _register(self, request: Request, host: str, port: int) -> bytes:
        if self._guard is not None:
            challenge = self._judge(request, self._guard)
            if challenge is not None:
                self.challenged += 1
                asked = f"WWW-Authenticate: {challenge.header()}\r\n".encode()
                return self._make(b"401", request, host, port, asked)
        wanted = _seconds(request.expires, self._expires)
        if wanted is None:
            return self._make(b"400", request, host, port, b"")
        granted = []
        for contact in request.contacts:
            if contact == b"*":
                break
            uri, mark, parameters = contact.partition(b">")
            seconds = _seconds(
                _parameter(parameters if mark else uri, b"expires"), min(wanted, self._expires)
            )
            if seconds is None:
                return self._make(b"400", request, host, port, b"")
            if seconds:
                kept = uri + mark if mark else b"<%b>" % uri.partition(b";")[0]
                granted.append(b"Contact: %b;expires=%d\r\n" % (kept, min(seconds, self._expires)))
        return self._make(b"200", request, host, port, b"".join(granted))

    def _judge(self, request: Request, guard: Guard) -> Challenge | None:
        """None if the request proves the password; else what to ask."""
        stale = False
        if request.authorization:
            try:
                said = parse_answer(request.authorization.decode("utf-8", "surrogateescape"))
            except ParseError:
                return self._challenge(guard)
            ours = (said.realm, said.algorithm or "MD5") == (guard.realm, guard.algorithm or "MD5")
            known = guard.user is None or said.user == guard.user
            if ours and known and said.verify(password=guard.password, method=request.method.decode()):
                age = self._age(said.nonce)
                if age is not None and age <= guard.lifetime:
                    return None
                stale = True
        return self._challenge(guard, stale=stale)

    def _challenge(self, guard: Guard, *, stale: bool = False) -> Challenge:
        return Challenge(
            guard.realm, self._nonce(int(self._clock() * 1000)), None, guard.algorithm, stale=stale
        )

    def _nonce(self, moment: int) -> str:
        return f"{moment:x}-{hmac.digest(self._token, b'%x' % moment, 'sha256').hex()[:24]}"

    def _age(self, nonce: str) -> float | None:
        """Seconds since this responder made it; None if it didn't."""
        text = nonce.partition("-")[0]
        try:
            moment = int(text, 16)
        except ValueError:
            return None
        if moment < 0 or not hmac.compare_digest(
            self._nonce(moment).encode(), nonce.encode("utf-8", "replace")
        ):
            return None
        return self._clock() - moment / 1000


def _parameter(text: bytes, name: bytes) -> bytes:
    """The value of a header parameter, b"" without."""
    for each in text.split(b";")[1:]:
        key, _, value = each.partition(b"=")
        if key.strip().lower() == name:
            return value.strip()
    return b""


def _seconds(text: bytes, otherwise: int) -> int | None:
    """A number of seconds; None if it is none."""
    if not text:
        return otherwise
    return int(text) if text.isdigit() and len(text) <= 10 else None
