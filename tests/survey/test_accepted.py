"""accept.toml: what is understood, and each way to get it wrong with its line."""

from __future__ import annotations

import errno
from datetime import date

import pytest

from fake_host import TreeHost
from kamtcp.model.absent import Why
from kamtcp.model.acceptance import AcceptFile
from kamtcp.survey.accepted import ACCEPT_FILE, MOST, collect, parse

GOOD = b"""# what is known here
[[accept]]
code = "FDS001"
instance = "edge"
reason = "the new unit comes with the window in May"
until = 2027-05-31

[[accept]]
code = "MEM001"
reason = '''
[[accept]]
is no entry in a text'''
"""


def test_entries_with_their_lines():
    found = parse(GOOD)
    assert [(e.code, e.instance, e.until, e.line) for e in found.entries] == [
        ("FDS001", "edge", date(2027, 5, 31), 2),
        ("MEM001", "", None, 8),
    ]
    assert found.problems == ()
    assert found.entries[1].reason == "[[accept]]\nis no entry in a text"


def test_one_array_is_the_same_at_one_line():
    found = parse(b'\naccept = [{code = "FDS001", reason = "a"}, {code = "MEM001", reason = "b"}]\n')
    assert [(e.code, e.line) for e in found.entries] == [("FDS001", 2), ("MEM001", 2)]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (b'[[accept]]\ncode="FDS001"\n', 1, "reason is missing"),
        (b'[[accept]]\nreason="x"\n', 1, "code is missing"),
        (b'[[accept]]\ncode="FDS001"\nreason="  "\n', 3, "reason: expected a text that is not empty"),
        (b'[[accept]]\ncode=1\nreason="x"\n', 2, "code: expected a text"),
        (b'[[accept]]\ncode="FDS001"\nreason="x"\ninstance=3\n', 4, "instance: expected a name in quotes"),
        (b'[[accept]]\ncode="FDS001"\nreason="x"\nuntil="2027-01-01"\n', 4, "until: expected a date without"),
        (b'[[accept]]\ncode="FDS001"\nreason="x"\nuntil=2027-01-01T00:00:00\n', 4, "until: expected a date"),
        (b'[[accept]]\ncode="FDS001"\nreason="x"\nuntill=2027-01-01\n', 4, "'untill' is no field"),
        (b'[[accept]]\ncode="FDS001"\nreason="x"\nuntil=2027-02-30\n', 4, "not TOML"),
        (b'\n[[accepted]]\ncode="FDS001"\nreason="x"\n', 2, "'accepted' is no part of this file"),
        (b'[accept]\ncode="FDS001"\nreason="x"\n', 1, "expected a table [[accept]]"),
        (b"accept = 3\n", 1, "expected a table [[accept]]"),
        (b"accept = [3]\n", 1, "expected a table [[accept]]"),
        (b"\n\ncode\n", 3, "not TOML"),
        (b"a = '\xff'\n", 1, "expected UTF-8"),
        (b"\na = [" + b"[" * 5000, 2, "not TOML"),
        (b"a = " + b"9" * 5000, 1, "not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_accepts_nothing(text, line, said):
    found = parse(text)
    assert found.entries == ()
    assert len(found.problems) == 1
    assert found.problems[0].source == f"{ACCEPT_FILE}:{line}"
    assert found.problems[0].detail.startswith(said)


def test_one_wrong_entry_leaves_the_others():
    found = parse(GOOD + b'[[accept]]\ncode = "TLS001"\n')
    assert [e.code for e in found.entries] == ["FDS001", "MEM001"]
    assert [(p.source, p.why) for p in found.problems] == [(f"{ACCEPT_FILE}:13", Why.MALFORMED)]


class TestTheFile:
    def test_no_file_accepts_nothing_and_is_no_problem(self):
        assert collect(TreeHost()) == AcceptFile()

    def test_one_that_may_not_be_read_is_a_problem(self):
        found = collect(TreeHost({ACCEPT_FILE: errno.EACCES}), ACCEPT_FILE)
        assert (found.entries, [p.why for p in found.problems]) == ((), [Why.DENIED])

    def test_one_that_is_too_large_is_not_cut(self):
        found = collect(TreeHost({ACCEPT_FILE: GOOD + b"#" * MOST}), ACCEPT_FILE)
        assert found.entries == ()
        assert "expected at most" in found.problems[0].detail

    def test_no_end_of_line_or_windows_ends(self):
        assert len(parse(GOOD.replace(b"\n", b"\r\n")).entries) == 2
        assert len(parse(GOOD.rstrip()).entries) == 2
