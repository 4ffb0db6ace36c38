"""kamtcp load as an operator types it: against the built-in responder, and against a real Kamailio that gives way."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from json_schema import published, wrong

from kamtcp.rehearse.kamailio import packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn

KAMTCP = [sys.executable, "-m", "kamtcp"]
#: served, or served by a load that can't vouch for its timing since the machine is busy
SERVED = {0, 3}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMTCP_STATE", str(tmp_path / "state"))


@contextmanager
def responder(*arguments: str, carrier: str = "tcp") -> Iterator[str]:
    """`kamtcp load responder` on a free port; gives its target."""
    path = "/sip" if carrier.startswith("ws") else ""
    words = [
        *KAMTCP,
        "load",
        "responder",
        f"{carrier}:127.0.0.1:0{path}",
        "--json",
        "--duration",
        "120",
        *arguments,
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as serving:
        assert serving.stdout is not None
        assert serving.stderr is not None
        try:
            line = serving.stdout.readline()
            assert line, serving.stderr.read().decode()
            yield json.loads(line)["listeners"][0]["aim"]
        finally:
            serving.terminate()
            out, _ = serving.communicate(timeout=30)
            assert json.loads(out)["open"] >= 0


def load(*arguments: str, timeout: float = 90) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KAMTCP, "load", *arguments], capture_output=True, text=True, timeout=timeout, check=False
    )


def result(*arguments: str) -> dict[str, object]:
    done = load(*arguments, "--json")
    assert done.stdout, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    assert found["exit_code"] == done.returncode
    failures = found["failures"]
    assert isinstance(failures, dict)
    assert found["offered"] == found["served"] + sum(failures.values())  # type: ignore[operator]
    return found


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    assert not done.stdout
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@pytest.mark.parametrize("carrier", ["tcp", "tls", "ws", "wss"])
def test_connections_are_held_on_every_transport(carrier: str) -> None:
    with responder(carrier=carrier) as target:
        found = result("hold", target, "--connections", "60", "--duration", "1", "--quiet")
    assert (found["offered"], found["served"], found["held_end"], found["lost"]) == (60, 60, 60, 0)
    assert found["exit_code"] in SERVED
    assert found["permission"].startswith("free: responder of this user")  # type: ignore[attr-defined]
    stages = {"connect", "answer"} | ({"tls"} if carrier in ("tls", "wss") else set())
    stages |= {"upgrade"} if carrier in ("ws", "wss") else set()
    assert set(found["latencies"]) == stages  # type: ignore[call-overload]


def test_the_report_says_it_in_its_first_line_and_fits_80_columns() -> None:
    with responder() as target:
        done = load("hold", target, "--connections", "40", "--duration", "1")
    assert done.returncode in SERVED
    assert done.stdout.startswith("All 40 connections were served.\n")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_churn_opens_and_closes() -> None:
    with responder() as target:
        found = result("churn", target, "--rate", "100", "--duration", "2", "--quiet")
    assert (found["offered"], found["served"], found["held_end"]) == (200, 200, 0)


def test_all_come_back_after_a_storm() -> None:
    with responder() as target:
        done = load("storm", target, "--connections", "100", "--within", "1", "--duration", "1", "--quiet")
    assert done.returncode in SERVED, done.stdout + done.stderr
    assert "100 clients lost their connection, 100 are back, 0 gave up" in " ".join(done.stdout.split())


def test_a_ramp_climbs_to_its_end() -> None:
    with responder() as target:
        done = load(
            "ramp",
            target,
            "--from",
            "50",
            "--to",
            "200",
            "--factor",
            "2",
            "--step",
            "1",
            "--p99",
            "5",
            "--quiet",
        )
    assert done.stdout.startswith("Held up to "), done.stdout + done.stderr


def test_digest_is_answered(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse\n")
    with responder("--password-file", str(secret)) as target:
        words = ("hold", target, "--connections", "20", "--duration", "1", "--register", "--quiet")
        right = result(*words, "--password-file", str(secret))
        wrong = tmp_path / "wrong"
        wrong.write_text("battery staple\n")
        refused = result(*words, "--password-file", str(wrong))
        nothing = result(*words)
    assert right["served"] == 20
    for each in (refused, nothing):
        assert (each["served"], each["failures"], each["exit_code"]) == (0, {"sip_status": 20}, 1)


def test_a_server_that_says_no_is_counted_as_such() -> None:
    with responder("--fault", "sip-503") as target:
        done = load("hold", target, "--connections", "20", "--duration", "1", "--quiet")
    assert done.returncode == 1
    assert done.stdout.startswith("0 of 20 connections were served, 20 were not.")
    assert "SIP said no (503 20)" in done.stdout


def test_a_profile_has_populations_and_phases(tmp_path: Path) -> None:
    profile = tmp_path / "load.toml"
    profile.write_text(
        '[[population]]\nname = "phones"\nconnections = 30\n[[population]]\nname = "mute"\nconnections = 5\n'
        'behaviour = "silent"\n[[phase]]\nkind = "ramp"\nrate = 200\n[[phase]]\nkind = "hold"\nseconds = 1\n'
    )
    with responder() as target:
        found = result("hold", target, "--profile", str(profile), "--quiet")
        profile.write_text(
            '[[population]]\nname = "phones"\nconections = 30\n[[phase]]\nkind = "hold"\nseconds = 1\n'
        )
        done = load("profile", target, str(profile))
    assert {part["population"] for part in found["parts"]} == {"phones", "mute"}  # type: ignore[index, attr-defined]
    assert done.returncode == 2
    assert "did you mean connections" in done.stderr


def test_what_is_kept_is_kept_whole(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with responder() as target:
        words = ("hold", target, "--connections", "20", "--duration", "1", "--quiet", "--out", str(kept))
        assert load(*words).returncode in SERVED
        assert "exists" in one_line(load(*words))
    assert json.loads((kept / "result.json").read_text())["served"] == 20
    assert (kept / "report.txt").read_text().startswith("All 20")
    with (kept / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["answered"]) for row in rows) == 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_load_reports_what_was_done(number: int, tmp_path: Path) -> None:
    with responder() as target:
        words = [*KAMTCP, "load", "hold", target, "--connections", "30", "--duration", "600", "--json"]
        with (
            subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running,
            killed(running),
        ):
            port = int(target.rpartition(":")[2])
            until = time.monotonic() + 60
            while connections(port) < 30:
                assert time.monotonic() < until
                assert running.poll() is None
                time.sleep(0.05)
            running.send_signal(number)
            out, err = running.communicate(timeout=60)
        assert connections(port) == 0
    assert b"Traceback" not in err
    found = json.loads(out)
    assert (found["offered"], found["served"], found["stopped"]) == (30, 30, "interrupted")


@contextmanager
def killed(running: subprocess.Popen[bytes]) -> Iterator[None]:
    """Whatever happens, it doesn't outlive the test."""
    try:
        yield
    finally:
        if running.poll() is None:
            running.kill()


def connections(port: int) -> int:
    """Established connections to a port of this machine's loopback, both ends counted once."""
    shown = subprocess.run(
        ["ss", "-Htn", "state", "established", f"( sport = :{port} )"], capture_output=True, check=True
    )
    return shown.stdout.count(b"\n")


def test_a_load_ends_when_its_probe_is_lost() -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        target = f"tcp:127.0.0.1:{stranger.getsockname()[1]}"
        done = load("hold", target, "--connections", "5", "--i-own-this-host", timeout=60)
    assert "the SIP probe got no answer before the load began; nothing was loaded" in one_line(done)


class TestWhatIsRefused:
    """One line, code 2, and nobody was connected to."""

    @pytest.fixture
    def stranger(self) -> Iterator[socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            yield listening

    def refused(self, stranger: socket.socket, *more: str) -> str:
        target = f"tcp:127.0.0.1:{stranger.getsockname()[1]}"
        said = one_line(load("hold", target, "--connections", "5", *more))
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.accept()
        return said

    def test_a_listener_of_others(self, stranger: socket.socket) -> None:
        assert "add --i-own-this-host" in self.refused(stranger)

    def test_one_that_others_use(self, stranger: socket.socket) -> None:
        with socket.create_connection(stranger.getsockname()), stranger.accept()[0]:
            assert "1 established connections of others" in self.refused(stranger, "--i-own-this-host")

    def test_more_than_fits(self) -> None:
        with responder() as target:
            said = one_line(load("hold", target, "--connections", "9000000", "--processes", "2"))
        assert "descriptors of a process: needs 4,500,000" in said
        assert "--processes" in said
        assert "memory, MiB" in said

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["hold", "tcp:127.0.0.1", "--connections", "5"], "no port"),
            (["hold", "tcp:127.0.0.1:5", "--connections", "0"], "expected a whole number from 1"),
            (["hold", "tcp:127.0.0.1:5"], "one of the arguments --connections --profile is required"),
            (["hold", "tcp:127.0.0.1:5", "--connections", "5", "--resume"], "no TLS in this target"),
            (
                ["hold", "tcp:127.0.0.1:5", "--connections", "5", "--sources", "x"],
                "expected an address and a prefix",
            ),
            (["hold", "tcp:127.0.0.1:5", "--connections", "5", "--netns", "4194304"], "--netns 4194304"),
            (["churn", "tcp:127.0.0.1:5", "--rate", "nan"], "expected a number from"),
            (["profile", "tcp:127.0.0.1:5", "/nowhere.toml"], "/nowhere.toml: No such file"),
            (["responder", "tcp:192.0.2.1:5060"], "192.0.2.1"),
            (["responder", "tcp:127.0.0.1:0", "--user", "x"], "--password-file"),
            (["nothing"], "invalid choice"),
        ],
    )
    def test_what_can_not_be_meant(self, words: list[str], says: str) -> None:
        more = ["--i-own-this-host"] if words[0] in ("hold", "churn", "profile") else []
        assert says in one_line(load(*words, *more))


@pytest.mark.skipif(os.geteuid() != 0 or packages_root() is None, reason="needs root and a Kamailio")
def test_a_kamailio_out_of_descriptors_is_named_and_its_stop_was_foretold() -> None:
    with (
        StandIn(packages=packages_root()) as host,
        start_kamailio(
            host, config=Scenario(), args=("-m", "64", "-M", "8"), nofile=(256, 20000), log=True
        ) as kamailio,
    ):
        words = (
            "hold",
            "tcp:127.0.0.1:5060",
            "--connections",
            "400",
            "--rate",
            "1000",
            "--duration",
            "1",
            "--netns",
        )
        safety = ("--i-own-this-host", "--no-probe", "--answer-timeout", "3", "--quiet")
        found = result(*words, str(kamailio.pid), *safety)
    predicted = found["predicted"]
    assert isinstance(predicted, dict)
    assert predicted["ceiling"] == "tcp-main-descriptors"
    assert abs(predicted["connections"] - found["served"]) <= 3  # type: ignore[operator]
    assert [each["code"] for each in found["gave_way"]] == ["FDS050"]  # type: ignore[index, attr-defined]
    assert found["exit_code"] == 1


def test_the_document_is_as_published() -> None:
    with responder() as target:
        found = result("hold", target, "--connections", "10", "--duration", "1", "--quiet")
    assert wrong(found, published("load")) == []
