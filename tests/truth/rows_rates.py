"""CPU time of an accept and of a TLS handshake."""

from __future__ import annotations

import os
from pathlib import Path

from rows_queue import tcp_main
from truth_measure import number, until
from truth_row import RATES, NotProven, Outcome, Row

from kamtcp.capacity.ceiling import Ceiling
from kamtcp.loadgen.order import Carrier
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import AtOnce
from kamtcp.model.origin import Origin
from kamtcp.rehearse.scenario import Scenario
from stop_rig import Prediction, causes, order, predict, server, settle, workers


def cpu_seconds(*pids: int) -> float:
    """Time on a CPU of some processes, from /proc/PID/schedstat, to the nanosecond."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids) / 1e9


def of_this_machine(ceiling: Ceiling, measured: float, how: str, each: str) -> Outcome:
    """A price of CPU time; one that the ladder took from another machine is no prediction for this one.

    Raises:
        NotProven: it is a reference figure, and this machine is another.
    """
    found = Outcome(number(ceiling), measured, ceiling.unit, how, each)
    if ceiling.origin is Origin.REFERENCE and abs(found.error) > RATES:
        raise NotProven(
            f"the ladder has another machine's price ({number(ceiling):,}); here {measured:,.0f} ({each}): kamtcp calibrate"
        )
    return found


def accept_rate() -> Outcome:
    """Everything that tcp main does for a connection with one request: accept, hand over, take back, close."""
    count = 8000
    with server(Scenario(tcp_max_connections=10_000), shm_megabytes=200) as running:
        prediction = predict(running.pid)
        ceiling, main = prediction.ceiling("accept-rate"), tcp_main(prediction)
        before = cpu_seconds(main)
        # all at once: an epoll that returns one event at a time costs tcp main twice as much, while it has time
        with Load(order(running.standin, AtOnce(count), connect_timeout=30.0, answer_timeout=30.0)) as load:
            settle(load, running)
            until(lambda: not _with_workers(prediction), 20.0)
            load.stop()
            result = load.result()
        until(lambda: predict(running.pid).instance.opened == 0, 20.0)
        used = cpu_seconds(main) - before
    assert result.load.answered == count, causes(result)
    return of_this_machine(
        ceiling, count / used, f"{count:,} connections / the CPU time of tcp main for them", f"{1e6 * used / count:.1f} us each",
    )  # fmt: skip


def _with_workers(prediction: Prediction) -> bool:
    """Whether a worker still holds connections; it gives them back after six seconds."""
    return any(len(os.listdir(f"/proc/{pid}/fd")) > 20 for pid in workers(prediction))


def handshakes() -> Outcome:
    """One handshake at a time: CPU time of the workers for each, times the cores."""
    count = 400
    with server(Scenario(tls_port=5061, tls_max_connections=1000), shm_megabytes=128, log=True) as running:
        prediction = predict(running.pid)
        ceiling, mine = prediction.ceiling("tls-handshakes"), workers(prediction)
        cores = min(prediction.verdict.situation.machine.cpus, len(mine))
        before = cpu_seconds(*mine)
        with Load(order(running.standin, AtOnce(count), 5061, carrier=Carrier.TLS, concurrency=1)) as load:
            settle(load, running)
            used = cpu_seconds(*mine) - before
            load.stop()
            result = load.result()
    assert result.load.answered == count, causes(result)
    return of_this_machine(
        ceiling, cores * count / used, f"{count} handshakes / the CPU time of the workers, x {cores} cores",
        f"{1e3 * used / count:.2f} ms each",
    )  # fmt: skip


ROWS = (
    Row("accept-rate", "one core of tcp main", "accept-rate", RATES, accept_rate),
    Row("tls-handshakes", "full TLS handshakes, ECDSA P-256", "tls-handshakes", RATES, handshakes),
)
