"""Completion scripts: run by a real bash, as it would run them."""

from __future__ import annotations

import re
import subprocess

import pytest
from commands import run

from kamtcp.cli.commands import COMMANDS
from kamtcp.cli.completion import SHELLS, script


def completed(*words: str, folder: str = "/") -> list[str]:
    """What bash offers for the last of these words."""
    quoted = " ".join(f"'{word}'" for word in words)
    line = f"""{script("bash")}
complete -p kamtcp >/dev/null || exit 9
COMP_WORDS=({quoted}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_kamtcp kamtcp "${{COMP_WORDS[COMP_CWORD]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "--norc", "-u", "-c", line], capture_output=True, check=False, timeout=20, cwd=folder
    )
    assert (done.returncode, done.stderr) == (0, b""), done.stderr
    return done.stdout.decode().split()


def test_the_first_word_is_a_command():
    assert set(completed("kamtcp", "")) == {*COMMANDS, "--help", "--version"}
    assert completed("kamtcp", "ch") == ["check"]


def test_options_are_those_of_the_command():
    assert completed("kamtcp", "check", "--conn") == ["--connections"]
    assert "--interval" in completed("kamtcp", "record", "--")
    assert "--interval" not in completed("kamtcp", "check", "--")
    assert set(completed("kamtcp", "completion", "")) >= set(SHELLS)


def test_a_value_may_be_a_file(tmp_path):
    (tmp_path / "host.kamtcp").touch()
    assert completed("kamtcp", "check", "--from", "ho", folder=str(tmp_path)) == ["host.kamtcp"]


def test_every_option_of_the_help_is_offered(capsys):
    for name in COMMANDS:
        offered = completed("kamtcp", name, "--")
        said = run(capsys, name, "--help").out
        options = set(re.findall(r"^ +(?:-\w, |-\w \w+, )?(--[a-z-]+)", said, re.MULTILINE))
        assert options
        assert options <= set(offered)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_the_script_of_each_shell(shell, capsys):
    found = run(capsys, "completion", shell)
    assert (found.code, found.err) == (0, "")
    for name in COMMANDS:
        assert name in found.out
    assert ("complete -c kamtcp" in found.out) == (shell == "fish")
    assert found.out.startswith("autoload") == (shell == "zsh")
