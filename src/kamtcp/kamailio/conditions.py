"""Values of `#!ifexp` and `#!defexp` expressions (Kamailio 5.7+): a careful subset.

The rules of the subset are Kamailio's: the left operand decides whether a comparison is of texts or numbers, a name
that isn't defined is 0, one defined without a value is 1. Whatever is outside the subset gives None: not known.

Source  Kamailio src/core/ppcfg.c pp_ifexp_eval(), src/core/utils/snexpr.h
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

Value = float | str

_MAX_TOKENS = 200


class _Unknown(Exception):
    """The expression is not in the subset."""


def evaluate(text: str, lookup: Callable[[str], str | int | None]) -> Value | None:
    """Value of an expression, or None where this reader can't be sure of it.

    Args:
        text: the expression.
        lookup: name -> its value (quotes stripped), 1 where it has none, 0 where it isn't defined, None where
            that isn't known.
    """
    tokens = _tokens().findall(text)
    # what the pattern jumped over would be missing here
    if not tokens or len(tokens) > _MAX_TOKENS or _dense("".join(tokens)) != _dense(text):
        return None
    parser = _Parser(tokens, lookup)
    try:
        value = parser.level(0)
    except (_Unknown, OverflowError):
        return None
    return None if parser.tokens else value


def truth(value: Value | None) -> bool | None:
    """Whether a condition with this value holds: a number but 0, a text but the empty one."""
    return None if value is None else bool(value)


def _dense(text: str) -> str:
    return "".join(text.split())


@cache
def _tokens() -> re.Pattern[str]:
    return re.compile(r"\"[^\"\\]*\"|'[^'\\]*'|[A-Za-z_]\w*|[0-9]+(?:\.[0-9]+)?|&&|\|\||[=!<>]=|[<>()!+*/%-]")


_LEVELS = (("||",), ("&&",), ("==", "!="), ("<", "<=", ">", ">="), ("+", "-"), ("*", "/", "%"))


class _Parser:
    def __init__(self, tokens: list[str], lookup: Callable[[str], str | int | None]) -> None:
        self.tokens = tokens[::-1]
        self.lookup = lookup
        self.depth = 0

    def level(self, height: int) -> Value:
        if height == len(_LEVELS):
            return self.atom()
        left = self.level(height + 1)
        while self.tokens and self.tokens[-1] in _LEVELS[height]:
            operator = self.tokens.pop()
            left = _apply(operator, left, self.level(height + 1))
        return left

    def atom(self) -> Value:
        self.depth += 1
        if self.depth > 40 or not self.tokens:
            raise _Unknown
        try:
            return self._atom(self.tokens.pop())
        finally:
            self.depth -= 1

    def _atom(self, token: str) -> Value:
        if token in ("!", "-"):
            value = self.atom()
            if isinstance(value, str):
                raise _Unknown
            return float(not value) if token.startswith("!") else -value
        if token.startswith("("):
            value = self.level(0)
            if not self.tokens or self.tokens.pop() != ")":
                raise _Unknown
            return value
        if token[0] in "\"'":
            return token[1:-1]
        if token[0].isdigit():
            return float(token)
        if token[0].isalpha() or token[0] == "_":
            found = self.lookup(token)
            if found is None:
                raise _Unknown
            return found if isinstance(found, str) else float(found)
        raise _Unknown


def _apply(operator: str, left: Value, right: Value) -> Value:
    if operator in ("==", "!=", "<", "<=", ">", ">="):
        if isinstance(left, str):
            return _compare(operator, left, right if isinstance(right, str) else _shown(right))
        return _compare(operator, left, _number(right))
    if operator == "+" and isinstance(left, str):
        return left + (right if isinstance(right, str) else _shown(right))
    if operator == "+" and isinstance(left, float):
        return left + _number(right)
    if isinstance(left, str) or isinstance(right, str):
        raise _Unknown
    if operator == "&&":
        return float(bool(left) and bool(right))
    if operator == "||":
        return float(bool(left) or bool(right))
    if operator in "/%" and right == 0:
        raise _Unknown
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        return left / right
    raise _Unknown


def _compare(operator: str, left: Value, right: Value) -> float:
    if operator in ("==", "!="):
        return float((left == right) == (operator == "=="))
    less = left < right  # type: ignore[operator]  # both were brought to one type
    equal = left == right
    return float({"<": less, "<=": less or equal, ">": not (less or equal), ">=": not less}[operator])


def _number(value: Value) -> float:
    if isinstance(value, float):
        return value
    if not value.isdigit() or not value.isascii():
        raise _Unknown
    return float(value)


def _shown(value: float) -> str:
    # Kamailio computes in 32-bit floats: above 2**24 its digits differ from ours
    if value != int(value) or abs(value) > 1 << 24:
        raise _Unknown
    return str(int(value))
