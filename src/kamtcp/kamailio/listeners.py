"""Listeners of a kamailio.cfg: `listen=`, `socket={…}`; and `alias=`, which is written alike.

Source  Kamailio src/core/cfg.y (listen_phostport, id_lst, socket_lattrs)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kamtcp.kamailio import lexer
from kamtcp.kamailio.contents import Listen
from kamtcp.kamailio.cursor import Cursor
from kamtcp.kamailio.lexer import END, MARK, NUMBER, STRING, WORD, Token
from kamtcp.kamailio.parameters import LISTEN_PROTOCOLS, PROTOCOLS

_AFTER_ADDRESS = frozenset(
    ("advertise", "ADVERTISE", "name", "NAME", "virtual", "agname", "AGNAME", "vrf", "VRF")
)
_OFF = ("no", "off", "false", "disable", "0")


class Listeners:
    """Reads and keeps them.

    Attributes:
        workers: `socket_workers` for the next one.
    """

    def __init__(self, cursor: Cursor) -> None:
        self._cursor, self._stream = cursor, cursor.stream
        self.found: list[Listen] = []
        self.aliases: list[str] = []
        self.workers = 0

    def listen(self, token: Token) -> None:
        """What follows `listen=`."""
        found: list[tuple[Token, str, bool]] = []
        while len(found) < 100 and self._another(found=bool(found)):
            found.append((self._stream.peek(), *self._cursor.joined()))
        if not found:
            self._cursor.refuse(self._stream.peek(), "listen without an address")
            return
        more = self._options()
        for first, text, sure in found:
            self._add(token, first, text, more, self.workers, sure=sure)
            self.workers = 0

    def socket(self, token: Token) -> None:
        """What follows `socket=` (5.7+)."""
        if not self._cursor.take("{"):
            self._cursor.refuse(self._stream.peek(), "socket wants { … }")
            return
        more: dict[str, str] = {}
        sure = True
        first = token
        for _ in range(200):
            name = self._stream.next()
            if name.kind == END or (name.kind == MARK and name.text == "}"):
                break
            if name.kind == WORD and self._cursor.take("="):
                key = name.text.lower()
                first = self._stream.peek() if key == "bind" else first
                more[key], word_sure = self._cursor.joined()
                sure = sure and word_sure and name.sure
        if "bind" not in more:
            self._cursor.refuse(token, "socket without bind")
            return
        workers = lexer.number(more.get("workers", "0"))
        if workers is None:
            self._cursor.refuse(token, f"workers of a socket: {more['workers'][:60]!r} is no number")
        self._add(token, first, more["bind"], more, workers.value if workers else 0, sure=sure)

    def alias(self) -> None:
        """What follows `alias=`."""
        count = 0
        while count < 1000 and self._another(found=count > 0):
            self.aliases.append(self._cursor.joined()[0])
            count += 1
        if not count:
            self._cursor.refuse(self._stream.peek(), "alias without a name")

    def _another(self, *, found: bool) -> bool:
        """Whether another address of a list comes."""
        token = self._stream.next()
        more = token.kind in (WORD, NUMBER, STRING) or (token.kind == MARK and token.text in "[(*")
        if more and token.kind == WORD:
            more = token.text not in _AFTER_ADDRESS
            after = self._stream.peek()
            if after.kind == MARK and after.text == "=":
                more = False
            elif found and token.fresh and not (after.glued and after.kind == MARK and after.text in ":.-"):
                more = token.text in PROTOCOLS
        self._stream.back(token)
        return more

    def _options(self) -> dict[str, str]:
        """What may follow the address of a `listen`."""
        more: dict[str, str] = {}
        for _ in range(10):
            token = self._stream.next()
            word = token.text.lower()
            if token.kind != WORD or token.text not in _AFTER_ADDRESS or self._cursor.comes("="):
                self._stream.back(token)
                break
            if word == "advertise" and more:
                self._cursor.refuse(token, "advertise comes first, right behind the address")
            if word == "name" and "virtual" in more:
                self._cursor.refuse(token, "virtual comes last")
            if word == "name" and self._stream.peek().kind != STRING:
                self._cursor.refuse(self._stream.peek(), "the name of a listener wants quotes")
            more[word] = "yes" if word == "virtual" else self._cursor.joined()[0]
        return more

    def _add(
        self, token: Token, first: Token, text: str, more: Mapping[str, str], workers: int, *, sure: bool
    ) -> None:
        found = place(text)
        if found is None or found[0] not in LISTEN_PROTOCOLS:
            self._cursor.refuse(
                first,
                f"address {text[:60]!r} is not [protocol:]address[:port], protocol udp, tcp, tls or sctp",
            )
        if found is None:
            return
        version = self._stream.definitions.version
        if found[3] and (token.text == "listen" or (version is not None and version < (6,))):
            self._cursor.refuse(first, f"{text[:60]!r}: a range of ports is for socket= of 6.0 and later")
        protocol, addresses, port, port_end = found
        self.found.append(
            Listen(
                protocol=protocol,
                addresses=addresses,
                port=port,
                port_end=port_end,
                file=token.file,
                line=token.line,
                advertise=more.get("advertise", ""),
                name=more.get("name", ""),
                workers=workers,
                virtual=more.get("virtual", "no") not in _OFF,
                sure=sure and token.sure,
            )
        )


def place(text: str) -> tuple[str, tuple[str, ...], int, int] | None:
    """Take "[protocol:]address[:port[-port]]" apart; the address may be a "(list, of, them)"."""
    protocol, colon, rest = text.partition(":")
    if not colon or protocol.lower() not in PROTOCOLS | {"*"}:
        protocol, rest = "", text
    protocol = "" if protocol == "*" else protocol.lower()
    if rest.count(":") > 1 and not rest.startswith(("[", "(")):
        return (protocol, (rest,), 0, 0) if re.fullmatch(r"[0-9a-fA-F:.]+", rest) else None
    number = r"0x[0-9a-fA-F]{1,8}|[0-9]{1,12}"
    found = re.fullmatch(rf"(\[[^\]]*\]|\([^)]*\)|[^:\s={{}}();,]+)(?::(\*|{number})(?:-({number}))?)?", rest)
    if found is None:
        return None
    names = found.group(1)
    names = names[1:-1] if names[0] in "([" else names
    addresses = tuple(name.strip() for name in names.split(",") if name.strip())
    ports = [lexer.number(found.group(i) or "0") or lexer.number("0") for i in (2, 3)]
    port, port_end = (each.value if each else 0 for each in ports)
    return (protocol, addresses, port, port_end) if addresses else None
