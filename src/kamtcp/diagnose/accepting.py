"""Findings that the operator accepts: they stay in sight with the reason, and don't count while that holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from kamtcp.diagnose.codes import BY_CODE, BY_NAME
from kamtcp.diagnose.finding import Accepted, Finding
from kamtcp.model.absent import Absent, Why
from kamtcp.model.acceptance import Acceptance, AcceptFile
from kamtcp.model.instance import Instance

#: letters that are taken for digits; no code has one of them behind its first three
_MISREAD = str.maketrans("OIL", "011")


class Acceptances(Struct, frozen=True):
    """What became of a whole accept.toml.

    Args:
        file: "" where there is none.
        problems: what in it could not be used; `source` is "FILE:LINE".
        unmatched: entries that match no finding of what was judged.
    """

    file: str = ""
    problems: tuple[Absent, ...] = ()
    unmatched: tuple[Acceptance, ...] = ()


def today(realtime: float) -> date:
    """The day of a clock, in UTC: a recording tells no time zone, and the answer must not hang on the reader's."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=min(max(0.0, realtime), 2.5e11))).date()


def apply(
    findings: Iterable[Finding], file: AcceptFile, instance: Instance | None, realtime: float
) -> tuple[Finding, ...]:
    """The findings, each with the entry that accepts it, or did until it expired."""
    day = today(realtime)
    return tuple(_marked(each, file.entries, instance, day) for each in findings)


def _marked(found: Finding, entries: tuple[Acceptance, ...], instance: Instance | None, day: date) -> Finding:
    """One that holds goes before one that expired, one for this instance before one for all."""
    fitting = [each for each in entries if each.code == found.code and of_instance(each, instance)]
    if not fitting:
        return found
    best = max(fitting, key=lambda each: (each.holds_on(day), bool(each.instance), each.until or date.max))
    accepted = Accepted(best.reason, best.until, best.where, in_force=best.holds_on(day))
    return replace(found, acceptance=accepted)


def of_instance(entry: Acceptance, instance: Instance | None) -> bool:
    """Whether an entry speaks of this Kamailio (None: of the machine)."""
    if not entry.instance:
        return True
    return instance is not None and entry.instance in (instance.name, instance.config_path)


def outcome(file: AcceptFile, judged: Iterable[tuple[Instance | None, tuple[Finding, ...]]], *, all_judged: bool) -> Acceptances:  # fmt: skip
    """What of the file could not be used, and what of it found nothing to accept.

    Args:
        file: the machine's.
        judged: each instance that was judged, with its findings.
        all_judged: whether no instance was left out: an entry may mean one that was.
    """
    unknown = [each for each in file.entries if each.code not in BY_CODE]
    rows = list(judged)
    unmatched = tuple(
        entry for entry in file.entries
        if entry.code in BY_CODE
        and (all_judged or (entry.instance and any(of_instance(entry, one) for one, _ in rows)))
        and not any(of_instance(entry, one) and any(each.code == entry.code for each in found) for one, found in rows)
    )  # fmt: skip
    problems = (*file.problems, *(_unknown(each) for each in unknown))
    return Acceptances(file.path, problems, unmatched)


def _unknown(entry: Acceptance) -> Absent:
    close = _suggestion(entry.code)
    hint = f"; did you mean {close}?" if close else ""
    return Absent(
        entry.where,
        Why.MALFORMED,
        f"no finding has the code {entry.code[:40]!r}{hint} (kamtcp explain --list)",
    )


def _suggestion(code: str) -> str:
    from difflib import get_close_matches

    named = BY_NAME.get(code.lower()) or BY_CODE.get(code.upper().translate(_MISREAD))
    if named is not None:
        return named.code
    close = get_close_matches(code.upper()[:40], BY_CODE, n=1, cutoff=0.5)
    if close:
        return close[0]
    names = get_close_matches(code.lower()[:80], BY_NAME, n=1, cutoff=0.7)
    return BY_NAME[names[0]].code if names else ""
