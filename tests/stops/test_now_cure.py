"""The cure that check prints for a server stuck at its descriptors, run as printed, frees it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

from kamtcp.diagnose.prlimit import CAP_SYS_RESOURCE
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import AtOnce
from kamtcp.rehearse.scenario import Scenario
from stop_rig import HARD, causes, command_line, judged, log_of, lost, order, predict, server, workers

SOFT, WAITING = 1024, 150
CONFIG = Scenario(tcp_max_connections=2048)


def await_stuck(load: Load, held: int, timeout: float = 10.0) -> None:
    """All that fit are answered, the others are connected (by the kernel) and wait."""
    until = time.monotonic() + timeout
    while load.progress().held < held or load.progress().offered < held + WAITING:
        assert time.monotonic() < until, load.progress()
        time.sleep(0.05)
    time.sleep(0.5)
    assert load.progress().held == held
    assert load.progress().failed == 0


@pytest.mark.parametrize("user", [True, False], ids=["as its own user", "as root"])
def test_the_printed_line_frees_a_stuck_server_and_loses_no_connection(
    user: bool, remark: Callable[[str], None]
) -> None:
    with server(CONFIG, nofile=(SOFT, HARD), log=True, user=user) as running:
        before = predict(running.pid)
        assert before.name == "tcp-main-descriptors"
        with Load(order(running.standin, AtOnce(before.at + WAITING), answer_timeout=60.0)) as load:
            await_stuck(load, before.at)
            assert "Too many open files" in log_of(running)
            stuck = predict(running.pid)
            assert stuck.at == stuck.instance.opened == before.at
            cure = stuck.finding("FDS001").now
            assert cure.possible
            machine = stuck.verdict.situation.machine
            if user and not machine.capabilities >> CAP_SYS_RESOURCE & 1:
                assert "setpriv --reuid=" in cure.line, "without CAP_SYS_RESOURCE only its own user may"
            started = time.monotonic()
            done = subprocess.run(["sh", "-c", cure.line], capture_output=True, timeout=20, check=False)
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
            assert load.wait_settled(20)
            seconds = time.monotonic() - started
            freed = predict(running.pid)
            load.stop()
            result = load.result()
        assert running.alive
    assert result.load.answered == before.at + WAITING
    assert result.held_end == before.at + WAITING
    assert causes(result) == {} and not lost(result)
    assert all(code.code not in ("FDS001", "FDS002") for code in freed.verdict.findings)
    assert freed.instance.opened == before.at + WAITING
    assert len(workers(freed)) == 4
    remark(
        f"stuck at {before.at:,} connections, server {'as its own user' if user else 'as root'}: the printed line answered"
        f" the {WAITING} that waited in {1000 * seconds:.0f} ms, none of {before.at:,} lost"
    )


def test_where_the_hard_limit_is_met_the_cure_says_that_it_is_not_possible_here() -> None:
    """Judged without CAP_SYS_RESOURCE, whether this machine has it or not."""
    drop = ("setpriv", "--bounding-set=-sys_resource")
    with server(CONFIG, nofile=(SOFT, SOFT)) as running:
        done = command_line("check", "--instance", str(running.pid), "--json", enter=drop)
        assert done.returncode == 1, done.stderr
        (only,) = judged(done.stdout)
        text = command_line("check", "--instance", str(running.pid), enter=drop).stdout.decode()
    findings = only["findings"]
    assert isinstance(findings, list)
    (found,) = (each for each in findings if each["code"] == "FDS001")
    assert found["now"]["possible"] is False
    assert found["now"]["line"] == ""
    assert (
        found["now"]["text"]
        == "not possible here: the hard limit is 1,024 and raising it needs CAP_SYS_RESOURCE"
    )
    assert "not possible here: the hard limit is 1,024" in " ".join(text.split())
