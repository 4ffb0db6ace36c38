"""What speaks of what: settings, ceilings and findings, joined by their names. No host is asked."""

from __future__ import annotations

from kamtcp.capacity.catalogue import BY_NAME as CEILINGS
from kamtcp.capacity.ceiling import Spec
from kamtcp.catalogue.entry import Effect, Entry, Kind
from kamtcp.catalogue.load import entries
from kamtcp.catalogue.markdown import file_name
from kamtcp.catalogue.names import find
from kamtcp.diagnose import codes
from kamtcp.diagnose.codes import Code
from kamtcp.diagnose.symptoms import ALL as SYMPTOMS

#: findings on any line of a file, whatever it sets
OF_GONE, OF_DEAD = "SYS020", "SYS021"
_BELOW = "-below-target"


def codes_of(entry: Entry) -> tuple[Code, ...]:
    """Findings that speak of a setting or counter: its own, then those of its ceilings."""
    found = [
        *entry.findings, *(each.code for name in entry.ceilings for each in codes_of_ceiling(name)),
    ]  # fmt: skip
    if entry.kind is Kind.SYSCTL and entry.is_gone and not entry.findings:
        found.append(OF_GONE)
    if entry.kind is Kind.SYSCTL and not entry.is_gone and entry.takes_effect is Effect.NEVER:
        found.append(OF_DEAD)
    return tuple(codes.BY_CODE[each] for each in dict.fromkeys(found))


def codes_of_ceiling(name: str) -> tuple[Code, ...]:
    """That it lies below the target, where a target can, and the symptoms of its being met."""
    below = (codes.below_target(name),) if f"{name}{_BELOW}" in codes.BY_NAME else ()
    return (*below, *(codes.BY_CODE[each.code] for each in SYMPTOMS if each.ceiling == name))


def ceilings_of(code: Code) -> tuple[str, ...]:
    """The ceiling that a finding is about."""
    symptoms = [each.ceiling for each in SYMPTOMS if each.code == code.code and each.ceiling]
    name = code.name.removesuffix(_BELOW)
    return (name,) if name != code.name and name in CEILINGS else tuple(dict.fromkeys(symptoms))


def settings_of(code: Code) -> tuple[str, ...]:
    """Settings and counters that a finding speaks of, those first that say so themselves."""
    own = [each.id for each in entries().values() if code.code in each.findings]
    joined = [each.id for each in entries().values() if code in codes_of(each)]
    return tuple(dict.fromkeys((*own, *joined)))


def bearing(spec: Spec) -> tuple[str, ...]:
    """Settings that raise a ceiling, the cheapest first, then others that bear on it."""
    raised = [entry.id for each in spec.raised_by for entry in find(each)]
    others = [entry.id for entry in entries().values() if spec.name in entry.ceilings]
    return tuple(dict.fromkeys((*raised, *others)))


def page_of(subject: Entry | Spec | Code) -> str:
    """Its page of the reference, below docs/reference/."""
    if isinstance(subject, Entry):
        return f"settings/{file_name(subject.id)}"
    return f"findings/{subject.code}.md" if isinstance(subject, Code) else f"ceilings/{subject.name}.md"
