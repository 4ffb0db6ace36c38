"""An entry as a page of the reference: the same words as explain, without a host."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kamtcp.catalogue.entry import Effect, Entry, Kind
from kamtcp.catalogue.look import line


def page(entry: Entry, findings: Sequence[tuple[str, str]] = ()) -> str:
    """One page, with its heading; the same entry gives the same bytes.

    Args:
        entry: what the page is on.
        findings: code and name of each finding that speaks of it.
    """
    lines = [
        f"# `{entry.id}`",
        "",
        f"{_sentence(entry.title)}",
        "",
        *_state(entry),
        entry.does,
        "",
    ]
    counter = entry.kind is Kind.COUNTER
    rows = (
        ("Kind", entry.kind.value),
        ("Also written", ", ".join(f"`{each}`" for each in entry.aliases)),
        ("Unit", entry.unit),
        ("Holds for", entry.scope.value),
        ("Since", f"{entry.project} {entry.since}" if entry.since else ""),
        ("Default", _code(entry.default)),
        ("Range", _range(entry)),
        ("Takes effect", "; ".join(part for part in (entry.takes_effect.value, entry.effect_note) if part)),
        ("Healthy" if counter else "", entry.healthy),
        ("Growth means" if counter else "Sign that it is too small", entry.sign),
        ("Cost", entry.cost),
        ("Risk when raised", entry.risk_up),
        ("Risk when lowered", entry.risk_down),
        ("Rule", entry.advice),
        ("Act on", _links(entry.raised_by)),
        ("Ceilings", ", ".join(f"[`{each}`](../ceilings/{each}.md)" for each in entry.ceilings)),
        ("Findings", ", ".join(f"[{code} {name}](../findings/{code}.md)" for code, name in findings)),
        ("See for yourself", _code(line(entry))),
    )
    lines += ["| | |", "|---|---|"]
    lines += [f"| {label} | {_cell(said)} |" for label, said in rows if label and said]
    history = [f"- {entry.project} {each.since}: {_change(each.what, each.was)}" for each in entry.history]
    lines += ["", "## History", "", *history] if history else []
    lines += ["", "## See also", "", _links(entry.related)] if entry.related else []
    return "\n".join([*lines, "", "## Sources", "", *(f"- {each}" for each in entry.sources), ""])


def index(entries: Iterable[Entry]) -> str:
    """All entries, subject after subject, each with its title and a link to its page."""
    lines: list[str] = []
    subject = ""
    for entry in entries:
        if entry.subject != subject:
            subject = entry.subject
            lines += ["", f"## {subject.replace('_', ' ')}", ""]
        gone = "gone: " if entry.is_gone else ""
        lines.append(f"- [`{entry.id}`]({file_name(entry.id)}) {gone}{entry.title}")
    return "\n".join([*lines[1:], ""])


#: names that differ from another by case only, which not every file system tells apart, or that are too short
_OWN = {
    "-m": "option-shared-memory", "-M": "option-private-memory", "-x": "option-memory-manager",
    "TCP_DEFER_ACCEPT": "socket-option-TCP_DEFER_ACCEPT",
}  # fmt: skip


def file_name(name: str) -> str:
    """The file of an entry's page: letters, digits, dots and dashes only, different for different names."""
    kept = "".join(each if each.isascii() and (each.isalnum() or each in "._-") else "-" for each in name)
    return f"{_OWN.get(name, kept.strip('-'))}.md"


def _state(entry: Entry) -> list[str]:
    if entry.is_gone:
        since = (
            f"Gone since {entry.project} {entry.gone}" if entry.gone[:1].isdigit() else f"Gone, {entry.gone}"
        )
        return [f"**{'Never there' if entry.gone == 'never was' else since}.** Instead: {entry.instead}.", ""]
    if entry.takes_effect is Effect.NEVER and entry.instead:
        return [f"**Without effect.** Instead: {entry.instead}.", ""]
    return []


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _range(entry: Entry) -> str:
    low, high = entry.lowest, entry.highest
    bounds = "" if low is None else f"{low} to {high}" if high is not None else f"{low} or more"
    return "; ".join(part for part in (bounds, entry.range) if part)


def _change(what: str, was: str) -> str:
    return "; ".join(part for part in (what, f"the default before was `{was}`" if was else "") if part)


def _links(names: tuple[str, ...]) -> str:
    return ", ".join(f"[`{each}`]({file_name(each)})" for each in names)


def _code(text: str) -> str:
    words = " ".join(text.split())
    return f"`{words}`" if words else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
