"""Who closes an idle connection first: each timer worked out by hand, and what they come to together."""

from __future__ import annotations

import pytest

from kamtcp.capacity.ladder import build
from kamtcp.capacity.outcomes import CUT, DEAD, IDLE, UNSENT, Outcome
from kamtcp.capacity.timer import Timer, named
from kamtcp.capacity.timers import chain
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import ListenerOptions, Parameter
from kamtcp.model.origin import Origin
from situations import DENIED, situation

NOT_THERE = Parameter("none", Origin.DEFAULT, "not in 5.6.3")
OLD = {"version": "5.6.3"}  # before TCP_USER_TIMEOUT
ASKED = ListenerOptions(
    5060, keepalive=True, keepidle=30, keepintvl=10, keepcnt=3, user_timeout_ms=0, linger2=25
)


def timer(name: str, **changes: object) -> Timer:
    return named(chain(situation(**changes)), name)


def outcome(transport: str, case: str, **changes: object) -> Outcome:
    found = build(situation(**changes)).outcomes
    return next(each for each in found if (each.transport, each.case) == (transport, case))


@pytest.mark.parametrize(
    ("name", "changes", "seconds", "latest"),
    [
        ("registration", {"target": {"registration_seconds": 3600}}, 3600, 3600),
        ("registration", {}, None, None),
        ("crlf-ping", {"target": {"keepalive_seconds": 120}}, 120, 120),
        # 5 s in a worker, up to 2 until it looks, up to 5 until tcp main looks
        ("tcp-lifetime", {}, 3610, 3617),
        ("tcp-silent", {}, 3605, 3610),
        ("tcp-lifetime", {"parameters": {"tcp_connection_lifetime": -1}}, None, None),
        ("tls-lifetime", {"parameters": {"tls.connection_timeout": 600}}, 605, 612),
        ("tls-lifetime", {"parameters": {"enable_tls": 0}}, None, None),
        ("websocket-ping", {}, 180, 182),
        ("websocket-dead", {}, 360, 364),
        ("websocket-ping", {"parameters": {"websocket.keepalive_mechanism": 0}}, None, None),
        ("websocket-dead", {"parameters": {"websocket.keepalive_mechanism": 2}}, None, None),
        ("websocket-ping", {"modules": ("tm", "tls")}, None, None),
        ("middle-lb", {"target": {"middle": {"lb": 350}}}, 350, 350),
        ("tcp-probe", {}, 600, 675),
        # 600 + 9 x 75, an eighth late
        ("tcp-keepalive", OLD, 1275, 1434.375),
        ("tcp-keepalive", {"parameters": {"tcp_keepidle": 60, "tcp_keepcnt": 3, "tcp_keepintvl": 0}, **OLD}, 285, 320.625),
        # RPC is silent: as the file says
        ("tcp-keepalive", {"parameters": {"tcp_keepidle_file": 60, "tcp_keepintvl_file": 10, "tcp_keepcnt_file": 3}, **OLD}, 90, 101.25),
        # the listening socket knows better
        ("tcp-keepalive", {"listener_options": ASKED}, 60, 67.5),
        # TCP_USER_TIMEOUT of 10 s: the first unanswered probe
        ("tcp-keepalive", {}, 675, 759.375),
        ("tcp-keepalive", {"parameters": {"tcp_keepalive": 0}}, None, None),
        ("message-data", {}, 20, 30),
        ("message-data", {"parameters": {"tcp_check_timer": 0}}, None, None),
        ("message-read", {"parameters": {"tcp_msg_read_timeout": NOT_THERE}}, None, None),
        # 0.2 s doubling ten times up to 102.4 s: 204.6; six more at 120 s
        ("retransmission", OLD, 924.6, 1060.0),
        # 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 6.4 + 12.8 + 25.6 + 51.2; then one wait of as much, an eighth late, and the probe
        ("retransmission", {"sysctls": {"net.ipv4.tcp_retries2": "8"}, **OLD}, 102.2, 218.7),
        # 0.2 + 0.4 + 0.8 + 3 x 1
        ("retransmission", {"sysctls": {"net.ipv4.tcp_retries2": "5", "net.ipv4.tcp_rto_max_ms": "1000"}, **OLD}, 4.4, 5.9),
        ("retransmission", {"sysctls": {"net.ipv4.tcp_rto_max_ms": Absent("x", Why.MISSING)}, **OLD}, 924.6, 1060.0),
        ("retransmission", {}, 10, 11.45),
        ("orphan", OLD, 102.2, 218.7),
        ("fin-wait-2", {}, 60, 67.5),
        ("fin-wait-2", {"parameters": {"tcp_linger2": 5}}, 5, 5.625),
        ("fin-wait-2", {"listener_options": ASKED}, 25, 28.125),
        ("syn-ack", {}, 63, 70.875),
        # measured: 131 s, 127 s without linear ones, 7 s for 2
        ("syn", {}, 131, 147.375),
        ("syn", {"sysctls": {"net.ipv4.tcp_syn_linear_timeouts": "0"}}, 127, 142.875),
        ("syn", {"sysctls": {"net.ipv4.tcp_syn_retries": "2"}}, 7, 7.875),
        ("connect", {}, 10, 15),
        ("conntrack", {}, 432_000, 432_000),
        ("conntrack", {"conntrack_active": False}, None, None),
    ],
)  # fmt: skip
def test_the_seconds_are_as_worked_out_by_hand(name, changes, seconds, latest):
    found = timer(name, **changes)
    assert found.seconds == (None if seconds is None else pytest.approx(seconds))
    assert found.end == (None if latest is None else pytest.approx(latest, abs=0.06))
    assert bool(found.who) == (seconds is not None)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tcp-lifetime", {"parameters": {"tcp_connection_lifetime": None}}),
        ("tls-lifetime", {"parameters": {"tls.connection_timeout": "long"}}),
        ("websocket-ping", {"parameters": {"websocket.keepalive_timeout": None}}),
        ("tcp-keepalive", {"sysctls": {"net.ipv4.tcp_keepalive_time": DENIED}}),
        ("tcp-keepalive", {"version": DENIED}),
        ("tcp-probe", {"config_changed_since_start": True, "parameters": {"tcp_keepidle_file": 60}}),
        ("message-data", {"parameters": {"tcp_msg_data_timeout": None}}),
        ("message-read", {"parameters": {"tcp_msg_read_timeout": "soon"}}),
        ("retransmission", {"sysctls": {"net.ipv4.tcp_retries2": DENIED}, **OLD}),
        ("retransmission", {"sysctls": {"net.ipv4.tcp_rto_max_ms": DENIED}, **OLD}),
        ("orphan", {"sysctls": {"net.ipv4.tcp_orphan_retries": DENIED}, **OLD}),
        ("fin-wait-2", {"sysctls": {"net.ipv4.tcp_fin_timeout": DENIED}}),
        ("syn-ack", {"sysctls": {"net.ipv4.tcp_synack_retries": DENIED}}),
        ("syn", {"sysctls": {"net.ipv4.tcp_syn_retries": DENIED}}),
        ("connect", {"parameters": {"tcp_connect_timeout": None}}),
        ("conntrack", {"sysctls": {"net.netfilter.nf_conntrack_tcp_timeout_established": DENIED}}),
        ("conntrack", {"conntrack_active": DENIED}),
    ],
)  # fmt: skip
def test_what_can_not_be_told_is_absent_with_the_reason(name, changes):
    found = timer(name, **changes)
    assert isinstance(found.seconds, Absent)
    assert str(found.seconds) == found.working


def test_the_chain_is_always_the_same_timers_in_the_same_order():
    """Whatever is known of them."""
    names = [each.name for each in chain(situation())]
    blind = situation(conntrack_active=DENIED, modules=DENIED, version=DENIED, parameters=dict.fromkeys(
        ("tcp_keepalive", "enable_tls", "tcp_msg_data_timeout")))  # fmt: skip
    assert [each.name for each in chain(blind)] == names
    assert len(set(names)) == len(names) == 18


class TestWhatTheyComeTo:
    def test_a_phone_that_registers_in_time_is_kept(self):
        found = outcome("TCP", IDLE, target={"registration_seconds": 3600})
        assert (found.seconds, found.who) == (None, "phone")

    def test_a_websocket_that_is_gone_ends_by_the_ping_that_nobody_acknowledges(self):
        assert (outcome("WS", DEAD).seconds, outcome("WS", DEAD).who) == (190, "kernel")
        assert (outcome("WS", DEAD, **OLD).seconds, outcome("WS", DEAD, **OLD).who) == (360, "Kamailio")

    def test_what_is_not_seen_is_bounded_by_what_is(self):
        found = outcome("TCP", UNSENT, sysctls={"net.ipv4.tcp_retries2": DENIED}, **OLD)
        assert (found.seconds, found.latest) == (DENIED, 3617)

    @pytest.mark.parametrize(
        ("target", "changes", "latest"),
        [({"middle": {"lb": 350}, "registration_seconds": 3600}, {}, 3250),
         ({"middle": {"lb": 350}, "registration_seconds": 3600, "keepalive_seconds": 120}, {}, None),
         ({"middle": {"lb": 900}, "registration_seconds": 3600}, {}, None),  # a probe after 675 s keeps it open
         ({"registration_seconds": 7200}, {}, 3590)],
    )  # fmt: skip
    def test_how_long_a_phone_can_not_be_reached(self, target, changes, latest):
        assert outcome("TCP", CUT, target=target, **changes).latest == latest
