"""Help, version, and every way to ask for what can't be meant: exit 2 and one line, never a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest
from commands import REFERENCE, check, run

from kamtcp import __version__
from kamtcp.cli import run as runner
from kamtcp.cli.commands import COMMANDS

CHECK = ("check", "--from", REFERENCE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chek",), "no command 'chek'; did you mean: check?"),
        (("frobnicate",), "no command 'frobnicate'; did you mean: "),
        (("--verbose",), "no command '--verbose'"),
        (("check\n",), "no command 'check\\n'"),
        (("check", "--from", "no-such-file"), "kamtcp check: no-such-file: No such file or directory"),
        (("check", "--from"), "argument --from: expected one argument (see kamtcp check --help)"),
        (("check", "--frm", "x"), "unrecognized arguments: --frm x"),
        ((*CHECK, "--conn", "5"), "unrecognized arguments: --conn 5"),  # no abbreviations: scripts outlive options
        ((*CHECK, "more"), "unrecognized arguments: more"),
        ((*CHECK, "--connections", "many"), "expected a whole number from 0 to 2147483648, got 'many'"),
        ((*CHECK, "--connections", "-1"), "argument --connections: expected"),
        ((*CHECK, "--connections", "2147483649"), "expected a whole number from 0 to 2147483648"),
        ((*CHECK, "--connections", "9" * 5000), "expected a whole number from 0 to 2147483648"),
        ((*CHECK, "--connections", "²"), "expected a whole number"),
        ((*CHECK, "--connections", "1.5"), "expected a whole number"),
        ((*CHECK, "--rate", "fast"), "expected connections per second, 0 to 10000000, got 'fast'"),
        ((*CHECK, "--rate", "nan"), "expected connections per second"),
        ((*CHECK, "--rate", "inf"), "expected connections per second"),
        ((*CHECK, "--rate=-1"), "expected connections per second"),
        ((*CHECK, "--storm", "20000"), "expected N/SECONDS, such as 20000/60, got '20000'"),
        ((*CHECK, "--storm", "20000/"), "expected connections per second"),
        ((*CHECK, "--storm", "x/60"), "expected a whole number"),
        ((*CHECK, "--outbound", "10.0.0.9"), "expected ADDR:PORT=N, such as 10.0.0.9:5060=2000, got '10.0.0.9'"),
        ((*CHECK, "--outbound", "10.0.0.9:0=5"), "expected ADDR:PORT=N"),
        ((*CHECK, "--outbound", "10.0.0.9:65536=5"), "expected ADDR:PORT=N"),
        ((*CHECK, "--outbound", "10.0.0.9:²=5"), "expected ADDR:PORT=N"),
        ((*CHECK, "--outbound", ":5060=5"), "expected ADDR:PORT=N"),
        ((*CHECK, "--outbound-rate", "10.0.0.9=5"), "expected ADDR:PORT=R, such as 10.0.0.9:5060=50, got '10.0.0.9=5'"),
        ((*CHECK, "--outbound-rate", "10.0.0.9:5060=x"), "expected connections per second"),
        ((*CHECK, "--connections", "10", "--tls", "6", "--wss", "5"),
         "--tls, --ws and --wss make 11, more than --connections 10"),
        ((*CHECK, "--instance", "other"), "--instance other: no such Kamailio; found: standin (pid "),
        ((*CHECK, "--instance", "99999999"), "--instance 99999999: no such Kamailio"),
        ((*CHECK, "--instance", "9" * 30), "no such Kamailio"),
        ((*CHECK, "--instance", "²"), "--instance ²: no such Kamailio"),
        ((*CHECK, "--instance", ""), "--instance : no such Kamailio"),
        ((*CHECK, "--fail-on", "all"), "argument --fail-on: invalid choice: 'all'"),
        ((*CHECK, "--save-target"), "--save-target: state a target with --connections"),
        ((*CHECK, "--save-target", "--connections", "5"), "--save-target writes to this host; leave out --from"),
        (("record",), "the following arguments are required: -o/--output"),
        (("record", "-o", "x", "--interval", "0"), "expected 0.1 to 86400 seconds, got '0'"),
        (("record", "-o", "x", "--interval", "nan"), "expected 0.1 to 86400 seconds"),
        (("record", "-o", "x", "--count", "0"), "expected 1 to 100000 samples, got '0'"),
        (("record", "-o", "x", "--count", "²"), "expected 1 to 100000 samples"),
        (("record", "-o", "/proc/1/stat"), "/proc/1/stat: exists; name another file, or add --force"),
        (("completion",), "the following arguments are required: shell"),
        (("completion", "csh"), "invalid choice: 'csh'"),
    ],
)  # fmt: skip
def test_it_is_exit_2_with_one_line_on_stderr_and_nothing_on_stdout(arguments, said, capsys):
    found = run(capsys, *arguments)
    assert (found.code, found.out) == (2, "")
    assert said in found.err
    assert found.err.startswith("kamtcp")
    assert found.err.count("\n") == 1
    assert found.err.endswith("\n")
    assert "Traceback" not in found.err


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("help",)])
def test_help_names_every_command(arguments, capsys):
    found = run(capsys, *arguments)
    assert (found.code, found.err) == (0, "")
    for name, text in COMMANDS.items():
        assert f"  {name} " in found.out
        assert text in found.out
    assert max(map(len, found.out.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name, capsys):
    found = run(capsys, name, "--help")
    assert (found.code, found.err) == (0, "")
    assert found.out.startswith(f"usage: kamtcp {name} ")


def test_without_a_command_the_help_is_shown_and_the_code_is_2(capsys):
    found = run(capsys)
    assert (found.code, found.err) == (2, "")
    assert found.out.startswith("Usage: kamtcp COMMAND")


@pytest.mark.parametrize("argument", ["--version", "-V"])
def test_the_version_is_that_of_the_package(argument, capsys):
    assert run(capsys, argument).out == f"kamtcp {__version__}\n"


class TestTheLastNet:
    """Whatever goes wrong, an operator sees one line."""

    @pytest.fixture
    def failing(self, monkeypatch):
        def fail_with(error: BaseException) -> None:
            def run_it(_: object) -> int:
                raise error

            monkeypatch.setattr("kamtcp.cli.check.run", run_it)

        return fail_with

    def test_a_defect_of_our_own_names_its_place_and_asks_for_a_report(self, failing, capsys, monkeypatch):
        monkeypatch.delenv("KAMTCP_DEBUG", raising=False)
        failing(ZeroDivisionError("division\nby zero"))
        found = run(capsys, "check")
        assert found.code == 2
        assert found.err.startswith(
            "kamtcp check: internal error, please report: ZeroDivisionError: division by zero (test_usage.py:"
        )
        assert found.err.count("\n") == 1

    def test_and_shows_its_traceback_to_who_asks_for_it(self, failing, capsys, monkeypatch):
        monkeypatch.setenv("KAMTCP_DEBUG", "1")
        failing(ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            run(capsys, "check")

    def test_an_interrupt_is_one_line(self, failing, capsys):
        failing(KeyboardInterrupt())
        assert run(capsys, "check").err == "kamtcp check: interrupted; nothing was changed\n"

    def test_an_error_of_the_kernel_is_one_line(self, failing, capsys):
        failing(PermissionError(13, "Permission denied", "/some/file"))
        assert run(capsys, "check").err == "kamtcp check: /some/file: Permission denied\n"


class TestStreams:
    """In a process of its own: what is piped, full, closed, or of an old encoding."""

    def ran(self, line: str, environment: dict[str, str], **more: str) -> subprocess.CompletedProcess[bytes]:
        command = ["bash", "-c", f'set -o pipefail; k() {{ "$0" -m kamtcp "$@"; }}; {line}', sys.executable]
        return subprocess.run(
            command, env={**environment, **more}, capture_output=True, timeout=60, check=False
        )

    @pytest.mark.parametrize("what", ["--help", "check --help", "completion bash"])
    def test_a_reader_that_leaves_early_is_no_error(self, what, environment):
        found = self.ran(f"k {what} | true", environment)
        assert (found.returncode, found.stderr) == (0, b"")

    def test_a_reader_that_leaves_early_does_not_turn_findings_into_well(self, environment):
        found = self.ran(f"k check --from {REFERENCE} | head -1", environment)
        assert (found.returncode, found.stderr) == (1, b"")
        assert found.stdout.startswith(b"sip1: kamailio 5.6.3")

    @pytest.mark.parametrize("what", ["--help", "--version", "check --help", f"check --from {REFERENCE}"])
    def test_a_full_disk_is_one_line_and_exit_2(self, what, environment):
        found = self.ran(f"k {what} > /dev/full", environment)
        assert found.returncode == 2
        assert b"standard output: No space left on device" in found.stderr
        assert found.stderr.count(b"\n") == 1

    @pytest.mark.parametrize("what", ["--help", f"check --from {REFERENCE}"])
    def test_a_closed_stdout_is_one_line_and_exit_2(self, what, environment):
        found = self.ran(f"k {what} >&-", environment)
        assert found.returncode == 2
        assert b"standard output is closed" in found.stderr

    def test_with_nothing_to_write_to_the_code_alone_is_right(self, environment):
        assert self.ran("k check --from no-such-file >&- 2>&-", environment).returncode == 2

    def test_an_old_encoding_gets_ascii(self, environment):
        """No character that it lacks ends the report."""
        plain = {
            "LC_ALL": "POSIX",
            "PYTHONUTF8": "0",
            "PYTHONCOERCECLOCALE": "0",
            "PYTHONIOENCODING": "ascii",
        }
        found = self.ran(
            f"k check --from {REFERENCE} --connections 20000 --instance standin", environment, **plain
        )
        assert (found.returncode, found.stderr) == (1, b"")
        assert found.stdout.isascii()
        assert b"#" in found.stdout or b"....." in found.stdout

    def test_no_colour_goes_into_a_pipe_and_lines_fit(self, environment):
        found = self.ran(
            f"k check --from {REFERENCE} --connections 20000", environment, TERM="xterm-256color"
        )
        assert b"\033" not in found.stdout
        wide = [line for line in found.stdout.decode().splitlines() if len(line) > 80]
        assert all(line.strip().startswith(("see: ", "for p in ", "kamcmd ", "nsenter ")) for line in wide)


def test_an_option_of_another_command_is_no_option(capsys):
    assert run(capsys, "record", "-o", "x", "--json").code == 2


def test_the_order_of_options_does_not_matter(capsys):
    one = check(capsys, "--connections", "20000", "--tls", "50", "--nagios")
    other = run(capsys, "check", "--nagios", "--tls", "50", "--connections", "20000", "--from", REFERENCE)
    assert (one.out, one.code) == (other.out, other.code)


def test_parsers_are_made_for_every_command():
    for name in COMMANDS:
        parser, module = runner.parser_of(name)
        assert parser.prog == f"kamtcp {name}"
        assert callable(module.run)
