"""A real Kamailio that is killed, stopped, cut off or flooded while a load is on it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from fault_case import Case
from fault_rig import HARD, OWN, PORT, Found, Stage, at_server, kamailio, until

from kamtcp.host.live import Live
from kamtcp.model.instance import Role
from kamtcp.rehearse.kamailio import Running, packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from kamtcp.survey.take import take

TARGET = f"tcp:127.0.0.1:{PORT}"
QUIET = (OWN, "--no-probe")
SERVER = Scenario(tcp_max_connections=5000)
COUNT = 200
HALF = b"table inet fault {\n chain in {\n  type filter hook input priority 0;\n  tcp dport 5060 numgen random mod 2 0 counter drop\n }\n}\n"


def hold(*more: str, count: int = COUNT, duration: int = 60, timeout: int = 3) -> tuple[str, ...]:
    """The words of a hold."""
    waits = ("--answer-timeout", str(timeout), "--connect-timeout", str(timeout))
    return ("hold", TARGET, "--connections", str(count), "--rate", "400", "--duration", str(duration), *waits, "--keepalive", "1", *more)  # fmt: skip


def processes(running: Running, role: Role) -> tuple[int, ...]:
    """Its processes of one role, as this machine numbers them."""
    found = next(
        each for each in take(Live(), only=str(running.pid)).instances if each.attendant == running.pid
    )
    return tuple(each.pid for each in found.of_role(role))


@contextmanager
def stopped(*pids: int) -> Iterator[None]:
    """They are stopped as long as it lasts."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def killed(stage: Stage, *, probe: bool) -> Found:
    """The server ends while connections are held: each loss is noticed, and when; the probe ends the load."""
    with kamailio(SERVER) as running:
        more = ("--probe",) if probe else ("--no-probe",)
        with stage.load(running.standin, *hold(OWN, *more, duration=60 if probe else 4)) as load:
            load.held(COUNT)
            running.stop()
            found = load.finish()
    whole = found.result
    assert (whole.served, whole.lost, whole.held_end) == (COUNT, COUNT, 0)
    assert len(whole.losses) == COUNT
    assert found.codes == ("SRV051",)
    assert ("SIP probe" in whole.stopped) is probe
    return found


def restarted(stage: Stage) -> Found:
    """Killed and started again in the middle of a hold: lost, and by what."""
    with kamailio(SERVER) as running:
        host = running.standin
        with stage.load(host, *hold(*QUIET, duration=5)) as load:
            load.held(COUNT)
            running.stop()
            with start_kamailio(host, config=SERVER, nofile=(HARD, HARD)):
                found = load.finish()
    assert (found.result.served, found.result.lost, found.result.held_end) == (COUNT, COUNT, 0)
    assert found.codes == ("SRV050",)
    return found


def storm_over_restart(stage: Stage) -> Found:
    """The server is away when the clients of a storm come back: they try again until all are served."""
    with kamailio(SERVER) as running:
        host = running.standin
        words = (
            "storm",
            TARGET,
            "--connections",
            str(COUNT),
            "--rate",
            "400",
            "--within",
            "4",
            "--duration",
            "2",
        )
        with stage.load(
            host, *words, "--backoff", "fixed", "--first", "0.5", "--jitter", "0", *QUIET
        ) as load:
            load.held(COUNT)
            until(lambda: at_server(host, PORT) < COUNT // 2, "the storm")
            running.stop()
            until(lambda: not running.alive, "the end of the server")
            with start_kamailio(host, config=SERVER, nofile=(HARD, HARD)):
                found = load.finish()
    whole = found.result
    storm = [each.tally for each in whole.parts if each.kind == "storm"]
    assert sum(each.clients for each in storm) == sum(each.served for each in storm) == COUNT
    assert whole.failures.get("refused")
    assert whole.held_end == COUNT
    assert found.codes == ("SRV050",)
    return found


def workers_stopped(stage: Stage, *, count: int) -> Found:
    """Accepted and handed to workers that do nothing."""
    with kamailio(SERVER) as running, stopped(*processes(running, Role.TCP_WORKER)):
        found = stage.loaded(running.standin, *hold(*QUIET, count=count, duration=1))
    assert set(found.result.failures) <= {"no_answer", "closed_before_answer", "reset"}
    assert found.result.served == 0
    assert found.codes == ("ACC055",)
    return found


def main_stopped(stage: Stage) -> Found:
    """Nobody accepts: the queue fills, then SYNs are dropped."""
    with kamailio(SERVER) as running, stopped(*processes(running, Role.TCP_MAIN)):
        found = stage.loaded(running.standin, *hold(*QUIET, count=1300, duration=1))
    whole = found.result
    assert whole.failures == {"no_answer": 1025, "connect_timeout": 275}
    assert sum(whole.syn_retried.values()) == 275
    assert found.codes == ("ACC050",)
    return found


def probe_lost(stage: Stage) -> Found:
    """Tcp main stops in the middle: the steady client beside the load tells, and ends it."""
    with kamailio(SERVER) as running:
        main = processes(running, Role.TCP_MAIN) + processes(running, Role.TCP_WORKER)
        with stage.load(running.standin, *hold(OWN, "--probe", timeout=20)) as load:
            load.held(COUNT)
            with stopped(*main):
                found = load.finish()
    assert found.result.stopped.startswith("the SIP probe was lost")
    assert found.result.served == COUNT
    return found


def half_dropped(stage: Stage) -> Found:
    """Every second packet to the server is lost."""
    with kamailio(SERVER) as running:
        host = running.standin
        host.run(["nft", "-f", "-"], data=HALF)
        found = stage.loaded(host, *hold(*QUIET, duration=1, timeout=6))
        rule = host.run(["nft", "list", "ruleset"]).stdout.decode()
    dropped = int(rule.partition("counter packets ")[2].split()[0])
    assert dropped > COUNT
    assert set(found.result.failures) <= {"connect_timeout", "no_answer"}
    assert found.result.served > COUNT // 2
    assert sum(found.result.syn_retried.values()) > COUNT // 10
    assert found.codes == ("SYS055",)
    return found


def silent_peers(stage: Stage) -> Found:
    """Clients that say nothing any more: Kamailio closes them after its lifetime, and that is noticed."""
    with kamailio(Scenario(tcp_max_connections=5000, tcp_connection_lifetime=2)) as running:
        found = stage.loaded(running.standin, *hold(*QUIET, "--keepalive", "0", duration=12))
    assert (found.result.served, found.result.lost, found.result.held_end) == (COUNT, COUNT, 0)
    assert min(found.result.losses) >= 2
    return found


def log_flood(stage: Stage) -> Found:
    """Tcp main out of descriptors spins in accept and floods its log: the load notices and stops."""
    with (
        StandIn(packages_root(), name="faults") as host,
        start_kamailio(host, config=SERVER, nofile=(100, HARD), log=True),
    ):
        found = stage.loaded(host, *hold(*QUIET, timeout=10))
    assert "a flood, no log" in found.result.stopped
    assert found.result.served < 100
    assert found.codes[0] == "FDS050"
    return found


def disk_full(stage: Stage) -> Found:
    """The disk of the logs fills while the load runs: it ends before all is gone."""
    with kamailio(SERVER) as running:
        host = running.standin
        with stage.load(host, *hold(*QUIET), inside=True) as load:
            load.held(COUNT)
            with open(host.path("/run/fill"), "wb") as file:
                file.write(bytes(120 << 20))
            found = load.finish()
    assert "of /var/log has" in found.result.stopped
    assert found.result.served == COUNT
    return found


CASES = (
    Case("killed", "Kamailio killed in a hold, with the probe", partial(killed, probe=True), quick=True),
    Case("killed-unprobed", "Kamailio killed in a hold, without the probe", partial(killed, probe=False)),
    Case("restarted", "Kamailio killed and started again in a hold", restarted, quick=True),
    Case("storm-over-restart", "Kamailio away while a storm comes back", storm_over_restart),
    Case(
        "workers-stopped",
        "TCP workers stopped, 200 connections",
        partial(workers_stopped, count=200),
        quick=True,
    ),
    Case(
        "workers-stopped-many", "TCP workers stopped, 3,000 connections", partial(workers_stopped, count=3000)
    ),
    Case("main-stopped", "tcp main stopped", main_stopped, quick=True),
    Case("probe-lost", "tcp main and its workers stopped in a hold", probe_lost),
    Case("half-dropped", "every second packet dropped (nft)", half_dropped),
    Case("silent-peers", "silent peers, tcp_connection_lifetime 2 s", silent_peers),
    Case("log-flood", "100 descriptors for tcp main: its log floods", log_flood),
    Case("disk-full", "the disk of the logs fills", disk_full),
)
