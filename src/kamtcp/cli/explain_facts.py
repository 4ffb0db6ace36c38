"""What explain has to say of one subject on this host: the catalogue's words and the facts of a snapshot, joined."""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity.ceiling import Ceiling, Spec
from kamtcp.catalogue.entry import Entry, Kind
from kamtcp.catalogue.size import Size
from kamtcp.catalogue.sizing import SIZES
from kamtcp.catalogue.versions import default_on, exists_on
from kamtcp.cli.explain_here import Here, label, number, values
from kamtcp.cli.explain_links import bearing, ceilings_of, codes_of, codes_of_ceiling, settings_of
from kamtcp.diagnose.codes import Code
from kamtcp.diagnose.finding import Finding
from kamtcp.diagnose.verdict import Verdict
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.model.snapshot import Snapshot


class Proposal(Struct, frozen=True):
    """What kamtcp would set for one instance ("" for the machine), and what stands there now."""

    instance: str
    where: str
    now: str | Absent
    size: Size | Absent


class AtCeiling(Struct, frozen=True):
    """A ceiling as it is for one instance; `ceiling` is None where it doesn't apply (no Kamailio)."""

    name: str
    instance: str
    where: str
    ceiling: Ceiling | None


class OfCode(Struct, frozen=True):
    """A finding code, and what was found of it here."""

    code: Code
    found: tuple[Finding, ...]


class Setting(Struct, frozen=True):
    """A setting or counter.

    Args:
        default_here: the default of this host's release, "" where none is known.
        exists_here: whether this host's release has it, None where that can't be told.
        here: values now. proposals: what kamtcp would set; none without a sizing function.
        ceilings, codes: what it bears on.
    """

    entry: Entry
    default_here: str
    exists_here: bool | None
    here: tuple[Here, ...]
    proposals: tuple[Proposal, ...]
    ceilings: tuple[AtCeiling, ...]
    codes: tuple[OfCode, ...]


class Limit(Struct, frozen=True):
    """A ceiling, with the settings that bear on it."""

    spec: Spec
    here: tuple[AtCeiling, ...]
    settings: tuple[str, ...]
    codes: tuple[OfCode, ...]


class Defect(Struct, frozen=True):
    """A finding code, with the settings and the ceiling it speaks of."""

    of: OfCode
    ceilings: tuple[AtCeiling, ...]
    settings: tuple[str, ...]


Facts = Setting | Limit | Defect


def facts(
    subject: Entry | Spec | Code, host: Host, snapshot: Snapshot, verdicts: tuple[Verdict, ...]
) -> Facts:
    """Join what is known of a subject with what was seen."""
    if isinstance(subject, Entry):
        return _setting(subject, host, snapshot, verdicts)
    if isinstance(subject, Spec):
        here = _at((subject.name,), verdicts)
        return Limit(subject, here, bearing(subject), _codes(codes_of_ceiling(subject.name), verdicts))
    return Defect(
        OfCode(subject, _found(subject, verdicts)), _at(ceilings_of(subject), verdicts), settings_of(subject)
    )


def subject_of(found: Facts) -> Entry | Spec | Code:
    """What the facts are about."""
    if isinstance(found, Setting):
        return found.entry
    return found.spec if isinstance(found, Limit) else found.of.code


def _setting(entry: Entry, host: Host, snapshot: Snapshot, verdicts: tuple[Verdict, ...]) -> Setting:
    release = _release(entry, snapshot)
    here = values(entry, host, snapshot)
    return Setting(
        entry=entry,
        default_here=default_on(entry, release),
        exists_here=exists_on(entry, release),
        here=here,
        proposals=() if entry.is_gone else _proposals(entry, here, verdicts),
        ceilings=_at(entry.ceilings, verdicts),
        codes=_codes(codes_of(entry), verdicts),
    )


def _release(entry: Entry, snapshot: Snapshot) -> str:
    """The release that decides: of the kernel, or of the Kamailio where there is just one."""
    if entry.project == "Linux":
        return snapshot.machine.release
    if entry.project == "Kamailio":
        found = {each.version for each in snapshot.instances if isinstance(each.version, str)}
        return found.pop() if len(found) == 1 else ""
    return ""


def _proposals(entry: Entry, here: tuple[Here, ...], verdicts: tuple[Verdict, ...]) -> tuple[Proposal, ...]:
    if not entry.sizing or entry.kind is Kind.COUNTER:
        return ()
    found = []
    for verdict in verdicts:
        instance = verdict.situation.instance
        name = "" if instance is None else instance.name
        own = [each for each in here if each.instance == name] or [each for each in here if not each.instance]
        now: str | Absent = own[0].value if own else Absent(entry.id, Why.NOT_ASKED, "no value is read")
        size = SIZES[entry.sizing](verdict.situation, number(now))
        found.append(Proposal(name, "here" if instance is None else label(instance), now, size))
    return tuple(found)


def _at(wanted: tuple[str, ...], verdicts: tuple[Verdict, ...]) -> tuple[AtCeiling, ...]:
    """Each ceiling for each instance."""
    found = []
    for name in wanted:
        for verdict in verdicts:
            instance = verdict.situation.instance
            ceiling = next((each for each in verdict.ladder.all if each.name == name), None)
            found.append(AtCeiling(
                name, "" if instance is None else instance.name, "here" if instance is None else label(instance), ceiling,
            ))  # fmt: skip
    return tuple(found)


def _codes(wanted: tuple[Code, ...], verdicts: tuple[Verdict, ...]) -> tuple[OfCode, ...]:
    return tuple(OfCode(code, _found(code, verdicts)) for code in wanted)


def _found(code: Code, verdicts: tuple[Verdict, ...]) -> tuple[Finding, ...]:
    return tuple(each for verdict in verdicts for each in verdict.findings if each.code == code.code)
