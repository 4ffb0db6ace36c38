"""check --kamailio-cfg: the screen, the exit codes, and everything that can be wrong with file and arguments."""

from __future__ import annotations

import json
import os

import pytest
from commands import REFERENCE, run

from fake_host import TreeHost
from kamtcp.cli.report import text
from kamtcp.cli.wrap import Screen
from kamtcp.diagnose.verdict import judge
from kamtcp.model.target import Target
from kamtcp.record.archive import load
from kamtcp.record.recorded import samples
from kamtcp.survey import prospective, start_config
from kamtcp.survey.take import take

GOOD = """#!KAMAILIO
#!ifdef MANY
tcp_max_connections=100000
#!else
tcp_max_connections=900
#!endif
tcp_keepidle=60
listen=tcp:127.0.0.1:5060
loadmodule "tm.so"
request_route { exit; }
"""
PATH = "/etc/kamailio/next.cfg"


@pytest.fixture
def file(tmp_path):
    def make(content: str) -> str:
        path = tmp_path / "next.cfg"
        path.write_text(content)
        return str(path)

    return make


def check(capsys, path, *arguments):
    return run(capsys, "check", "--from", REFERENCE, "--kamailio-cfg", path, *arguments)


def report(content: str, arguments: str, screen: Screen, target: Target) -> str:
    host = samples(load(REFERENCE))[-1]
    snapshot = take(host)
    start = start_config.of_arguments(PATH, arguments)
    instance = prospective.collect(start, TreeHost({PATH: content.encode()}), host, snapshot, away=True)
    return text(judge(snapshot, instance, target), "options" if target.stated else "", screen)


CASES = {
    "starts": (GOOD, "-m 512 -M 8", Target(connections=800)),
    "refused": (GOOD, "-M 2 -A MANY", Target(connections=50_000)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_screen_is_as_it_was_read_and_found_good(name, golden):
    golden(
        f"check-before-start-{name}.txt",
        report(*CASES[name][:2], Screen(80, colour=False, unicode=True), CASES[name][2]),
    )


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_screen_but_those_to_be_run(name, width):
    for line in report(
        *CASES[name][:2], Screen(width, colour=False, unicode=True), CASES[name][2]
    ).splitlines():
        assert len(line) <= width or line.strip().startswith(("see: ", "sysctl ")), line


def test_it_says_what_was_judged_against_what(capsys, file):
    path = file(GOOD)
    said = " ".join(check(capsys, path, "--args", "-m 512").out.split())
    assert said.startswith(
        f"Not started: {path} of this machine, arguments -m 512, judged against the recorded host sip1"
    )
    assert "Would start. Would stop at 900 connections: tcp_max_connections." in said
    assert "Assumed: started as the one that runs (pid 42), with its limits" in said
    assert "log: not asked (not started)" in said


def test_arguments_decide(capsys, file):
    path = file(GOOD)
    found = check(capsys, path, "--args", "-M 2 -A MANY")
    assert found.code == 1
    assert "Would NOT start: private memory" in found.out
    assert f"tcp_max_connections=100,000 ({path}:3)" in " ".join(found.out.split())
    plug_in = check(capsys, path, "--args", "-M 2 -A MANY", "--nagios")
    assert plug_in.code == 2
    assert plug_in.out.startswith("KAMTCP CRITICAL - ")
    assert "next: Would NOT start: private memory" in plug_in.out


def test_a_start_that_fails_can_not_be_accepted(capsys, file, tmp_path):
    (tmp_path / "accept.toml").write_text(
        '[[accept]]\ncode = "MEM001"\nreason = "x"\n[[accept]]\ncode = "FDS001"\nreason = "x"\n'
    )
    found = check(
        capsys,
        file(GOOD),
        "--args",
        "-M 2 -A MANY",
        "--accept",
        str(tmp_path / "accept.toml"),
        "--fail-on",
        "fatal",
    )
    assert found.code == 1
    assert "accepted findings, which don't count (2 fatal)" in found.out


def test_the_exit_code_of_one_that_is_well(capsys, file):
    assert check(capsys, file(GOOD), "--args", "-m 512 -M 8", "--connections", "800").code == 0


def test_too_close_to_tell_is_exit_3_and_unknown_to_the_plug_in(capsys, file):
    # half of what tm and the core are likely to take, and the double of it
    path = file(GOOD)
    found = check(capsys, path, "--args", "-m 4", "--fail-on", "fatal")
    assert found.code == 3
    assert "May fail to start, too close to tell: shared memory" in " ".join(found.out.split())
    assert check(capsys, path, "--args", "-m 4", "--nagios", "--fail-on", "fatal").out.startswith(
        "KAMTCP UNKNOWN - next: May fail"
    )


def test_json_has_the_answer(capsys, file):
    found = json.loads(check(capsys, file(GOOD), "--args", "-M 2 -A MANY", "--json").out)
    judged = found["judged"][0]
    assert judged["start"]["starts"] is False
    assert judged["attendant"] == 0
    assert found["snapshot"]["instances"][0]["foreseen"]["options"] == "-M 2 -A MANY"
    assert [each["name"] for each in found["snapshot"]["instances"]] == ["next"]
    assert json.loads(run(capsys, "check", "--from", REFERENCE, "--json").out)["judged"][0]["start"] is None


class TestWhatIsWrong:
    def one_line(self, found, said):
        assert (found.code, found.out) == (2, "")
        assert found.err.startswith(f"kamtcp check: {said}")
        assert found.err.count("\n") == 1

    def test_files(self, capsys, tmp_path):
        self.one_line(
            check(capsys, str(tmp_path / "none.cfg")), f"--kamailio-cfg {tmp_path}/none.cfg: No such file"
        )
        self.one_line(check(capsys, str(tmp_path)), f"--kamailio-cfg {tmp_path}: Is a directory")
        self.one_line(check(capsys, "/dev/zero"), "--kamailio-cfg /dev/zero: Invalid argument")
        self.one_line(check(capsys, "/proc/kmsg"), "--kamailio-cfg /proc/kmsg: Operation not permitted")
        os.mkfifo(tmp_path / "fifo")
        self.one_line(
            check(capsys, str(tmp_path / "fifo")), f"--kamailio-cfg {tmp_path}/fifo: Invalid argument"
        )
        (tmp_path / "large.cfg").write_bytes(b"#" * (4 << 20))
        self.one_line(
            check(capsys, str(tmp_path / "large.cfg")), f"--kamailio-cfg {tmp_path}/large.cfg: File too large"
        )

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ("-q 3", "--args: '-q' is not what kamailio(8) takes"), ("-M lots", "--args: '-M lots' is not"),
            ("-m 'x", '--args "-m \'x": No closing quotation'), ("-f /etc/other.cfg", "--args: leave out -f"),
            ("-l tcp:1:2:3:x", "--args: -l 'tcp:1:2:3:x' is not [protocol:]address[:port]"),
            ("word", "--args: 'word' is not"), ("-M", "--args: '-M' is not"),
        ],
    )  # fmt: skip
    def test_arguments(self, arguments, said, capsys, file):
        self.one_line(check(capsys, file(GOOD), "--args", arguments), said)

    def test_options_that_speak_of_something_else(self, capsys, file):
        self.one_line(
            run(capsys, "check", "--from", REFERENCE, "--args", "-m 8"), "--args: arguments of what?"
        )
        self.one_line(check(capsys, file(GOOD), "--instance", "42"), "--instance speaks of what runs")
        self.one_line(
            check(capsys, file(GOOD), "--save-target", "--connections", "9"), "--save-target speaks of"
        )

    def test_the_configuration_with_line_and_caret(self, capsys, file):
        path = file('#!KAMAILIO\ntcp_children=lots\ninclude_file "gone.cfg"\n')
        found = check(capsys, path)
        assert (found.code, found.out) == (2, "")
        lines = found.err.splitlines()
        at = lines.index(f"kamtcp check: {path}:2:14: tcp_children wants a number")
        assert lines[at + 1 : at + 3] == ["    tcp_children=lots", "                 ^"]
        assert f"{path}:3:" in found.err

    def test_the_plug_in_says_unknown(self, capsys, file):
        found = check(capsys, file("#!KAMAILIO\ntcp_children=lots\n"), "--nagios")
        assert found.code == 3
        assert found.out.startswith("KAMTCP UNKNOWN - ")

    def test_control_characters_of_the_file_reach_no_terminal(self, capsys, file):
        found = check(capsys, file("#!KAMAILIO\ntcp_children=\x1b[2Jlots\n"))
        assert found.code == 2
        assert "\x1b" not in found.err


@pytest.mark.parametrize(
    "line",
    [
        "tcp_max_connections=-5", "tcp_max_connections=2147483647", "tcp_max_connections=99999999999", "open_files_limit=-1",
        "open_files_limit=999999999", "tcp_children=0", "tcp_children=99999999", "listen=tcp:[::1]:5060", "listen=udp:127.0.0.1",
        "disable_tcp=yes", "shm_mem_size=9999999", "socket_workers=7\nlisten=tls:1.2.3.4:5061", "enable_tls=yes",
        "async_workers=4000000000", "loadpath=" + '"' + "x" * 5000 + '"', 'loadmodule "tls.so"', "request_route {" * 3000,
        "request_route { if " + "(" * 5000, "\udcff",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "arguments", ["", "-m 999999999999999999 -M 999999999999999999", "-N 999999999", "-n 99999999999 -T"]
)
def test_absurd_files_and_arguments_get_an_answer(line, arguments, capsys, tmp_path):
    path = tmp_path / "next.cfg"
    path.write_bytes(f"#!KAMAILIO\n{line}\n".encode("utf-8", "surrogateescape"))
    found = check(capsys, str(path), f"--args={arguments}", "--json")
    assert found.code in (0, 1, 2, 3)
    assert "internal error" not in found.err
    if found.code != 2:
        assert json.loads(found.out)["judged"][0]["start"]["starts"] in (True, False, None)


def test_a_live_host_is_judged_with_this_shells_limits(capsys, file):
    """Whatever this machine is: there is an answer, and nothing is started."""
    found = run(capsys, "check", "--kamailio-cfg", file(GOOD), "--args", "-T")
    assert found.code in (0, 1, 3)
    assert found.out.startswith("Not started:")
    assert "TCP is switched off" in " ".join(found.out.split())
