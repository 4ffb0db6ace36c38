"""The timer chain against a real Kamailio: when connections end and by whom, all at once on three servers."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest
from msgspec import Struct
from msgspec.structs import replace

from kamtcp.capacity.situation import Situation
from kamtcp.capacity.timer import KAMAILIO, KERNEL, Timer, named
from kamtcp.capacity.timers import chain
from kamtcp.host.live import Live
from kamtcp.model.instance import ListenerOptions
from kamtcp.observe.census import collect
from kamtcp.observe.inet_diag import State
from kamtcp.rehearse.kamailio import packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from stop_rig import predict
from timer_rig import GONE, Cable, Phone, watch

#: a timer is never early by more than a look at the sockets; late by one, and by a busy machine
EARLY, LATE = 0.3, 2.0
LIFETIME, LONG = 3, 9
#: how long what must stay is watched: beyond everything else
WATCHED = 30.0
CRLF = b"\r\n\r\n"
QUICK = {"net.ipv4.tcp_retries2": 3, "net.ipv4.tcp_orphan_retries": 3}
CAPPED = {"net.ipv4.tcp_retries2": 5, "net.ipv4.tcp_rto_max_ms": 1000, "net.ipv4.tcp_orphan_retries": 2,
          "net.ipv4.tcp_synack_retries": 1}  # fmt: skip


class Case(Struct):
    """One connection and the timer that is to end it."""

    phone: Phone
    timer: Timer


class Run(Struct):
    """What was measured, by case; those of `kept` must not end."""

    ended: dict[str, Case]
    kept: dict[str, Phone]
    opened: dict[str, int]
    orphans: dict[str, Timer]
    options: dict[str, object]
    waiting: dict[str, int]
    pings: Timer


def _with_options(s: Situation, listener: socket.socket) -> tuple[Timer, ...]:
    """The chain of a server whose listeners were this socket."""
    words = Live().probe(f"listener-options {os.getpid()} {listener.fileno()}").split()
    on, *rest = map(int, words)
    options = ListenerOptions(5070, bool(on), *rest)
    return chain(replace(s, instance=replace(s.require(), listener_options=options)))


def _own_listener(cable: Cable) -> socket.socket:
    """A listener with TCP_USER_TIMEOUT, which Kamailio's have from 5.8 on."""
    listener = cable.outside.do(lambda: socket.create_server((cable.address, 5070)))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 9), (socket.TCP_USER_TIMEOUT, 3000),
    ):  # fmt: skip
        listener.setsockopt(socket.IPPROTO_TCP, option, value)
    return listener


def _waiting(host: StandIn, phone: Phone) -> int:
    """Which timer the server's end of that connection waits for, as inet_diag numbers them."""
    census = collect(Live().within(host.pid))
    (row,) = (n for n in range(len(census)) if int(census.dport[n]) == phone.port)
    return int(census.timer[row])


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
        ping = (
            'modparam("websocket", "keepalive_timeout", 2)',
            'modparam("websocket", "keepalive_interval", 1)',
        )
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
        seen = [predict(each.pid).verdict.situation for each in running]
        short, probing, off = (chain(each) for each in seen)
        listener = stack.enter_context(_own_listener(cables[2]))
        limited = _with_options(seen[2], listener)

        def phone(n: int, port: int = 5060, *, half_open: bool = False) -> Phone:
            one = Phone(cables[n], port, half_open=half_open)
            stack.callback(one.close)
            return one

        def accepted() -> tuple[Phone, socket.socket]:
            one = phone(2, 5070)
            end, _ = listener.accept()
            stack.callback(end.close)
            return one, end

        unprobed, _ = accepted()
        unsent, end = accepted()
        unsent.falls_silent()
        end.send(b"x")
        unsent.since = time.monotonic()
        ended = {
            "dead, TCP_USER_TIMEOUT": Case(unprobed.falls_silent(), named(limited, "tcp-keepalive")),
            "dead, data, TCP_USER_TIMEOUT": Case(unsent, named(limited, "retransmission")),
            "half-open": Case(phone(2, half_open=True), named(off, "syn-ack")),
            "idle": Case(phone(0).says(), named(short, "tcp-lifetime")),
            "never said anything": Case(phone(0), named(short, "tcp-silent")),
            "dead, no probe in time": Case(phone(0).says().falls_silent(), named(short, "tcp-lifetime")),
            "idle TLS": Case(_over_tls(phone(0, 5061)), named(short, "tls-lifetime")),
            "WebSocket without pongs": Case(_websocket(phone(0)), named(short, "websocket-dead")),
            "dead, probed": Case(phone(1).says().falls_silent(), named(probing, "tcp-keepalive")),
            "dead, data on its way": Case(phone(1).falls_silent().says(answered=False), named(probing, "retransmission")),
            "dead, keepalive off": Case(phone(2).says().falls_silent(), named(off, "tcp-lifetime")),
            "dead, data, waits capped": Case(phone(2).falls_silent().says(answered=False), named(off, "retransmission")),
        }  # fmt: skip
        stay = {
            "pings": phone(0),
            "answers probes": phone(1).says(),
            "answers WebSocket pings": _websocket(phone(0)),
        }
        stay["pings"].each_second = CRLF
        stay["answers WebSocket pings"].answers_pings = True
        waiting = {
            "probed": _waiting(hosts[1], stay["answers probes"]),
            "off": _waiting(hosts[2], ended["dead, keepalive off"].phone),
        }
        dead = ("dead, no probe in time", "dead, keepalive off")
        everybody = [*(case.phone for case in ended.values()), *stay.values()]
        watch(everybody, WATCHED, lambda: _all_over(ended, dead))
        opened = {}
        for name, each in zip(("short", "probed", "off"), running, strict=True):
            count = predict(each.pid).instance.opened
            assert isinstance(count, int)
            opened[name] = count
        yield Run(
            ended, stay, opened,
            orphans={dead[0]: named(short, "orphan"), dead[1]: named(off, "orphan")},
            options={"probed": seen[1].require().listener_options, "off": seen[2].require().listener_options},
            waiting=waiting, pings=named(short, "websocket-ping"),
        )  # fmt: skip


def _all_over(ended: dict[str, Case], dead: tuple[str, ...]) -> bool:
    """Nothing is left to see, orphans included."""
    phones = [case.phone for case in ended.values()]
    return all(each.ended is not None for each in phones) and all(
        ended[name].phone.gone is not None for name in dead
    )


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


class TestWhatEnds:
    """Seconds after its last traffic, and by whom, as `kamtcp check` said before the first connection."""

    CASES = (
        "idle", "never said anything", "dead, no probe in time", "idle TLS", "WebSocket without pongs", "dead, probed",
        "dead, data on its way", "dead, keepalive off", "dead, data, waits capped", "dead, TCP_USER_TIMEOUT",
        "dead, data, TCP_USER_TIMEOUT", "half-open",
    )  # fmt: skip

    @pytest.mark.parametrize("name", CASES)
    def test_when(self, run: Run, name: str, record_property: Callable[[str, object], None]) -> None:
        case = run.ended[name]
        measured, first, last = case.phone.ended, case.timer.seconds, case.timer.end
        record_property("measured", measured)
        assert measured is not None, f"{name}: still there after {WATCHED} s, predicted {first} to {last}"
        assert isinstance(first, int | float) and last is not None
        assert first - EARLY <= measured <= last + LATE, (
            f"{name}: {first} to {last} s predicted, {measured:.2f} measured"
        )

    def test_every_case_is_compared(self, run: Run) -> None:
        assert set(run.ended) == set(self.CASES)

    @pytest.mark.parametrize("name", ["idle", "never said anything", "idle TLS", "WebSocket without pongs"])
    def test_kamailio_closes_and_the_phone_is_told(self, run: Run, name: str) -> None:
        case = run.ended[name]
        assert case.timer.who == KAMAILIO
        # what the server's socket was at the next look depends on how soon the phone closed its own side
        assert case.phone.told is not None

    @pytest.mark.parametrize("name", ["dead, no probe in time", "dead, keepalive off"])
    def test_kamailio_closes_towards_the_dead_and_the_kernel_keeps_an_orphan(
        self, run: Run, name: str
    ) -> None:
        phone, timer = run.ended[name].phone, run.orphans[name]
        assert phone.state == State.FIN_WAIT1 and phone.told is None
        assert phone.gone is not None and phone.ended is not None
        assert isinstance(timer.seconds, float) and timer.end is not None
        assert timer.seconds - EARLY <= phone.gone - phone.ended <= timer.end + LATE

    @pytest.mark.parametrize("name", ["dead, probed", "dead, data on its way", "dead, data, waits capped"])
    def test_the_kernel_leaves_nothing(self, run: Run, name: str) -> None:
        assert run.ended[name].timer.who == KERNEL
        assert run.ended[name].phone.state == GONE


class TestWhatStays:
    def test_what_answers_or_pings_is_kept(self, run: Run) -> None:
        """Each longer than the lifetime or the keepalive that ended its silent neighbour."""
        assert {name for name, phone in run.kept.items() if phone.ended is not None} == set()
        assert run.opened == {"short": 2, "probed": 1, "off": 0}

    def test_websocket_pings_come_as_predicted(self, run: Run) -> None:
        pings, timer = run.kept["answers WebSocket pings"].pings, run.pings
        assert isinstance(timer.seconds, float) and timer.end is not None and len(pings) > 2
        gaps = [later - earlier for earlier, later in pairwise(pings)]
        assert all(timer.seconds - EARLY <= gap <= timer.end + LATE for gap in gaps), gaps


class TestTheListenersThemselves:
    def test_they_are_asked_for_what_connections_get(self, run: Run) -> None:
        off, probed = run.options["off"], run.options["probed"]
        assert isinstance(off, ListenerOptions) and isinstance(probed, ListenerOptions)
        assert not off.keepalive and off.user_timeout_ms == 0
        assert probed.keepalive
        assert (probed.keepidle, probed.keepintvl, probed.keepcnt) == (2, 1, 2)

    def test_the_sockets_wait_for_the_timer_that_was_read(self, run: Run) -> None:
        """inet_diag's word: a connection of the probing server waits for keepalive, one of the other for nothing."""
        assert run.waiting == {"probed": 2, "off": 0}
