"""Names and texts that other users chose reach the terminal escaped, and JSON stays JSON."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys

import pytest

from kamtcp.cli import highest, out, state
from kamtcp.cli.wrap import Screen
from kamtcp.diagnose.see import quoted

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202etxt\x7f\r\0\ud800\U000e0041"


def test_control_characters_are_escaped_and_our_own_styles_stay():
    screen = Screen(80, colour=True, unicode=True)
    text = out.harmless(f"{screen.style('Stops', 'red')} at {HOSTILE}\nnext ▌ é\n", styles=True)
    assert text.startswith("\x1b[31mStops\x1b[0m at \\u001b]0;owned\\u0007\\u001b[2J")
    assert text.endswith("\nnext ▌ é\n")
    assert set(text) - {"\n", "\x1b"} <= {each for each in text if each.isprintable()}
    assert text.count("\x1b") == 2
    assert "\x1b" not in out.harmless(text, styles=False)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "iso8859-1"])
def test_a_document_stays_json_whatever_the_encoding(monkeypatch, encoding):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    name = HOSTILE.replace("\ud800", "") + "é▌"
    out.say(json.dumps({"name": name}, ensure_ascii=False) + "\n")
    assert json.loads(raw.getvalue().decode(encoding)) == {"name": name}


def test_a_complaint_has_no_styles_of_others(capsys):
    out.complain("kamtcp check: \x1b[31m/x\x1b[0m: no such recording")
    assert capsys.readouterr().err == "kamtcp check: \\u001b[31m/x\\u001b[0m: no such recording\n"


@pytest.mark.parametrize(
    "path", ["/etc/k.cfg", "/tmp/a;reboot", "/tmp/$(id)", "/tmp/it's", "/tmp/a\n rm -rf /", "/tmp/\x1b'\\é"]
)
def test_a_path_is_one_word_of_a_shell_line_and_one_line(path):
    word = quoted(path)
    assert word.isprintable()
    shown = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
    assert shown == path.encode()
    assert path != "/etc/k.cfg" or word == shlex.quote(path) == path


def test_the_state_is_not_written_through_a_link(tmp_path, monkeypatch):
    """Whoever may write to the directory could have laid links in wait under every pid."""
    from types import SimpleNamespace

    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr(highest, "FILE", str(tmp_path / "highest.json"))
    monkeypatch.setattr(state.os, "getpid", lambda: 7)
    (tmp_path / "highest.json.7").symlink_to(victim)
    seen = SimpleNamespace(instances=[SimpleNamespace(name="kamailio", opened=5)])
    host = SimpleNamespace(read=lambda path, limit: open(path, "rb").read())  # noqa: SIM115
    highest.keep(host, seen)
    assert victim.read_text() == "precious"
    assert json.loads((tmp_path / "highest.json").read_text()) == {"kamailio": 5}
