"""Local ports, TIME_WAIT, and the hand-off beyond its ceiling: what the load or this host itself runs out of."""

from __future__ import annotations

import errno
import socket
import time
from contextlib import ExitStack
from functools import partial
from statistics import median

import msgspec
from truth_measure import Moved, number, stat, until
from truth_peers import CLIENT, connect
from truth_row import COUNTS, RATES, NotProven, Outcome, Row

from kamtcp.host.live import Live
from kamtcp.host.namespaces import NetnsThread
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import Steady
from kamtcp.loadgen.sources import Block
from kamtcp.model.target import Target
from kamtcp.observe import census
from kamtcp.observe.inet_diag import State
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from stop_rig import burst, causes, order, overflow, predict, server, settle

PLACES = ("127.0.0.1", "127.0.0.2")
BOTH = Scenario(tcp_max_connections=12_000, core=(f"listen=tcp:{PLACES[1]}:5060",))


def ports(first: int, last: int, host: StandIn) -> None:
    host.sysctl("net.ipv4.ip_local_port_range", f"{first} {last}")


def one_source(destinations: int) -> Outcome:
    """The load lets the kernel choose ports of one address, to one destination or to two at once."""
    with ExitStack() as stack:
        running = stack.enter_context(server(BOTH, shm_megabytes=128, prepare=partial(ports, 40_000, 40_499)))
        wanted = Target(connections=2000, outbound={f"{PLACES[0]}:5060": 2000})
        each = number(predict(running.pid, wanted).ceiling("ephemeral-ports"))
        loads = []
        for address in PLACES[:destinations]:
            what = msgspec.structs.replace(
                order(running.standin, Steady(each + 100, 2000.0)), address=address
            )
            sources = (Block(CLIENT, 0, each + 100),)
            loads.append(stack.enter_context(Load(what, processes=1, sources=sources)))
            settle(loads[-1], running)
        held = sum(load.progress().held for load in loads)
        for load in loads:
            load.stop()
        failed = [causes(load.result()) for load in loads]
    assert all(found == {"local_ports": 100} for found in failed), f"failed: {failed}"
    return Outcome(
        each * destinations, held, "outbound connections", "one source address, ports chosen by the kernel: held",
        "the others: EADDRNOTAVAIL at once; no counter of the kernel moved",
    )  # fmt: skip


def until_none_left(most: int) -> list[socket.socket]:
    """Connections until there is no port; fewer than `most`."""
    found: list[socket.socket] = []
    try:
        while len(found) < most:
            found.append(connect())
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
    return found


def cliff() -> Outcome:
    """The cost of each connect(2) while the ports of one source address to one destination fill up."""

    def fill(count: int) -> list[float]:
        held, cost = [], []
        try:
            for _ in range(count):
                before = time.thread_time()
                held.append(connect())
                cost.append(time.thread_time() - before)
        finally:
            for each in held:
                each.close()
        return cost

    with server(BOTH, shm_megabytes=192, prepare=partial(ports, 40_000, 47_999)) as running:
        ceiling = predict(running.pid).ceiling("ephemeral-ports-half")
        limit = number(ceiling)
        cost = NetnsThread(running.standin.pid).do(partial(fill, limit * 3 // 2))
    usual = median(cost[: limit // 2])
    above = median(cost[limit + limit // 10 :])
    jump = next(at for at in range(len(cost)) if median(cost[at : at + 41]) > (usual + above) / 2)
    assert above > 4 * usual, f"{1e6 * usual:.0f} us below, {1e6 * above:.0f} us above: no cliff"
    return Outcome(
        limit, jump, "outbound connections", "CPU time of each connect(2): where it jumps",
        f"median {1e6 * usual:.0f} us below half of the range, {1e6 * above:.0f} us above",
    )  # fmt: skip


def rest(reuse: int) -> Outcome:
    """All ports used and closed: how long until one of them can be used again."""

    def once() -> float:
        held = until_none_left(1000)
        assert len(held) == 300, f"{len(held)} connections from 300 ports"
        closed = time.monotonic()  # the first of them; to close the others takes a while on a busy machine
        for each in held:
            each.close()
        resting = until(
            lambda: stat(running.pid, "TCP.tw") >= 300, 0.9
        )  # tcp main may have to close its ends first
        if not resting and moved["TCPAbortOnMemory"]:
            raise NotProven("closing sockets are reset on this machine now: others have too many orphans")
        assert resting, (
            f"no port rests: {moved.text('TW', 'TCPTimeWaitOverflow', 'TCPAbortOnData', 'OutRsts', 'EstabResets')}"
        )
        while True:
            try:
                connect().close()
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
                time.sleep(0.02)
            else:
                return time.monotonic() - closed

    def prepare(host: StandIn) -> None:
        ports(40_000, 40_299, host)
        host.sysctl("net.ipv4.tcp_tw_reuse", reuse)

    with server(BOTH, prepare=prepare) as running:
        ceiling, moved = predict(running.pid).ceiling("ephemeral-ports-rate"), Moved(running.pid)
        seconds = NetnsThread(running.standin.pid).do(once)
    return Outcome(
        number(ceiling), 300 / seconds, "outbound connections per second", "300 ports / the time until one is free again",
        f"free again after {seconds:.1f} s",
    )  # fmt: skip


def time_wait() -> Outcome:
    """The load closes first, more than there are buckets: how many rest, and for how long."""
    limit = 3000
    prepare = partial(StandIn.sysctl, name="net.ipv4.tcp_max_tw_buckets", value=limit)
    with server(Scenario(tcp_max_connections=6000), shm_megabytes=128, prepare=prepare) as running:
        predicted = number(predict(running.pid).ceiling("time-wait-buckets"))
        moved = Moved(running.pid)
        with Load(order(running.standin, Steady(limit + 500, 2500.0))) as load:
            settle(load, running)
            load.stop()
            load.result()
        until(lambda: moved["TCPTimeWaitOverflow"] >= 500, 5.0)
        found = census.collect(Live().within(running.pid))
        resting = found.state == State.TIME_WAIT
        life = float(found.expires[resting].max()) / 1000
        buckets, overflow = stat(running.pid, "TCP.tw"), moved["TCPTimeWaitOverflow"]
    assert 495 <= overflow <= 505, f"TCPTimeWaitOverflow +{overflow}"
    return Outcome(
        predicted, buckets / life, "closes by this host per second", "TIME_WAIT sockets / their longest timer (inet_diag)",
        f"{limit + 500:,} closed at once: {buckets:,} TIME_WAIT for {life:.1f} s, TCPTimeWaitOverflow +{overflow}",
    )  # fmt: skip


def beyond_hand_off(trickle: float | None) -> Outcome:
    """More at one instant than the sockets to the workers take, with and without other events for tcp main."""
    count = 3000
    with server(Scenario(tcp_max_connections=8000, tcp_children=4), shm_megabytes=256, log=True) as running:
        prediction = predict(running.pid)
        limit = number(prediction.ceiling("hand-off"))
        with burst(running, count, trickle=trickle) as load:
            overflow(running, prediction, load)
            settle(load, running)
            load.stop()
            result = load.result()
    assert result.latency is not None and limit < count / 2
    told = f"{result.load.answered:,} of {count:,} answered, p50 {result.latency.p50:.2f} s, max {result.latency.highest:.2f} s"
    if trickle is not None:
        assert result.latency.highest < 4.0, told
        return Outcome(
            count,
            result.load.answered,
            "connections answered without the stall",
            "one more connection each 50 ms",
            told,
        )
    return Outcome(
        5.0,
        result.latency.highest,
        "seconds of silence",
        "no other traffic: latency of the last answer",
        told,
    )


PORTS, RATE, HALF = "ephemeral-ports", "ephemeral-ports-rate", "ephemeral-ports-half"
ROWS = (
    Row("ports-one", "500 local ports, one destination", PORTS, COUNTS, partial(one_source, 1), quick=True),
    Row("ports-two", "500 local ports, two destinations", PORTS, COUNTS, partial(one_source, 2)),
    Row("ports-cliff", "8,000 local ports, one destination", HALF, COUNTS, cliff),
    Row("ports-reuse", "300 local ports, tcp_tw_reuse=1", RATE, RATES, partial(rest, 1)),
    Row("ports-rest", "300 local ports, tcp_tw_reuse=0", RATE, RATES, partial(rest, 0)),
    Row("time-wait", "tcp_max_tw_buckets=3000", "time-wait-buckets", RATES, time_wait),
    Row("hand-off-silence", "3,000 at one instant, 4 workers, no trickle", "hand-off", RATES, partial(beyond_hand_off, None)),
    Row("hand-off-trickle", "3,000 at one instant, 4 workers, trickle", "hand-off", COUNTS, partial(beyond_hand_off, 0.05)),
)  # fmt: skip
