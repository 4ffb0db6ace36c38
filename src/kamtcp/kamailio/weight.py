"""What the route blocks of a configuration weigh in private memory, which every process pays.

Figures are bytes of Debian 12's 5.6.3 (x86-64, q_malloc): a hundred of each statement added to a small configuration,
`pkg.stats` read after start.

Source  Kamailio src/core/cfg.y, rvalue.c, route_struct.c: what a script becomes
Cost    as much again as reading the file: about 10 ms for the stock one
"""

from __future__ import annotations

from kamtcp.kamailio.lexer import END, MARK, STRING, WORD, Token
from kamtcp.kamailio.parameters import KEYWORDS
from kamtcp.kamailio.preprocess import Stream
from kamtcp.kamailio.statements import Parser

_CONDITIONS = frozenset(("if", "while", "switch"))
_ROUTE, _CONDITION, _CALL, _ARGUMENT, _STATEMENT = 730, 2200, 600, 500, 350
_ASSIGNMENT, _BINARY, _NOT, _VARIABLE = 2550, 4050, 1850, 230


def weigh(stream: Stream, path: str) -> int:
    """Bytes of private memory that the route blocks of a stream will take; its problems are noted elsewhere."""
    stream.keywords = KEYWORDS
    parser = _Weigher(stream)
    parser.run(path)
    return parser.total


class _Weigher(Parser):
    """Reads route blocks word by word and adds up."""

    total = 0

    def block(self, opened: Token) -> None:  # noqa: ARG002  (of the base class)
        self.total += _ROUTE
        depth, calls = 1, [False]  # whether each open parenthesis holds the arguments of a function
        before = Token(MARK, "{", "", 0, glued=False, fresh=False, sure=True)
        while depth:
            token = self.stream.next()
            if token.kind == END:
                return
            after = self.stream.peek()
            mark = after.text if after.kind == MARK else ""
            if token.kind == STRING:
                self.total += _VARIABLE * min(token.text.count("$"), 100) + _ARGUMENT * calls[-1]
            elif token.kind == WORD:
                self.total += _word(token.text, mark)
            elif token.kind == MARK:
                self.total += _mark(token.text, before, mark)
                depth += (token.text == "{") - (token.text == "}")
                if token.text == "(":
                    calls.append(before.kind == WORD and before.text not in _CONDITIONS)
                elif token.text == ")" and len(calls) > 1:
                    calls.pop()
            before = token


def _word(text: str, after: str) -> int:
    if after == "(":
        return _CONDITION if text in _CONDITIONS else _CALL
    return _STATEMENT if after == ";" else 0


def _mark(text: str, before: Token, after: str) -> int:
    """Operators of two characters come as two marks: the first one counts."""
    if before.kind == MARK and before.text in "=!<>&|" and text in "=~&|":
        return 0
    if text == "=":
        return _BINARY if after in ("=", "~") else _ASSIGNMENT
    if text == "!":
        return _BINARY if after in ("=", "~") else _NOT
    return _BINARY if text in "<>+&|" else 0
