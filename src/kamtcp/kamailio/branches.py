"""Which branches of `#!ifdef` and its kin are read.

A condition that can't be evaluated makes both its branches "unsure" instead of picking one.

Source  Kamailio src/core/cfg.lex (pp_ifdef(), pp_else(), pp_endif(), state IFDEF_SKIP), src/core/ppcfg.c
"""

from __future__ import annotations

from kamtcp.kamailio import lexer
from kamtcp.kamailio.conditions import evaluate, truth
from kamtcp.kamailio.definitions import Definitions
from kamtcp.kamailio.frames import Frame, Frames
from kamtcp.kamailio.notes import Notes, Place

_NESTED = 512  # as Kamailio's table of conditions


class Branches:
    """The conditions that are open.

    Attributes:
        open: each condition: holds, doesn't, or None: not known.
        sure: whether what is read now is read by Kamailio as well.
    """

    def __init__(self, frames: Frames, definitions: Definitions, notes: Notes) -> None:
        self._frames, self._definitions, self._notes = frames, definitions, notes
        self.open: list[bool | None] = []
        self._begun: list[Place] = []
        self._stray: list[Place] = []

    @property
    def sure(self) -> bool:
        return None not in self.open

    def test(self, frame: Frame, word: str, start: int) -> None:
        """Follow an `#!ifdef`, `#!ifndef` or `#!ifexp` that begins at `start`."""
        place, rest = frame.place(start), frame.rest_of_line()
        holds: bool | None
        if False in self.open:
            holds = False  # inside a branch that is left out nothing is looked up
        elif word == "ifexp":
            if not self._definitions.knows("ifexp", place):
                return
            holds = truth(evaluate(rest, self._definitions.value))
            if holds is None:
                self._notes.doubt(
                    place, f"#!ifexp {rest[:80]} was not evaluated; both branches count as unsure"
                )
        else:
            found = lexer.name_pattern().search(rest)
            name = found.group() if found else ""
            if found and rest[found.end() : found.end() + 1] == "-":
                self._notes.refuse(place, f"#!{word} {name}-: no - in a name", sure=self.sure)
            known = self._definitions.has(name)
            holds = None if known is None else known == (word == "ifdef")
            if known is None:
                self._notes.doubt(
                    place, f"whether {name} is defined is not known; both branches count as unsure"
                )
        if len(self.open) < _NESTED:
            self.open.append(holds)
            self._begun.append(place)

    def turn(self, frame: Frame, word: str, start: int) -> None:
        """Follow an `#!else` or `#!endif`."""
        place, rest = frame.place(start), frame.rest_of_line()
        if rest or frame.position == len(frame.text):
            # Kamailio takes it for a comment; read as it seems to be meant
            self._notes.problem(place, f"#!{word} counts only when nothing but the end of the line follows")
            if word == "endif" and self.open:
                self._notes.stop(place, "this #!endif does not count: something, or no line end, follows it")
        if not self.open:
            if word == "endif" and not rest:
                self._stray.append(place)
                self._notes.problem(place, "#!endif without #!ifdef")
            else:
                self._notes.problem(place, f"#!{word} without #!ifdef")
        elif word == "endif":
            self.open.pop()
            self._begun.pop()
        elif self.open[-1] is not None:
            self.open[-1] = not self.open[-1]

    def skip(self) -> None:
        """Leave out a branch: only conditions are looked at, wherever they stand."""
        while False in self.open and self._frames.stack:
            frame = self._frames.stack[-1]
            found = lexer.skip_pattern().search(frame.text, frame.position)
            if found is None:
                frame.position = len(frame.text)
                self._frames.pop()
                continue
            frame.position = found.end()
            if found.lastgroup == "loose" and not _leads_line(frame.text, found.start()):
                continue
            if found.lastgroup == "test":
                self.test(frame, found.group("test"), found.start())
            else:
                self.turn(frame, found.group("turn") or found.group("loose"), found.start())

    def finish(self) -> None:
        """Say what is not paired where the last file ends. Kamailio only counts: as many of both pass."""
        uneven = len(self._begun) != len(self._stray)
        for place in self._begun:
            self._notes.problem(place, "this #!ifdef has no #!endif")
        for place, text in [
            *((each, "this #!ifdef has no #!endif") for each in self._begun),
            *((each, "#!endif without #!ifdef") for each in self._stray),
        ]:
            if uneven:
                self._notes.stop(place, text)
        self.open.clear()
        self._begun.clear()
        self._stray.clear()


def _leads_line(text: str, position: int) -> bool:
    """Whether a `#!` there is the first on its line, and not on the first line of all."""
    line = text.rfind("\n", 0, position)
    return line >= 0 and text[position] == "#" and not text[line + 1 : position].strip(" \t")
