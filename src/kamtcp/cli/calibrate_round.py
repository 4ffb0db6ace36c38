"""One round: a server of its own, so many connections of one transport, and shared memory before and after.

Memory is read when the workers have given the connections back to tcp main, 5 s after their last byte (Kamailio
src/core/tcp_read.c TCP_CHILD_TIMEOUT): till then their descriptors are open in a worker too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from msgspec import Struct

from kamtcp.cli.calibrate_plan import Plan, nofile
from kamtcp.errors import KamtcpError
from kamtcp.host.live import Live
from kamtcp.loadgen.order import Carrier, Order
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import AtOnce, Schedule, Steady
from kamtcp.model.absent import Absent
from kamtcp.model.growth import Level, level_of, price_between
from kamtcp.model.instance import Instance, Role
from kamtcp.model.price import Conditions, conditions_of
from kamtcp.observe import descriptors
from kamtcp.observe.attempt import attempt
from kamtcp.rehearse.kamailio import Running, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from kamtcp.survey.take import take

PORT, TLS_PORT = 5060, 5061
_PER_SECOND = 1000.0  # of plain ones; the two seconds more are nothing to the wait that follows
_WARM = 8  # connections before the first look: what the first of a process allocates is no price
_PATIENCE = 30.0  # seconds
_ENDS = ("exited by a signal", "freeing already freed", "beginning overwritten", "tail overwritten")


class RoundFailed(KamtcpError):
    """A round that tells nothing: the server ended, or did not serve all."""


class Round(Struct, frozen=True):
    """What one round showed.

    Args:
        bytes: of shared memory per connection. conditions: of the server.
        main_microseconds: CPU time of tcp main per connection; None where the kernel doesn't tell.
    """

    bytes: float
    conditions: Conditions
    main_microseconds: float | None


def measure(plan: Plan, transport: str) -> Round:
    """Start, open, wait, look, stop.

    Raises:
        RoundFailed: it tells nothing. StandInError: the server could not be started.
    """
    secure = transport in ("tls", "wss")
    limit = nofile(plan.connections)
    config = Scenario(
        port=PORT,
        tls_port=TLS_PORT if secure or plan.tls else 0,
        websocket=transport in ("ws", "wss"),
        tcp_max_connections=limit,
        tls_max_connections=limit if secure or plan.tls else None,
        tcp_rd_buf_size=plan.read_buffer,
    )
    with (
        StandIn(plan.root, name="calibrate") as host,
        start_kamailio(
            host, config=config, args=plan.arguments, nofile=(limit, limit), log=True, program=plan.program
        ) as running,
    ):  # fmt: skip
        try:
            return _measure(running, transport, plan.connections)
        except KamtcpError as error:
            raise RoundFailed(_ended(running) or str(error)) from error


def _measure(running: Running, transport: str, count: int) -> Round:
    # of a WebSocket the server forgets the structure only some seconds after its end: plain ones warm up as well
    with _opened(running, "tls" if transport in ("tls", "wss") else "tcp", _WARM):
        pass
    _until(lambda: _level(_look(running)[0]).opened == 0, _PATIENCE, "closed connections did not go")
    instance, conditions = _look(running)
    before, idle, cpu = _level(instance), _held_by_workers(instance), _main_nanoseconds(instance)
    with _opened(running, transport, count):
        _until(lambda: _held_by_workers(instance) <= idle, _PATIENCE, "workers did not give connections back")
        after, spent = _level(_look(running)[0]), _main_nanoseconds(instance)
    found = price_between(before, after, least=count)
    if found is None or found[0] != transport or after.opened - before.opened != count:
        raise RoundFailed(
            f"{count:,} connections of {transport} were opened, and the server counted {after.opened - before.opened:,}"
            f" ({after.tls - before.tls:,} of them TLS, {after.websocket - before.websocket:,} WebSocket)"
            f" and {after.real_used - before.real_used:,} bytes more"
        )
    each = None if cpu is None or spent is None else (spent - cpu) / 1000 / count
    return Round(found[1], conditions, each)


@contextmanager
def _opened(running: Running, transport: str, count: int) -> Iterator[None]:
    """So many connections, each with one OPTIONS answered; closed on leaving.

    Raises:
        RoundFailed: not all were answered.
    """
    secure = transport in ("tls", "wss")
    # 5.6.3 with OpenSSL 3 may die of several handshakes at a time (kamailio issue 3635)
    schedule: Schedule = AtOnce(count) if secure else Steady(count, _PER_SECOND)
    order = Order(
        running.standin.address, TLS_PORT if secure else PORT, schedule, carrier=Carrier(transport),
        concurrency=1 if secure else None, hold_seconds=None, netns_pid=running.standin.pid,
    )  # fmt: skip
    with Load(order, processes=1) as load:
        _until(lambda: load.wait_settled(0.2) or not running.alive, _PATIENCE + count, "the load did not end")
        held = load.progress().held
        if not running.alive or held != count:
            raise RoundFailed(f"{count - held:,} of {count:,} {transport} connections were not served")
        yield
        load.stop()
        load.result()


def _look(running: Running) -> tuple[Instance, Conditions]:
    """The server and its conditions, by the code that check uses."""
    snapshot = take(Live(), only=str(running.pid))
    instance = next((each for each in snapshot.instances if each.attendant == running.pid), None)
    if instance is None:
        raise RoundFailed("the server is gone")
    conditions = conditions_of(snapshot.machine, instance)
    if isinstance(conditions, Absent):
        raise RoundFailed(str(conditions))
    return instance, conditions


def _level(instance: Instance) -> Level:
    found = level_of(instance)
    if found is None:
        facts = (instance.opened, instance.opened_tls, instance.websocket, instance.shared_memory)
        raise RoundFailed(str(next(each for each in facts if isinstance(each, Absent))))
    return found


def _held_by_workers(instance: Instance) -> int:
    """Descriptors of all TCP workers now.

    Raises:
        RoundFailed: one is gone.
    """
    total = 0
    for process in instance.of_role(Role.TCP_WORKER):
        pid = process.pid
        found = attempt(f"/proc/{pid}/fd", lambda pid=pid: descriptors.count(Live(), pid))  # type: ignore[misc]
        if isinstance(found, Absent):
            raise RoundFailed(str(found))
        total += found
    return total


def _main_nanoseconds(instance: Instance) -> int | None:
    """CPU time of tcp main (/proc/PID/schedstat, first number; Linux fs/proc/base.c proc_pid_schedstat())."""
    main = instance.tcp_main
    if isinstance(main, Absent):
        return None
    path = f"/proc/{main.pid}/schedstat"
    found = attempt(path, lambda: int(Live().read(path, 4096).split()[0]))
    return found if isinstance(found, int) and found > 0 else None


def _until(done: Callable[[], bool], seconds: float, otherwise: str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise RoundFailed(f"{otherwise} within {seconds:g} s")
        time.sleep(0.05)


def _ended(running: Running) -> str:
    """How the server ended, with the line of its log that tells; "" if it runs."""
    deadline = time.monotonic() + 3.0  # the attendant takes its time when a child has died
    while running.alive and time.monotonic() < deadline and not _last_words(running):
        time.sleep(0.05)
    words = _last_words(running)
    if running.alive and not words:
        return ""
    return f"the server ended: {words or 'its log does not say why'}"


def _last_words(running: Running) -> str:
    if running.log is None:
        return ""
    found = attempt(running.log, lambda: Live().tail(str(running.log)))
    lines = [] if isinstance(found, Absent) else found.decode(errors="replace").splitlines()
    return next((line.strip()[:200] for word in _ENDS for line in lines if word in line), "")
