"""Notes taken while a kamailio.cfg is read: what is wrong with it, what stops Kamailio, what can't be told."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from kamtcp.kamailio.contents import Refusal
from kamtcp.model.absent import Absent, Why

_MOST = 100  # notes of a kind; a broken file would repeat itself
_WIDTH = 100  # characters of a line that are shown


class Place(Struct, frozen=True):
    """A place in a file: its line, and its offset in the text (-1: the whole line)."""

    file: str
    line: int
    offset: int = -1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Notes:
    """What is wrong with a configuration, and what could not be told."""

    def __init__(self) -> None:
        self.problems: list[Absent] = []
        self.unsure: list[str] = []
        self._refused: list[tuple[Place, str, bool]] = []

    def problem(self, place: Place, text: str) -> None:
        """Note something that Kamailio would not read as it seems to be meant."""
        self.absent(Absent(str(place), Why.MALFORMED, text))

    def refuse(self, place: Place, text: str, *, sure: bool = True) -> None:
        """Note something that Kamailio does not start with; `sure` is False in a branch it may not read."""
        self.problem(place, text)
        self.stop(place, text, sure=sure)

    def stop(self, place: Place, text: str, *, sure: bool = True) -> None:
        """The same for what is noted as a problem already."""
        if len(self._refused) < _MOST:
            self._refused.append((place, text, sure))

    def absent(self, absent: Absent) -> None:
        """Note something that could not be read."""
        if len(self.problems) < _MOST:
            self.problems.append(absent)

    def doubt(self, place: Place, text: str) -> None:
        """Note something that this reader can't tell."""
        if len(self.unsure) < _MOST:
            self.unsure.append(f"{place}: {text}")

    def refusals(self, texts: Mapping[str, str]) -> tuple[Refusal, ...]:
        """What stops Kamailio, with the lines it stands on.

        Args:
            texts: file -> contents.
        """
        return tuple(
            _pointed(place, text, texts.get(place.file, ""), sure=sure) for place, text, sure in self._refused
        )


def _pointed(place: Place, what: str, text: str, *, sure: bool) -> Refusal:
    if not 0 <= place.offset <= len(text):
        return Refusal(place.file, place.line, 0, what, sure=sure)
    begin = text.rfind("\n", 0, place.offset) + 1
    end = text.find("\n", place.offset)
    end = len(text) if end < 0 else end
    caret = place.offset - begin
    cut = max(0, caret - _WIDTH // 2)  # of a huge line the part around the place
    code = "".join(c if c.isprintable() else " " for c in text[begin + cut : min(end, begin + cut + _WIDTH)])
    return Refusal(place.file, place.line, caret + 1, what, code.rstrip(), caret - cut, sure)
