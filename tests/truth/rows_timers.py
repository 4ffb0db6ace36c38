"""Who closes first: timers of the chain on idle TCP, TLS, WebSocket and secure WebSocket connections."""

from __future__ import annotations

import socket
import ssl
import time
from functools import partial
from statistics import median

from truth_measure import until
from truth_row import RATES, Outcome, Row

from kamtcp.host.namespaces import NetnsThread
from kamtcp.loadgen.order import Carrier
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import AtOnce
from kamtcp.loadgen.websocket import PING, Frames, Upgrade, client_request, new_key
from kamtcp.rehearse.scenario import Scenario
from stop_rig import Prediction, has_ended, order, predict, server, settle

IDLE = 20  # seconds


def predicted(prediction: Prediction, name: str) -> float:
    (timer,) = (each for each in prediction.verdict.ladder.timers if each.name == name)
    assert isinstance(timer.seconds, int | float), f"{name}: {timer.working}"
    return float(timer.seconds)


def lifetime(carrier: Carrier, name: str) -> Outcome:
    """Connections that ask once and then are silent: when the server closes them."""
    config = Scenario(tls_port=5061, websocket=True, tcp_connection_lifetime=IDLE, modparams=NO_PING)
    with server(config, log=True) as running:
        seconds = predicted(predict(running.pid), name)
        port = 5061 if carrier.secure else 5060
        with Load(
            order(running.standin, AtOnce(20), port, carrier=carrier, concurrency=1, answer_timeout=5.0)
        ) as load:
            settle(load, running)
            answered = time.monotonic() - load.board.start_at
            until(lambda: load.progress().lost == 20 or has_ended(running), 3 * IDLE)
            load.stop()
            result = load.result()
    assert result.load.answered == result.load.lost_closed == 20, (
        f"{result.load.answered} answered, {result.load.lost} lost"
    )
    after = median(result.losses) - answered
    return Outcome(
        seconds, after, "seconds after the last traffic", "20 connections, one OPTIONS each, then silence"
    )


NO_PING = ('modparam("websocket", "keepalive_mechanism", 0)',)
PINGS = ('modparam("websocket", "keepalive_timeout", 10)',)


def websocket_ping(secure: bool) -> Outcome:
    """A WebSocket that is opened and then silent: when the server pings."""
    with server(Scenario(tls_port=5061, websocket=True, modparams=PINGS), log=True) as running:
        seconds = predicted(predict(running.pid), "websocket-ping")
        after = NetnsThread(running.standin.pid).do(partial(_until_pinged, secure))
    return Outcome(
        seconds, after, "seconds after the last traffic", "one connection, upgraded, then silent: first ping"
    )


def _until_pinged(secure: bool) -> float:
    plain = socket.create_connection(("127.0.0.1", 5061 if secure else 5060), timeout=60.0)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(plain) if secure else plain as client:
        key = new_key()
        client.sendall(client_request("127.0.0.1", "/", key))
        upgrade, rest = Upgrade(key), None
        while rest is None:
            rest = upgrade.feed(client.recv(4096))
        opened = time.monotonic()
        frames = Frames(masked=False)
        while not any(frame.opcode == PING for frame in frames.feed(rest)):
            rest = client.recv(4096)
            assert rest, "closed before a ping"
        return time.monotonic() - opened


ROWS = (
    Row("timer-tcp", f"tcp_connection_lifetime={IDLE}, TCP", "tcp-lifetime", RATES, partial(lifetime, Carrier.TCP, "tcp-lifetime")),
    Row("timer-ws", f"tcp_connection_lifetime={IDLE}, WS", "tcp-lifetime", RATES, partial(lifetime, Carrier.WS, "tcp-lifetime")),
    Row("timer-tls", f"tls connection_timeout={IDLE}, TLS", "tls-lifetime", RATES, partial(lifetime, Carrier.TLS, "tls-lifetime")),
    Row("timer-wss", f"tls connection_timeout={IDLE}, WSS", "tls-lifetime", RATES, partial(lifetime, Carrier.WSS, "tls-lifetime")),
    Row("timer-ping-ws", "websocket keepalive_timeout=10, WS", "websocket-ping", RATES, partial(websocket_ping, False)),
    Row("timer-ping-wss", "websocket keepalive_timeout=10, WSS", "websocket-ping", RATES, partial(websocket_ping, True)),
)  # fmt: skip
