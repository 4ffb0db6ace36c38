"""Ceilings below the target, their cures, and the order of findings."""

from __future__ import annotations

import pytest

from kamtcp.diagnose.codes import ALL, RANK
from kamtcp.diagnose.finding import Finding
from kamtcp.model.instance import Cgroup, SharedMemory
from situations import AWAY, DENIED, listener, verdict

BIG = {"connections": 20_000}


def only(code: str, **changes: object) -> Finding:
    found = [each for each in verdict(**changes).findings if each.code == code]
    assert len(found) == 1, [each.code for each in verdict(**changes).findings]
    return found[0]


def lowered(limit: int, hard: int | None = None) -> dict[str, object]:
    return {"parameters": {"tcp_max_connections": limit, "tcp_max_connections_hard": hard or limit}}


SMALL_POOL = {"shared_memory": SharedMemory(64 << 20, 60_000_000, 0, 0, 0, 0), "tls_ports": ()}

FIRES = [
    ("CFG010", {"target": BIG, **lowered(2048)}, "2,048 connections, target 20,000: 2048 (tcp_max_connections"),
    ("TLS010", {"target": {**BIG, "tls": 5000}, "parameters": {"tls_max_connections": 4999}},
     "4,999 TLS connections, target 5,000: 4999 (tls_max_connections"),
    ("CFG011", {"target": {"connections": 3000, "clients_per_source": 300}, "parameters": {"tcp_accept_iplimit": 299}},
     "299 connections from one address, target 300: 299 (tcp_accept_iplimit"),
    ("FDS010", {"target": BIG, "main": {"nofile_soft": 1024}}, "994 connections, target 20,000: 1024 (RLIMIT_NOFILE"),
    ("FDS011", {"target": BIG, **lowered(2048)}, "2,088 connections, target 20,000: 2048 (tcp_max_connections at start)"),
    ("FDS012", {"target": {"rate": 5000}, "workers": {"nofile_soft": 1024}},
     "4,016 connections active within 6 s, target 30,000: 4 workers x"),
    ("FDS013", {"target": BIG, "sysctls": {"fs.nr_open": "8192"}}, "8,162 connections, target 20,000: 8192 (fs.nr_open)"),
    ("FDS014", {"target": BIG, "files_max": 10_000}, "5,400 connections, target 20,000: 400 (open connections) + 10000"),
    ("FDS015", {"target": BIG, "sysctls": {"fs.epoll.max_user_watches": "20029"}}, "19,999 connections, target 20,000: 20029"),
    ("MEM010", {"target": BIG, **SMALL_POOL}, "3,845 connections, target 20,000: 400 (open connections) + 60000000"),
    ("TLS011", {"target": {**BIG, "tls": 20_000}, **SMALL_POOL}, "1,094 connections, target 20,000: 400 (open"),
    ("MEM011", {"target": {"connections": 500_000}, **lowered(443_000), "main": {"pkg_used_bytes": 16_700_000}},
     "445,144 connections, target 500,000: (16777216"),
    ("MEM012", {"target": BIG, "memory_available_bytes": 4_010_000_000}, "2,625 connections, target 20,000: 400 (open"),
    ("MEM013", {"target": BIG, "sysctls": {"net.ipv4.tcp_mem": "1 1000 2000"}}, "9,400 connections, target 20,000: 400"),
    ("MEM014", {"target": BIG, "cgroup": Cgroup("/kam", 1 << 30, 1 << 30, 99, 14)}, "400 connections, target 20,000: 400"),
    ("SYS010", {"target": BIG, "sysctls": {"net.netfilter.nf_conntrack_max": "8192"}}, "7,592 connections, target 20,000:"),
    ("SYS011", {"target": BIG, "sysctls": {"net.ipv4.tcp_max_orphans": "4096"}}, "4,096 connections closed at once, target"),
    ("SYS012", {"target": {"outbound": {"192.0.2.1:5060": 30_000}}},
     "28,232 outbound connections to 192.0.2.1:5060, target 30,000: 28232"),
    ("SYS013", {"target": {"outbound": {"192.0.2.1:5060": 15_000}}},
     "14,116 outbound connections to 192.0.2.1:5060, target 15,000: 28232"),
    ("SYS014", {"target": BIG, "sysctls": {"net.ipv4.tcp_ehash_entries": "4096"}}, "16,384 connections, target 20,000: 4 x 4096"),
    ("ACC010", {"target": {"rate": 2000}, "listeners": (listener(5060, 128),)}, "129 connections at one instant, target 2,000:"),
    ("ACC011", {"target": {"rate": 2000}}, "1,112 connections readable at one instant, target 2,000: 4 workers x 212992"),
    ("ACC012", {"target": {"rate": 6000}}, "5,125 new connections per second, target 6,000: 1025 (half-open"),
    ("ACC013", {"target": {"rate": 23_000}}, "22,222 new connections per second, target 23,000: 1000000 us / 45"),
    ("ACC014", {"target": {**BIG, "rate": 500}, "parameters": {"tcp_accept_iplimit": 1024}},
     "392 new connections per second, target 500: 1000000 us / (45"),
    ("TLS012", {"target": {**BIG, "tls": 20_000, "rate": 5000}}, "1,400 TLS handshakes per second, target 5,000: 4 (cores"),
    ("SYS015", {"target": {"rate": 3000}}, "2,184 closes by this host per second, target 3,000: 131072"),
    ("SYS016", {"target": {**BIG, "rate": 3000}}, "1,345 new connections per second, target 3,000: (262144"),
    ("SYS017", {"target": {"rate": 3000}, "sysctls": {"net.core.netdev_max_backlog": "100"}},
     "2,000 new connections per second, target 3,000: 100 (packets"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "changes", "evidence"), FIRES, ids=[each[0] for each in FIRES])
def test_a_target_above_a_ceiling_is_a_finding_with_its_arithmetic(code, changes, evidence):
    assert only(code, **changes).evidence.startswith(evidence)


def test_every_such_code_was_made_to_fire():
    """But for ports that rest in TIME-WAIT: a target doesn't say how many outbound connections a second it brings."""
    below = {each.code for each in ALL if each.name.endswith("-below-target")}
    assert {each[0] for each in FIRES} | {"SYS018"} == below


@pytest.mark.parametrize(("code", "changes", "_"), FIRES, ids=[each[0] for each in FIRES])
def test_the_same_ceilings_without_a_target_are_no_finding(code, changes, _):
    assert code not in [each.code for each in verdict(**{**changes, "target": {}}).findings]


def test_worst_first_then_by_code():
    found = verdict(target={**BIG, "rate": 6000}, main={"nofile_soft": 1024}, **lowered(2048)).findings
    order = [(RANK[each.severity], each.code) for each in found]
    assert order == sorted(order)
    assert found[0].code == "FDS001"
    assert {each.severity.value for each in found} == {"fatal", "high", "medium", "info"}


class TestCures:
    def test_a_maximum_lowered_at_run_time_goes_back_without_a_restart(self):
        now = only("CFG010", target=BIG, **lowered(2048, 50_000)).now
        assert (now.possible, now.line) == (True, "kamcmd cfg.set_now_int tcp max_connections 50000")

    def test_one_of_the_start_takes_a_restart_and_says_what_that_costs(self):
        found = only("CFG010", target=BIG, **lowered(2048))
        assert not found.now.possible
        assert (
            found.for_good.text
            == "tcp_max_connections=22000 in /etc/kamailio/kamailio.cfg:41; takes a restart"
        )
        assert found.for_good.risk == (
            "a restart drops 400 connections; if all come back at once, up to 400 a second are served: all in about 1 s"
        )

    def test_a_restart_that_overruns_the_hand_off_says_so(self):
        found = only("CFG010", target={"connections": 120_000}, opened=50_000, main={"descriptors": 50_030})
        # 50,000 at 22,222 a second
        assert found.for_good.risk == (
            "a restart drops 50,000 connections; if all come back at once, up to 22,222 a second are served: all in about"
            " 2 s, 5 s more if they come at one instant"
        )

    def test_tls_makes_coming_back_slower(self):
        found = only(
            "CFG010",
            target={"connections": 120_000, "tls": 120_000},
            opened=14_000,
            main={"descriptors": 14_030},
        )
        assert "up to 1,400 a second are served: all in about 10 s" in found.for_good.risk

    def test_unseen_connections_are_not_called_none(self):
        found = only("CFG010", target={"connections": 120_000}, opened=DENIED)
        assert found.for_good.risk == "a restart drops every connection (how many could not be seen)"

    def test_smaller_read_buffers_hold_more_at_once_where_there_is_no_tls(self):
        found = only("MEM010", target=BIG, **SMALL_POOL)
        # 17,416 - 16,384 + 4,096 = 5,128; 400 + 60,000,000 / 5,128
        assert found.now.text == "smaller read buffers for new connections: holds 12,100"
        assert found.now.line == "kamcmd cfg.set_now_int tcp rd_buf_size 4096"
        # (22,000 - 400) x 17,416 - 60,000,000 more than 64 MiB
        assert found.for_good.text == "-m 366 (SHM_MEMORY=366 in /etc/default/kamailio); takes a restart"

    def test_with_tls_they_would_save_next_to_nothing(self):
        assert not only("TLS011", target={**BIG, "tls": 20_000}, **SMALL_POOL).now.possible

    def test_a_sysctl_of_another_namespace_is_set_inside_it(self):
        changes = {"target": {"outbound": {"192.0.2.1:5060": 30_000}}}
        here, there = only("SYS012", **changes), only("SYS012", away=True, **changes)
        assert here.now.line == "sysctl -w 'net.ipv4.ip_local_port_range=10000 65535'"
        assert there.now.line == "nsenter -t 812 -n sysctl -w 'net.ipv4.ip_local_port_range=10000 65535'"
        assert there.see.startswith("nsenter -t 812 -n sysctl net.ipv4.ip_local_port_range")
        assert verdict(away=True).situation.namespace.id == AWAY
