"""The texts that a configuration is read from: a stack of files and of values of defined names.

Source  Kamailio src/core/cfg.lex (sr_push_yy_state(), sr_pop_yy_state())
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.kamailio.notes import Place


class Frame(Struct):
    """A text being read: a file, or the value of a defined name, which was used at `used`."""

    text: str
    file: str
    line: int = 1
    position: int = 0
    counted: int = 0  # offset up to which `line` is right
    used: Place | None = None
    commented: bool = False  # the value of a name that ended inside a line comment

    @property
    def macro(self) -> bool:
        """Whether it is the value of a defined name."""
        return self.used is not None

    def line_at(self, position: int) -> int:
        """Number of the line that holds an offset; cheap where it is near the last one asked for."""
        if self.used is not None:
            return self.used.line
        if position >= self.counted:
            self.line += self.text.count("\n", self.counted, position)
        else:
            self.line -= self.text.count("\n", position, self.counted)
        self.counted = position
        return self.line

    def place(self, position: int | None = None) -> Place:
        """Where an offset is, the present one by default; within a value, where its name was used."""
        if self.used is not None:
            return self.used
        position = self.position if position is None else position
        return Place(self.file, self.line_at(position), position)

    def rest_of_line(self) -> str:
        """What stands before the next line end, blanks around it stripped; the position moves there."""
        end = self.text.find("\n", self.position)
        end = len(self.text) if end < 0 else end
        rest = self.text[self.position : end].strip(" \t\b\r")
        self.position = end
        return rest

    def behind_blanks(self, blanks: str = " \t\b\r\n") -> int:
        """Offset of the next character that is no blank."""
        position = self.position
        while position < len(self.text) and self.text[position] in blanks:
            position += 1
        return position


class Frames:
    """The stack, the innermost text last.

    Attributes:
        includes: files read, in order.
        texts: contents of each, decoded.
        bytes: how much was read.
    """

    def __init__(self) -> None:
        self.stack: list[Frame] = []
        self.includes: list[str] = []
        self.texts: dict[str, str] = {}
        self.bytes = 0
        self._last = Place("", 0)

    def push_file(self, path: str, data: bytes) -> None:
        """Go on with this file."""
        self.bytes += len(data)
        self.includes.append(path)
        self.texts[path] = data.decode("utf-8", "replace")
        self.stack.append(Frame(self.texts[path], path))

    def push_value(self, value: str, used: Place) -> None:
        """Go on with the value of a name."""
        self.stack.append(Frame(value, used.file, used=used))

    def pop(self) -> Frame:
        """Leave the innermost text."""
        frame = self.stack.pop()
        self._last = frame.place()
        if frame.commented and self.stack:
            # a value ending in "# comment" hides the rest of the line it is used on
            self.stack[-1].rest_of_line()
        return frame

    def here(self) -> Place:
        """What is being read; the end of the last text once all are read."""
        return self.stack[-1].place() if self.stack else self._last

    @property
    def depth(self) -> int:
        """Files open."""
        return sum(not frame.macro for frame in self.stack)
