"""Where a Kamailio parameter is set, so that a finding names the line, or the option, to change."""

from __future__ import annotations

from kamtcp.capacity.situation import Situation
from kamtcp.model.instance import Parameter
from kamtcp.model.origin import Origin

_OPTION = "command line "


def set_by(s: Situation, name: str) -> str:
    """FILE:LINE, "command line -N 4", or "" where nobody sets it or that isn't known."""
    found = s.require().parameters.get(name)
    if not isinstance(found, Parameter):
        return ""
    if found.set_by:
        return found.set_by
    told = found.origin in (Origin.READ, Origin.ASSUMED)
    return found.where if told and (found.where.startswith(_OPTION) or _is_line(found.where)) else ""


def lines_of(s: Situation, *names: str) -> tuple[str, ...]:
    """The lines of files that set parameters, for a finding's `places`."""
    return tuple(dict.fromkeys(each for each in (set_by(s, name) for name in names) if _is_line(each)))


def change(s: Situation, name: str) -> str:
    """For a cure: in FILE:LINE, in place of an option, or in the configuration where nobody sets it yet."""
    place = set_by(s, name)
    if place.startswith(_OPTION):
        return f"in place of {place.removeprefix(_OPTION)} of its command line"
    return f"in {place or s.require().config_path or 'kamailio.cfg'}"


def _is_line(place: str) -> bool:
    file, colon, number = place.rpartition(":")
    return bool(file and colon and number.isdigit())
