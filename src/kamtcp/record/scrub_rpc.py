"""RPC requests and replies: the strings in BINRPC packets and JSON texts, with all framing put right again.

Source  Kamailio src/modules/ctl/binrpc.h (packet and record formats), src/modules/jsonrpcs
"""

from __future__ import annotations

import re
from collections.abc import Callable

from kamtcp.record.scrub_config import Configuration
from kamtcp.record.scrub_names import Names, is_secret
from kamtcp.record.scrub_netlink import CannotScrub

_INT, _STR, _DOUBLE, _STRUCT, _ARRAY, _NAME, _BYTES = range(7)
_PRINTABLE = re.compile(rb"[\x20-\x7e]{4,}")
_JSON_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?', re.DOTALL)
_HTTP_HEAD = re.compile(rb"(?s)\A((?:[A-Z]{3,8} |HTTP/1)[^\r\n]*\r?\n(?:.*?\r?\n)??\r?\n)(.*)\Z")
_USERS_TEXT = (
    "aor username user_name auth_user authuser from_user to_user from_uri to_uri ruri contact call-id callid call_id"
    " caller callee display_name password ha1 useragent user-agent user"
)
_USERS = frozenset(_USERS_TEXT.split())


class Rpc:
    """Scrubs what goes over Kamailio's RPC sockets.

    Args:
        configuration: rules for strings. names: the pseudonyms. addresses: maps the addresses in a text, once.
    """

    def __init__(self, configuration: Configuration, names: Names, addresses: Callable[[str], str]) -> None:
        self._configuration, self._names, self._addresses = configuration, names, addresses

    def message(self, data: bytes) -> bytes:
        """A request or reply of any transport, its strings scrubbed.

        Raises:
            CannotScrub: it can't be taken apart and holds printable strings.
        """
        if data[:1] == b"\xa1":
            return self._binrpc(data)
        head = _HTTP_HEAD.match(data)
        if head:
            return self._http(head[1], head[2])
        if b"\0" in data.rstrip(b"\0"):
            return _only_if_unreadable(data)
        return self._json(data)

    # -- BINRPC

    def _binrpc(self, data: bytes) -> bytes:
        try:
            start, width, end = _header(data)
            records = _records(data, start, end)
        except (IndexError, CannotScrub):
            return _only_if_unreadable(data)
        if end != len(data):
            return _only_if_unreadable(data)
        strings: list[tuple[str, str]] = []
        name = ""
        for kind, _, first, last in records:
            text = data[first:last].removesuffix(b"\0").decode("utf-8", "surrogateescape")
            if kind == _NAME:
                name = text
            elif kind in (_STR, _BYTES):
                strings.append((name, text))
                name = ""
            else:
                name = ""
        scrubbed = iter(self._strings(strings))
        body, copied = bytearray(), start
        for kind, begin, first, last in records:
            if kind not in (_STR, _BYTES):
                continue
            value = next(scrubbed).encode("utf-8", "surrogateescape")
            nul = b"\0" if data[first:last].endswith(b"\0") else b""
            if value + nul != data[first:last]:
                body += data[copied:begin] + _record(kind, value + nul)
                copied = last
        body += data[copied:end]
        size = max(width, (len(body).bit_length() + 7) // 8)
        if size > 4:
            raise CannotScrub("BINRPC body too long")
        return b"".join(
            (
                data[:1],
                bytes((data[1] & 0xF3 | (size - 1) << 2,)),
                len(body).to_bytes(size, "big"),
                data[2 + width : start],
                body,
            )
        )

    # -- JSON and HTTP

    def _json(self, data: bytes) -> bytes:
        text = data.decode("utf-8", "surrogateescape")
        found = list(_JSON_STRING.finditer(text))
        strings: list[tuple[str, str]] = []
        name = ""
        for match in found:
            if match[2]:
                name = _unescaped(match[1])
            else:
                # the name of an array stays with all its elements only if it is about users
                strings.append((name, _unescaped(match[1])))
                name = name if name.lower() in _USERS else ""
        scrubbed = iter(self._strings(strings))
        done, position = [], 0
        for match in found:
            done.append(self._outside(text[position : match.start()]))
            position = match.end()
            if match[2]:
                done.append(match[0])
                continue
            old, new = _unescaped(match[1]), next(scrubbed)
            done.append(match[0] if old == new else '"' + _escaped(new) + '"')
        done.append(self._outside(text[position:]))
        return "".join(done).encode("utf-8", "surrogateescape")

    def _outside(self, text: str) -> str:
        """Between strings there are numbers and marks; anything else (plain text replies) is scrubbed as text."""
        return text if len(text) < 6 or not re.search(r"[A-Za-z_]{6}|\d\.\d", text) else self._text(text)

    def _http(self, head: bytes, body: bytes) -> bytes:
        changed = self._json(body) if body else b""
        text = self._text(head.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        return re.sub(rb"(?i)(\r?\nContent-Length:\s*)\d+", rb"\g<1>%d" % len(changed), text) + changed

    # -- strings, in the order in which they stand

    def _strings(self, strings: list[tuple[str, str]]) -> list[str]:
        done: list[str] = []
        before, define = "", ""
        for name, value in strings:
            low = name.lower()
            if low == "value" and define:  # core.ppdefines_full: name, value
                new = self._addresses(self._configuration.define(define, value))
            elif low in _USERS and value and not _is_address(value):
                new = (
                    self._addresses(value)
                    if "://" in value or not value.strip("-")
                    else self._names.user(value)
                )
            elif name and is_secret(name):
                new = self._addresses(self._configuration.define(name, value))
            else:
                new = self._addresses(self._configuration.argument(before, value))
            define = value if low == "name" else define if low == "type" else ""
            done.append(new)
            before = value
        return done

    def _text(self, text: str) -> str:
        return self._addresses(self._configuration.text(text))


def _is_address(value: str) -> bool:
    return bool(re.fullmatch(r"[0-9.]+(?::\d+)?|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?(?::\d+)?", value))


def _only_if_unreadable(data: bytes) -> bytes:
    if _PRINTABLE.search(data):
        raise CannotScrub("an RPC message that can't be taken apart")
    return data


def _header(data: bytes) -> tuple[int, int, int]:
    """(start of the body, bytes of the length field, end of the body)."""
    width, cookie = (data[1] >> 2 & 3) + 1, (data[1] & 3) + 1
    start = 2 + width + cookie
    if start > len(data):
        raise CannotScrub("cut header")
    return start, width, start + int.from_bytes(data[2 : 2 + width], "big")


def _records(data: bytes, position: int, end: int) -> list[tuple[int, int, int, int]]:
    """(type, first byte of the record, first byte of the value, byte behind it) of every record, members of structures included."""
    found = []
    while position < end:
        begin, byte = position, data[position]
        position += 1
        kind, size = byte & 15, byte >> 4 & 7
        if byte == 0x82:  # the server's own overflow: a double of 8 bytes
            size = 8
        elif byte & 0x80:
            if size == 0:
                if kind not in (_STRUCT, _ARRAY):
                    raise CannotScrub("unknown end mark")
                continue
            if size > 4 or position + size > end:
                raise CannotScrub("record length")
            length = int.from_bytes(data[position : position + size], "big")
            position, size = position + size, length
        if kind > _BYTES or (kind in (_STRUCT, _ARRAY) and size) or position + size > end:
            raise CannotScrub("record")
        if kind not in (_STRUCT, _ARRAY):
            found.append((kind, begin, position, position + size))
        position += size
    return found


def _record(kind: int, value: bytes) -> bytes:
    if len(value) < 8:
        return bytes((len(value) << 4 | kind,)) + value
    size = (len(value).bit_length() + 7) // 8
    return bytes((0x80 | size << 4 | kind,)) + len(value).to_bytes(size, "big") + value


def _unescaped(literal: str) -> str:
    if "\\" not in literal:
        return literal
    import json  # msgspec refuses what Kamailio may print: control characters, lone surrogates

    try:
        return str(json.loads(f'"{literal}"', strict=False))
    except ValueError:
        return literal.replace("\\", "")


def _escaped(value: str) -> str:
    table = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return "".join(table.get(c) or (c if c >= " " else f"\\u{ord(c):04x}") for c in value)
