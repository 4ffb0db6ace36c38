"""Servers that do it wrong: each failure has its own cause, and totals add up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_modes import SOON, checked, order, port_of, result_of, running, wait_for

from kamtcp.errors import KamtcpError
from kamtcp.loadgen.board import Progress
from kamtcp.loadgen.order import Mode, Order
from kamtcp.loadgen.responder.started import Started
from kamtcp.loadgen.schedule import AtOnce, Steady

SOURCE = Path(__file__).parent.parent.parent / "src"


@pytest.mark.parametrize(
    ("fault", "carrier", "causes"),
    [
        ("silent", "tcp", {"no_answer"}),
        ("silent", "wss", {"no_answer"}),
        ("deaf", "tcp", {"no_answer"}),
        ("deaf", "tls", {"handshake_timeout"}),
        ("deaf", "ws", {"handshake_timeout"}),
        ("stall-accept", "tcp", {"no_answer"}),
        ("close", "tcp", {"closed_before_answer", "reset"}),
        ("close", "tls", {"tls", "reset"}),
        ("close", "ws", {"closed_before_answer", "reset"}),
        ("reset", "tcp", {"reset"}),
        ("garbage", "tcp", {"not_sip"}),
        ("garbage", "tls", {"not_sip", "tls"}),
        ("garbage", "wss", {"not_sip", "tls"}),
        ("http-403", "ws", {"http_status"}),
        ("sip-503", "tcp", {"sip_status"}),
    ],
)
def test_each_fault_has_its_cause(fault: str, carrier: str, causes: set[str]) -> None:
    path = "/" if carrier in ("ws", "wss") else ""
    with Started([f"{carrier}:127.0.0.1:0{path}", "--fault", fault]) as server:
        quick = "timeout" in str(causes) or "no_answer" in causes
        seconds = 0.5 if quick else SOON
        result = result_of(order(server, 8, carrier=carrier, connect_timeout=seconds, answer_timeout=seconds))
    found = result.load.failures.causes()
    assert result.load.answered == 0
    assert found and found.keys() <= causes
    if fault == "http-403":
        assert result.load.details == {"http_status": {"403": 8}}
    if fault == "sip-503":
        assert result.load.details == {"sip_status": {"503": 8}}
        assert result.load.statuses == {503: 8}


def test_answers_byte_by_byte_are_answers() -> None:
    with Started(["tcp:127.0.0.1:0", "--fault", "dribble"]) as server:
        assert result_of(order(server, 5, answer_timeout=SOON)).load.answered == 5


def test_a_certificate_counts_only_where_it_is_looked_at(tmp_path: Path) -> None:
    from kamtcp.loadgen.population import Tls

    with Started(["tls:127.0.0.1:0", "--fault", "expired"]) as server:
        unseen = result_of(order(server, 2, carrier="tls"))
        seen = result_of(order(server, 2, carrier="tls", tls=Tls(verify=True)))
    assert unseen.load.answered == 2
    assert seen.load.details == {"tls": {"self-signed certificate": 2}}


def test_a_server_killed_in_the_middle_leaves_totals_that_add_up() -> None:
    with (
        Started(["tcp:127.0.0.1:0"]) as server,
        running(order(server, schedule=Steady(400, 200.0), hold_seconds=0.0)) as load,
    ):
        wait_for(load, lambda now: now.answered >= 50)
        server.close()
        result = checked(load.result())
    assert result.load.offered == 400
    assert result.load.failures.refused >= 100
    assert result.load.lost == result.load.answered


def test_what_is_not_settled_when_it_is_stopped_is_abandoned() -> None:
    with (
        Started(["tcp:127.0.0.1:0", "--fault", "silent"]) as server,
        running(order(server, 10, answer_timeout=SOON)) as load,
    ):
        wait_for(load, lambda now: now.connected == 10)
        load.stop("disk is full")
        result = checked(load.result())
    assert result.load.failures.causes() == {"abandoned": 10}
    assert result.stopped == "disk is full"


def test_whoever_watches_may_end_it() -> None:
    with (
        Started(["tcp:127.0.0.1:0"]) as server,
        running(order(server, 10, hold_seconds=None)) as load,
    ):
        result = checked(load.watch(lambda now: "enough" if now.held == 10 else None, every=0.01))
    assert (result.stopped, result.held_end) == ("enough", 10)


def test_ctrl_c_ends_it_with_a_result() -> None:
    def interrupt(now: Progress) -> None:
        if now.held == 10:
            raise KeyboardInterrupt

    with (
        Started(["tcp:127.0.0.1:0"]) as server,
        running(order(server, 10, hold_seconds=None)) as load,
    ):
        result = checked(load.watch(interrupt, every=0.01))
    assert (result.stopped, result.load.answered) == ("interrupted", 10)


def test_a_killed_worker_is_counted_and_the_others_go_on() -> None:
    with (
        Started(["tcp:127.0.0.1:0"]) as server,
        running(order(server, 40, hold_seconds=None), processes=2) as load,
    ):
        wait_for(load, lambda now: now.held == 40)
        load._workers[0].kill()
        wait_for(load, lambda now: now.ended == 1)
        assert load.wait_settled(SOON)
        load.stop()
        result = checked(load.result())
    assert (result.load.offered, result.load.answered) == (40, 40)
    assert result.held_end == 20
    assert any("1 of 2 workers ended" in doubt for doubt in result.doubts)


def test_a_worker_killed_before_the_burst_does_not_hold_up_the_others() -> None:
    with (
        Started(["tcp:127.0.0.1:0"]) as server,
        running(order(server, schedule=AtOnce(40), mode=Mode.BURST), processes=2) as load,
    ):
        load._workers[1].kill()
        result = checked(load.result())
    assert result.load.answered == 20
    assert result.load.offered == 20 + result.load.failures.worker_ended


def test_workers_end_when_their_command_is_gone() -> None:
    script = (
        "import sys, time; from kamtcp.loadgen.order import Order; from kamtcp.loadgen.processes import Load\n"
        "from kamtcp.loadgen.schedule import AtOnce\n"
        "load = Load(Order('127.0.0.1', int(sys.argv[1]), AtOnce(10), hold_seconds=None), sources=(),"
        " processes=2, i_own_this_host=True)\n"
        "load.wait_settled(); print(*(each.pid for each in load._workers), flush=True); time.sleep(100)"
    )
    with Started(["tcp:127.0.0.1:0"]) as server:
        command = [sys.executable, "-c", script, str(port_of(server))]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        ) as parent:
            assert parent.stdout is not None
            pids = [int(word) for word in parent.stdout.readline().split()]
            parent.send_signal(signal.SIGKILL)
            parent.wait()
        assert len(pids) == 2
        deadline = time.monotonic() + SOON
        while any(_runs(pid) for pid in pids):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"kamtcp.loadgen.worker" in file.read()
    except OSError:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_worker_that_cannot_begin_says_why() -> None:
    what = Order("127.0.0.1", 9, AtOnce(1), netns_pid=999_999_999)
    with pytest.raises(KamtcpError, match="network namespace of process 999999999"):
        result_of(what)


def test_nothing_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    with Started(["tcp:127.0.0.1:0"]) as server:
        result_of(order(server, 5))
    assert len(os.listdir("/proc/self/fd")) == before


def test_descriptors_of_the_generator_that_run_out_are_its_own_failure() -> None:
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))\n"
        "from kamtcp.loadgen.order import Order; from kamtcp.loadgen.processes import Load\n"
        "from kamtcp.loadgen.schedule import AtOnce\n"
        "with Load(Order('127.0.0.1', int(sys.argv[1]), AtOnce(150)), sources=(), processes=1, i_own_this_host=True) as load:\n"
        "    result = load.result()\n"
        "print(result.load.offered, result.load.answered, result.load.failures.causes(), result.doubts)"
    )
    with Started(["tcp:127.0.0.1:0"]) as server:
        done = subprocess.run(
            [sys.executable, "-c", script, str(port_of(server))],
            capture_output=True, check=True, timeout=60, env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )  # fmt: skip
    offered, answered, rest = done.stdout.decode().split(maxsplit=2)
    failed = 150 - int(answered)
    assert int(offered) == 150 and failed > 50
    assert rest.startswith(f"{{'local_descriptors': {failed}}}")
    assert "descriptors" in rest.partition("}")[2]


def test_a_watch_ends_when_a_worker_does() -> None:
    with (
        Started(["tcp:127.0.0.1:0"]) as server,
        running(order(server, 40, hold_seconds=None), processes=2) as load,
    ):
        wait_for(load, lambda now: now.held == 40)
        load._workers[0].kill()
        end = time.monotonic() + SOON
        result = checked(load.watch(lambda _: "it went on" if time.monotonic() > end else None, every=0.01))
    assert result.stopped == "a worker ended before its time"
    assert result.load.answered == 40
