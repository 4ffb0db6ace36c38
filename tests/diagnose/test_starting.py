"""Whether one that is not started would start: sure, refused, or too close to tell; and how findings read then."""

from __future__ import annotations

from typing import Any

import pytest

from kamtcp.diagnose.codes import Severity
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Foreseen, Role
from situations import process, verdict

MIB = 1 << 20
#: 800,000 to 900,000 bytes of private memory besides the tables, 3 to 6 MB of shared memory
FORESEEN = Foreseen(
    "/etc/kamailio/next.cfg",
    "-M 8",
    False,
    "by kamailio.service",
    800_000,
    900_000,
    3 * MIB,
    6 * MIB,
    "known",
)
#: 36 x (N + 5 x 14 processes) + 800,000 = 8 MiB at N = 210,724; with 900,000 at 207,946
SURE, CLOSE, REFUSED = 207_900, 209_000, 210_800


def before(**changes: Any):
    most = changes.pop("most", 2048)
    parameters = {
        "tcp_max_connections": most, "tcp_max_connections_file": most, "tcp_max_connections_hard": None,
        "pkg_bytes": 8 * MIB, "pkg_megabytes": 8, "shm_megabytes": 64, **changes.pop("parameters", {}),
    }  # fmt: skip
    one = {"pkg_used_bytes": 850_000 + 36 * (most + 70), **changes.pop("one", {})}
    roles = (*[Role.TCP_WORKER] * 4, Role.TCP_MAIN)
    changes.setdefault("processes", tuple(process(0, role, **one) for role in roles))
    return verdict(foreseen=FORESEEN, parameters=parameters, attendant=0, opened=0, **changes)


@pytest.mark.parametrize(("most", "starts"), [(2048, True), (SURE, True), (CLOSE, None), (REFUSED, False)])
def test_private_memory(most, starts):
    start = before(most=most).start
    assert start.starts is starts
    assert bool(start.why) is (starts is not True)
    if start.why:
        assert f"tcp_max_connections={most:,} (/etc/kamailio/kamailio.cfg:41)" in start.why[0]


@pytest.mark.parametrize(
    ("most", "severity"),
    [(SURE, None), (CLOSE, None), (CLOSE + 600, Severity.HIGH), (REFUSED, Severity.FATAL)],
)
def test_the_finding_is_no_surer_than_the_answer(most, severity):
    found = {each.code: each.severity for each in before(most=most).findings}
    assert found.get("MEM001") is severity


@pytest.mark.parametrize(("megabytes", "starts"), [(64, True), (6, True), (5, None), (2, False)])
def test_shared_memory(megabytes, starts):
    found = before(parameters={"shm_megabytes": megabytes})
    assert found.start.starts is starts
    assert ("MEM030" in {each.code for each in found.findings}) is (starts is False)


def test_pools_beyond_the_machine_are_not_promised():
    assert before(parameters={"shm_megabytes": 20_000}).start.starts is None
    assert before(parameters={"shm_megabytes": 16_000}).start.starts is True


@pytest.mark.parametrize(("wanted", "starts"), [(524_288, True), (600_000, False), (2_000_000, False)])
def test_open_files_limit(wanted, starts):
    assert before(parameters={"open_files_limit": wanted}).start.starts is starts


def test_privilege_goes_as_far_as_nr_open():
    found = before(one={"capabilities": 1 << 24}, parameters={"open_files_limit": 2_000_000})
    (why,) = found.start.why
    assert why.startswith(
        "open_files_limit=2,000,000 (/etc/kamailio/kamailio.cfg:41) is above the hard limit of 524,288"
    )
    assert "nobody may raise it beyond fs.nr_open=1,048,576" in why


def test_what_was_not_told_is_not_promised():
    assert before(parameters={"pkg_bytes": None}).start.starts is None


def test_without_tcp_it_says_so():
    found = before(processes=())
    assert found.start.starts is True
    assert "TCP is switched off" in found.start.why[0]


def test_of_a_running_one_nothing_of_the_kind_is_said():
    assert verdict().start is None


class TestFindings:
    def test_none_asks_or_cures_a_process_that_is_not_there(self):
        ill = {"tcp_accept_iplimit": 0, "msg_recv_max_size": 512}
        found = before(
            most=400_000, version="5.7.4", parameters=ill, sysctls={"net.ipv4.tcp_abort_on_overflow": "1"}
        ).findings
        assert len([each for each in found if each.severity is Severity.FATAL]) >= 2
        for each in found:
            text = f"{each.see} {each.now.line} {each.for_good.line}"
            assert "kamcmd" not in text, each.code
            assert "/proc/0" not in text, each.code
            assert "prlimit" not in text, each.code
            assert " 0 " not in each.evidence.replace(" 0 (open connections)", ""), each.code
            assert "takes a restart" not in each.for_good.text
            assert each.see

    def test_what_the_kernel_needs_is_cured_now_all_the_same(self):
        found = before(sysctls={"net.ipv4.tcp_abort_on_overflow": "1"}).findings
        now = next(each.now for each in found if each.code == "ACC004")
        assert now.possible
        assert now.line.startswith("sysctl -w net.ipv4.tcp_abort_on_overflow=0")

    def test_facts_of_a_process_are_assumed_and_not_read(self):
        ladder = {each.name: each for each in before().ladder.held}
        for name in ("tcp-main-descriptors", "shared-memory", "private-memory"):
            assert ladder[name].origin.value == "assumed", name
        assert {each.name: each for each in verdict().ladder.held}[
            "tcp-main-descriptors"
        ].origin.value == "read"


def test_a_process_that_is_not_there_has_no_number():
    assert process(0, Role.TCP_MAIN).label == "the process to be started"
    assert process(831, Role.TCP_MAIN).label == "pid 831"


def test_what_only_a_running_one_shows_is_not_seen():
    log = Absent("log", Why.NOT_ASKED, "not started")
    found = before(log=log)
    assert log in found.unseen
