"""Accepted findings: in sight, not counted, back when they expire."""

from __future__ import annotations

from datetime import date

import pytest
from msgspec.structs import replace

from kamtcp.diagnose.accepting import outcome, today
from kamtcp.diagnose.codes import Severity
from kamtcp.diagnose.verdict import judge
from kamtcp.model.acceptance import Acceptance, AcceptFile
from situations import situation, snapshot

FILE = "/etc/kamtcp/accept.toml"
DAY = date(2027, 1, 15)  # of the clock of situations.py
ILL = {"main": {"nofile_soft": 1024}}  # FDS001, fatal


def entry(code="FDS001", *, instance="", until=None, line=1):
    return Acceptance(code, "known", instance, until, FILE, line)


def judged(*entries, **changes):
    s = situation(**(changes or ILL))
    return judge(replace(snapshot(s), accepted=AcceptFile(FILE, entries)), s.instance, s.target)


def of(found, code="FDS001"):
    return next(each for each in found.findings if each.code == code)


def test_the_clock_is_that_of_the_machine():
    assert today(1_800_000_000.0) == DAY


def test_an_accepted_fatal_is_in_sight_and_does_not_count():
    found = judged(entry())
    assert of(found).accepted
    assert of(found).severity is Severity.FATAL
    assert of(found).acceptance.where == f"{FILE}:1"
    assert "FDS001" not in {each.code for each in found.at_or_above(Severity.INFO)}
    assert "FDS001" in {each.code for each in judged().at_or_above(Severity.FATAL)}


@pytest.mark.parametrize(
    ("until", "accepted"), [(date(2027, 1, 14), False), (DAY, True), (date(2027, 1, 16), True), (None, True)]
)
def test_the_last_day_counts_and_the_next_one_brings_it_back(until, accepted):
    found = of(judged(entry(until=until)))
    assert found.accepted is accepted
    assert found.acceptance.until == until
    assert (
        "FDS001" in {e.code for e in judged(entry(until=until)).at_or_above(Severity.FATAL)}
    ) is not accepted


def test_only_the_instance_that_is_named():
    assert of(judged(entry(instance="kamailio"))).accepted
    assert of(judged(entry(instance="/etc/kamailio/kamailio.cfg"))).accepted
    assert of(judged(entry(instance="edge"))).acceptance is None


def test_only_the_code_that_is_named():
    assert of(judged(entry("FDS002"))).acceptance is None


def test_one_that_holds_goes_before_one_that_expired():
    past = entry(until=date(2026, 1, 1), instance="kamailio", line=9)
    assert of(judged(past, entry(line=3))).acceptance.where == f"{FILE}:3"


class TestTheWholeFile:
    def outcome(self, *entries, all_judged=True):
        found = judged(*entries)
        return outcome(
            AcceptFile(FILE, entries), [(found.situation.instance, found.findings)], all_judged=all_judged
        )

    def test_what_matches_nothing_is_told(self):
        found = self.outcome(entry(), entry("TLS001", line=5))
        assert [each.line for each in found.unmatched] == [5]
        assert found.problems == ()

    def test_what_may_match_an_instance_that_was_left_out_is_not(self):
        assert (
            self.outcome(entry("TLS001"), entry("TLS001", instance="edge"), all_judged=False).unmatched == ()
        )
        assert len(self.outcome(entry("TLS001", instance="kamailio"), all_judged=False).unmatched) == 1

    @pytest.mark.parametrize(
        ("code", "meant"),
        [
            ("FDS0O1", "FDS001"),
            ("fds001", "FDS001"),
            ("descriptors-below-max-connections", "FDS001"),
            ("QQQQ", ""),
        ],
    )
    def test_an_unknown_code_is_a_problem_with_what_may_be_meant(self, code, meant):
        found = self.outcome(entry(code, line=7))
        assert found.unmatched == ()
        assert [each.source for each in found.problems] == [f"{FILE}:7"]
        assert (f"did you mean {meant}?" in found.problems[0].detail) is bool(meant)
