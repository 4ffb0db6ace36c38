"""The files of the catalogue: whatever stands in one, it is read or refused by name."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.catalogue import load
from kamtcp.catalogue.entry import Kind, Scope
from kamtcp.errors import ParseError

ENTRY = '["net.x"]\nkind = "sysctl"\nscope = "machine"\ntitle = "t"\ndoes = "D."\n'


def test_an_entry_takes_its_id_from_the_table_and_its_subject_from_the_file():
    (entry,) = load.parse(ENTRY.encode(), "listen")
    assert (entry.id, entry.subject, entry.kind, entry.scope) == (
        "net.x",
        "listen",
        Kind.SYSCTL,
        Scope.MACHINE,
    )


def test_defaults_stand_for_what_an_entry_leaves_out():
    text = '[defaults]\nkind = "sysctl"\nscope = "machine"\nunit = "s"\n[a]\ntitle = "t"\ndoes = "D."\n[b]\ntitle = "t"\ndoes = "D."\nunit = "ms"\n'
    assert [each.unit for each in load.parse(text.encode(), "x")] == ["s", "ms"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a", "x.toml: expected TOML"),
        ("a = 1", "expected a table for each entry, got 'a'"),
        ("[a]\nkind = 'sysctl'", "x.toml: a: expected an entry"),
        (ENTRY + 'colour = "red"\n', "net.x: expected an entry, got 'Object contains unknown field `colour`"),
        (ENTRY.replace('"machine"', '"everywhere"'), "Invalid enum value 'everywhere'"),
    ],
)
def test_what_is_no_entry_is_refused_by_name(text, said):
    with pytest.raises(ParseError) as caught:
        load.parse(text.encode(), "x")
    assert said in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: (ENTRY + text).encode()))
def test_only_parse_error_escapes(data):
    with contextlib.suppress(ParseError):
        load.parse(data, "x")


def test_an_id_stands_in_one_file_only(monkeypatch):
    monkeypatch.setattr(load, "data", lambda _: ENTRY.encode())
    with pytest.raises(ParseError, match="each id once"):
        load.entries.__wrapped__()
