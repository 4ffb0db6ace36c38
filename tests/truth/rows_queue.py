"""Queues in front of Kamailio: the accept queue with a stalled and a slow acceptor, and a storm."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import msgspec
from truth_measure import Moved, number, one_load, queued, until
from truth_row import COUNTS, RATES, Outcome, Row

from kamtcp.host.live import Live
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.result import Result
from kamtcp.loadgen.schedule import AtOnce, Steady
from kamtcp.model.instance import Role
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from stop_rig import Prediction, causes, hanging, order, predict, server

MANY = Scenario(tcp_max_connections=18_000)


def tcp_main(prediction: Prediction) -> int:
    (main,) = prediction.instance.of_role(Role.TCP_MAIN)
    return main.pid


def somaxconn(value: int, host: StandIn) -> None:
    host.sysctl("net.core.somaxconn", value)


def stalled(cap: int) -> Outcome:
    """tcp main is stopped: the kernel opens what fits into the queue, and not one more."""
    with server(MANY, shm_megabytes=128, prepare=partial(somaxconn, cap)) as running:
        prediction = predict(running.pid)
        limit = number(prediction.ceiling("accept-queue"))
        moved, inside = Moved(running.pid), Live().within(running.pid)
        waiting: list[int] = []
        with hanging((tcp_main(prediction),)):
            result = one_load(
                running, Steady(limit + 200, 2500.0), connect_timeout=2.5, answer_timeout=3.5,
                at_end=lambda _: waiting.append(queued(inside)),
            )  # fmt: skip
        seen = moved.text("ListenOverflows", "ListenDrops", "TCPSynRetrans")
        assert moved["ListenOverflows"] >= 200
    assert result.load.answered == 0
    return Outcome(
        limit, result.load.connected, "connections at one instant", "tcp main stopped: open ones", seen
    )


@contextmanager
def slow(pid: int, stop: float, run: float) -> Iterator[None]:
    """A process that runs for `run` seconds after each `stop` seconds."""
    over = threading.Event()

    def pace() -> None:
        while not over.is_set():
            os.kill(pid, signal.SIGSTOP)
            over.wait(stop)
            os.kill(pid, signal.SIGCONT)
            over.wait(run)

    pacer = threading.Thread(target=pace)
    pacer.start()
    try:
        yield
    finally:
        over.set()
        pacer.join()
        os.kill(pid, signal.SIGCONT)


def slow_acceptor(cap: int) -> Outcome:
    """tcp main runs a tenth of the time: the queue fills, nobody is lost, those beyond it wait a second for their SYN."""
    many_workers = msgspec.structs.replace(
        MANY, tcp_children=16
    )  # a burst of accepts is to be no hand-off burst
    with server(many_workers, shm_megabytes=200, prepare=partial(somaxconn, cap)) as running:
        prediction = predict(running.pid)
        limit = number(prediction.ceiling("accept-queue"))
        moved, most, inside = Moved(running.pid), 0, Live().within(running.pid)
        with (
            slow(tcp_main(prediction), 0.9, 0.1),
            Load(
                order(
                    running.standin, Steady(5 * limit, 2.0 * limit), connect_timeout=20.0, answer_timeout=20.0
                )
            ) as load,
        ):
            while not load.wait_settled(0.02):
                most = max(most, queued(inside))
            load.stop()
            result = load.result()
        overflows = moved["ListenOverflows"]
        seen = moved.text("ListenOverflows", "TCPSynRetrans")
    assert overflows > 0 and result.load.answered == 5 * limit, f"{overflows} overflows, {causes(result)}"
    assert result.latency is not None and result.latency.highest > 1.0
    return Outcome(
        limit, most, "connections at one instant", f"tcp main runs 0.1 s in each 1.0 s, {2 * limit:,} new a second: most queued",
        f"all answered, p50 {result.latency.p50:.2f} s, max {result.latency.highest:.2f} s; {seen}",
    )  # fmt: skip


def storm(count: int) -> Outcome:
    """Many at once against a server raised in descriptors, tcp_max_connections and shared memory only."""
    with server(MANY, shm_megabytes=400) as running:
        prediction = predict(running.pid)
        limit = number(prediction.ceiling("accept-queue"))
        assert prediction.binding.at >= count, f"{prediction.name} stops at {prediction.at}"
        moved, most, inside = Moved(running.pid), 0, Live().within(running.pid)
        with Load(order(running.standin, AtOnce(count), connect_timeout=40.0, answer_timeout=40.0)) as load:
            while not load.wait_settled(0.0):
                most = max(most, queued(inside))
            load.stop()
            result = load.result()
        overflows, retransmitted = moved["ListenOverflows"], moved["TCPSynRetrans"]
    assert overflows > 0 and retransmitted > 0, "the queue was never full: the load is slower than tcp main"
    assert result.latency is not None
    return Outcome(
        limit, most, "connections at one instant", f"{count:,} at once, backlog 1024: most queued",
        f"{result.load.answered:,} answered, {causes(result) or 'none failed'}, p50 {result.latency.p50:.2f} s, p99"
        f" {result.latency.p99:.2f} s; ListenOverflows +{overflows:,}, TCPSynRetrans +{retransmitted:,}; {retried(result)}",
    )  # fmt: skip


def retransmissions() -> Outcome:
    """When SYNs come again while the queue stays full: predicted from tcp_syn_linear_timeouts."""
    with server(MANY, shm_megabytes=64, prepare=partial(somaxconn, 10)) as running:
        linear = int(running.standin.sysctl("net.ipv4.tcp_syn_linear_timeouts"))
        expected = [float(n) for n in range(1, linear + 2)]
        while expected[-1] < 11:
            expected.append(expected[-1] + 2 ** (len(expected) - linear))
        moved, found, before = Moved(running.pid), [], 0
        what = order(running.standin, AtOnce(60), connect_timeout=13.0, answer_timeout=14.0)
        with hanging((tcp_main(predict(running.pid)),)), Load(what) as load:
            until(lambda: load.board.start_at and time.monotonic() > load.board.start_at, 5.0)
            start = load.board.start_at
            while time.monotonic() < start + 12.0:
                if moved["TCPSynRetrans"] - before >= 25:  # half of those that wait, at about one moment
                    found.append(time.monotonic() - start)
                    before += 49
                time.sleep(0.01)
            load.stop()
            load.result()
    told = ", ".join(f"{each:.1f}" for each in found)
    assert len(found) == len(expected), f"expected SYNs at {expected}, seen at {told}"
    worst = max(zip(expected, found, strict=True), key=lambda pair: abs(pair[0] - pair[1]) / pair[1])
    return Outcome(
        worst[0], worst[1], "seconds after the first SYN", "tcp main stopped, queue full: the worst of all retransmissions",
        f"predicted {', '.join(f'{each:g}' for each in expected)} s, seen {told} s",
    )  # fmt: skip


def retried(result: Result) -> str:
    """What the load itself says of the queue: SYNs that had to be sent again, requests that had to be."""
    syns = ", ".join(
        f"{count:,} after {times} more" for times, count in sorted(result.load.syn_retried.items())
    )
    late = sum(result.load.answer_slow.values())
    return f"open only after further SYNs: {syns or 'none'}; requests sent again: {late:,}"


QUEUE = "accept-queue"
ROWS = (
    Row("accept-stalled-backlog", "backlog 1024, acceptor stalled", QUEUE, COUNTS, partial(stalled, 4096)),
    Row(
        "accept-stalled-somaxconn",
        "somaxconn=200, acceptor stalled",
        QUEUE,
        COUNTS,
        partial(stalled, 200),
        quick=True,
    ),
    Row("accept-slow-somaxconn", "somaxconn=100, acceptor slow", QUEUE, COUNTS, partial(slow_acceptor, 100)),
    Row("accept-slow-backlog", "backlog 1024, acceptor slow", QUEUE, COUNTS, partial(slow_acceptor, 4096)),
    Row("accept-storm", "storm of 15,000", QUEUE, COUNTS, partial(storm, 15_000)),
    Row("accept-syn-times", "queue full: SYNs come again", QUEUE, RATES, retransmissions),
)
