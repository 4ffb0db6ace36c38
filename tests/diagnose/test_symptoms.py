"""Symptoms: each fires on what it is told from, and not on its look-alike. A symptom without both rows fails here."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from kamtcp.capacity.catalogue import ALL as CEILINGS
from kamtcp.capacity.change import Change
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Finding
from kamtcp.diagnose.symptoms import ALL, WITHOUT_KAMAILIO, judge
from kamtcp.model.absent import Absent, Why
from kamtcp.model.client import Client
from kamtcp.model.instance import Cgroup, LogLine, SharedMemory
from kamtcp.model.machine import Counters, PeerUse
from situations import DENIED, listener, situation


def log(key: str, count: int = 5) -> dict[str, Any]:
    return {"log": (LogLine(key, count, f"last of {key} {count}"),)}


def counters(**values: int) -> dict[str, Any]:
    names = {name.replace("__", "."): value for name, value in values.items()}
    return {"counters": Counters(dict.fromkeys(names, 0) | names)}


ZERO = dict.fromkeys(("TcpExt.ListenOverflows", "TcpExt.TCPReqQFullDoCookies", "TcpExt.TCPReqQFullDrop", "TcpExt.SyncookiesRecv", "Tcp.PassiveOpens", "TcpExt.TCPTimeWaitOverflow", "TcpExt.TCPAbortOnMemory", "TcpExt.TCPMemoryPressures", "Tcp.RetransSegs", "Tcp.OutSegs", "TcpExt.ListenDrops"), 0)  # fmt: skip


def counted(**values: int) -> dict[str, Any]:
    return {"counters": Counters(ZERO | {name.replace("__", "."): value for name, value in values.items()})}


def pool(free: int, fragments: int = 10) -> dict[str, Any]:
    return {"shared_memory": SharedMemory(64 << 20, free, 0, 0, 0, fragments)}


def dropped(drops: int, queued: int, **more: Any) -> dict[str, Any]:
    full = replace(listener(5060, 1024, queued), drops=drops)
    return {"listeners": (full, listener(5061)), **counted(TcpExt__ListenOverflows=drops), **more}


def client(offered: int = 1000, answered: int = 0, late: str = "", **failures: int) -> dict[str, Any]:
    return {"client": Client(offered, answered, 0, failures, late=late)}


def outbound(count: int) -> dict[str, Any]:
    return {"outbound": (PeerUse("192.0.2.9", 5060, count, "192.0.2.1"),)}


FULL = {"main": {"nofile_soft": 1024, "descriptors": 1024}}
#: code -> the second look when it fires, and what only looks like it. The first look is the healthy host's.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "FDS050": (FULL, {"main": {"nofile_soft": 1024, "descriptors": 1000}}),
    "FDS051": ({"workers": {"nofile_soft": 1024, "descriptors": 1023}}, {"workers": {"nofile_soft": 1024, "descriptors": 22}}),
    "FDS052": ({"files_allocated": 999_999}, {"files_allocated": 900_000}),
    "FDS053": (log("fd-beyond-table"), log("epoll-table-full")),
    "CFG050": ({"opened": 100_000, **log("tcp-max-connections")}, {"opened": 100_000}),
    "CFG051": (log("iplimit"), log("tcp-max-connections")),
    "TLS050": ({"opened_tls": 50_000, **log("tls-max-connections")}, {"opened_tls": 50_000, **log("tcp-max-connections")}),
    "TLS051": ({**pool(7_000_000), **log("tls-low-memory")}, pool(7_000_000)),
    "MEM050": ({**pool(9_000), **log("shm-exhausted")}, {**pool(30_000_000, 9_000), **log("shm-exhausted")}),
    "MEM051": ({**pool(30_000_000, 9_000), **log("shm-no-fragment")}, pool(30_000_000, 9_000)),
    "MEM052": (log("pkg-exhausted"), log("shm-exhausted")),
    "MEM053": ({"sockstat": {"TCP.mem": 3_000_000}}, {"sockstat": {"TCP.mem": 100_000}}),
    "MEM054": (
        {"cgroup": Cgroup("/kamailio.service", 8 << 30, (8 << 30) - 4096, 4915, 14)},
        {"cgroup": Cgroup("/kamailio.service", 8 << 30, 7 << 30, 4915, 14)},
    ),
    "ACC050": (dropped(50, 1025), dropped(50, 3)),
    "ACC051": (dropped(50, 3, main={"cpu_ticks": 400}), dropped(0, 3)),
    "ACC052": (dropped(50, 1025, main={"cpu_ticks": 1090}), dropped(50, 1025, main={"cpu_ticks": 500})),
    "ACC053": (
        counted(TcpExt__TCPReqQFullDoCookies=900, TcpExt__SyncookiesRecv=880),
        counted(TcpExt__TCPReqQFullDoCookies=9_000, TcpExt__SyncookiesRecv=3),
    ),
    "ACC054": (
        counted(TcpExt__TCPReqQFullDoCookies=90_000, TcpExt__SyncookiesRecv=3, Tcp__PassiveOpens=40),
        counted(TcpExt__TCPReqQFullDoCookies=900, TcpExt__SyncookiesRecv=10, Tcp__PassiveOpens=880),
    ),
    "ACC055": (client(offered=6_000, answered=4_000, no_answer=2_000), client(offered=900, answered=800, no_answer=100)),
    "SYS050": (counted(TcpExt__TCPTimeWaitOverflow=4), counted()),
    "SYS051": (
        {"sockstat": {"TCP.orphan": 4000}, **counted(TcpExt__TCPAbortOnMemory=4)},
        {"sockstat": {"TCP.mem": 9_000_000}, **counted(TcpExt__TCPAbortOnMemory=4)},
    ),
    "SYS052": (outbound(28_232), outbound(14_000)),
    "SYS053": ({"conntrack_count": 262_144}, {"conntrack_count": 262_144, "conntrack_active": False}),
    "SYS054": ({"softnet_dropped": 4}, {"softnet_time_squeeze": 4}),
    "SYS055": (
        {**client(offered=100, answered=97, connect_timeout=3), **counted(Tcp__RetransSegs=50, Tcp__OutSegs=900, TcpExt__ListenDrops=0)},
        {**client(offered=100, answered=97, connect_timeout=3), **counted(Tcp__RetransSegs=50, Tcp__OutSegs=900, TcpExt__ListenDrops=50)},
    ),
    "SRV050": ({"attendant": 9812}, {"uptime_seconds": 3}),
    "SRV051": ({"kamailio": False}, {}),
    "GEN050": (client(local_ports=3), client(refused=3)),
    "GEN051": (client(local_descriptors=3), client(refused=3)),
    "GEN052": (client(late="half of the connections were 0.2 s late"), client()),
}  # fmt: skip


def change(after: dict[str, Any], before: dict[str, Any] | None = None) -> Change:
    """The healthy host 10 s before, and `after`."""
    facts = dict(after)
    load = facts.pop("client", None)
    first = situation(**{**counted(), **(before or {})})
    return Change(first, situation(boottime=1010.0, **{**counted(), **facts}), load)


def codes(after: dict[str, Any], before: dict[str, Any] | None = None) -> set[str]:
    return {each.code for each in judge(change(after, before)).findings}


def test_every_symptom_has_a_case_and_a_look_alike():
    assert {each.code for each in ALL} == set(CASES)


@pytest.mark.parametrize("code", CASES)
def test_it_is_named(code: str):
    found = {each.code: each for each in judge(change(CASES[code][0])).findings}
    assert code in found
    assert found[code].evidence
    assert found[code].see
    assert found[code].now.text
    assert found[code].for_good.text


@pytest.mark.parametrize("code", CASES)
def test_its_look_alike_is_not(code: str):
    assert code not in codes(CASES[code][1])


def test_a_healthy_host_under_load_has_none():
    assert not judge(change(client(offered=1000, answered=1000))).findings


def test_what_was_there_before_is_no_symptom():
    """Counters and lines of the log that stood at the first look."""
    old = {**counted(TcpExt__TCPTimeWaitOverflow=7), **log("iplimit"), "softnet_dropped": 9}
    assert not codes(old, old)


def test_a_flood_that_fills_the_tail_is_still_new():
    last = {"log": (LogLine("iplimit", 300, "12:00:09 the last"),)}
    assert "CFG051" in codes(last, {"log": (LogLine("iplimit", 300, "12:00:01 an old one"),)})


def test_a_cause_silences_its_consequences():
    """Out of descriptors the queue fills, and nobody accepts: one finding, not three."""
    spinning = {"nofile_soft": 1024, "descriptors": 1024, "cpu_ticks": 100}
    assert codes(dropped(50, 1025, main=spinning)) == {"FDS050"}
    assert codes(dropped(50, 1025)) == {"ACC050"}


def test_a_spinning_tcp_main_is_said_to_spin():
    found = judge(change({"main": {"nofile_soft": 1024, "descriptors": 1024, "cpu_ticks": 1100}})).findings
    assert "100% of a core" in found[0].evidence


def test_stopped_workers_are_told_with_few_connections_and_let_go_on():
    few = client(offered=200, answered=0, no_answer=200)
    found = judge(change({**few, "workers": {"state": "T"}})).findings
    assert [each.code for each in found] == ["ACC055"]
    assert "4 of 4 TCP workers are stopped" in found[0].evidence
    assert found[0].now.line == "kill -CONT 821 822 823 824"
    assert not codes(few)


def test_no_longer_queue_is_advised_where_nobody_accepts():
    found = judge(change(dropped(50, 1025, main={"state": "T"}))).findings
    assert found[0].now.line == "kill -CONT 831"
    waits = judge(change(dropped(50, 1025))).findings[0]
    assert "somaxconn" not in waits.for_good.text
    assert not waits.now.possible


def test_children_without_their_main_process_are_no_restart():
    found = judge(change({"attendant": 821})).findings
    assert [each.code for each in found] == ["SRV051"]
    assert "pid 821" in found[0].evidence


def test_retransmissions_without_a_load_are_the_phones():
    assert not codes(counted(Tcp__RetransSegs=50, Tcp__OutSegs=900, TcpExt__ListenDrops=0))


def test_counters_that_went_back_tell_nothing():
    said = judge(change(counted(), counted(TcpExt__TCPTimeWaitOverflow=9)))
    assert not said.findings
    assert any("SYS050" in each.detail and "counted anew" in each.detail for each in said.unjudged)


def test_a_restart_ends_the_counting():
    now = change({"attendant": 9812, "statistics": Counters({"tcp:local_reject": 5})})
    assert isinstance(now.statistic("tcp:local_reject"), Absent)


@pytest.mark.parametrize(
    "code", [each.code for each in ALL if not each.code.startswith(("GEN", "SRV", "ACC055", "SYS055"))]
)
def test_a_blind_look_is_not_a_healthy_one(code: str):
    """Nothing could be seen: no symptom is named, and each that needs eyes says what it lacked."""
    gone = Absent("x", Why.DENIED)
    blind = change({
        "main": {"nofile_soft": DENIED, "descriptors": DENIED, "cpu_ticks": DENIED}, "log": gone, "listeners": gone,
        "workers": {"nofile_soft": DENIED, "descriptors": DENIED}, "shared_memory": gone, "opened": gone, "opened_tls": gone,
        "files_allocated": gone, "cgroup": gone, "counters": gone, "outbound": gone, "conntrack_active": gone,
        "softnet_dropped": gone, "statistics": gone, "sockstat": {"TCP.mem": 0},
    })  # fmt: skip
    said = judge(blind)
    assert code not in {each.code for each in said.findings}
    if code != "MEM053":
        assert any(code in each.detail for each in said.unjudged)


def test_without_a_kamailio_the_machine_is_still_judged():
    alone = change({"kamailio": False, "softnet_dropped": 4, "files_allocated": 999_999}, {"kamailio": False})
    found = {each.code for each in judge(alone).findings}
    assert found == {"SYS054", "FDS052"}
    assert found <= WITHOUT_KAMAILIO


def test_a_symptom_has_a_ceiling_or_cures_of_its_own():
    known = {entry.spec.name for entry in CEILINGS}
    for each in ALL:
        assert BY_CODE[each.code].is_symptom
        assert (each.ceiling in known) != (each.cured is not None and not each.ceiling)
        assert set(each.silences) <= set(CASES) - {each.code}


def test_findings_are_findings():
    for after, _ in CASES.values():
        assert all(isinstance(each, Finding) for each in judge(change(after)).findings)
