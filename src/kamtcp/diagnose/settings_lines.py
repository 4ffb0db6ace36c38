"""A word on every line of the administrator's sysctl files: what is none, and what does no harm."""

from __future__ import annotations

from collections.abc import Iterator

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, Finding, finding, no_cure
from kamtcp.diagnose.harmless import NO_RULE, note
from kamtcp.diagnose.lines import OF_PACKAGES, quoted, written
from kamtcp.diagnose.rule import Rule, Said
from kamtcp.model.settings import Assignment

NOT_LIVE, HARMLESS = "SYS031", "SYS036"
#: findings on how a line of a file fares, whatever it says
ABOUT_FILES = frozenset({NOT_LIVE, "SYS032", "SYS033", "SYS034", HARMLESS})


def not_understood(s: Situation, ladder: Ladder) -> Said:
    """Lines that are none."""
    for stray in s.machine.settings.stray:
        yield finding(
            BY_CODE["SYS035"], f"{stray.file}:{stray.line} is no assignment and is passed over: {stray.text[:60]!r}",
            f"sed -n {stray.line}p {quoted(stray.file)}", no_cure("nothing is in force"),
            Cure("write NAME = VALUE (a line can't be continued), or begin it with #"), places=(f"{stray.file}:{stray.line}",),
        )  # fmt: skip


def harmless(s: Situation, ladder: Ladder) -> Said:
    """Lines of the administrator that recipes hold dear and that change little."""
    for line in _own_lines(s):
        yield finding(
            BY_CODE["SYS036"], f"{line.where} {line.name}={written(line)}: {note(line, s)}", f"sed -n p {quoted(line.file)}",
            no_cure("nothing is wrong"), Cure("none needed; fewer lines are easier to read"), places=(line.where,),
        )  # fmt: skip


def joined(found: list[Finding]) -> list[Finding]:
    """The findings on harmless lines made one, without lines of which another finding speaks."""
    told = {place for each in found if each.code not in ABOUT_FILES for place in each.places}
    lines = [each for each in found if each.code == HARMLESS and not set(each.places) <= told]
    rest = [each for each in found if each.code != HARMLESS]
    if all(each.evidence.endswith(NO_RULE) for each in lines):
        return rest  # a host whose settings are well has no finding for having them
    one = lines[0]
    places = tuple(place for each in lines for place in each.places)
    files = dict.fromkeys(place.rpartition(":")[0] for place in places)
    return [*rest, finding(
        BY_CODE[HARMLESS], "; ".join(each.evidence for each in lines), f"sed -n p {' '.join(map(quoted, files))}",
        one.now, one.for_good, places=places,
    )]  # fmt: skip


def _own_lines(s: Situation) -> Iterator[Assignment]:
    for name in s.machine.settings.names:
        line = s.machine.settings.winner(name)
        if line is not None and not line.file.startswith(OF_PACKAGES):
            yield line
    yield from (
        each
        for each in s.machine.settings.assignments
        if each.is_glob and not each.file.startswith(OF_PACKAGES)
    )


RULES = (
    Rule(("SYS035",), not_understood, needs_instance=False),
    Rule((HARMLESS,), harmless, needs_instance=False),
)
