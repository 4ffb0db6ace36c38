"""What the tests of stop points share: a server on a stand-in host, a prediction, a climb until it stops.

A prediction is what `kamtcp check` does: look at the running instance, judge. Nothing of it comes from the test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

from kamtcp.capacity.ceiling import Ceiling
from kamtcp.diagnose.finding import Finding
from kamtcp.diagnose.verdict import Verdict, judge
from kamtcp.host.door import Host
from kamtcp.host.live import Live
from kamtcp.loadgen.order import Carrier, Closing, Mode, Order
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.result import Failures, Result
from kamtcp.loadgen.schedule import AtOnce, Schedule, Steady
from kamtcp.loadgen.sources import plan_sources
from kamtcp.model.instance import Instance, Role
from kamtcp.model.target import Target
from kamtcp.observe import census
from kamtcp.rehearse.kamailio import Running, packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from kamtcp.survey.take import take

SOURCE = Path(__file__).parent.parent / "src"
HARD = 20_000  # descriptors that a process may have here without CAP_SYS_RESOURCE
PER_SECOND = 2500  # of new connections: no burst that the workers' sockets could not take
SECOND_BASE = "127.0.64.1"  # sources of a load beside another one
QUEUED = "queue full"  # what tcp main logs for each connection that a worker's socket doesn't take
NO_TARGET = Target()
_ABORT = ("exited by a signal", "freeing already freed", "beginning overwritten", "tail overwritten")


class Prediction(Struct, frozen=True):
    """What check said, and when (CLOCK_MONOTONIC)."""

    verdict: Verdict
    made_at: float

    @property
    def binding(self) -> Ceiling:
        assert self.verdict.binding is not None
        return self.verdict.binding

    @property
    def name(self) -> str:
        return self.binding.name

    @property
    def at(self) -> int:
        assert isinstance(self.binding.at, int)
        return self.binding.at

    @property
    def instance(self) -> Instance:
        assert self.verdict.situation.instance is not None
        return self.verdict.situation.instance

    def ceiling(self, name: str) -> Ceiling:
        return next(each for each in self.verdict.ladder.all if each.name == name)

    def finding(self, code: str) -> Finding:
        return next(each for each in self.verdict.findings if each.code == code)


class ServerEnded(Exception):
    """The server itself ended under a load that it should have refused."""


@contextmanager
def server(
    config: Scenario,
    *,
    nofile: tuple[int, int] = (HARD, HARD),
    shm_megabytes: int = 64,
    private_megabytes: int = 8,
    log: bool = False,
    user: bool | int = True,
    name: str = "standin",
    prepare: Callable[[StandIn], object] | None = None,
) -> Iterator[Running]:
    """A Kamailio on a stand-in host of its own. Its log, if any, is bounded by a tmpfs of 64 MiB.

    Args:
        prepare: what to do to the host before the server starts: addresses, sysctls of its namespace.
    """
    args = ("-m", str(shm_megabytes), "-M", str(private_megabytes))
    with StandIn(packages_root(), name=name) as host:
        if prepare is not None:
            prepare(host)
        with start_kamailio(host, config=config, nofile=nofile, args=args, log=log, user=user) as running:
            yield running


def predict(pid: int, target: Target = NO_TARGET, host: Host | None = None) -> Prediction:
    """Look and judge, as `kamtcp check --instance PID` does."""
    snapshot = take(host or Live(), only=str(pid))
    instance = next(each for each in snapshot.instances if each.attendant == pid)
    return Prediction(judge(snapshot, instance, target), time.monotonic())


def command_line(*arguments: str, enter: tuple[str, ...] = ()) -> subprocess.CompletedProcess[bytes]:
    """`python -m kamtcp ...`, with an empty /var/lib of its own, so that nothing is left on this machine.

    Args:
        arguments: of kamtcp.
        enter: a command line before it (nsenter, setpriv).
    """
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /var/lib && exec "$@"', "sh"]
    return subprocess.run(
        [*hide, *enter, sys.executable, "-m", "kamtcp", *arguments],
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


def judged(document: bytes) -> list[dict[str, object]]:
    """The judgements of a `check --json`."""
    found = json.loads(document)["judged"]
    assert isinstance(found, list)
    return found


def order(host: StandIn, schedule: Schedule, port: int = 5060, **more: object) -> Order:
    return Order(
        host.address, port, schedule, (), hold_seconds=None, closing=Closing.FIN, netns_pid=host.pid, **more
    )  # type: ignore[arg-type]


def has_ended(running: Running) -> bool:
    """Whether the server is gone, or going: the attendant ends all when a child dies."""
    return not running.alive or (running.log is not None and _ABORT[0] in log_of(running))


def settle(load: Load, running: Running, timeout: float = 60.0) -> None:
    """Wait until every connection is answered or failed.

    Raises:
        ServerEnded: the server didn't live to see that.
    """
    until = time.monotonic() + timeout
    while not load.wait_settled(0.25):
        if has_ended(running):
            raise ServerEnded(why_it_ended(running))
        assert time.monotonic() < until, f"not settled: {load.progress()}"
    if has_ended(running):
        raise ServerEnded(why_it_ended(running))


def why_it_ended(running: Running) -> str:
    """How the server ended: its status and the lines of its log that tell."""
    told = [
        line.strip()
        for line in (log_of(running) if running.log else "").splitlines()
        if any(word in line for word in _ABORT)
    ]
    return f"server ended with {running.status}: {'; '.join(told[:2]) or 'its log does not say why'}"


def log_of(running: Running) -> str:
    """The log of a server that keeps one; the last 8 MiB of a flood."""
    assert running.log is not None
    return Live().tail(running.log, 8 << 20).decode(errors="replace")


def counts(pid: int, port: int) -> tuple[int, int]:
    """Connections of a server: ESTABLISHED ones that a process holds (inet_diag), and what core.tcp_info says."""
    sockets = census.collect(Live().within(pid))
    established = sockets.inbound((port,)) & (sockets.state == 1) & (sockets.inode != 0)
    opened = predict(pid).instance.opened
    assert isinstance(opened, int)
    return int(established.sum()), opened


def agreed_counts(pid: int, port: int, held: int, timeout: float = 5.0) -> tuple[int, int]:
    """`counts` once they agree with the client's, or as they are after `timeout`: refused ones take a moment to go."""
    until = time.monotonic() + timeout
    while (found := counts(pid, port)) != (held, held) and time.monotonic() < until:
        time.sleep(0.1)
    return found


class Climb(Struct, frozen=True):
    """A climb to the stop point.

    Args:
        empty, partly: predictions before the first connection, and with `share_held` of them open.
        full: at the stop point: what is said there must be no other number.
        command: what the command line said with those open: name of the binding ceiling, and its number.
        first_connection, last_stretch: CLOCK_MONOTONIC when the first load began, and the one that met the stop point.
        client, inet_diag, tcp_info: held connections at the end, by three witnesses.
        refused: connections beyond, by cause.
    """

    empty: Prediction
    partly: Prediction
    full: Prediction
    share_held: int
    command: tuple[str, int]
    first_connection: float
    last_stretch: float
    client: int
    inet_diag: int
    tcp_info: int
    refused: dict[str, int]


def climb(
    running: Running,
    *,
    target: Target = NO_TARGET,
    carrier: Carrier = Carrier.TCP,
    answer_timeout: float = 2.0,
) -> Climb:
    """Predict, hold 15 % of that, predict again, then open connections until no more are answered.

    Raises:
        ServerEnded: the server ended instead.
    """
    try:
        return _climb(running, target, carrier, answer_timeout)
    except Exception as error:
        until = time.monotonic() + 3.0  # whatever went wrong, a server that is ending is the reason
        while not has_ended(running) and time.monotonic() < until:
            time.sleep(0.1)
        if has_ended(running) and not isinstance(error, ServerEnded):
            raise ServerEnded(why_it_ended(running)) from error
        raise


def _climb(running: Running, target: Target, carrier: Carrier, answer_timeout: float) -> Climb:
    host, port = running.standin, 5061 if carrier.secure else 5060
    more: dict[str, object] = {"answer_timeout": answer_timeout, "carrier": carrier}
    if carrier.secure:
        more |= {"concurrency": 1}

    def schedule(count: int) -> Schedule:
        return AtOnce(count) if carrier.secure else Steady(count, PER_SECOND)

    empty = predict(running.pid, target)
    share = int(0.15 * empty.at)
    rest = empty.at - share + max(60, empty.at // 14)
    with ExitStack() as stack:
        first_connection = time.monotonic()
        first = stack.enter_context(Load(order(host, schedule(share), port, **more)))
        settle(first, running)
        assert agreed_counts(running.pid, port, share) == (share, share)
        partly = predict(running.pid, target)
        command = _by_command_line(running, target)
        sources = plan_sources(rest, base=SECOND_BASE, avoid=(5060, 5061))
        last_stretch = time.monotonic()
        second = stack.enter_context(Load(order(host, schedule(rest), port, **more), sources=sources))
        settle(second, running)
        held = first.progress().held + second.progress().held
        kernel, kamailio = agreed_counts(running.pid, port, held)
        full = predict(running.pid, target)
        first.stop()
        second.stop()
        results = first.result(), second.result()
    if has_ended(running):
        raise ServerEnded(why_it_ended(running))
    assert results[0].load.answered == share
    assert not lost(results[0]) and not lost(results[1])
    return Climb(
        empty, partly, full, share, command, first_connection, last_stretch, held, kernel, kamailio, causes(results[1])
    )  # fmt: skip


def _by_command_line(running: Running, target: Target) -> tuple[str, int]:
    stated = ["--connections", str(target.connections)] if target.stated else []
    for name, share in (("--tls", target.tls), ("--ws", target.ws), ("--wss", target.wss)):
        stated += [name, str(share)] if share else []
    done = command_line("check", "--instance", str(running.pid), "--json", *stated)
    assert done.returncode in (0, 1), done.stderr
    (only,) = judged(done.stdout)
    return str(only["binding"]), int(str(only["stops_at"]))


def causes(result: Result) -> dict[str, int]:
    """Failures by cause, only those there were."""
    failures: Failures = result.load.failures
    return {name: n for name in failures.__struct_fields__ if (n := getattr(failures, name))}


def lost(result: Result) -> int:
    """Answered connections that the server ended."""
    return result.load.lost_closed + result.load.lost_reset


def burst(running: Running, count: int, *, trickle: float | None = None, base: str = "127.0.1.1") -> Load:
    """A load whose connections all are open before all send at one instant; let off by its `progress`."""
    host = running.standin
    what = order(
        host, Steady(count, PER_SECOND), mode=Mode.BURST, trickle_seconds=trickle, answer_timeout=20.0
    )
    return Load(what, processes=1, sources=plan_sources(count, base=base, avoid=(5060,)))


def workers(prediction: Prediction) -> tuple[int, ...]:
    return tuple(each.pid for each in prediction.instance.of_role(Role.TCP_WORKER))


@contextmanager
def hanging(pids: tuple[int, ...]) -> Iterator[None]:
    """These processes do nothing for a while."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def let_off(load: Load, after: float = 0.6) -> None:
    """The instant, and time for tcp main to hand everything over."""
    until = time.monotonic() + 20
    while not load.board.burst_at:
        load.progress()
        assert time.monotonic() < until, load.progress()
        time.sleep(0.005)
    time.sleep(after)


def overflow(running: Running, prediction: Prediction, load: Load) -> None:
    """Let the burst off, and free the workers as soon as tcp main has found their sockets full.

    How fast 6,000 requests come and 4 workers read depends on how busy the machine is; that they come faster than
    the workers read is what the burst is about, so the workers wait for it.
    """
    with hanging(workers(prediction)):
        until = time.monotonic() + 20
        while QUEUED not in log_of(running):
            load.progress()
            assert time.monotonic() < until, load.progress()
            time.sleep(0.005)
