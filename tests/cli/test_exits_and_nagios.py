"""Exit codes for each --fail-on, and the plug-in line with its own."""

from __future__ import annotations

import re

import pytest
from commands import REFERENCE, check, run

from kamtcp.cli.check import exit_code
from kamtcp.cli.exits import Exit
from kamtcp.cli.nagios import line
from kamtcp.diagnose.codes import Severity
from situations import DENIED, verdict

#: the worst finding that each of these has
WORST = {
    Severity.FATAL: {"main": {"nofile_soft": 1024}},
    Severity.HIGH: {"workers": {"nofile_soft": 1024}},
    Severity.MEDIUM: {"target": {"rate": 1300}},
    Severity.INFO: {"target": {"connections": 20_000}, "sysctls": {"net.ipv4.tcp_max_orphans": "10"}},
}
ORDER = [Severity.FATAL, Severity.HIGH, Severity.MEDIUM, Severity.INFO]


@pytest.mark.parametrize("fail_on", ORDER)
@pytest.mark.parametrize("worst", ORDER)
def test_a_finding_at_or_above_the_asked_severity_is_exit_1(worst, fail_on):
    found = verdict(**WORST[worst])
    assert found.findings[0].severity is worst
    assert exit_code(((found, ""),), fail_on) == (
        Exit.FINDINGS if ORDER.index(worst) <= ORDER.index(fail_on) else Exit.OK
    )


def test_a_healthy_host_is_exit_0():
    assert exit_code(((verdict(), ""),), Severity.INFO) == Exit.OK


def test_what_could_lie_below_is_exit_3_and_a_finding_wins_over_it():
    blind = {"shared_memory": DENIED, "tls_ports": ()}
    assert exit_code(((verdict(**blind), ""),), Severity.HIGH) == Exit.BLIND
    assert exit_code(((verdict(**blind, main={"nofile_soft": 1024}), ""),), Severity.HIGH) == Exit.FINDINGS
    # a finding below --fail-on doesn't hide that something was not seen
    assert exit_code(((verdict(**blind, target={"rate": 1300}), ""),), Severity.HIGH) == Exit.BLIND


def test_the_worst_of_several_instances_counts():
    well, ill = (verdict(), ""), (verdict(main={"nofile_soft": 1024}), "")
    assert exit_code((well, ill, well), Severity.FATAL) == Exit.FINDINGS
    assert line((well, ill), Severity.HIGH)[1] == 2


@pytest.mark.parametrize("fail_on", ["fatal", "high", "medium", "info"])
def test_the_command_gives_that_code(fail_on, capsys):
    """The reference set-up has fatal findings."""
    assert check(capsys, "--fail-on", fail_on).code == 1


class TestNagios:
    @pytest.mark.parametrize(
        ("changes", "state", "word"),
        [(WORST[Severity.FATAL], 2, "CRITICAL"), (WORST[Severity.HIGH], 1, "WARNING"), ({}, 0, "OK"),
         ({"shared_memory": DENIED, "tls_ports": ()}, 3, "UNKNOWN")],
    )  # fmt: skip
    def test_its_states_are_those_of_the_convention(self, changes, state, word):
        said, code = line(((verdict(**changes), ""),), Severity.HIGH)
        assert code == state
        assert said.startswith(f"KAMTCP {word} - ")

    def test_a_finding_below_fail_on_is_ok(self):
        assert line(((verdict(**WORST[Severity.MEDIUM]), ""),), Severity.HIGH)[1] == 0
        assert line(((verdict(**WORST[Severity.MEDIUM]), ""),), Severity.MEDIUM)[1] == 1

    def test_the_whole_line(self):
        said, _ = line(((verdict(main={"nofile_soft": 1024}), ""),), Severity.HIGH)
        text, perf = said.split(" | ")
        assert text == "KAMTCP CRITICAL - FDS001: kamailio: Stops at 994 connections: descriptors of tcp main"
        assert perf.startswith(
            "'kamailio tcp-main-descriptors'=400;;994;0 'kamailio tcp-max-connections'=400;;100000;0 "
        )

    def test_what_could_not_be_seen_is_named(self):
        said, _ = line(((verdict(shared_memory=DENIED, tls_ports=()), ""),), Severity.HIGH)
        assert "could not see: kernel-memory, shared-memory" in said

    def test_no_name_of_an_instance_breaks_the_line(self):
        said, _ = line(((verdict(name="a|b'c=d\ne"), ""),), Severity.HIGH)
        assert said.count("|") == 1
        assert "\n" not in said
        assert all(
            re.fullmatch(r"'[^'=|]+'=\d+;;\d+;0", item)
            for item in re.findall(r"'[^']*'\S+", said.split(" | ")[1])
        )
        assert "'a_b_c_d_e tcp-max-connections'=400;;100000;0" in said

    def test_the_command_prints_one_line(self, capsys):
        found = check(capsys, "--nagios", "--connections", "20000")
        assert found.code == 2
        assert re.fullmatch(r"KAMTCP CRITICAL - .*\bFDS001 .*: Stops at 998 .* \| '.*\n", found.out)
        assert found.err == ""

    @pytest.mark.parametrize(
        "arguments",
        [("--from", "no-such-file"), ("--no-such-option",), ("--from", REFERENCE, "--instance", "x")],
    )
    def test_wrong_usage_is_unknown_and_said_on_stdout(self, arguments, capsys):
        """Exit 2 would be CRITICAL, and nobody reads stderr."""
        found = run(capsys, "check", "--nagios", *arguments)
        assert (found.code, found.err) == (3, "")
        assert re.fullmatch(r"KAMTCP UNKNOWN - [^|\n]+\n", found.out)
