"""The findings that the operator accepts, from accept.toml.

Reads   /etc/kamtcp/accept.toml: a table `[[accept]]` for each, with code, reason and, where wanted, instance and until
Needs   nothing: a file that can't be read accepts nothing, and says so
Cost    none where there is no such file
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime

import msgspec

from kamtcp.errors import NotRecorded
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.model.acceptance import Acceptance, AcceptFile

ACCEPT_FILE = "/etc/kamtcp/accept.toml"
#: bytes; more than anybody accepts with a reason
MOST = 1 << 18
_FIELDS = ("code", "instance", "reason", "until")
_FORM = 'a table [[accept]] with code = "FDS001", reason = "..." and, where wanted, instance = "..." and until = 2027-01-31'
# text, compiled when first used: most machines have no such file
_HEADER = r"[ \t]*\[\[[ \t]*(?:accept|\"accept\"|'accept')[ \t]*\]\]"
_AT_LINE = r" \(at line (\d+), column \d+\)$"


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str
    reason: str
    instance: str = ""
    until: date | None = None


def collect(host: Host, path: str = "") -> AcceptFile:
    """What is accepted on this machine; `path` is another file than its own. What is wrong with it is among its problems."""
    path = path or ACCEPT_FILE
    try:
        data = host.read(path, MOST + 1)
    except (FileNotFoundError, NotADirectoryError, NotRecorded):
        return AcceptFile()
    except OSError as error:
        why = Why.DENIED if isinstance(error, PermissionError) else Why.FAILED
        return AcceptFile(path, problems=(Absent(path, why, error.strerror or "can't be read"),))
    return parse(data, path)


def parse(data: bytes, path: str = ACCEPT_FILE) -> AcceptFile:
    """Take the file apart; an entry that is wrong leaves the others as they are."""
    if len(data) > MOST:
        return _broken(path, 0, f"expected at most {MOST:,} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _broken(path, data.count(b"\n", 0, error.start) + 1, "expected UTF-8")
    found = _toml(text)
    if isinstance(found, str):
        at = re.search(_AT_LINE, found)
        line = int(at.group(1)) if at else text.count("\n") + (not text.endswith("\n"))
        return _broken(path, line, f"not TOML: {found.removesuffix(at.group()) if at else found}")
    entries: list[Acceptance] = []
    problems = [_problem(path, _line_of(text, key), f"{key[:40]!r} is no part of this file; expected {_FORM}")
                for key in found if key != "accept"]  # fmt: skip
    tables = found.get("accept", [])
    if not isinstance(tables, list):
        problems.append(_problem(path, _line_of(text, "accept"), f"expected {_FORM}"))
        tables = []
    lines = list(_headers(text))
    if len(lines) != len(tables):  # written as one array: all stand where that begins
        lines = [(_line_of(text, "accept"), text)] * len(tables)
    for table, (line, own) in zip(tables, lines, strict=True):
        entry = _entry(table)
        if isinstance(entry, _Entry):
            entries.append(Acceptance(entry.code.strip(), entry.reason.strip(), entry.instance.strip(),
                                      entry.until, path, line))  # fmt: skip
        else:
            field, said = entry
            within = _line_of(own, field) if field and own is not text else 1
            problems.append(_problem(path, line + max(0, within - 1), said))
    return AcceptFile(path, tuple(entries), tuple(problems))


def _toml(text: str) -> dict[str, object] | str:
    """The tables, or what is wrong with the text."""
    import tomllib

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of the text, or of a number or a nesting without end
        return " ".join(str(error).split()) or type(error).__name__


def _headers(text: str) -> Iterator[tuple[int, str]]:
    """Line of each `[[accept]]`, and the text from there to the next one. One that stands in a text is none."""
    lines = text.split("\n")
    starts = [number for number, line in enumerate(lines) if re.match(_HEADER, line)]
    begin: int | None = None
    for at, start in enumerate(starts):
        begin = start if begin is None else begin
        end = starts[at + 1] if at + 1 < len(starts) else len(lines)
        own = "\n".join(lines[begin:end])
        if isinstance(_toml(own), dict):
            yield begin + 1, own
            begin = None


def _entry(table: object) -> _Entry | tuple[str, str]:
    """One entry; or the field that is wrong ("" for the whole) and what was expected."""
    if not isinstance(table, dict):
        return "", f"expected {_FORM}"
    for name in table:
        if name not in _FIELDS:
            return name, f"{name[:40]!r} is no field of an entry; expected {', '.join(_FIELDS)}"
    for name in ("code", "reason", "instance"):
        value = table.get(name, "" if name == "instance" else None)
        if value is None:
            return "", f"{name} is missing; expected {_FORM}"
        if not isinstance(value, str) or (name != "instance" and not value.strip()):
            expected = "a text that is not empty, in quotes" if name != "instance" else "a name in quotes"
            return name, f"{name}: expected {expected}"
    until = table.get("until")
    if until is not None and (not isinstance(until, date) or isinstance(until, datetime)):
        return "until", "until: expected a date without quotes and without a time, such as 2027-01-31"
    try:
        return msgspec.convert(table, _Entry)
    except msgspec.ValidationError as error:
        return "", f"{error}; expected {_FORM}"


def _line_of(text: str, key: str) -> int:
    """The first line that seems to set a key or open its table; 1 where none does."""
    begins = re.compile(rf"[ \t]*\[*[ \t]*[\"']?{re.escape(key)}[\"']?[ \t]*[\].=]")
    return next((at for at, line in enumerate(text.split("\n"), 1) if begins.match(line)), 1)


def _problem(path: str, line: int, said: str) -> Absent:
    return Absent(f"{path}:{line}" if line else path, Why.MALFORMED, said)


def _broken(path: str, line: int, said: str) -> AcceptFile:
    return AcceptFile(path, problems=(_problem(path, line, said),))
