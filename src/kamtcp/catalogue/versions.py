"""Which default a release had."""

from __future__ import annotations

from kamtcp.catalogue.entry import Entry


def numbers(release: str) -> tuple[int, ...]:
    """(6, 18, 44) of "6.18.44-1-amd64", () of text that starts with no number."""
    found: list[int] = []
    for part in release.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
        if digits != part:
            break
    return tuple(found)


def default_on(entry: Entry, release: str) -> str:
    """The default of an entry on one release of its project; today's where the release is not known."""
    value, here = entry.default, numbers(release)
    if not here:
        return value
    for change in reversed(entry.history):
        if change.was and numbers(change.since) > here:
            value = change.was
    return value


def exists_on(entry: Entry, release: str) -> bool | None:
    """Whether a release has it; None where the catalogue or the release doesn't say."""
    here = numbers(release)
    if not here:
        return None
    gone, since = numbers(entry.gone), numbers(entry.since)
    if entry.gone and not gone:
        return None
    return not (gone and here >= gone) and not (since and here < since)
