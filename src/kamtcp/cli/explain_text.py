"""What explain has to say, as text: the answer in the first line, then a label and its text for each fact."""

from __future__ import annotations

from kamtcp.catalogue.entry import Direction, Effect, Entry, Kind, Safety
from kamtcp.catalogue.look import line
from kamtcp.cli.explain_facts import AtCeiling, Defect, Facts, Limit, OfCode, Proposal, Setting, subject_of
from kamtcp.cli.explain_here import Here
from kamtcp.cli.explain_links import page_of
from kamtcp.cli.wrap import Screen, wrapped
from kamtcp.diagnose.finding import Cure, Finding
from kamtcp.model.absent import Absent, Unlimited, Why

LABEL = 15
_NEVER = "never was"


def text(found: Facts, screen: Screen) -> str:
    """One page."""
    if isinstance(found, Setting):
        lines = _setting(found, screen)
    elif isinstance(found, Limit):
        lines = _limit(found, screen)
    else:
        lines = _defect(found, screen)
    lines += _row("page", [f"docs/reference/{page_of(subject_of(found))}"], screen)
    return "\n".join(lines) + "\n"


def _setting(found: Setting, screen: Screen) -> list[str]:
    entry = found.entry
    counter = entry.kind is Kind.COUNTER
    out = _title(headline(found), screen)
    out += _row("now", [_here(each, found) for each in found.here], screen)
    out += _row("kamtcp sets", [_proposal(each, entry) for each in found.proposals], screen)
    out += _row("instead", [entry.instead], screen)
    out += _row("does", [entry.does], screen)
    out += _row("default", [_default(found)], screen)
    out += _row("range", [_range(entry)], screen)
    out += _row("healthy" if counter else "", [entry.healthy], screen)
    out += _row("growth means" if counter else "too small", [entry.sign], screen)
    out += _row("holds for", [_scope(entry)], screen)
    out += _row("takes effect", [_effect(entry)], screen)
    out += _row("cost", [entry.cost], screen)
    out += _row("risk, raised", [entry.risk_up], screen)
    out += _row("risk, lowered", [entry.risk_down], screen)
    out += _row("rule", [entry.advice], screen)
    out += _row("act on", [", ".join(entry.raised_by)], screen)
    out += _row("ceilings", [_at(each) for each in found.ceilings], screen)
    out += _row("findings", [_code(each) for each in found.codes], screen)
    out += _row(
        "history",
        [f"{entry.project} {each.since}: {each.what}" for each in entry.history if each.what],
        screen,
    )
    out += _row("see also", [", ".join(entry.related)], screen)
    out += _whole("see", line(entry), screen)
    return out + _row("sources", entry.sources, screen)


def headline(found: Setting) -> str:
    """The answer in one line."""
    entry = found.entry
    if entry.is_gone:
        if entry.gone == _NEVER:
            return f"{entry.id}: {entry.title}, in any release."
        since = "since" if entry.gone[:1].isdigit() else "since some release"
        return f"{entry.id} is gone {since} {_released(entry)}. It was: {entry.title}."
    if entry.takes_effect is Effect.NEVER and not entry.effect_note:
        return f"{entry.id} does nothing any more. It was: {entry.title}."
    if found.exists_here is False:
        return f"{entry.id}: {entry.title}. Not in this release; since {entry.project} {entry.since}."
    return f"{entry.id}: {entry.title}."


def _released(entry: Entry) -> str:
    """Linux 4.12, or before Kamailio 3.3 where only that is known."""
    before, _, release = entry.gone.rpartition(" ")
    return f"{before} {entry.project} {release}".strip()


def _limit(found: Limit, screen: Screen) -> list[str]:
    spec = found.spec
    out = _title(f"{spec.name}: ceiling of {spec.kind.value}: {spec.title}.", screen)
    for each in found.here:
        out += _row("here", [_at(each, named=False)], screen)
        if each.ceiling is not None and not isinstance(each.ceiling.limit, Absent):
            out += _row("working", [each.ceiling.working], screen)
            out += _row("", [each.ceiling.note], screen)
    out += _row("beyond it", [f"{spec.effect.value}: {EFFECTS[spec.effect.value]}"], screen)
    out += _row("counts", [spec.unit], screen)
    out += _row("raised by", [", ".join(spec.raised_by)], screen)
    out += _row("settings", [", ".join(found.settings)], screen)
    out += _row("findings", [_code(each) for each in found.codes], screen)
    return out + _row("sources", [spec.source], screen)


EFFECTS = {
    "stops": "new connections are not taken",
    "slows": "new connections come late, and some not at all",
    "loses protection": "connections come about, but with less safety",
    "hurts others": "other connections or programs pay",
}


def _defect(found: Defect, screen: Screen) -> list[str]:
    code = found.of.code
    out = _title(f"{code.code} {code.name}: {code.meaning}", screen)
    out += _row("severity", [code.severity.value], screen)
    if not found.of.found:
        told = "told from two looks, as `kamtcp load` takes them; one look can't" if code.is_symptom else ""
        out += _row("here", [told or "not found in what could be seen"], screen)
    for each in found.of.found:
        out += _finding(each, screen)
    out += _row("ceilings", [_at(each) for each in found.ceilings], screen)
    out += _row("settings", [", ".join(found.settings)], screen)
    return out + _row("sources", [code.source], screen)


def _finding(found: Finding, screen: Screen) -> list[str]:
    out = _row("here", [f"FOUND ({found.severity.value}): {found.evidence}"], screen)
    out += _whole("see", found.see, screen)
    for label, cure in (("cure now", found.now), ("cure for good", found.for_good)):
        out += _row(label, [_cure(cure)], screen)
        out += _whole("", cure.line, screen)
    return out


def _cure(cure: Cure) -> str:
    said = cure.text if cure.possible or cure.text.startswith("not possible") else f"none: {cure.text}"
    return f"{said}; risk: {cure.risk}" if cure.risk else said


def _title(said: str, screen: Screen) -> list[str]:
    return [*(screen.style(each, "bold") for each in wrapped(said, screen.width, "  ", "")), ""]


def _row(label: str, texts: list[str] | tuple[str, ...], screen: Screen) -> list[str]:
    """A label with its texts, each on lines of its own; nothing where there is none."""
    out: list[str] = []
    for said in texts:
        if said:
            head = f" {'' if out else label}".ljust(LABEL)
            out += wrapped(said, screen.width, " " * LABEL, head)
    return out


def _whole(label: str, said: str, screen: Screen) -> list[str]:
    """A shell line: in one piece, whatever the width."""
    del screen
    return [f" {label}".ljust(LABEL) + said] if said else []


def _here(each: Here, found: Setting) -> str:
    where = "" if each.where == "here" and len(found.here) == 1 else f"{each.where}: "
    if isinstance(each.value, Absent):
        if found.entry.is_gone and each.value.why is Why.MISSING:
            return f"{where}not on this kernel"
        return where + _unseen(each.value)
    shown = " ".join(each.value.split()) or "empty"
    unit = (
        f" {found.entry.unit}"
        if found.entry.unit and shown[-1:].isdigit() and len(shown.split()) == 1
        else ""
    )
    same = ""
    if found.entry.kind is not Kind.COUNTER and found.default_here and each.source != "compiled default":
        same = ", the default" if _plain(shown) == _plain(found.default_here) else ""
    source = f" ({each.source})" if each.source else ""
    return f"{where}{shown}{unit}{same}{source}"


def _plain(value: str) -> str:
    """With 1 for yes and 0 for no, as Kamailio itself takes and shows them."""
    text = " ".join(value.split())
    return {"yes": "1", "no": "0"}.get(text, text)


def _unseen(value: Absent) -> str:
    """Why there is no value; the name stands on the page already."""
    if value.why is Why.MISSING:
        return value.detail or "not on this host"
    reason = value.detail if value.why is Why.NOT_ASKED else ""
    return f"not seen: {reason or value.why.value}"


def _default(found: Setting) -> str:
    entry = found.entry
    if not entry.default:
        return ""
    said = " ".join(entry.default.split())
    if found.default_here and found.default_here != entry.default:
        said = f"{' '.join(found.default_here.split())} in this release; {said} today"
    steps = [each for each in entry.history if each.was]
    return said + "".join(f"; {each.was} before {entry.project} {each.since}" for each in steps)


def _range(entry: Entry) -> str:
    bounds = ""
    if entry.lowest is not None and entry.highest is not None:
        bounds = f"{entry.lowest} to {entry.highest}"
    elif entry.lowest is not None:
        bounds = f"{entry.lowest} or more"
    return "; ".join(part for part in (bounds, entry.range) if part)


def _scope(entry: Entry) -> str:
    unit = f"; counts {entry.unit}" if entry.unit else ""
    since = f"; since {entry.project} {entry.since}" if entry.since else ""
    return f"{entry.scope.value}{unit}{since}"


def _effect(entry: Entry) -> str:
    return "; ".join(part for part in (entry.takes_effect.value, entry.effect_note) if part)


def _proposal(each: Proposal, entry: Entry) -> str:
    where = f"{each.where}: "
    size = each.size
    if isinstance(size, Absent):
        return f"{where}nothing: {size.detail or size}"
    note = f"; {size.note}" if size.note else ""
    why = f" ({size.working}){note}" if size.working else note
    if size.enough:
        return f"{where}leaves {size.value or 'it'}{why}"
    how = f" {entry.direction.value}" if entry.direction not in (Direction.NONE, Direction.EXACTLY) else ""
    safety = f" [{entry.safety.value}]" if entry.safety is not Safety.NONE else ""
    return f"{where}{size.value},{how or ' exactly'}{safety}{why}"


def _at(each: AtCeiling, *, named: bool = True) -> str:
    name = f"{each.name} " if named else ""
    where = "" if each.where == "here" else f" for {each.where}"
    ceiling = each.ceiling
    if ceiling is None:
        return f"{name}no Kamailio is running" if named else "no Kamailio is running"
    if isinstance(ceiling.limit, Absent):
        return f"{name}not seen{where}: {ceiling.limit}"
    if isinstance(ceiling.limit, Unlimited):
        return f"{name}no limit{where}: {ceiling.working}"
    goal = "" if ceiling.goal is None else f", target {ceiling.goal:,}"
    missed = " BELOW TARGET" if ceiling.met is False else ""
    return f"{name}{ceiling.limit:,} {ceiling.unit}{where}{goal}{missed}"


def _code(each: OfCode) -> str:
    here = " FOUND HERE" if each.found else ""
    return f"{each.code.code} {each.code.name} ({each.code.severity.value}){here}"
