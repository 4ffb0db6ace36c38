"""Nothing is missing by accident: every name that was looked at has an entry, or a reason why it has none."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamtcp.capacity.catalogue import ALL as CEILINGS
from kamtcp.catalogue.entry import Direction, Effect, Kind, Safety, Type
from kamtcp.catalogue.left_out import left_out
from kamtcp.catalogue.load import SUBJECTS, entries
from kamtcp.catalogue.look import line
from kamtcp.catalogue.names import find
from kamtcp.catalogue.sizing import SIZES
from kamtcp.diagnose import codes
from kamtcp.observe import sysctl

HERE = Path(__file__).parent
ENTRIES = tuple(entries().values())
#: cures that are no setting
NO_SETTINGS = {"more memory", "a faster core", "a second instance", "more cores"}


def names_of(file: str) -> list[str]:
    return [each for each in (HERE / file).read_text().splitlines() if each and not each.startswith("#")]


def test_every_linux_setting_has_an_entry_or_a_reason():
    names = names_of("linux_settings.txt")
    assert len(names) == 162
    for name in names:
        assert bool(find(name)) != (name in left_out()), name
    assert set(left_out()) <= set(names)
    assert all(len(reason) > 20 for reason in left_out().values())


@pytest.mark.parametrize("file", ["seed_names.txt", "kamailio_names.txt"])
def test_every_name_of_the_seed_and_of_kamailio_is_known(file):
    for name in names_of(file):
        assert len(find(name)) == 1, name


def test_every_sysctl_that_is_read_has_an_entry_or_a_reason():
    for name in (*sysctl.NETNS_NAMES, *sysctl.GLOBAL_NAMES):
        assert len(find(name)) == 1 or name in left_out(), name


def test_every_setting_that_raises_a_ceiling_has_an_entry_that_names_the_ceiling():
    for each in CEILINGS:
        for name in set(each.spec.raised_by) - NO_SETTINGS:
            found = find(name)
            assert len(found) == 1, (each.spec.name, name)
            assert each.spec.name in found[0].ceilings, (each.spec.name, name)


def test_names_in_entries_lead_somewhere():
    ceilings = {each.spec.name for each in CEILINGS}
    for entry in ENTRIES:
        for name in (*entry.related, *entry.raised_by):
            assert [each.id for each in find(name)] == [name], (entry.id, name)
        assert set(entry.ceilings) <= ceilings, entry.id
        assert set(entry.findings) <= set(codes.BY_CODE), entry.id
        assert entry.sizing in {"", *SIZES}, entry.id


def test_findings_about_a_setting_name_it():
    """Each finding that isn't about a ceiling is reached from at least one setting."""
    reached = {code for entry in ENTRIES for code in entry.findings}
    alone = {
        each.code for each in codes.ALL if not each.name.endswith("-below-target") and not each.is_symptom
    }
    # about files and namespaces, whichever setting stands in them
    of_files = {each for each in alone if each.startswith(("SYS02", "SYS03")) and each not in reached}
    assert of_files <= {"SYS020", "SYS021", "SYS022"} | {f"SYS0{number}" for number in range(30, 37)}
    assert alone - of_files <= reached


def test_every_sizing_function_is_used():
    assert {entry.sizing for entry in ENTRIES} - {""} == set(SIZES)


def test_the_files_are_the_subjects():
    folder = HERE.parents[1] / "src/kamtcp/catalogue"
    assert {path.stem for path in folder.glob("*.toml")} == {*SUBJECTS, "left_out", "symptoms"}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.id)
def test_an_entry_is_well_formed(entry):
    assert entry.title, "what it is"
    assert not entry.title.endswith(".")
    assert entry.does.endswith((".", ".)")), "sentences"
    assert entry.sources
    for text in (
        entry.sign,
        entry.cost,
        entry.risk_up,
        entry.risk_down,
        entry.advice,
        entry.instead,
        entry.effect_note,
    ):
        assert not text.endswith("."), "clauses, not sentences"
    if entry.is_gone:
        assert entry.instead, "what took its place"
        assert entry.takes_effect is Effect.NEVER or entry.kind is Kind.COUNTER
        assert not entry.sizing
    if entry.kind is Kind.COUNTER:
        assert entry.sign, "what its growth means"
        assert not entry.sizing
        assert entry.takes_effect is Effect.NONE
    elif not entry.is_gone:
        assert entry.takes_effect is not Effect.NONE or entry.effect_note, "when a change counts"
    if entry.kind is Kind.SYSCTL and not entry.is_gone:
        assert entry.default or entry.type is Type.PORTS or "Write-only" in entry.does
        assert entry.safety is not Safety.NONE or "ead-only" in entry.does
    if entry.sizing and entry.direction is Direction.NONE:
        assert entry.sizing in (
            "port_range",
            "reserved_ports",
            "accept_iplimit",
            "tw_reuse",
            "thash_entries",
        ), "direction"
    assert line(entry) or entry.is_gone or entry.id == "TCP_TIMEWAIT_LEN"
    if entry.lowest is not None and entry.highest is not None:
        assert entry.lowest < entry.highest
