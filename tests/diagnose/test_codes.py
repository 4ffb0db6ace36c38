"""The register of codes, and what every ceiling must come with."""

from __future__ import annotations

import re

import pytest

from kamtcp.capacity.catalogue import ALL as CEILINGS
from kamtcp.capacity.ladder import build
from kamtcp.diagnose import cures
from kamtcp.diagnose.codes import ALL, BY_NAME, RANK, Severity, below_target
from kamtcp.diagnose.rules import ALL as RULES
from kamtcp.diagnose.see import line_for
from kamtcp.diagnose.symptoms import ALL as SYMPTOMS
from situations import situation

#: a ceiling of processes: connections need none, so no target can lie above it
WITHOUT_TARGET = {"cgroup-pids"}
NAMES = [entry.spec.name for entry in CEILINGS if entry.spec.name not in WITHOUT_TARGET]


def test_codes_and_names_are_unique_and_well_formed():
    assert len({each.code for each in ALL}) == len({each.name for each in ALL}) == len(ALL)
    for each in ALL:
        assert re.fullmatch(r"(FDS|MEM|ACC|TLS|TIM|CFG|SYS|SRV|GEN)\d{3}", each.code)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", each.name)
        assert each.meaning.endswith(".")
        assert each.source


def test_every_code_belongs_to_a_rule_a_ceiling_or_a_symptom():
    of_rules = {code for rule in RULES for code in rule.codes}
    of_ceilings = {below_target(name).code for name in NAMES}
    of_symptoms = {symptom.code for symptom in SYMPTOMS}
    assert of_rules | of_ceilings | of_symptoms == {each.code for each in ALL}
    assert len(of_rules) + len(of_ceilings) + len(of_symptoms) == len(ALL)


def test_every_rule_is_there_once():
    judges = [rule.judge for rule in RULES]
    assert len(set(judges)) == len(judges)


@pytest.mark.parametrize("name", NAMES)
def test_every_ceiling_has_a_code_a_line_to_see_it_and_both_cures(name):
    s = situation(
        target={"connections": 20_000, "tls": 20_000, "rate": 500, "outbound": {"192.0.2.1:5060": 40_000}}
    )
    ladder = build(s)
    ceiling = next(each for each in ladder.all if each.name == name)
    assert BY_NAME[f"{name}-below-target"].source == f"see ceiling {name}"
    assert line_for(name, s)
    now, good = cures.of(ceiling, s, ladder)
    assert now.text
    assert now.possible or not now.line
    assert good.text
    assert good.possible


def test_a_ceiling_without_a_target_can_not_be_below_one():
    s = situation(target={"connections": 2**31, "rate": 1e7})
    for each in build(s).all:
        assert each.name not in WITHOUT_TARGET or each.met is None
        assert line_for(each.name, s)


def test_severities_stand_worst_first():
    assert sorted(Severity, key=RANK.__getitem__) == [
        Severity.FATAL,
        Severity.HIGH,
        Severity.MEDIUM,
        Severity.INFO,
    ]


def test_what_only_hurts_or_weakens_is_never_called_high():
    """TIME_WAIT buckets, orphans, a SYN queue with cookies on: they refuse nobody."""
    for entry in CEILINGS:
        if entry.spec.effect.value in ("loses protection", "hurts others"):
            assert below_target(entry.spec.name).severity is Severity.INFO
