"""From decoded replies to typed fields: one member, one meaning.

A member that is missing is an `Absent` (older and newer Kamailio differ); one of the wrong kind is a ParseError.
"""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.kamailio.values import Members, Value, Values
from kamtcp.model.absent import Absent, Why

S = TypeVar("S", bound=Struct)

NULL = "<null string>"  # how ctl writes a NULL; JSON has null for it


def one_struct(method: str, values: Values) -> Members:
    """The struct that is the whole reply.

    Raises:
        ParseError: there is none.
    """
    if len(values) != 1 or not isinstance(values[0], Members):
        raise ParseError(method, "one struct", values)
    return values[0]


def structs(method: str, values: Values) -> list[Members]:
    """The rows of a reply that is a list of structs.

    Raises:
        ParseError: something else is among them.
    """
    rows = [value for value in values if isinstance(value, Members)]
    if len(rows) != len(values):
        raise ParseError(method, "structs only", values)
    return rows


def texts(method: str, values: Values) -> tuple[str, ...]:
    """The reply as a row of strings.

    Raises:
        ParseError: something else is among them.
    """
    found = tuple(value for value in values if isinstance(value, str))
    if len(found) != len(values):
        raise ParseError(method, "strings only", values)
    return found


def number(method: str, members: Members, name: str) -> int | Absent:
    """A member that is a whole number, sent as number or as digits."""
    return _number(method, name, members.get(name))


def _number(method: str, name: str, value: Value) -> int | Absent:
    if value is None:
        return Absent(f"{method} {name}", Why.MISSING)
    if isinstance(value, str) and len(value) < 20:
        try:
            return int(value)
        except ValueError as error:
            raise ParseError(f"{method} {name}", "a number", value) from error
    if not isinstance(value, int):
        raise ParseError(f"{method} {name}", "a number", value)
    return value


def required(method: str, members: Members, name: str) -> int:
    """As `number`, of a member that every Kamailio sends.

    Raises:
        ParseError: it is not there.
    """
    found = number(method, members, name)
    if isinstance(found, Absent):
        raise ParseError(method, f"a member {name}", members)
    return found


def text(method: str, members: Members, name: str) -> str | Absent:
    """A member that is a string; "" where Kamailio has NULL."""
    if all(name != key for key, _ in members.pairs):
        return Absent(f"{method} {name}", Why.MISSING)
    value = members.get(name)
    if value is None or value == NULL:
        return ""
    if isinstance(value, int):  # a name that looks like a number is sent as a string, but be lenient
        return str(value)
    if not isinstance(value, str):
        raise ParseError(f"{method} {name}", "a string", value)
    return value


def numbers(kind: type[S], method: str, members: Members, prefix: str = "") -> S:
    """A struct of which every field is `int | Absent` and is named as Kamailio names the member (after `prefix`)."""
    return kind(**{name: number(method, members, prefix + name) for name in kind.__struct_fields__})
