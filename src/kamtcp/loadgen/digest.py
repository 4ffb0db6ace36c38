"""Digest authentication, both sides: the answer to a challenge, and the check of one.

MD5, SHA-256 and SHA-512-256, each also as -sess; qop "auth", or none as RFC 2069 had it. "auth-int" isn't spoken: a
challenge that offers nothing else is refused.

Source  RFC 7616 (RFC 2617 for MD5 alone, RFC 2069 for no qop); RFC 8760 (SIP: the topmost challenge that one knows);
        RFC 3261 section 22.4
Cost    an answer takes about 6 us, a check 9 us
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable

from msgspec import Struct

from kamtcp.errors import ParseError

LARGEST = 8192  # characters of a header
_CHALLENGE, _ANSWER = "digest challenge", "digest answer"
_PARAMETER = re.compile(
    r'\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|$)', re.DOTALL
)
_COUNT = re.compile(r"[0-9a-fA-F]{8}")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sha512_256(data: bytes) -> str:
    return hashlib.new("sha512_256", data).hexdigest()


_HASHES: dict[str, Callable[[bytes], str]] = {"md5": _md5, "sha-256": _sha256, "sha-512-256": _sha512_256}


class Challenge(Struct, frozen=True):
    """A WWW-Authenticate or Proxy-Authenticate header.

    Args:
        realm, nonce: without their quotes. opaque: to be sent back; None without.
        algorithm: as sent; None without, which means MD5.
        qop: whether "auth" is offered; else the server knows no qop.
        stale: the last answer was right, but for an old nonce.
    """

    realm: str
    nonce: str
    opaque: str | None = None
    algorithm: str | None = None
    qop: bool = True
    stale: bool = False

    def answer(self, *, user: str, password: str, method: str, uri: str, count: int, cnonce: str) -> str:
        """The Authorization (or Proxy-Authorization) value.

        Args:
            user: as the server knows it.
            password: of that user.
            method: of the request that carries the answer.
            uri: request URI of the same.
            count: requests that this nonce was used for, this one included.
            cnonce: the client's own nonce.
        """
        nc = f"{count:08x}"
        response = _response(
            self.algorithm,
            f"{user}:{self.realm}:{password}",
            f"{method}:{uri}",
            nonce=self.nonce,
            nc=nc if self.qop else None,
            cnonce=cnonce,
        )
        parts = [
            f"Digest username={_quoted(user)}, realm={_quoted(self.realm)}, nonce={_quoted(self.nonce)}",
            f'uri={_quoted(uri)}, response="{response}"',
        ]
        if self.algorithm is not None:
            parts.append(f"algorithm={self.algorithm}")
        if self.opaque is not None:
            parts.append(f"opaque={_quoted(self.opaque)}")
        if self.qop:
            parts.append(f"qop=auth, nc={nc}, cnonce={_quoted(cnonce)}")
        elif _is_session(self.algorithm):
            parts.append(f"cnonce={_quoted(cnonce)}")
        return ", ".join(parts)

    def header(self) -> str:
        """The challenge as a server sends it."""
        parts = [f"Digest realm={_quoted(self.realm)}, nonce={_quoted(self.nonce)}"]
        if self.opaque is not None:
            parts.append(f"opaque={_quoted(self.opaque)}")
        if self.algorithm is not None:
            parts.append(f"algorithm={self.algorithm}")
        if self.qop:
            parts.append('qop="auth"')
        if self.stale:
            parts.append("stale=true")
        return ", ".join(parts)


class Answer(Struct, frozen=True):
    """An Authorization header, as a server reads it. None: the parameter wasn't sent."""

    user: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str | None = None
    opaque: str | None = None
    nc: str | None = None
    cnonce: str | None = None

    def verify(self, *, password: str, method: str) -> bool:
        """Whether whoever made it for a request of `method` knows the password. The nonce is the caller's to judge."""
        expected = _response(
            self.algorithm,
            f"{self.user}:{self.realm}:{password}",
            f"{method}:{self.uri}",
            nonce=self.nonce,
            nc=self.nc,
            cnonce=self.cnonce or "",
        )
        return expected == self.response.lower()


def parse(header: str) -> Challenge:
    """One challenge.

    Raises:
        ParseError: it isn't Digest, lacks realm or nonce, or wants an algorithm or a qop that isn't spoken here.
    """
    found = _parameters(header, _CHALLENGE)
    offered = found.get("qop")
    if offered is not None and "auth" not in [each.strip().lower() for each in offered.split(",")]:
        raise ParseError(_CHALLENGE, 'qop "auth"', offered)
    return Challenge(
        realm=_needed(found, "realm", _CHALLENGE),
        nonce=_needed(found, "nonce", _CHALLENGE),
        opaque=found.get("opaque"),
        algorithm=_algorithm(found, _CHALLENGE),
        qop=offered is not None,
        stale=found.get("stale", "").lower() == "true",
    )


def parse_any(headers: Iterable[str]) -> Challenge:
    """The topmost of several challenges that is spoken here (RFC 8760 section 2.4).

    Raises:
        ParseError: none is; it says why the first isn't.
    """
    refused: ParseError | None = None
    for header in headers:
        try:
            return parse(header)
        except ParseError as error:
            refused = refused or error
    raise refused or ParseError(_CHALLENGE, "a challenge", "none")


def parse_answer(header: str) -> Answer:
    """An Authorization value.

    Raises:
        ParseError: it isn't Digest, a parameter is missing, or its algorithm or qop isn't spoken here.
    """
    found = _parameters(header, _ANSWER)
    nc, cnonce, qop = found.get("nc"), found.get("cnonce"), found.get("qop")
    if qop is None:
        nc = None
    elif qop.lower() != "auth":
        raise ParseError(_ANSWER, "qop auth", qop)
    elif nc is None or cnonce is None or not _COUNT.fullmatch(nc):
        raise ParseError(_ANSWER, "nc and cnonce beside qop", header)
    return Answer(
        user=_needed(found, "username", _ANSWER),
        realm=_needed(found, "realm", _ANSWER),
        nonce=_needed(found, "nonce", _ANSWER),
        uri=_needed(found, "uri", _ANSWER),
        response=_needed(found, "response", _ANSWER),
        algorithm=_algorithm(found, _ANSWER),
        opaque=found.get("opaque"),
        nc=nc,
        cnonce=cnonce,
    )


def _response(
    algorithm: str | None, secret: str, asked: str, *, nonce: str, nc: str | None, cnonce: str
) -> str:
    """RFC 7616 section 3.4.1.

    Args:
        algorithm: None for MD5.
        secret: user, realm and password, with colons between.
        asked: method and URI likewise.
        nonce: the server's.
        nc: None: no qop, so the digest of RFC 2069.
        cnonce: the client's.
    """
    digest = _HASHES[_base(algorithm)]
    a1 = digest(_bytes(secret))
    if _is_session(algorithm):
        a1 = digest(_bytes(f"{a1}:{nonce}:{cnonce}"))
    middle = nonce if nc is None else f"{nonce}:{nc}:{cnonce}:auth"
    return digest(_bytes(f"{a1}:{middle}:{digest(_bytes(asked))}"))


def _bytes(text: str) -> bytes:
    """The bytes as they came: headers are decoded with surrogateescape."""
    return text.encode("utf-8", "surrogateescape")


def _base(algorithm: str | None) -> str:
    return (algorithm or "MD5").lower().removesuffix("-sess")


def _is_session(algorithm: str | None) -> bool:
    return algorithm is not None and algorithm.lower().endswith("-sess")


def _algorithm(found: dict[str, str], source: str) -> str | None:
    algorithm = found.get("algorithm")
    if _base(algorithm) not in _HASHES:
        raise ParseError(source, "algorithm MD5, SHA-256 or SHA-512-256", algorithm)
    return algorithm


def _needed(found: dict[str, str], name: str, source: str) -> str:
    if name not in found:
        raise ParseError(source, name, ", ".join(found))
    return found[name]


def _parameters(header: str, source: str) -> dict[str, str]:
    """Names in lower case, values without quotes."""
    if len(header) > LARGEST:
        raise ParseError(source, f"at most {LARGEST} characters", len(header))
    text = header.strip()
    try:
        _bytes(text)
    except UnicodeEncodeError as error:
        raise ParseError(source, "UTF-8", text) from error
    scheme = text[:6]
    if scheme.lower() != "digest" or not text[6:7].isspace():
        raise ParseError(source, "Digest", text)
    found: dict[str, str] = {}
    place = len(scheme)
    while place < len(text):
        match = _PARAMETER.match(text, place)
        if match is None:
            raise ParseError(source, "name=value", text[place:])
        name, quoted, plain = match.groups()
        name = name.lower()
        if name in found:
            raise ParseError(source, f"one {name}", text)
        found[name] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
        place = match.end()
    return found


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
