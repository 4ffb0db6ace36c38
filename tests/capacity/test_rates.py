"""Ceilings of new connections: number and arithmetic, worked out by hand for each."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from kamtcp.capacity.catalogue import BY_NAME
from kamtcp.capacity.ceiling import Ceiling, Effect, Kind
from kamtcp.model.absent import UNLIMITED, Absent, Unlimited, Why
from kamtcp.model.instance import Parameter
from kamtcp.model.origin import Origin
from situations import DENIED, listener, situation


def ceiling(name: str, **changes: object) -> Ceiling:
    return BY_NAME[name].compute(situation(**changes))


CASES = [
    ("accept-queue", {"listeners": (listener(5060, 1024), listener(5061, 128))}, 129, 129, "128 (backlog of 0.0.0.0:5061) + 1"),
    # 278 messages filled 212,992 bytes: 766.2 each
    ("hand-off", {"handoff_sndbufs": DENIED}, 1112, 1112,
     "4 workers x 212992 (socket buffer, as wmem_default gives it now) / 766 (bytes for one descriptor)"),
    # Kamailio started with twice the wmem_default that is in force now; its sockets keep it
    ("hand-off", {"handoff_sndbufs": (425_984,) * 4}, 2224, 2224,
     "4 workers x 425984 (send buffer of the socket to a worker) / 766 (bytes for one descriptor)"),
    # RLIMIT_NOFILE doesn't bound it: of what is in flight, tcp main keeps a descriptor open itself
    ("hand-off", {"main": {"nofile_soft": 1024}}, 1112, 1112,
     "4 workers x 212992 (send buffer of the socket to a worker) / 766 (bytes for one descriptor)"),
    ("syn-queue", {}, 5125, 5125, "1025 (half-open connections of 0.0.0.0:5060) / 0.2 (s round trip)"),
    ("packet-backlog", {"sysctls": {"net.core.netdev_max_backlog": "1000"}}, 20_000, 20_000,
     "1000 (packets, netdev_max_backlog) / 0.01 (s without softirq) / 5 (packets received per new connection)"),
    ("accept-rate", {}, 22_222, 22_222, "1000000 us / 45 (us of tcp main per new connection)"),
    # 1,000,000 / (45 + 0.125 x 20,000) = 392.9
    ("per-source-scan", {"parameters": {"tcp_accept_iplimit": 1024}, "target": {"connections": 20_000}}, 392, 392,
     "1000000 us / (45 (us per new connection) + 0.125 (us per open connection) x 20000 (connections of the target))"),
    # no target: 1,000,000 / (45 + 0.125 x 400) = 10,526.3
    ("per-source-scan", {"parameters": {"tcp_accept_iplimit": 1024}}, 10_526, 10_526,
     "1000000 us / (45 (us per new connection) + 0.125 (us per open connection) x 400 (open connections))"),
    # four cores, four workers; a quarter of the new connections is TLS
    ("tls-handshakes", {"target": {"connections": 100, "tls": 25}}, 1400, 5600,
     "4 (cores that workers can use) x 350 (handshakes per core)"),
    ("tls-handshakes", {"cpus": 64, "target": {"connections": 100, "wss": 100}}, 1400, 1400,
     "4 (cores that workers can use) x 350 (handshakes per core)"),
    ("tls-handshakes", {"cpus": 2}, 700, UNLIMITED,
     "2 (cores that workers can use) x 350 (handshakes per core)"),
    # seen with fewer than the reference's 20 open: the idlest one's 9 are what is no connection
    ("worker-descriptors", {"workers": {"nofile_soft": 200, "descriptors": 9}}, 764, 764,
     ("4 workers x (200 (lowest RLIMIT_NOFILE soft of 4 workers) - 9 (descriptors of the idlest worker now))")),
    ("worker-descriptors", {"workers": {"nofile_soft": 1024}}, 4016, 4016,
     "4 workers x (1024 (lowest RLIMIT_NOFILE soft of 4 workers) - 20 (descriptors of a worker that are not connections))"),
    ("time-wait-buckets", {}, 2184, 2184, "131072 (tcp_max_tw_buckets) / 60 (s, constant)"),
    # (262,144 - 20,000) / 180 = 1,345.2
    ("conntrack-churn", {"target": {"connections": 20_000}}, 1345, 1345,
     "(262144 (nf_conntrack_max) - 20000 (connections held)) / 180 (s, time_wait entries: 120 and 60 until collected)"),
    # more are open than wanted: (262,144 - 400) / 90 = 2,908.3
    ("conntrack-churn", {"sysctls": {"net.netfilter.nf_conntrack_tcp_timeout_time_wait": "30"}}, 2908, 2908,
     "(262144 (nf_conntrack_max) - 400 (connections held)) / 90 (s, time_wait entries: 30 and 60 until collected)"),
    ("ephemeral-ports-rate", {}, 470, UNLIMITED,
     "(28232 (ports of ip_local_port_range 32768-60999)) / 60 (s of rest, tcp_tw_reuse=2)"),
    # tcp_tw_reuse=1: a port may be used again after one second
    ("ephemeral-ports-rate", {"sysctls": {"net.ipv4.tcp_tw_reuse": "1"}}, 28_232, UNLIMITED,
     "(28232 (ports of ip_local_port_range 32768-60999)) / 1 (s of rest, tcp_tw_reuse=1)"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "limit", "at", "working"), CASES)
def test_the_number_and_its_working_are_as_worked_out_by_hand(name, changes, limit, at, working):
    found = ceiling(name, **changes)
    assert (found.limit, found.at) == (limit, at)
    assert found.working == working


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("per-source-scan", {}, "tcp_accept_iplimit=0 switches it off (/etc/kamailio/kamailio.cfg:41)"),
        ("per-source-scan", {"parameters": {"tcp_accept_iplimit": Parameter("none", Origin.DEFAULT, "not in 5.6.3")}},
         "this version doesn't count connections per source (not in 5.6.3)"),
        ("worker-descriptors", {"workers": {"nofile_soft": UNLIMITED}}, "RLIMIT_NOFILE of every worker is unlimited"),
        ("time-wait-buckets", {"sysctls": {"net.ipv4.tcp_max_tw_buckets": "-1"}},
         "tcp_max_tw_buckets is negative: no limit on this kernel"),
        ("conntrack-churn", {"conntrack_active": False}, "no rule of this namespace tracks connections"),
        ("conntrack-churn", {"sysctls": {"net.netfilter.nf_conntrack_max": Absent("x", Why.MISSING)}},
         "this kernel has no nf_conntrack loaded"),
        ("conntrack-churn", {"sysctls": {"net.netfilter.nf_conntrack_max": "0"}}, "nf_conntrack_max is 0: no limit"),
    ],
)  # fmt: skip
def test_where_nothing_limits_it_says_so(name, changes, why):
    found = ceiling(name, **changes)
    assert isinstance(found.limit, Unlimited)
    assert found.working == why


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("accept-queue", {"listeners": DENIED}),
        ("accept-queue", {"listeners": ()}),
        ("hand-off", {"processes": ()}),
        ("hand-off", {"handoff_messages": DENIED}),
        ("hand-off", {"handoff_sndbuf": DENIED}),
        ("syn-queue", {"listeners": DENIED}),
        ("syn-queue", {"sysctls": {"net.ipv4.tcp_syncookies": DENIED}}),
        ("packet-backlog", {"sysctls": {"net.core.netdev_max_backlog": DENIED}}),
        ("per-source-scan", {"parameters": {"tcp_accept_iplimit": None}}),
        ("worker-descriptors", {"processes": ()}),
        ("worker-descriptors", {"workers": {"nofile_soft": DENIED}}),
        ("time-wait-buckets", {"sysctls": {"net.ipv4.tcp_max_tw_buckets": DENIED}}),
        ("conntrack-churn", {"conntrack_active": DENIED}),
        ("conntrack-churn", {"conntrack_count": DENIED}),
        ("conntrack-churn", {"sysctls": {"net.netfilter.nf_conntrack_max": DENIED}}),
        ("ephemeral-ports-rate", {"sysctls": {"net.ipv4.tcp_tw_reuse": DENIED}}),
        ("ephemeral-ports-rate", {"sysctls": {"net.ipv4.ip_local_port_range": DENIED}}),
    ],
)
def test_what_can_not_be_told_is_absent_with_the_reason_and_never_a_number(name, changes):
    found = ceiling(name, **changes)
    assert isinstance(found.limit, Absent)
    assert found.at == found.limit
    assert found.working == str(found.limit)


@pytest.mark.parametrize(
    ("name", "changes", "limit"),
    [
        (
            "accept-queue",
            {"listeners": (listener(5060, 0),)},
            1,
        ),  # the kernel holds one more than the backlog
        ("packet-backlog", {"sysctls": {"net.core.netdev_max_backlog": "0"}}, 0),
        ("worker-descriptors", {"workers": {"nofile_soft": 0}}, 0),
        ("time-wait-buckets", {"sysctls": {"net.ipv4.tcp_max_tw_buckets": "0"}}, 0),
        ("hand-off", {"handoff_messages": 0}, 0),
        ("hand-off", {"handoff_sndbufs": (0,)}, 0),
    ],
)
def test_zero_is_a_number(name, changes, limit):
    assert ceiling(name, **changes).limit == limit


def test_one_worker_that_is_short_counts_for_all():
    """The lowest limit: the next connection may be handed to just that worker."""
    s = situation()
    assert s.instance is not None
    low = [replace(p, nofile_soft=120) if p.pid == 823 else p for p in s.instance.processes]
    s = replace(s, instance=replace(s.instance, processes=tuple(low)))
    assert BY_NAME["worker-descriptors"].compute(s).limit == 400


class TestTheGoalOfARate:
    def test_it_is_the_worst_second_of_rate_and_storm(self):
        assert ceiling("accept-rate", target={"rate": 50}).goal == 50
        assert ceiling("accept-rate", target={"rate": 50, "storm": 20_000, "storm_seconds": 10}).goal == 2000
        assert (
            ceiling("accept-rate", target={"rate": 5000, "storm": 20_000, "storm_seconds": 10}).goal == 5000
        )

    def test_a_storm_of_less_than_a_second_is_one_second_long(self):
        assert ceiling("accept-queue", target={"storm": 700, "storm_seconds": 0}).goal == 700

    def test_only_the_share_with_tls_makes_handshakes(self):
        target = {"connections": 100, "tls": 25, "rate": 400}
        assert ceiling("tls-handshakes", target=target).goal == 100
        assert ceiling("tls-handshakes", target={"connections": 100, "rate": 400}).goal is None

    def test_workers_hold_what_comes_in_six_seconds(self):
        assert ceiling("worker-descriptors", target={"rate": 100}).goal == 600


def test_without_cookies_a_full_syn_queue_slows():
    off = ceiling("syn-queue", sysctls={"net.ipv4.tcp_syncookies": "0"})
    assert (off.effect, off.kind) == (Effect.SLOWS, Kind.RATE)
    assert ceiling("syn-queue").effect is Effect.LOSES_PROTECTION


def test_without_cookies_new_peers_are_refused_the_last_quarter_of_tcp_max_syn_backlog():
    """64 - 16 + 1 = 49, over 0.2 s: 245; with cookies on that setting does nothing."""
    small = {"net.ipv4.tcp_max_syn_backlog": "64"}
    assert ceiling("syn-queue", sysctls={"net.ipv4.tcp_syncookies": "0", **small}).limit == 245
    assert ceiling("syn-queue", sysctls=small).limit == 5125
