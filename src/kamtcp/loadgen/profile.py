"""A load in several populations and phases, read from a TOML file with one line for each mistake.

`docs/examples/load-profile.toml` shows every key.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec import Struct

from kamtcp.errors import UsageError
from kamtcp.loadgen.phases import PHASES, Phase
from kamtcp.loadgen.population import NAME, PATH, Population
from kamtcp.loadgen.profile_rules import between, within

LARGEST = 1 << 20  # bytes of a file
_EXPECTED = re.compile(r"Expected (.*?)(?:, got .*)?(?: - at .*)?$")

_WORDS = (
    (f"str matching regex {NAME!r}", "letters, digits, '.', '_' and '-'"),
    (f"str matching regex {PATH!r}", "a path that begins with '/' and has no spaces"),
    ("str", "text"),
    ("float", "a number"),
    ("int", "a whole number"),
    ("bool", "true or false"),
    ("array", "a list"),
    ("object", "a table"),
)


class ProfileError(UsageError):
    """A profile can't be used. `mistakes` has a line for each; the text is all of them."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        self.mistakes = mistakes
        super().__init__("\n".join(mistakes))


class Profile(Struct, frozen=True):
    """A whole load: who takes part, and what happens in turn."""

    populations: tuple[Population, ...]
    phases: tuple[Phase, ...]

    def of(self, phase: Phase) -> tuple[Population, ...]:
        """Those that take part in a phase, in the order of the file."""
        return tuple(
            each for each in self.populations if not phase.populations or each.name in phase.populations
        )


def read(text: str, name: str) -> Profile:
    """The profile in a TOML text.

    Args:
        text: the whole file.
        name: of the file, for messages.

    Raises:
        ProfileError: something in it can't be meant.
    """
    if len(text) > LARGEST:
        raise ProfileError((f"{name}: expected at most {LARGEST} bytes, got {len(text)}",))
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ProfileError((f"{name}: no TOML: {error or 'nested too deep'}",)) from error
    reader = _Reader(text, name)
    for key in tables:
        if key not in ("population", "phase"):
            reader.say(_line(text, key), f"{key}: expected [[population]] and [[phase]] tables alone")
    populations = tuple(reader.populations(tables.get("population")))
    phases = tuple(reader.phases(tables.get("phase")))
    if not reader.mistakes:
        for kind, number, key, mistake in between(populations, phases):
            reader.say(_line(text, key, kind, number), f"{kind} {number}: {mistake}")
    if reader.mistakes:
        raise ProfileError(tuple(reader.mistakes))
    return Profile(populations, phases)


class _Reader:
    """Turns tables into structs and collects what is wrong with them."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name
        self.mistakes: list[str] = []

    def say(self, line: int | None, mistake: str) -> None:
        self.mistakes.append(f"{self.name}{'' if line is None else f':{line}'}: {mistake}")

    def populations(self, tables: object) -> Iterator[Population]:
        for number, table in self.tables("population", tables):
            yield from self.make(Population, table, f"population {number}", number, "population")

    def phases(self, tables: object) -> Iterator[Phase]:
        for number, table in self.tables("phase", tables):
            where = f"phase {number}"
            kind = table.get("kind")
            if not isinstance(kind, str) or kind not in PHASES:
                line = _line(self.text, "kind", "phase", number)
                self.say(line, f"{where}: kind: expected one of {', '.join(PHASES)}, got {kind!r}")
                continue
            rest = {key: value for key, value in table.items() if key != "kind"}
            yield from self.make(PHASES[kind], rest, f"{where} ({kind})", number, "phase")

    def tables(self, kind: str, found: object) -> Iterator[tuple[int, dict[str, Any]]]:
        if not isinstance(found, list) or not found or not all(isinstance(each, dict) for each in found):
            self.say(_line(self.text, kind), f"expected at least one [[{kind}]] table")
            return
        yield from enumerate(found, start=1)

    def make(
        self,
        wanted: Any,
        table: dict[str, Any],
        where: str,
        number: int,
        kind: str,
        *,
        line: int | None = None,
    ) -> Iterator[Any]:
        """The struct, or nothing and what is wrong. `line`: of the key whose value this table is."""
        values, before = {}, len(self.mistakes)
        fields = {each.name: each for each in msgspec.structs.fields(wanted)}
        for key, value in table.items():
            place = line or _line(self.text, key, kind, number)
            if key not in fields:
                near = difflib.get_close_matches(key, fields, 1)
                self.say(
                    place, f"{where}: unknown key {key!r}" + (f", did you mean {near[0]}?" if near else "")
                )
                continue
            inner = _struct_in(fields[key].type)
            if inner is not None and isinstance(value, dict):
                for made in self.make(inner, value, f"{where}: {key}", number, kind, line=place):
                    values[key] = made
                continue
            try:
                values[key] = msgspec.convert(value, fields[key].type)
            except msgspec.ValidationError as error:
                self.say(
                    place, f"{where}: {key}: expected {_wanted(fields[key].type, str(error))}, got {value!r}"
                )
        for field in fields.values():
            if field.required and field.name not in table:
                self.say(line or _line(self.text, None, kind, number), f"{where}: {field.name} is missing")
        if len(self.mistakes) == before:
            made = wanted(**values)
            for key, mistake in within(made, frozenset(table)):
                self.say(line or _line(self.text, key, kind, number), f"{where}: {mistake}")
            if len(self.mistakes) == before:
                yield made


def _struct_in(wanted: Any) -> Any | None:
    """The struct that a key holds, if it holds one."""
    for each in get_args(wanted) if isinstance(wanted, UnionType) else (wanted,):
        if isinstance(each, type) and issubclass(each, Struct):
            return each
    return None


def _wanted(wanted: Any, said: str) -> str:
    """What msgspec expected, in an operator's words."""
    for each in (wanted, *get_args(wanted)):
        if get_origin(each) is Literal:
            return "one of " + ", ".join(get_args(each))
    match = _EXPECTED.search(said)
    text = match[1].replace("`", "").replace(" | null", "") if match else said
    for theirs, ours in _WORDS:
        text = text.replace(theirs, ours)
    return text


def _line(text: str, key: str | None, kind: str | None = None, number: int = 1) -> int | None:
    """Where a key stands: in the `number`th table of `kind`, or anywhere outside; the table's own line if it isn't found."""
    begin, count, inside = None, 0, kind is None
    for place, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if kind is not None and bare.startswith("[["):
            inside = False
            if bare[2:].split("]")[0].strip() == kind:
                count += 1
                inside = count == number
                begin = place if inside else begin
        elif (
            inside
            and key is not None
            and re.match(rf"\[*\s*(?:[\w-]+\.)*\"?{re.escape(key)}\"?\s*[]=.]", bare)
        ):
            return place
    return begin
