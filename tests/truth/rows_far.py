"""Far clients: the SYN queue with and without cookies, and an accept queue that is full at the final ACK."""

from __future__ import annotations

import os
import signal
import time
from functools import partial

import msgspec
from rows_queue import retried, somaxconn, tcp_main
from truth_measure import Moved, number, queued, until
from truth_row import COUNTS, RATES, NotProven, Outcome, Row
from truth_wire import FIRST_CLIENT, SERVER, serve_on_wire, wire

from kamtcp.host.live import Live
from kamtcp.loadgen.order import Order
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import AtOnce, Ramp
from kamtcp.loadgen.sources import plan_sources
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from stop_rig import hanging, order, predict, server, settle

LATE, TRIES = 0.03, 4  # seconds that the wire may be late until then, and how often it is tried again


def syn_queue(cookies: int, max_syn_backlog: int | None, counter: str) -> Outcome:
    """Far clients, 0.2 s away, at a rate that grows: the rate at which the counter begins to move."""
    late = 0.0
    for _ in range(TRIES):
        found, late = _syn_queue(cookies, max_syn_backlog, counter)
        if late <= LATE:
            return found
    raise NotProven(
        f"this machine is too busy: packets were {late:.2f} s late on a wire of 0.2 s, {TRIES} times"
    )


def _syn_queue(cookies: int, max_syn_backlog: int | None, counter: str) -> tuple[Outcome, float]:

    def prepare(host: StandIn) -> None:
        serve_on_wire(host)
        somaxconn(100, host)
        host.sysctl("net.ipv4.tcp_syncookies", cookies)
        if max_syn_backlog is not None:
            host.sysctl("net.ipv4.tcp_max_syn_backlog", max_syn_backlog)

    config = Scenario(address=SERVER, tcp_max_connections=8000)
    with StandIn(name="clients") as client, server(config, shm_megabytes=128, prepare=prepare) as running:
        ceiling = predict(running.pid).ceiling("syn-queue")
        limit = number(ceiling)
        top, over = 1.8 * limit, 8.0
        schedule = Ramp(top, over, 0.0)
        what = order(client, schedule, connect_timeout=8.0, answer_timeout=8.0)
        what = _to_wire(what)
        with wire(client, running.standin, 0.2) as lateness:
            moved = Moved(running.pid)
            sources = plan_sources(schedule.count, base=FIRST_CLIENT, avoid=(5060,))
            with Load(what, processes=1, sources=sources) as load:
                until(lambda: moved[counter], over + 5.0, every=0.005)
                at = time.monotonic() - load.board.start_at - 0.1
                late = lateness[0]
                settle(load, running)
                load.stop()
                result = load.result()
            seen = moved.text("TCPReqQFullDoCookies", "TCPReqQFullDrop", "ListenDrops", "ListenOverflows")
        assert moved[counter] > 0, f"{counter} never moved: {seen}"
    answered = f"{result.load.answered:,} of {result.load.offered:,} answered"
    assert result.latency is not None
    found = Outcome(
        limit, top * min(at, over) / over, ceiling.unit, f"clients 0.2 s away, rate growing: {counter} begins to move",
        f"{answered}, p99 {result.latency.p99:.2f} s; {seen}",
    )  # fmt: skip
    return found, late


def final_ack() -> Outcome:
    """Far clients whose SYN finds room but whose ACK does not: connected at once in their eyes, answered late."""

    def prepare(host: StandIn) -> None:
        serve_on_wire(host)
        somaxconn(100, host)

    config = Scenario(address=SERVER, tcp_max_connections=8000)
    with StandIn(name="clients") as client, server(config, shm_megabytes=128, prepare=prepare) as running:
        prediction = predict(running.pid)
        limit = number(prediction.ceiling("accept-queue"))
        what = _to_wire(order(client, AtOnce(2 * limit), connect_timeout=10.0, answer_timeout=20.0))
        sources = plan_sources(2 * limit, base=FIRST_CLIENT, avoid=(5060,))
        with wire(client, running.standin, 0.2):
            moved, inside = Moved(running.pid), Live().within(running.pid)
            with hanging((tcp_main(prediction),)), Load(what, processes=1, sources=sources) as load:
                until(lambda: load.progress().connected >= 2 * limit, 5.0)
                until(lambda: moved["ListenOverflows"], 5.0)  # their ACKs are still under way
                connected, waiting = load.progress().connected, queued(inside)
                os.kill(tcp_main(prediction), signal.SIGCONT)
                settle(load, running)
                load.stop()
                result = load.result()
        seen = moved.text("ListenOverflows", "TCPReqQFullDoCookies", "SyncookiesRecv")
        assert moved["ListenOverflows"] > 0, seen
    assert connected == 2 * limit, f"{connected} of {2 * limit} were open in their own eyes"
    assert result.latency is not None
    return Outcome(
        limit, waiting, "connections at one instant", f"{2 * limit} clients 0.2 s away at once, tcp main stopped: queued",
        f"all {connected} connected in the clients' eyes, {result.load.answered} answered,"
        f" p50 {result.latency.p50:.2f} s, max {result.latency.highest:.2f} s; {retried(result)}; {seen}",
    )  # fmt: skip


def _to_wire(what: Order) -> Order:
    return msgspec.structs.replace(what, address=SERVER)


SYN = "syn-queue"
ROWS = (
    Row("accept-final-ack", "queue full at the final ACK", "accept-queue", COUNTS, final_ack),
    Row("syn-cookies", "tcp_syncookies=1, somaxconn=100", SYN, RATES, partial(syn_queue, 1, None, "TCPReqQFullDoCookies")),
    Row("syn-drop", "tcp_syncookies=0, somaxconn=100", SYN, RATES, partial(syn_queue, 0, None, "TCPReqQFullDrop")),
    Row(
        "syn-max-backlog", "tcp_syncookies=0, tcp_max_syn_backlog=64", SYN, RATES,
        partial(syn_queue, 0, 64, "ListenDrops"),
    ),
)  # fmt: skip
