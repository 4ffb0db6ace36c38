"""The timer chain against a real Kamailio: when connections end and by whom, all at once on three servers."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from msgspec import Struct
from stop_rig import predict
from timer_rig import GONE, Cable, Phone, watch

from kamtcp.capacity.situation import Situation
from kamtcp.capacity.timer import Timer, named
from kamtcp.capacity.timers import chain
from kamtcp.host.live import Live
from kamtcp.model.instance import ListenerOptions
from kamtcp.observe.inet_diag import State
from kamtcp.rehearse.kamailio import packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn

#: a timer is never early by more than a look at the sockets; late by one, and by a busy machine
EARLY, LATE = 0.3, 2.0
LIFETIME, LONG = 3, 9
#: how long what must stay is watched: beyond everything else
WATCHED = 30.0
CRLF = b"\r\n\r\n"
QUICK = {"net.ipv4.tcp_retries2": 3, "net.ipv4.tcp_orphan_retries": 3}
CAPPED = {"net.ipv4.tcp_retries2": 5, "net.ipv4.tcp_rto_max_ms": 1000, "net.ipv4.tcp_orphan_retries": 2}


class Case(Struct):
    """One connection and the timer that is to end it."""

    phone: Phone
    timer: Timer


class Run(Struct):
    """What was measured, by case; those of `kept` must not end."""

    ended: dict[str, Case]
    kept: dict[str, Phone]
    opened: dict[str, int]


def _timers(pid: int) -> tuple[Timer, ...]:
    return predict(pid).verdict.ladder.timers


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """All servers, all phones, watched together until everything that is to end has ended."""
    with ExitStack() as stack:
        phones = stack.enter_context(StandIn(name="phones"))
        hosts = [stack.enter_context(StandIn(packages_root(), name=f"sip{n}")) for n in range(3)]
        cables = [Cable(host, phones, n + 1) for n, host in enumerate(hosts)]
        for host, values in zip(hosts, (QUICK, QUICK, CAPPED), strict=True):
            for name, value in values.items():
                host.sysctl(name, value)
        probed = ("tcp_keepidle=2", "tcp_keepintvl=1", "tcp_keepcnt=2")
        ping = ('modparam("websocket", "keepalive_timeout", 2)', 'modparam("websocket", "keepalive_interval", 1)')
        scenarios = (
            Scenario(address=cables[0].address, tcp_connection_lifetime=LIFETIME, tls_port=5061, key="ecdsa",
                     websocket=True, modparams=ping),
            Scenario(address=cables[1].address, core=probed),
            Scenario(address=cables[2].address, tcp_connection_lifetime=LONG, core=("tcp_keepalive=no",)),
        )  # fmt: skip
        running = [
            stack.enter_context(start_kamailio(host, config=scenario))
            for host, scenario in zip(hosts, scenarios, strict=True)
        ]
        short, kept, off = (_timers(each.pid) for each in running)

        def phone(n: int, port: int = 5060) -> Phone:
            one = Phone(cables[n], port)
            stack.callback(lambda: one.socket.close())
            return one

        ended = {
            "idle": Case(phone(0).says(), named(short, "tcp-lifetime")),
            "never said anything": Case(phone(0), named(short, "tcp-silent")),
            "dead, no probe in time": Case(phone(0).says().falls_silent(), named(short, "tcp-lifetime")),
            "idle TLS": Case(_over_tls(phone(0, 5061)), named(short, "tls-lifetime")),
            "WebSocket without pongs": Case(_websocket(phone(0)), named(short, "websocket-dead")),
            "dead, probed": Case(phone(1).says().falls_silent(), named(kept, "tcp-keepalive")),
            "dead, data on its way": Case(phone(1).falls_silent().says(answered=False), named(kept, "retransmission")),
            "dead, keepalive off": Case(phone(2).says().falls_silent(), named(off, "tcp-lifetime")),
            "dead, data, waits capped": Case(phone(2).falls_silent().says(answered=False), named(off, "retransmission")),
        }  # fmt: skip
        stay = {"pings": phone(0), "answers probes": phone(1).says(), "answers WebSocket pings": _websocket(phone(0))}
        stay["pings"].each_second = CRLF
        stay["answers WebSocket pings"].answers_pings = True
        everybody = [*(case.phone for case in ended.values()), *stay.values()]
        watch(everybody, WATCHED, lambda: all(case.phone.gone is not None for case in ended.values()))
        opened = {}
        for name, each in zip(("short", "kept", "off"), running, strict=True):
            count = predict(each.pid).instance.opened
            assert isinstance(count, int)
            opened[name] = count
        yield Run(ended, stay, opened)


def _over_tls(phone: Phone) -> Phone:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    phone.socket = context.wrap_socket(phone.socket)
    phone.since = time.monotonic()
    return phone


def _websocket(phone: Phone) -> Phone:
    """The opening handshake of RFC 6455 and RFC 7118."""
    key = base64.b64encode(os.urandom(16)).decode()
    phone.socket.sendall(
        f"GET / HTTP/1.1\r\nHost: {phone.cable.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: http://x\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n"
        "Content-Length: 0\r\n\r\n".encode()
    )
    assert phone.socket.recv(4096).startswith(b"HTTP/1.1 101")
    phone.since = time.monotonic()
    return phone


def test_print(run):
    for name, case in run.ended.items():
        print(name, case.timer.seconds, case.timer.end, case.timer.who, "->", case.phone.ended, case.phone.state, case.phone.gone, case.phone.told, case.phone.pings)
    for name, p in run.kept.items():
        print(name, p.ended, p.pings)
    print(run.opened)
