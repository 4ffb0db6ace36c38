"""Who closes an idle connection first."""

from __future__ import annotations

import pytest

from kamtcp.capacity.timers import Timer, chain
from kamtcp.model.absent import Absent
from kamtcp.model.instance import Parameter
from kamtcp.model.origin import Origin
from situations import DENIED, situation


def timer(name: str, **changes: object) -> Timer:
    (found,) = (each for each in chain(situation(**changes)) if each.name == name)
    return found


NOT_THERE = Parameter("none", Origin.DEFAULT, "not in 5.6.3")


@pytest.mark.parametrize(
    ("name", "changes", "seconds", "working"),
    [
        ("registration", {"target": {"registration_seconds": 3600}}, 3600, "target"),
        ("registration", {}, None, "not stated in the target"),
        ("crlf-ping", {"target": {"keepalive_seconds": 120}}, 120, "target"),
        ("tcp-lifetime", {}, 3611, "tcp_connection_lifetime=3605 (core.tcp_options) + 6 s with the worker that read last"),
        ("tcp-lifetime", {"parameters": {"tcp_connection_lifetime": -1}}, None,
         "tcp_connection_lifetime=-1 (/etc/kamailio/kamailio.cfg:41)"),
        ("tls-lifetime", {}, 3611, "tls.connection_timeout=3605 (/etc/kamailio/kamailio.cfg:41) + 6 s with the worker that read last"),
        ("tls-lifetime", {"parameters": {"enable_tls": 0}}, None, "TLS is off"),
        ("websocket-ping", {}, 180, "keepalive_mechanism=1, keepalive_timeout=180"),
        ("websocket-ping", {"parameters": {"websocket.keepalive_mechanism": 0}}, None,
         "keepalive_mechanism=0, keepalive_timeout=180"),
        ("websocket-ping", {"modules": ("tm", "tls")}, None, "module websocket is not loaded"),
        ("middle-lb", {"target": {"middle": {"lb": 350}}}, 350, "target"),
        # 7,200 + 9 x 75
        ("tcp-keepalive", {}, 1275, "600 s idle + 9 probes x 75 s"),
        # the listener's own values come before the kernel's: 60 + 3 x 75
        ("tcp-keepalive", {"parameters": {"tcp_keepidle": 60, "tcp_keepcnt": 3, "tcp_keepintvl": 0}}, 285,
         "60 s idle + 3 probes x 75 s"),
        ("tcp-keepalive", {"parameters": {"tcp_keepalive": 0}}, None, "tcp_keepalive=no"),
        ("message-data", {}, 20, "tcp_msg_data_timeout=20 (compiled default)"),
        ("message-read", {"parameters": {"tcp_msg_read_timeout": NOT_THERE}}, None, "tcp_msg_read_timeout: not in 5.6.3"),
        # 0.2 s doubling ten times up to 102.4 s: 204.6; six more at 120 s
        ("retransmission", {}, 924.6, "tcp_retries2=15, from 0.2 s doubling to 120 s"),
        # 0.2 + 0.4 + 0.8 + 1.6 + 3.2 + 6.4 + 12.8 + 25.6 + 51.2
        ("retransmission", {"sysctls": {"net.ipv4.tcp_retries2": "8"}}, 102.2, "tcp_retries2=8, from 0.2 s doubling to 120 s"),
        ("conntrack", {}, 432_000, "nf_conntrack_tcp_timeout_established=432000"),
        ("conntrack", {"conntrack_active": False}, None, "no rule of this namespace tracks connections"),
    ],
)  # fmt: skip
def test_the_seconds_are_as_worked_out_by_hand(name, changes, seconds, working):
    found = timer(name, **changes)
    assert (found.seconds, found.working) == (seconds, working)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tcp-lifetime", {"parameters": {"tcp_connection_lifetime": None}}),
        ("tls-lifetime", {"parameters": {"tls.connection_timeout": "long"}}),
        ("websocket-ping", {"parameters": {"websocket.keepalive_timeout": None}}),
        ("tcp-keepalive", {"sysctls": {"net.ipv4.tcp_keepalive_time": DENIED}}),
        ("message-data", {"parameters": {"tcp_msg_data_timeout": None}}),
        ("message-read", {"parameters": {"tcp_msg_read_timeout": "soon"}}),
        ("retransmission", {"sysctls": {"net.ipv4.tcp_retries2": DENIED}}),
        ("conntrack", {"sysctls": {"net.netfilter.nf_conntrack_tcp_timeout_established": DENIED}}),
    ],
)
def test_what_can_not_be_told_is_absent_with_the_reason(name, changes):
    found = timer(name, **changes)
    assert isinstance(found.seconds, Absent)
    assert str(found.seconds) == found.working or found.working.startswith(found.seconds.source)


def test_the_chain_is_always_the_same_timers_in_the_same_order():
    """Whatever is known of them."""
    names = [
        "registration", "crlf-ping", "tcp-lifetime", "tls-lifetime", "websocket-ping", "tcp-keepalive", "message-data",
        "message-read", "retransmission", "conntrack",
    ]  # fmt: skip
    assert [each.name for each in chain(situation())] == names
    assert [each.name for each in chain(situation(conntrack_active=DENIED, modules=DENIED, parameters=dict.fromkeys(
        ("tcp_keepalive", "enable_tls", "tcp_msg_data_timeout"))))] == names  # fmt: skip
