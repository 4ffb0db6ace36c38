"""All symptoms on one change: what gave way, causes before consequences, and what could not be told."""

from __future__ import annotations

from collections.abc import Iterable

from kamtcp.capacity.change import Change
from kamtcp.capacity.ladder import Ladder, build
from kamtcp.diagnose import (
    symptoms_accept,
    symptoms_descriptors,
    symptoms_limits,
    symptoms_memory,
    symptoms_network,
    symptoms_server,
)
from kamtcp.diagnose.codes import RANK
from kamtcp.diagnose.finding import Finding
from kamtcp.diagnose.rules import Judgement, not_judged
from kamtcp.diagnose.symptom import Symptom, named
from kamtcp.model.absent import Absent

#: causes stand before their consequences
ALL: tuple[Symptom, ...] = (
    *symptoms_server.SYMPTOMS,
    *symptoms_descriptors.SYMPTOMS,
    *symptoms_limits.SYMPTOMS,
    *symptoms_memory.SYMPTOMS,
    *symptoms_accept.SYMPTOMS,
    *symptoms_network.SYMPTOMS,
)

#: those that speak of the machine or of the load and need no Kamailio
WITHOUT_KAMAILIO = frozenset({"SRV051", "FDS052", "MEM053", "SYS050", "SYS051", "SYS052", "SYS053", "SYS054", "SYS055", "GEN050", "GEN051", "GEN052"})  # fmt: skip


def judge(change: Change, ladder: Ladder | None = None) -> Judgement:
    """What gave way between two looks.

    Args:
        change: the two looks.
        ladder: of the second look; computed where the caller has none.

    Returns:
        findings worst first, in the order of `ALL` among equals; those that another one explains are left out.
    """
    known = build(change.after) if ladder is None else ladder
    found: list[Finding] = []
    lacking: dict[Absent, list[str]] = {}
    for symptom in ALL:
        if change.instance is None and symptom.code not in WITHOUT_KAMAILIO:
            continue
        said = tuple(symptom.judge(change, known))
        told = [named(symptom, each, change, known) for each in said if isinstance(each, str)]
        found.extend(told)
        if told:
            continue
        for each in said:
            if isinstance(each, Absent):
                lacking.setdefault(each, []).append(symptom.code)
    return Judgement(causes(found), not_judged(lacking))


def causes(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Symptoms without those that another one of them explains: worst first, in the order of `ALL` among equals."""
    told = {each.code: each for each in found}
    silenced = {code for symptom in ALL if symptom.code in told for code in symptom.silences}
    kept = [told[symptom.code] for symptom in ALL if symptom.code in told and symptom.code not in silenced]
    return tuple(sorted(kept, key=lambda each: RANK[each.severity]))
