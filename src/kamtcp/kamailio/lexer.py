"""The words of a kamailio.cfg: comments, strings, numbers, names and directives.

This module knows what one word looks like. Which words are read at all (`#!ifdef`), what stands for what
(`#!define`) and where the next file comes in is preprocess.py; what the words mean is config.py.

Source  Kamailio src/core/cfg.lex (5.6.3 and 6.2.0-dev1 read; the rules used here are the same in both)
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from msgspec import Struct

WORD, NUMBER, STRING, MARK, END = "word", "number", "string", "mark", "end"

# besides blanks, what no rule of Kamailio's scanner takes: it goes to standard output and is forgotten
_BLANK = r"(?:[ \t\b\r]|\\\n|[^\n!-~]|[?`\\])+"
_HEX = r"[0-9a-fA-F]{1,4}"
# Longest first: an alternation takes the first that fits, Kamailio's scanner the longest.
_IPV6 = rf"(?:{_HEX}:){{7}}{_HEX}(?!:)|(?:{_HEX}:){{1,7}}(?::{_HEX}){{1,7}}|:(?::{_HEX}){{1,7}}|(?:{_HEX}:){{1,7}}:|::"
_DEFINES = "(?:(?:try)?(?:un)?|re)def(?:ine)?|(?:try)?defenvs?|defexps?"
_INCLUDES = "(?:include|import)_file"
_BOOLEANS = {"yes": 1, "true": 1, "on": 1, "enable": 1, "no": 0, "false": 0, "off": 0, "disable": 0}


class Token(NamedTuple):
    """One word (a tuple, because a configuration has tens of thousands).

    Args:
        kind: WORD, NUMBER, STRING, MARK (one character of punctuation) or END.
        text: as written; of a STRING its contents, escapes resolved.
        file, line: where it stands; of a defined name's value, where the name was used.
        glued: nothing stands between it and the word before.
        fresh: it is the first of its line.
        sure: False in a branch of a condition that could not be evaluated.
        quoted: the quotes of a STRING ('"' or "'"), else "".
        offset: where it begins in the text of its file.
    """

    kind: str
    text: str
    file: str
    line: int
    glued: bool
    fresh: bool
    sure: bool
    quoted: str = ""
    offset: int = -1


class Number(Struct, frozen=True):
    """A number as Kamailio stores it: 32 bits, signed; `wrapped` if more had been written."""

    value: int
    wrapped: bool


@cache
def word_pattern() -> re.Pattern[str]:
    """What may come next outside route blocks. Compiled when first used: start-up is measured."""
    return re.compile(
        rf"""
          (?P<blank>{_BLANK})
        | (?P<line>\n(?:[ \t\r]*+(?:(?:\#(?!!)|//)[^\n]*+)?\n)*+)
        | (?:\#!|!!)(?:
              (?P<define>{_DEFINES})(?=[ \t\b\r])
            | (?P<subst>subst(?:defs?)?)(?![A-Za-z0-9_])
            | (?P<test>if(?:n?def|exp))(?=[ \t\b\r])
            | (?P<turn>else|endif)(?![A-Za-z0-9_])
            | (?P<include>{_INCLUDES}))
        | (?P<include2>{_INCLUDES})(?![A-Za-z0-9_])
        | (?P<note>(?:\#|//)[^\n]*)
        | (?P<block>/\*)
        | (?P<text>"(?:[^"\\]|\\.)*"|'[^']*')
        | (?P<ip6>{_IPV6})
        | (?P<pvar>\$[A-Za-z0-9_.]*\()
        | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
        | (?P<number>[0-9][A-Za-z0-9_]*)
        | (?P<mark>.)
        """,
        re.VERBOSE | re.DOTALL,
    )


@cache
def block_pattern() -> re.Pattern[str]:
    """What matters inside a route block: braces, what hides braces, directives, and signs of a lost brace.

    It is looked for at every character; saying first how any of it begins makes that ten times as fast.
    """
    return re.compile(
        rf"""
        (?=[\#!/"'${{}}i\n])(?:
          (?:\#!|!!)(?:
              (?P<define>{_DEFINES})(?=[ \t\b\r])
            | (?P<subst>subst(?:defs?)?)(?![A-Za-z0-9_])
            | (?P<test>if(?:n?def|exp))(?=[ \t\b\r])
            | (?P<turn>else|endif)(?![A-Za-z0-9_])
            | (?P<include>{_INCLUDES}))
        | (?P<include2>\b{_INCLUDES}\b)
        | (?P<note>(?:\#|//)[^\n]*)
        | (?P<block>/\*)
        | (?P<text>"(?:[^"\\]|\\.)*"|'[^']*')
        | (?P<pvar>\$[A-Za-z0-9_.]*\()
        | (?P<brace>[{{}}])
        | (?P<open>["'])
        | (?P<lost>\n(?:request_route|reply_route|(?:onreply_|failure_|branch_|event_)?route[ \t]*\[|
              onsend_route|modparamx?[ \t]*\(|loadmodulex?[ \t(])))
        """,
        re.VERBOSE | re.DOTALL,
    )


@cache
def skip_pattern() -> re.Pattern[str]:
    """What ends or nests a skipped branch; Kamailio looks for it inside comments and strings too.

    `loose`, with more on its line, counts only where `#!` is the first on it.
    """
    return re.compile(
        r"[#!]!(?:(?P<test>if(?:n?def|exp))(?=[ \t\b\r])|(?P<turn>else|endif)(?=[ \t\b\r]*(?:\n|\Z))"
        r"|(?P<loose>else|endif)(?![A-Za-z0-9_]))"
    )


def end_of_comment(text: str, start: int) -> int:
    """Offset behind a block comment whose "/*" is at `start`; -1 if it is never closed. They nest."""
    depth, position = 0, start
    while True:
        close = text.find("*/", position)
        if close < 0:
            return -1
        opened = text.find("/*", position, close)
        if opened >= 0:
            depth, position = depth + 1, opened + 2
            continue
        depth, position = depth - 1, close + 2
        if depth == 0:
            return position


def end_of_parenthesis(text: str, start: int) -> int:
    """Offset behind the parenthesis that opens just before `start`; -1 if it is never closed."""
    depth = 1
    for found in _parentheses().finditer(text, start):
        depth += 1 if found.group() == "(" else -1
        if depth == 0:
            return found.end()
    return -1


def unquote(text: str) -> str:
    """Contents of a quoted string: escapes count between double quotes only, as in Kamailio."""
    if text[:1] != '"' or "\\" not in text:
        return text[1:-1]
    return _escapes().sub(_unescape, text[1:-1])


def number(text: str) -> Number | None:
    """Decimal, 0x hexadecimal, 0 octal, or binary with a final b; also yes/true/on/enable and their opposites."""
    if text in _BOOLEANS:
        return Number(_BOOLEANS[text], wrapped=False)
    found = _numbers().fullmatch(text)
    if found is None or len(text) > 40:
        return None
    digits = text[:-1] if found.lastgroup == "b2" else text
    value = int(digits, {"b16": 16, "b8": 8, "b2": 2}.get(str(found.lastgroup), 10))
    short = (value + (1 << 31)) % (1 << 32) - (1 << 31)
    return Number(short, wrapped=short != value)


def boolean(text: str) -> bool | None:
    """True or False where one of Kamailio's eight words for it stands, else None."""
    return bool(_BOOLEANS[text]) if text in _BOOLEANS else None


@cache
def name_pattern() -> re.Pattern[str]:
    """A name that may be defined."""
    return re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@cache
def _parentheses() -> re.Pattern[str]:
    return re.compile(r"[()]")


@cache
def _escapes() -> re.Pattern[str]:
    return re.compile(r"\\(?:([nrat])|([\"\\])|(\n)|x([0-9a-fA-F]{1,2})|([0-7]{2,3}))")


@cache
def _numbers() -> re.Pattern[str]:
    return re.compile(r"(?P<b16>0x[0-9a-fA-F]+)|(?P<b8>0[0-7]+)|(?P<b10>0|[1-9][0-9]*)|(?P<b2>[01]+b)")


def _unescape(found: re.Match[str]) -> str:
    letter, self_, newline, hexadecimal, octal = found.groups()
    if letter:
        return {"n": "\n", "r": "\r", "a": "\a", "t": "\t"}[letter]
    if newline:
        return ""
    if self_:
        return str(self_)
    return chr(int(hexadecimal, 16) if hexadecimal else int(octal, 8) & 0xFF)
