"""Width, colour and characters of a terminal: 80 columns, NO_COLOR, pipes and old encodings respected."""

from __future__ import annotations

import os
import sys

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
NARROWEST, WIDEST = 60, 120


class Screen:
    """How to write: columns, whether in colour, whether the encoding knows block characters.

    No Struct: `kamtcp --help` is written by it too, and msgspec takes as long to load as the whole interpreter.
    """

    __slots__ = ("colour", "unicode", "width")

    def __init__(self, width: int, colour: bool, unicode: bool) -> None:
        self.width, self.colour, self.unicode = width, colour, unicode

    def style(self, text: str, name: str) -> str:
        """Text in one style; plain where there is no colour. Colour never carries meaning alone."""
        return f"\033[{STYLES[name]}m{text}\033[0m" if self.colour and text else text


def screen(*, colour: bool | None = None) -> Screen:
    """The screen that stdout is."""
    tty = sys.stdout is not None and sys.stdout.isatty()
    wanted = tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") != "dumb"
    try:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns if tty else 80
    except OSError:
        columns = 80
    wish = os.environ.get("COLUMNS", "")
    if wish.isascii() and wish.isdigit():
        columns = int(wish[:6])
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    return Screen(
        width=min(WIDEST, max(NARROWEST, columns)),
        colour=wanted if colour is None else colour,
        unicode=encoding.startswith("utf"),
    )


def wrapped(text: str, width: int, indent: str, first: str | None = None) -> list[str]:
    """Text in lines of at most `width`, words kept whole where they fit; words longer than a line are cut.

    Args:
        text: words; any white space between them becomes one space.
        width: more than `indent` is long.
        indent: begins every line.
        first: begins the first one instead, where it is given.
    """
    lines: list[str] = []
    line = indent if first is None else first
    empty = True
    for word in text.split():
        rest = word
        while rest:
            room = width - len(line) - (0 if empty else 1)
            if len(rest) <= room:
                line += rest if empty else f" {rest}"
                empty, rest = False, ""
            elif empty:
                room = max(0, room)  # a first beginning may be as long as a line
                lines.append((line + rest[:room]).rstrip())
                line, rest = indent, rest[room:]
            else:
                lines.append(line)
                line, empty = indent, True
    if not empty:
        lines.append(line)
    return lines
