"""The pages of docs/reference/: one for each setting, counter, ceiling and finding, and the indexes that lead to them.

    README.md            by symptom, and where the rest is
    settings/README.md   settings and counters by subject; names.md: everything by each of its spellings
    settings/NAME.md, ceilings/NAME.md, findings/CODE.md

Same data as `kamtcp explain`; the joins between them are cli/explain_links.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from kamtcp.capacity.catalogue import ALL as CEILINGS
from kamtcp.capacity.catalogue import BY_NAME
from kamtcp.capacity.catalogue import Entry as CeilingEntry
from kamtcp.catalogue import markdown
from kamtcp.catalogue.entry import Entry, Kind
from kamtcp.catalogue.load import entries
from kamtcp.catalogue.names import find as find_entries
from kamtcp.catalogue.symptoms import symptoms
from kamtcp.cli.explain_find import Subject, find, name_of, subjects
from kamtcp.cli.explain_links import bearing, ceilings_of, codes_of, codes_of_ceiling, page_of, settings_of
from kamtcp.cli.explain_text import EFFECTS
from kamtcp.diagnose.codes import ALL as CODES
from kamtcp.diagnose.codes import Code
from kamtcp.diagnose.finding import Cure, Finding
from kamtcp.diagnose.rules import ALL as RULES
from kamtcp.diagnose.symptoms import ALL as SYMPTOMS

FOLDER = "docs/reference"
NOTE = "Made by `make docs` from the data of `kamtcp explain`; don't edit."
#: findings on any line of a sysctl file, whatever it sets: they have no settings of their own
OF_ANY_LINE = frozenset({"SYS022", "SYS030", "SYS031", "SYS032", "SYS033", "SYS034", "SYS035", "SYS036"})

#: kinds whose names are used without what stands before the last dot
_SHORT = (Kind.SYSCTL, Kind.COUNTER, Kind.MODPARAM, Kind.MODULE)


def pages(seen: dict[str, str], there: Iterable[Finding]) -> dict[str, str]:
    """Path below the root to text, for all pages.

    Args:
        seen: what the reference set-up says to each ceiling, as text, by name.
        there: what is found on it.
    """
    examples = {each.code: each for each in there}
    found = {"README.md": by_symptom(), "names.md": by_name(), "settings/README.md": by_subject()}
    found |= {page_of(each): setting(each) for each in entries().values()}
    found |= {page_of(each.spec): ceiling(each, seen[each.spec.name]) for each in CEILINGS}
    found |= {page_of(each): finding(each, examples.get(each.code)) for each in CODES}
    return {f"{FOLDER}/{name}": text for name, text in found.items()}


def setting(entry: Entry) -> str:
    """settings/NAME.md."""
    text = markdown.page(entry, [(each.code, each.name) for each in codes_of(entry)])
    return text + _foot(entry.id)


def ceiling(entry: CeilingEntry, seen: str) -> str:
    """ceilings/NAME.md."""
    spec = entry.spec
    others = [each for each in bearing(spec) if each not in _raising(spec.raised_by)]
    rows = (
        ("Ceiling of", spec.kind.value),
        ("Counts", spec.unit),
        ("Beyond it", f"{spec.effect.value}: {EFFECTS[spec.effect.value]}"),
        ("Raised by", ", ".join(setting_link(each) for each in spec.raised_by)),
        ("Bears on it", ", ".join(setting_link(each) for each in others)),
        ("Findings", ", ".join(_code_link(each) for each in codes_of_ceiling(spec.name))),
        ("On the [reference set-up](../ceilings.md)", seen),
    )
    return "\n".join([
        f"# `{spec.name}`", "", _sentence(spec.title), "", _question(entry), "", *_table(rows), "",
        "## Sources", "", f"- {spec.source}", "",
    ]) + _foot(spec.name)  # fmt: skip


def finding(code: Code, example: Finding | None) -> str:
    """findings/CODE.md."""
    ceilings = ceilings_of(code)
    found = [setting_link(each) for each in settings_of(code)]
    link = ", ".join(f"[`{each}`](../ceilings/{each}.md)" for each in ceilings)
    below = bool(ceilings) and not code.is_symptom
    rows = (
        ("Severity", code.severity.value),
        ("Found where", _question(BY_NAME[ceilings[0]]) if below else _rule(code)),
        ("Told by", "two looks, as `kamtcp load` takes them" if code.is_symptom else "`kamtcp check`"),
        ("Ceiling", link),
        (
            "Speaks of",
            ", ".join(found)
            or ("any setting that a file of sysctl.d sets" if code.code in OF_ANY_LINE else ""),
        ),
    )
    source = f"{link}: {BY_NAME[ceilings[0]].spec.source}" if below else code.source
    return "\n".join([
        f"# {code.code} {code.name}", "", code.meaning, "", *_table(rows), "",
        "Evidence, a shell line to see for oneself, and both cures (now, without a restart; for good) are worked out on the",
        "host and printed with it.", "", *(_example(example) if example else ()), "## Sources", "", f"- {source}", "",
    ]) + _foot(code.code)  # fmt: skip


def _example(found: Finding) -> list[str]:
    """How it reads on the reference set-up."""
    lines = ["## On the [reference set-up](../ceilings.md)", "", f"Found: {found.evidence}.", ""]
    for title, text, line in (
        ("See for yourself", "", found.see),
        ("Now", _cure(found.now), found.now.line),
        ("For good", _cure(found.for_good), found.for_good.line),
    ):
        lines += [f"{title}: {text}".rstrip(": ") + (":" if line and not text else ""), ""]
        lines += ["```", line, "```", ""] if line else []
    return lines


def _cure(cure: Cure) -> str:
    return f"{cure.text}; risk: {cure.risk}" if cure.risk else cure.text


def by_symptom() -> str:
    """README.md."""
    lines = [
        "# Reference", "", NOTE, "",
        "- By symptom: below.",
        "- [Settings and counters by subject](settings/README.md)",
        "- [Everything by name](names.md), in every spelling that `kamtcp explain` takes",
        "- [Ceilings](ceilings.md), with the numbers of a reference set-up",
        "- [Findings](findings.md), all codes", "",
        "`kamtcp explain NAME` prints any of these pages with the values of this host, `kamtcp explain --symptoms` what stands",
        "below. [The page this project grew from](../seed.md) is answered line by line.", "", "## By symptom", "",
    ]  # fmt: skip
    for each in symptoms():
        found = [_meant(name) for name in each.look]
        lines += [f"### {each.seen}", "", each.because.strip(), ""]
        for title, kind in (("Ceilings", "ceiling"), ("Findings", "code"), ("Look at", "entry")):
            links = [_link(subject, "") for subject in found if _kind(subject) == kind]
            lines += [f"- {title}: {', '.join(links)}"] if links else []
        lines.append("")
    return "\n".join(lines)


def by_subject() -> str:
    """settings/README.md."""
    head = ["# Settings and counters by subject", "", NOTE, "", ""]
    return "\n".join(head) + markdown.index(entries().values())


def by_name() -> str:
    """names.md: each spelling once, without regard to case."""
    found: dict[str, list[Subject]] = {}
    for subject in subjects():
        for name in _spellings(subject):
            found.setdefault(name, []).append(subject)
    lines = ["# Everything by name", "", NOTE, ""]
    for name in sorted(found, key=lambda each: (each.casefold(), each)):
        own = [f"[`{name}`]({page_of(each)})" for each in found[name] if name_of(each) == name]
        others = [_link(each, "") for each in found[name] if name_of(each) != name]
        lines.append(f"- {', '.join((*own, *others))}" if own else f"- `{name}`: {', '.join(others)}")
    return "\n".join([*lines, ""])


def _spellings(subject: Subject) -> tuple[str, ...]:
    if isinstance(subject, Code):
        return (subject.code, subject.name)
    if not isinstance(subject, Entry):
        return (subject.name,)
    short = (
        subject.id.rpartition("." if "." in subject.id else ":")[2] if subject.kind in _SHORT else subject.id
    )
    return tuple(dict.fromkeys((subject.id, *subject.aliases, short)))


def _meant(name: str) -> Subject:
    found = find(name)
    assert isinstance(found, tuple), name
    return found[0]


def _kind(subject: Subject) -> str:
    return "entry" if isinstance(subject, Entry) else "code" if isinstance(subject, Code) else "ceiling"


def _link(subject: Subject, up: str) -> str:
    shown = f"{subject.code} {subject.name}" if isinstance(subject, Code) else f"`{name_of(subject)}`"
    return f"[{shown}]({up}{page_of(subject)})"


def _raising(names: Iterable[str]) -> set[str]:
    return {entry.id for each in names for entry in find_entries(each)}


def setting_link(name: str, up: str = "../") -> str:
    """A link where there is an entry; "more memory" is none."""
    found = find_entries(name)
    return f"[`{name}`]({up}{page_of(found[0])})" if len(found) == 1 else name


def _code_link(code: Code) -> str:
    return f"[{code.code} {code.name}](../{page_of(code)})"


def _rule(code: Code) -> str:
    """What the rule looks at, in its own words."""
    said = [each.judge.__doc__ or "" for each in RULES if code.code in each.codes]
    said += [each.judge.__doc__ or "" for each in SYMPTOMS if code.code == each.code]
    return " ".join(_first(each) for each in said)


def _question(entry: CeilingEntry) -> str:
    return _first(entry.compute.__doc__ or "")


def _first(docstring: str) -> str:
    return " ".join(docstring.strip().split("\n\n")[0].split())


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {label} | {cell(said)} |" for label, said in rows if said)]


def cell(text: str) -> str:
    """Text that may stand in a table."""
    return " ".join(text.split()).replace("|", "\\|")


def _foot(name: str) -> str:
    shown = f"'{name}'" if " " in name or "*" in name else name
    return f"\n---\nWith this host's values: `kamtcp explain {shown}` · [all pages](../README.md) · made by `make docs`\n"
