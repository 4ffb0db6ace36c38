"""Rules that will hurt under load: each fires where it must, and not on what only looks like it."""

from __future__ import annotations

import pytest

from kamtcp.diagnose.finding import Finding
from kamtcp.model.instance import SharedMemory
from situations import DENIED, verdict


def codes(**changes: object) -> list[str]:
    return [each.code for each in verdict(**changes).findings]


def only(code: str, **changes: object) -> Finding:
    found = [each for each in verdict(**changes).findings if each.code == code]
    assert len(found) == 1, codes(**changes)
    return found[0]


class TestCFG002:
    """The per-source limit on a crowded host."""

    def test_it_fires_above_five_thousand_connections(self):
        found = only("CFG002", parameters={"tcp_accept_iplimit": 1024}, target={"connections": 5001})
        assert found.evidence.startswith(
            "tcp_accept_iplimit=1,024 with 5,001 connections: 1000000 us / (45 (us per"
        )
        assert only("CFG002", parameters={"tcp_accept_iplimit": 1024}, opened=5001)

    def test_five_thousand_are_few(self):
        assert codes(parameters={"tcp_accept_iplimit": 1024}, target={"connections": 5000}) == []

    def test_switched_off_it_costs_nothing(self):
        assert codes(parameters={"tcp_accept_iplimit": 0}, opened=50_000, main={"descriptors": 50_030}) == []


class TestCFG003:
    """A PROXY header that tcp main waits for."""

    def test_it_fires_above_200_ms(self):
        found = only("CFG003", parameters={"tcp_accept_haproxy": 1, "tcp_wait_data": 201})
        assert found.evidence == (
            "tcp_accept_haproxy=yes and tcp_wait_data=201 ms: each client that sends nothing stops all TCP so long"
        )
        assert found.now.line == "kamcmd cfg.set_now_int tcp wait_data_ms 100"

    @pytest.mark.parametrize(
        "parameters",
        [{"tcp_accept_haproxy": 1, "tcp_wait_data": 200}, {"tcp_accept_haproxy": 0, "tcp_wait_data": 5000},
         {"tcp_accept_haproxy": None}],
    )  # fmt: skip
    def test_a_short_wait_or_none_is_well(self, parameters):
        assert codes(parameters=parameters) == []


class TestCFG004:
    """tcp_main_threads=1 close to the end of its table: 100,000 - 2 x 14 = 99,972."""

    def test_it_fires_within_twice_the_processes(self):
        found = only("CFG004", parameters={"tcp_main_threads": 1}, target={"connections": 99_973})
        assert (
            found.evidence
            == "99,973 connections are within 28 of tcp_max_connections=100,000 with tcp_main_threads=1"
        )
        assert found.now.line == "kamcmd cfg.set_now_int tcp max_connections 99972"

    def test_one_less_is_well(self):
        assert codes(parameters={"tcp_main_threads": 1}, target={"connections": 99_972}) == []

    def test_without_threads_the_end_is_near_and_well(self):
        assert codes(target={"connections": 99_999}) == []


class TestTLS002:
    """Little shared memory above the guard of 14 x 512 KB = 7,340,032 bytes."""

    @staticmethod
    def free(count: int) -> dict[str, object]:
        return {
            "shared_memory": SharedMemory(64 << 20, count, 0, 0, 0, 0),
            "opened": 0,
            "main": {"descriptors": 30},
        }

    def test_it_fires_below_twice_the_guard(self):
        found = only("TLS002", **self.free(14_680_063))
        assert found.evidence == (
            "14,680,063 bytes of shared memory free, low_mem_threshold1 is 7,340,032: below that no TLS connection is taken"
        )
        assert found.for_good.text == "-m 128; takes a restart"

    def test_twice_the_guard_is_enough(self):
        assert codes(**self.free(14_680_064)) == ["MEM008"]

    def test_a_threshold_that_was_set_counts(self):
        assert codes(**self.free(2000), parameters={"tls.low_mem_threshold1": 1000}) == ["MEM008"]
        assert "TLS002" in codes(**self.free(1999), parameters={"tls.low_mem_threshold1": 1000})

    @pytest.mark.parametrize("ports", [(), DENIED])
    def test_who_speaks_no_tls_needs_no_guard(self, ports):
        assert codes(**self.free(1), tls_ports=ports) == ["MEM008"]


class TestCFG005:
    """tcp_msg_data_timeout=0 closes whoever has sent nothing yet."""

    def test_it_fires_while_the_check_runs(self):
        found = only("CFG005", parameters={"tcp_msg_data_timeout": 0})
        assert found.see == "grep -n tcp_msg_data_timeout /etc/kamailio/kamailio.cfg"

    @pytest.mark.parametrize(
        "parameters",
        [
            {"tcp_msg_data_timeout": 0, "tcp_check_timer": 0},
            {"tcp_msg_data_timeout": 20},
            {"tcp_msg_data_timeout": None},
        ],
    )
    def test_with_the_check_off_or_a_time_set_it_is_well(self, parameters):
        assert codes(parameters=parameters) == []


class TestCFG006:
    """select can't watch descriptor numbers above 1023."""

    def test_it_fires_for_select(self):
        found = only("CFG006", parameters={"tcp_poll_method": "select"})
        assert found.evidence.startswith("tcp_poll_method=select (/etc/kamailio/kamailio.cfg:41)")

    @pytest.mark.parametrize("method", ["epoll_lt", "poll", None])
    def test_any_other_method_is_well(self, method):
        assert codes(parameters={"tcp_poll_method": method}) == []
