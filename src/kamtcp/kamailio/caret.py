"""What is wrong with a configuration, shown where it stands: FILE:LINE, the line, and a caret below the word."""

from __future__ import annotations

import re
from collections.abc import Callable

from kamtcp.model.absent import Absent

_PLACE = re.compile(r"(\S.*?):(\d+)$")
_INCLUDED = re.compile(r"\bat (\S.*?):(\d+)(?=;|$)")
_QUOTED = re.compile(r"'([^']{1,60})'")
#: columns of a line that are shown
_WIDTH = 100
#: what Kamailio reads otherwise than it seems to be meant, and starts all the same
_REMARKS = ("Kamailio takes", "is a comment to Kamailio")


def refused(problem: Absent) -> bool:
    """Whether Kamailio doesn't start with it."""
    return not any(each in problem.detail for each in _REMARKS)


def pointed(problem: Absent, open_file: Callable[[str], bytes]) -> tuple[str, ...]:
    """Lines for people: where and what, then the line of the file with a caret, where that can be read.

    Args:
        problem: of a Config; its `source` is "FILE:LINE", or a file that could not be read, with
            "include_file at FILE:LINE" in its detail.
        open_file: as the configuration was read.
    """
    found = _PLACE.match(problem.source)
    said = problem.detail
    if found is None:
        found = _INCLUDED.search(problem.detail)
        more = problem.detail.partition("; ")[2] if found is not None else problem.detail
        said = f"{problem.source}: {problem.why.value}" + (f" ({more})" if more else "")
    if found is None:
        return (said,)
    file, number = found.group(1), int(found.group(2)[:9])
    head = f"{file}:{number}: {said}"
    try:
        lines = open_file(file).decode("utf-8", "replace").split("\n")
    except OSError:
        return (head,)
    if not 0 < number <= len(lines) or not lines[number - 1].strip():
        return (head,)
    line = lines[number - 1].rstrip("\r").expandtabs(4)
    column = _column(line, said, problem.source.rpartition("/")[2])
    start = max(0, column - _WIDTH + 20)
    return (head, f"    {line[start : start + _WIDTH]}", " " * (4 + column - start) + "^")


def _column(line: str, said: str, name: str) -> int:
    """Of the piece that the message quotes, else of the first of its words that stands there, else of the first word."""
    words = [*_QUOTED.findall(said), name, *re.findall(r"[\w.]+", said)]
    found = (re.search(rf"(?<!\w){re.escape(word)}(?!\w)", line) for word in words if word)
    return next((each.start() for each in found if each), len(line) - len(line.lstrip()))
