"""The report as text, at 80 columns: read the files in tests/golden when they change."""

from __future__ import annotations

import pytest

from kamtcp.cli.report import headline, headline_of_rates, text
from kamtcp.cli.wrap import Screen
from kamtcp.diagnose.finding import Cure
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Parameter, SharedMemory, Unit
from kamtcp.model.origin import Origin
from situations import DENIED, verdict

PLAIN = Screen(80, colour=False, unicode=True)
STATED = "/etc/kamtcp/target.toml"
NONE = Parameter("none", Origin.DEFAULT, "not in 5.6.3")
#: a stock Debian 12, stuck at its descriptors, wanted for much more
STOCK = {
    "version": "5.6.3", "main": {"nofile_soft": 1024, "nofile_hard": 524_288, "descriptors": 430},
    "workers": {"nofile_soft": 1024}, "target": {"connections": 20_000, "tls": 5000, "wss": 1000, "rate": 500,
                                                 "storm": 20_000, "storm_seconds": 10, "outbound": {"192.0.2.9:5060": 2000}},
    "shared_memory": SharedMemory(64 << 20, 56_000_000, 9_000_000, 11_000_000, 12_000_000, 40),
    "parameters": {"tcp_max_connections": 2048, "tcp_max_connections_hard": 2048, "tcp_max_connections_file": 2048,
                   "tls_max_connections": 2048, "tls_max_connections_hard": 2048, "pkg_bytes": 8 << 20,
                   "tls_threads_mode": None, "tcp_accept_iplimit": NONE, "tcp_msg_data_timeout": NONE,
                   "tcp_msg_read_timeout": NONE},
    "unit": Unit("kamailio.service", Absent("LimitNOFILE", Why.MISSING), Absent("LimitNOFILE", Why.MISSING), "", 4915),
}  # fmt: skip
CASES = {
    "healthy": ({"target": {"connections": 20_000, "rate": 500}}, STATED),
    "stock": (STOCK, "options"),
    "no-target": ({"target": {"connections": 400}, "stated": False}, ""),
    "no-kamailio": ({"kamailio": False, "target": {"connections": 20_000}}, "options"),
    "blind": (
        {
            "target": {"connections": 20_000}, "away": True, "rpc": Absent("Kamailio RPC", Why.DENIED, "EACCES Permission"),
            "shared_memory": DENIED, "opened": DENIED, "opened_tls": DENIED, "main": {"nofile_soft": DENIED},
            "listeners": DENIED, "log": DENIED, "parameters": {"pkg_bytes": None, "tcp_max_connections": None},
            "conntrack_active": DENIED, "sysctls": {"net.ipv4.tcp_retries2": DENIED},
        },
        "options",
    ),
}  # fmt: skip


def report(name: str, screen: Screen = PLAIN) -> str:
    changes, where = CASES[name]
    return text(verdict(**changes), where, screen, save_hint="kamtcp check --connections N --save-target")


def shell_lines(name: str) -> set[str]:
    """Lines that are to be run as printed, and so are never broken."""
    cures = [cure for each in verdict(**CASES[name][0]).findings for cure in (each.now, each.for_good)]
    return {cure.line for cure in cures if isinstance(cure, Cure) and cure.line}


@pytest.mark.parametrize("name", CASES)
def test_the_report_is_as_it_was_read_and_found_good(name, golden):
    golden(f"check-{name}.txt", report(name))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_screen_but_those_to_be_run(name, width):
    for line in report(name, Screen(width, colour=False, unicode=True)).splitlines():
        assert len(line) <= width or line.strip() in shell_lines(name) or line.strip().startswith("see: "), (
            line
        )


@pytest.mark.parametrize("name", CASES)
def test_without_block_characters_it_is_ascii_all_through(name):
    assert report(name, Screen(80, colour=False, unicode=False)).isascii()


@pytest.mark.parametrize("name", CASES)
def test_colour_adds_nothing_but_colour(name):
    import re

    coloured = report(name, Screen(80, colour=True, unicode=True))
    assert coloured != report(name)
    assert re.sub("\033\\[\\d+m", "", coloured) == report(name)


@pytest.mark.parametrize("name", CASES)
def test_the_first_lines_answer_the_question(name):
    found = verdict(**CASES[name][0])
    said = " ".join(report(name).split())
    assert " ".join(headline(found).split()) in said[:600]


class TestTheHeadline:
    def test_it_names_what_stops_first_and_next(self):
        line = headline(verdict(main={"nofile_soft": 1024}))
        assert (
            line == "Stops at 994 connections: descriptors of tcp main. Next: 100,000, tcp_max_connections."
        )
        second = headline_of_rates(verdict(main={"nofile_soft": 1024}))
        assert second.startswith("New connections: ")
        assert "at one instant (" in second
        assert "a second (" in second

    def test_it_counts_what_could_not_be_seen(self):
        line = headline(verdict(main={"nofile_soft": DENIED}))
        assert line.startswith(
            "Stops at the latest at 100,000 connections: tcp_max_connections. 1 ceiling could not be seen"
        )

    def test_of_a_machine_without_kamailio_it_says_that_the_kernel_stops(self):
        assert headline(verdict(kamailio=False)).startswith("The kernel alone stops at ")


class TestTheTarget:
    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({}, "met."),
            ({"main": {"nofile_soft": 1024}}, "NOT MET."),
            ({"shared_memory": DENIED, "tls_ports": ()}, "met by all that could be seen, but not all could."),
            # orphans and hash chains refuse nobody: a target above them is met
            ({"sysctls": {"net.ipv4.tcp_max_orphans": "10"}}, "met."),
        ],
    )
    def test_it_is_met_or_not_or_nobody_can_say(self, changes, said):
        shown = " ".join(text(verdict(target={"connections": 20_000}, **changes), "options", PLAIN).split())
        assert f"Target (options): 20,000 connections: {said}" in shown

    def test_all_of_it_is_said(self):
        shown = " ".join(report("stock").split())
        wanted = "20,000 connections, 500 new a second, a storm of 20,000 in 10 s, 2,000 to 192.0.2.9:5060: NOT MET."
        assert f"Target (options): {wanted}" in shown


def test_without_a_target_nothing_is_called_one():
    """The highest use seen stands in for it, and is called so, below a ceiling as well."""
    changes = {
        "target": {"connections": 400},
        "stated": False,
        "main": {"nofile_soft": 420},
        "workers": {"nofile_soft": 420},
    }
    shown = text(verdict(**changes), "", PLAIN)
    held = shown.partition("held connections")[2].partition(" findings")[0]
    assert "BELOW HIGHEST SEEN" in held
    assert "highest seen 400" in held
    assert "target" not in held.lower()
    assert "highest use seen 400" in shown


def test_a_restart_is_priced_once_and_then_referred_to():
    flat = " ".join(report("stock").split())
    assert flat.count("risk: a restart drops") == 1
    assert "risk: as for FDS001" in flat
