"""kamtcp calibrate without a Kamailio: what it refuses, which rounds count, what it says. tests/stops has the real runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from commands import run

from kamtcp.cli import calibrate_text
from kamtcp.cli.calibrate_plan import Plan
from kamtcp.cli.calibrate_round import Round, RoundFailed
from kamtcp.cli.calibrate_rounds import AGAIN, Lost, rounds
from kamtcp.errors import StandInError
from kamtcp.model.price import Conditions

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
HERE = Conditions("6.18.0", "x86_64", "5.6.3", 3, "qm", 16_384, tls=True)
PLAN = Plan("/", "/usr/sbin/kamailio", ("tcp", "tls"), True, 300, None, (), "", None)
#: a process number space without anybody's Kamailio, and a directory of programs without one
ALONE = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", 'mount -t tmpfs tmpfs /usr/sbin && exec "$@"', "sh"]  # fmt: skip


def calibrate(environment: dict[str, str], *words: str, before: tuple[str, ...] = (), **changes: str):
    """`kamtcp calibrate WORDS` in a process of its own."""
    return subprocess.run(
        [*before, sys.executable, "-m", "kamtcp", "calibrate", *words],
        capture_output=True, timeout=60, check=False, text=True, env={**environment, **changes},
    )  # fmt: skip


class TestWhatItRefuses:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (("--transport", "udp"), "expected some of tcp,tls,ws,wss, got 'udp'"),
            (("--transport", ""), "expected some of tcp,tls,ws,wss"),
            (("--connections", "49"), "expected a whole number from 50 to 100,000"),
            (("--rounds", "0"), "expected a whole number from 1 to 20"),
        ],
    )
    def test_wrong_options(self, capsys, words, said):
        ran = run(capsys, "calibrate", *words)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err

    def test_anybody_but_root(self, environment):
        user = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups") if os.geteuid() == 0 else ()
        ran = calibrate(environment, before=user)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr == (
            "kamtcp calibrate: needs root: it starts a Kamailio on a host of namespaces of its own; nothing was started\n"
        )

    @root
    def test_a_machine_without_kamailio(self, environment):
        ran = calibrate(environment, before=tuple(ALONE))
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr.startswith("kamtcp calibrate: no Kamailio is running, and none is installed")
        assert ran.stderr.count("\n") == 1

    @root
    @pytest.mark.parametrize(
        ("words", "limit", "said"),
        [
            (("--transport", "tls"), "20000", "tls: no tls.so below {root}/usr"),
            (("--transport", "wss"), "20000", "wss: no tls and no websocket.so below {root}/usr"),
            (("--connections", "600"), "1024",
             "600 connections need 1,100 descriptors in one process, and the hard limit here is 1,024: --connections 524 fits"),
        ],
    )  # fmt: skip
    def test_what_is_not_there_or_does_not_fit(self, environment, tmp_path, words, limit, said):
        program = tmp_path / "usr/sbin/kamailio"
        program.parent.mkdir(parents=True)
        program.touch(0o755)
        before = (*ALONE, "prlimit", f"--nofile={limit}:{limit}")
        ran = calibrate(environment, *words, before=before, KAMTCP_KAMAILIO_ROOT=str(tmp_path))
        assert (ran.returncode, ran.stdout) == (2, "")
        assert ran.stderr == f"kamtcp calibrate: {said.format(root=tmp_path)}\n"

    @root
    @pytest.mark.parametrize("mode", [0o777, 0o775])
    def test_a_result_that_nobody_would_trust(self, environment, tmp_path, mode):
        tmp_path.chmod(mode)
        ran = calibrate(environment, KAMTCP_STATE=str(tmp_path))
        assert ran.returncode == 2
        assert f"{tmp_path} is writable by others (mode 0{mode:o}); nothing was started" in ran.stderr

    @root
    def test_a_damaged_file_which_stays_as_it_is(self, environment, tmp_path):
        (tmp_path / "calibrated.json").write_text("{")
        ran = calibrate(environment, KAMTCP_STATE=str(tmp_path))
        assert ran.returncode == 2
        assert "nothing in it is used, remove it to begin anew" in ran.stderr
        assert ran.stderr.count("\n") == 1
        assert (tmp_path / "calibrated.json").read_text() == "{"


class Script:
    """Rounds with results given beforehand: a number of bytes, or what goes wrong."""

    def __init__(self, *results: float | Exception) -> None:
        self.results = list(results)

    def __call__(self, plan: Plan, transport: str) -> Round:
        result = self.results.pop(0)
        if isinstance(result, Exception):
            raise result
        return Round(result, HERE, 45.0)


DIED = RoundFailed("the server ended: child process 41 exited by a signal 6")


def outcome(script: Script, count: int = 2, *transports: str):
    plan = Plan("/", "/usr/sbin/kamailio", transports or ("tls",), True, 300, None, (), "", None)
    return rounds(plan, count, lambda _: None, script)


class TestRounds:
    def test_each_gives_a_value(self):
        found = outcome(Script(17_416.0, 17_420.0, 76_000.0, 76_100.0), 2, "tcp", "tls")
        assert [(each.transport, each.values) for each in found.prices] == [
            ("tcp", (17_416.0, 17_420.0)),
            ("tls", (76_000.0, 76_100.0)),
        ]
        assert (found.repeated, found.failures) == ((), ())

    def test_one_in_which_the_server_ends_is_done_again_and_never_counted(self):
        found = outcome(Script(76_000.0, DIED, DIED, DIED, 76_100.0))
        assert [each.values for each in found.prices] == [(76_000.0, 76_100.0)]
        assert found.repeated == (Lost("tls", str(DIED)),) * 3
        assert found.failures == ()

    def test_at_most_three_times_each(self):
        found = outcome(Script(*[DIED] * AGAIN, 76_000.0, *[DIED] * AGAIN, 76_100.0))
        assert [each.values for each in found.prices] == [(76_000.0, 76_100.0)]

    def test_then_it_is_given_up_and_the_next_transport_has_its_turn(self):
        found = outcome(Script(76_000.0, *[DIED] * (AGAIN + 1), 83_352.0, 83_352.0), 2, "tls", "ws")
        assert [each.transport for each in found.prices] == ["ws"]
        assert found.failures == (Lost("tls", f"4 tries of a round failed, the last: {DIED}"),)

    def test_a_server_that_does_not_start_is_no_price_either(self):
        found = outcome(Script(*[StandInError("kamailio ended with 255 at start")] * 4))
        assert found.prices == ()
        assert "kamailio ended with 255 at start" in found.failures[0].why


def test_the_text_has_the_spread_and_what_went_wrong():
    found = outcome(Script(76_000.0, DIED, 76_100.0, 76_400.0, *[DIED] * 4), 3, "tls", "wss")
    said = calibrate_text.text(PLAN, found, "/var/lib/kamtcp/calibrated.json")
    assert "  tls                           76,000    76,100    76,400       3      45 us\n" in said
    assert "tls: once a round was done again and not counted: the server ended" in said
    assert "wss: not measured: 4 tries of a round failed" in said
    assert "Kept in /var/lib/kamtcp/calibrated.json; check uses them from now on.\n" in said
    assert all(len(line) <= 80 for line in said.splitlines())


def test_the_text_says_where_the_prices_will_not_be_used():
    plan = Plan(
        "/", "/usr/sbin/kamailio", ("tls",), True, 300, None, (), "kamailio (pid 812)",
        Conditions("6.18.0", "x86_64", "5.6.3", 0, "qm", 16_384, tls=False),
    )  # fmt: skip
    said = calibrate_text.text(plan, outcome(Script(76_000.0, 76_100.0)), "/x/calibrated.json")
    assert "Not used for kamailio (pid 812): tls (openssl 3 measured, 0 now; tls on" in said
    assert "Kept in /x/calibrated.json.\n" in said


def test_the_document_has_every_round():
    found = outcome(Script(76_000.0, DIED, 76_100.0))
    said = json.loads(calibrate_text.document(PLAN, found, "/x/calibrated.json", 0))
    (price,) = said["prices"]
    assert price["calibration"]["values"] == [76_000.0, 76_100.0]
    assert (price["spread"]["lowest"], price["spread"]["middle"], price["spread"]["highest"]) == (
        76_000,
        76_050,
        76_100,
    )
    assert said["repeated"] == [{"transport": "tls", "why": str(DIED)}]
    assert (said["schema"], said["exit_code"], said["kept"]) == (
        "kamtcp-calibrate/1",
        0,
        "/x/calibrated.json",
    )
