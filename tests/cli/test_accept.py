"""check with accept.toml: the screen, the exit code, the plug-in line, JSON; the recorded file and the recorded clock."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from commands import REFERENCE, run

from kamtcp.diagnose.accepting import today
from kamtcp.record.archive import Recording, load, write
from kamtcp.record.recorded import samples
from kamtcp.survey import accepted

FATAL = ("FDS001",)


def codes(capsys, *, severity=("fatal", "high", "medium", "info")):
    found = json.loads(run(capsys, "check", "--from", REFERENCE, "--json").out)
    return sorted(
        {f["code"] for row in found["judged"] for f in row["findings"] if f["severity"] in severity}
    )


def file(codes, until=""):
    return "".join(f'[[accept]]\ncode = "{each}"\nreason = "known since spring"\n{until}\n' for each in codes)


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A recording of the reference host with this accept.toml on it."""
    monkeypatch.setattr(accepted, "ACCEPT_FILE", "/etc/kamtcp/accept.toml")

    def make(text: str) -> str:
        made = load(REFERENCE)
        samples = [
            {**sample, ("", "read", "/etc/kamtcp/accept.toml"): text.encode()} for sample in made.samples
        ]
        path = tmp_path / f"recording{len(list(tmp_path.iterdir()))}"
        write(str(path), Recording(made.header, samples))
        return str(path)

    return make


def check(capsys, path, *arguments):
    return run(capsys, "check", "--from", path, *arguments)


def test_all_accepted_is_exit_0_and_everything_is_still_shown(capsys, recorded):
    every = codes(capsys)
    found = check(capsys, recorded(file(every, "until = 2099-01-31")), "--fail-on", "info")
    assert found.code == 0
    assert "findings: none but accepted ones" in found.out
    assert " ".join(found.out.split()).count("ACCEPTED until 2099-01-31: known since spring (") == len(every)
    for each in every:
        assert f" {each} " in found.out


def test_one_accepted_leaves_the_others(capsys, recorded):
    fatal = codes(capsys, severity=("fatal",))
    assert check(capsys, recorded(file(fatal[:1])), "--fail-on", "fatal").code == int(len(fatal) > 1)
    assert check(capsys, recorded(file(fatal)), "--fail-on", "fatal").code == 0
    assert check(capsys, recorded(file(fatal)), "--fail-on", "info").code == 1


def test_it_expires_by_the_recorded_clock(capsys, recorded):
    fatal = codes(capsys, severity=("fatal",))
    found = check(capsys, recorded(file(fatal, "until = 2001-01-31")), "--fail-on", "fatal")
    assert found.code == 1
    assert "acceptance EXPIRED on 2001-01-31: known since spring" in found.out
    assert "accepted findings, which don't count" not in found.out


def test_the_recorded_day_counts_and_no_other(capsys, recorded):
    fatal = codes(capsys, severity=("fatal",))
    clock = today(samples(load(REFERENCE))[-1].reader().realtime)
    last = check(capsys, recorded(file(fatal, f"until = {clock}")), "--fail-on", "fatal")
    gone = check(capsys, recorded(file(fatal, f"until = {clock - timedelta(days=1)}")), "--fail-on", "fatal")
    assert (last.code, gone.code) == (0, 1)


def test_the_plug_in_says_how_many_and_is_not_critical_for_them(capsys, recorded):
    fatal = codes(capsys, severity=("fatal",))
    found = check(capsys, recorded(file(fatal)), "--nagios", "--fail-on", "fatal")
    assert found.code == 0
    assert found.out.startswith("KAMTCP OK - ")
    assert f"{len(fatal)} accepted |" in found.out


class TestAFileThatIsWrong:
    BROKEN = '[[accept]]\ncode = "FDS001"\nreason = ""\n'

    def test_it_hides_nothing_is_said_first_and_is_never_exit_0(self, capsys, recorded):
        every = codes(capsys)
        found = check(capsys, recorded(self.BROKEN), "--fail-on", "fatal")
        assert found.code == 1
        assert found.out.startswith(
            "WARNING: /etc/kamtcp/accept.toml:3: reason: expected a text that is not empty"
        )
        assert all(f" {each} " in found.out for each in every)
        rest = check(capsys, recorded(file(every) + self.BROKEN), "--fail-on", "info")
        assert rest.code == 3

    def test_the_plug_in_says_unknown(self, capsys, recorded):
        found = check(capsys, recorded(file(codes(capsys)) + self.BROKEN), "--nagios", "--fail-on", "info")
        assert found.code == 3
        assert "could not use: /etc/kamtcp/accept.toml:" in found.out

    def test_an_unknown_code_has_a_suggestion(self, capsys, recorded):
        found = check(capsys, recorded(file(["FDS0O1"])))
        assert (
            "WARNING: /etc/kamtcp/accept.toml:1: no finding has the code 'FDS0O1'; did you mean FDS001?"
            in " ".join(found.out.split())
        )


def test_what_matches_nothing_is_one_line(capsys, recorded):
    absent = next(each for each in ("CFG001", "FDS003") if each not in codes(capsys))
    found = check(capsys, recorded(file([absent])))
    assert f"accepted in /etc/kamtcp/accept.toml, but not found here: {absent} (line 1)" in " ".join(
        found.out.split()
    )


def test_json_carries_it(capsys, recorded):
    fatal = codes(capsys, severity=("fatal",))
    found = json.loads(check(capsys, recorded(file([*fatal, "CFG001"])), "--json").out)
    assert found["schema"] == "kamtcp-check/2"
    marked = {f["code"]: f["acceptance"] for f in found["judged"][0]["findings"]}
    assert marked[fatal[0]] == {
        "reason": "known since spring", "until": None, "where": "/etc/kamtcp/accept.toml:1", "in_force": True,
    }  # fmt: skip
    assert None in marked.values()
    assert found["acceptances"]["file"] == "/etc/kamtcp/accept.toml"
    assert [each["code"] for each in found["acceptances"]["unmatched"]] == ["CFG001"]


class TestTheOption:
    def test_a_file_of_ones_own(self, capsys, tmp_path):
        (tmp_path / "mine.toml").write_text(file(codes(capsys, severity=("fatal",))))
        found = run(
            capsys,
            "check",
            "--from",
            REFERENCE,
            "--fail-on",
            "fatal",
            "--accept",
            str(tmp_path / "mine.toml"),
        )
        assert found.code == 0

    def test_one_that_is_not_there_is_one_line(self, capsys, tmp_path):
        found = run(capsys, "check", "--from", REFERENCE, "--accept", str(tmp_path / "none"))
        assert (found.code, found.out) == (2, "")
        assert found.err == f"kamtcp check: --accept {tmp_path}/none: no such file\n"

    def test_a_directory_hides_nothing(self, capsys, tmp_path):
        found = run(capsys, "check", "--from", REFERENCE, "--accept", str(tmp_path))
        assert found.code == 1
        assert " ".join(found.out.split()).startswith(f"WARNING: {tmp_path}: Is a directory")


def test_control_characters_of_the_file_are_escaped(capsys, recorded):
    text = '[[accept]]\ncode = "FDS001"\nreason = "a\\u001b[2Jb"\n'
    found = check(capsys, recorded(text))
    assert "\x1b" not in found.out
    assert "\\u001b[2Jb" in found.out


@pytest.mark.parametrize("columns", ["60", "80"])
def test_it_fits_the_screen(columns, capsys, recorded, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    text = file([*codes(capsys), "CFG001"], "until = 2099-01-31") + "[[accept]]\ncode = 3\nreason = 'x'\n"
    found = check(capsys, recorded(text))
    marked = [line for line in found.out.splitlines() if "ccept" in line.lower() and "see: " not in line]
    assert len(marked) > 3
    assert all(len(line) <= int(columns) for line in marked)
