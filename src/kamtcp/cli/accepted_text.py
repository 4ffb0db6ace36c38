"""What became of accept.toml, as text: what is wrong with it, and what of it matches nothing."""

from __future__ import annotations

from kamtcp.cli.wrap import Screen, wrapped
from kamtcp.diagnose.accepting import Acceptances
from kamtcp.model.absent import Absent


def problems(acceptances: Acceptances, screen: Screen) -> list[str]:
    """Before anything else: entries that accept nothing because they could not be understood."""
    out: list[str] = []
    for each in acceptances.problems:
        said = f"WARNING: {problem(each)}; not used, so nothing is accepted by it"
        out += [screen.style(line, "red") for line in wrapped(said, screen.width, "  ", "")]
    return [*out, ""] if out else []


def problem(absent: Absent) -> str:
    """One of them: file and line, what was expected."""
    return f"{absent.source}: {absent.detail}"


def unmatched(acceptances: Acceptances, screen: Screen) -> list[str]:
    """Entries that accept nothing because nothing of the kind was found."""
    if not acceptances.unmatched:
        return []
    named = ", ".join(
        f"{each.code}{f' of {each.instance}' if each.instance else ''} (line {each.line})"
        for each in acceptances.unmatched
    )
    said = f" accepted in {acceptances.file}, but not found here: {named}"
    return [*wrapped(said, screen.width, "   ", " "), ""]
