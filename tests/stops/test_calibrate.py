"""Prices on a real Kamailio: calibrated beside it, seen in its own use, and what check makes of both."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kamtcp.cli import calibrate_round
from kamtcp.cli.calibrate_plan import Plan
from kamtcp.cli.calibrate_rounds import rounds
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import Steady
from kamtcp.model.instance import Instance
from kamtcp.rehearse.kamailio import Running, packages_root
from kamtcp.rehearse.scenario import Scenario
from stop_rig import HARD, command_line, judged, order, server, settle

STRUCTURAL = 928 + 16_384 + 104  # struct tcp_connection of 5.6.3, read buffer, what qm adds to a fragment
WITH_TLS = Scenario(tls_port=5061, tcp_max_connections=4096)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "state"
    monkeypatch.setenv("KAMTCP_STATE", str(place))
    return place


@pytest.fixture
def running() -> Iterator[Running]:
    with server(WITH_TLS, nofile=(HARD, HARD)) as one:
        yield one


def prices(running: Running, *more: str) -> dict[str, dict[str, object]]:
    """What check reckons with, by transport."""
    done = command_line("check", "--instance", str(running.pid), "--json", *more)
    assert done.returncode in (0, 1), done.stderr
    (only,) = judged(done.stdout)
    found = only["prices"]
    assert isinstance(found, list)
    return {each["transport"]: each for each in found}


def shared_memory(running: Running) -> str:
    """The ladder's own words on shared memory, in one line."""
    done = command_line("check", "--instance", str(running.pid), "--json")
    (only,) = judged(done.stdout)
    (row,) = (each for each in only["held"] if each["name"] == "shared-memory")  # type: ignore[attr-defined]
    return str(row["working"])


def test_a_calibration_beside_a_running_server_replaces_the_reference(
    running: Running, state: Path, tmp_path: Path, remark: Callable[[str], None]
) -> None:
    assert {each["origin"] for each in prices(running).values()} == {"reference"}
    words = ("--instance", str(running.pid), "--transport", "tcp,tls", "--connections", "80", "--rounds", "1")
    done = command_line("calibrate", *words, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["differs"] == ""
    found = {each["calibration"]["transport"]: each["spread"]["middle"] for each in document["prices"]}
    assert found["tcp"] == pytest.approx(STRUCTURAL, rel=0.01)
    assert 65_000 < found["tls"] < 90_000
    now = prices(running)
    assert {name: each["origin"] for name, each in now.items()} == {
        "tcp": "measured", "tls": "measured", "ws": "reference", "wss": "reference",
    }  # fmt: skip
    assert now["tcp"]["bytes"] == found["tcp"]
    assert "tcp connection, calibrated on 20" in shared_memory(running)
    spent = {
        each["calibration"]["transport"]: each["calibration"]["main_microseconds"]
        for each in document["prices"]
    }
    remark(
        f"calibrated beside a running server: {found['tcp']:,.0f} bytes of a tcp connection (structure says"
        f" {STRUCTURAL:,}), {found['tls']:,.0f} of a tls connection; tcp main {spent['tcp']} us each"
    )
    _a_recording_has_the_same(running, tmp_path, now)
    _nobody_trusts_what_others_may_write(running, state)


def _a_recording_has_the_same(running: Running, tmp_path: Path, now: dict[str, dict[str, object]]) -> None:
    file = tmp_path / "r.kamtcp"
    done = command_line("record", "-o", str(file), "--keep-addresses")
    assert done.returncode == 0, done.stderr
    assert prices(running, "--from", str(file)) == now


def _nobody_trusts_what_others_may_write(running: Running, state: Path) -> None:
    os.chmod(state / "calibrated.json", 0o666)
    done = command_line("check", "--instance", str(running.pid), "--json")
    (only,) = judged(done.stdout)
    assert {each["origin"] for each in only["prices"]} == {"reference"}  # type: ignore[attr-defined]
    assert "writable by others" in json.dumps(only["unseen"])


def test_other_settings_than_those_calibrated_are_told_and_the_reference_is_used(state: Path) -> None:
    with server(Scenario(tcp_rd_buf_size=4096)) as running:
        words = ("--instance", str(running.pid), "--connections", "60", "--rounds", "1")
        done = command_line("calibrate", *words)
        assert done.returncode == 0, done.stderr
        assert prices(running)["tcp"]["bytes"] == STRUCTURAL - 16_384 + 4096
        assert prices(running)["tcp"]["origin"] == "measured"
    with server(Scenario()) as running:
        done = command_line("check", "--instance", str(running.pid), "--json")
        (only,) = judged(done.stdout)
        assert {each["origin"] for each in only["prices"]} == {"reference"}  # type: ignore[attr-defined]
        assert "read buffer 4096 then, 16384 now; run kamtcp calibrate again" in json.dumps(only["unseen"])


def test_connections_that_come_between_two_checks_show_their_price(running: Running) -> None:
    assert prices(running)["tcp"]["origin"] == "reference"
    with Load(order(running.standin, Steady(250, 1000.0))) as load:
        settle(load, running)
        assert load.progress().held == 250
        now = prices(running)
        load.stop()
        load.result()
    assert now["tcp"]["origin"] == "measured"
    assert now["tcp"]["bytes"] == pytest.approx(STRUCTURAL, rel=0.01)
    assert "tcp connection, seen here between checks" in str(now["tcp"]["working"])
    assert now["tls"]["origin"] == "reference"


def test_a_server_that_dies_in_a_round_is_reported_and_the_round_done_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As 5.6.3 with OpenSSL 3 may: here tcp main is killed while the connections are open."""
    killed: list[int] = []
    held = calibrate_round._held_by_workers

    def once(instance: Instance) -> int:
        if not killed:
            assert not isinstance(instance.tcp_main, str)
            killed.append(instance.tcp_main.pid)  # type: ignore[union-attr]
            os.kill(killed[0], signal.SIGABRT)
        return held(instance)

    monkeypatch.setattr(calibrate_round, "_held_by_workers", once)
    plan = Plan(
        packages_root() or "/",
        "/usr/sbin/kamailio",
        ("tcp",),
        False,
        50,
        None,
        ("-m", "64", "-M", "8"),
        "",
        None,
    )
    outcome = rounds(plan, 1, lambda _: None)
    assert killed
    assert [each.values for each in outcome.prices] == [(STRUCTURAL,)]
    (lost,) = outcome.repeated
    assert lost.why.startswith("the server ended: ")
    assert "exited by a signal 6" in lost.why
    assert outcome.failures == ()
