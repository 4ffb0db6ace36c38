"""Which names and values are secret, and what stands in their place.

A user or a host gets a keyed pseudonym (equal ones stay equal), a secret gets the word "scrubbed" (nothing stays).
"""

from __future__ import annotations

import re
from hashlib import blake2b

SCRUBBED = "scrubbed"

_STRONG_TEXT = (
    "password passwords passwd passphrase pass passwort pwd pw secret secrets token tokens credential credentials apikey psk ha1 ha1b"
    " bearer cookie authorization privkey userinfo"
)
_STRONG = frozenset(_STRONG_TEXT.split())
_STRONG_END = ("password", "passwd", "passphrase", "secret", "token", "apikey", "pwd", "credentials")
_NOT_PASS = ("bypass", "compass", "surpass", "trespass", "encompass")
_WEAK = frozenset(("auth", "key", "salt", "nonce", "authkey"))
_PLACE = frozenset(("file", "path", "dir", "directory", "folder"))

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+")
_INTEGER = re.compile(r"[+-]?(?:0[xX][0-9A-Fa-f]{1,8}|\d{1,19})", re.ASCII)
_AMOUNT = re.compile(r"[+-]?\d{1,19}(?:\.\d{1,6})?(?:[kKmMgGtT](?:i?[bB])?|ms|us|s|sec|min|h|d|%)?", re.ASCII)
_ARITHMETIC = re.compile(r"(?=.*\d)[\d\s()+*/<>|&~^!=xXA-Fa-f-]{1,80}", re.ASCII)
_PATH = re.compile(r"-?/[\w./+@%*,-]{0,400}")
_SOCKET = re.compile(
    r"(?:(?:udp|tcp|tls|sctp|ws|wss|unix|unixs|unixd|fifo):)?"
    r"(?:\[[0-9A-Fa-f:.]+\]|\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}|localhost|\*|any)"
    r"(?::(?:\d{1,5}(?:-\d{1,5})?|[A-Z][A-Z0-9_]*))?(?:/\w{1,4})?"
    r"|(?:udp|tcp|tls|sctp|ws|wss):[A-Za-z0-9_.-]{1,128}(?::(?:\d{1,5}(?:-\d{1,5})?|[A-Z][A-Z0-9_]*))?",
    re.ASCII,
)
_PLAIN_WORDS_TEXT = (
    "yes no on off true false none null auto any all default enabled disabled enable disable never always"
    " udp tcp tls sctp ws wss sip sips ipv4 ipv6 both"
    " poll epoll_lt epoll_et sigio_rt select kqueue qm fm tlsf q_malloc f_malloc tlsf_malloc"
    " tlsv1 tlsv1.0 tlsv1.1 tlsv1.2 tlsv1.3 tlsv1+ tlsv1.1+ tlsv1.2+ tlsv1.3+ sslv23 optional_no_ca"
    " debug info notice warn warning error err crit alert local0 local1 local2 local3 local4 local5 local6 local7"
    " user daemon root kamailio localhost infinity unlimited max simple forking notify exec c posix"
)
_PLAIN_WORDS = frozenset(_PLAIN_WORDS_TEXT.split())


class Names:
    """Keyed pseudonyms.

    Args:
        key: random, one per recording.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def user(self, name: str) -> str:
        """What stands for a SIP or login user, in any case of letters."""
        return name if _PSEUDONYM.fullmatch(name) else f"user-{self._hash(b'user', name)}"

    def host(self, name: str) -> str:
        """What stands for a host name; "localhost" and pseudonyms stay. Dotted names stay dotted."""
        if name.lower().rstrip(".") in {
            "localhost",
            "localhost.localdomain",
            "invalid",
        } or _PSEUDONYM.fullmatch(name):
            return name
        return f"host-{self._hash(b'host', name.rstrip('.'))}" + (
            ".invalid" if "." in name.strip(".") else ""
        )

    def call(self, name: str) -> str:
        """What stands for a Call-ID."""
        return name if _PSEUDONYM.fullmatch(name) else f"call-{self._hash(b'call', name)}"

    def _hash(self, kind: bytes, name: str) -> str:
        data = name.lower().encode("utf-8", "surrogateescape")
        return blake2b(data, digest_size=5, key=self._key, person=kind).hexdigest()


_PSEUDONYM = re.compile(r"(?:user|host|call)-[0-9a-f]{10}(?:\.invalid)?|" + SCRUBBED)


def words(name: str) -> list[str]:
    """The words of a parameter name in lower case: "dbRootPass_file" -> db, root, pass, file."""
    return [word.lower() for part in re.split(r"[^A-Za-z0-9]+", name) for word in _WORD.findall(part)]


def is_strong(name: str) -> bool:
    """A parameter of this name holds a secret, whatever it looks like."""
    parts, low = words(name), name.lower()
    if "".join(parts).endswith("apikey"):
        return True
    if _STRONG.intersection(parts) or _STRONG.intersection(re.split(r"[^a-z0-9]+", low)):
        return True
    return any(
        part.endswith(_STRONG_END) or (part.endswith(("pass", "pw")) and not part.endswith(_NOT_PASS))
        for part in parts
    )


def is_secret(name: str) -> bool:
    """A parameter of this name may hold a secret."""
    return is_strong(name) or bool(_WEAK.intersection(words(name)))


def is_place(name: str, value: str) -> bool:
    """The value says where a secret lies, not what it is ("private_key = /etc/…/key.pem")."""
    if not _PATH.fullmatch(value):
        return False
    return not is_strong(name) or bool(_PLACE.intersection(words(name)))


def is_integer(value: str) -> bool:
    """Decimal, octal or hexadecimal, of at most 64 bits."""
    return bool(_INTEGER.fullmatch(value))


def is_switch(value: str) -> bool:
    """yes, no, on, off and their like."""
    return value.lower() in {"yes", "no", "on", "off", "true", "false", "none", ""}


def is_harmless(value: str) -> bool:
    """Numbers, switches, paths, socket addresses (which are mapped elsewhere) and the keywords of Kamailio."""
    value = value.strip()
    return (
        value.lower() in _PLAIN_WORDS
        or not value
        or any(form.fullmatch(value) for form in (_INTEGER, _AMOUNT, _PATH, _SOCKET))
        or bool(_ARITHMETIC.fullmatch(value) and not re.search(r"[A-Fa-f]{2}", value))
        or bool(_PSEUDONYM.fullmatch(value))
    )
