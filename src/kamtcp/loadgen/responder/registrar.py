"""A registrar that keeps nothing: it grants what is asked and names the contact back, since nobody is ever called here.

Nonces are times with a proof that this responder made them, so that none need be kept either; a nonce may be used
again until it is too old.

Source  RFC 3261 sections 10.3 and 22; RFC 7616 section 3.3 (what a nonce may be made of)
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.loadgen.digest import Challenge, parse_answer
from kamtcp.loadgen.responder.messages import Request


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


class Door:
    """Lets in who proves the password.

    Args:
        guard: which, and whose.
        token: tells this responder's nonces from those of others; not to be guessed.
        clock: seconds, as time.monotonic has them.
    """

    def __init__(self, guard: Guard, token: bytes, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._guard, self._token, self._clock = guard, token, clock

    def judge(self, request: Request) -> Challenge | None:
        """None if the request proves the password; else what to ask."""
        guard, stale = self._guard, False
        if request.authorization:
            try:
                said = parse_answer(request.authorization.decode("utf-8", "surrogateescape"))
            except ParseError:
                return self._challenge()
            ours = (said.realm, said.algorithm or "MD5") == (guard.realm, guard.algorithm or "MD5")
            known = guard.user is None or said.user == guard.user
            if ours and known and said.verify(password=guard.password, method=request.method.decode()):
                age = self._age(said.nonce)
                if age is not None and age <= guard.lifetime:
                    return None
                stale = True
        return self._challenge(stale=stale)

    def _challenge(self, *, stale: bool = False) -> Challenge:
        guard = self._guard
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


def granted(request: Request, most: int) -> bytes | None:
    """Contact headers of what is granted, `most` seconds each at most; None: what is asked for is no number."""
    wanted = _seconds(request.expires, most)
    if wanted is None:
        return None
    found = []
    for contact in request.contacts:
        if contact == b"*":
            break
        uri, mark, parameters = contact.partition(b">")
        seconds = _seconds(_parameter(parameters if mark else uri, b"expires"), wanted)
        if seconds is None:
            return None
        if seconds:
            kept = uri + mark if mark else b"<%b>" % uri.partition(b";")[0]
            found.append(b"Contact: %b;expires=%d\r\n" % (kept, min(seconds, most)))
    return b"".join(found)


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
