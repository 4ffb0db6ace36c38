"""A long recording survives the end of its session, and finds out at once that it could not be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from commands import run

from kamtcp.record.archive import load


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_samples_taken_so_far_are_kept(tmp_path, number):
    path = tmp_path / "r"
    line = [sys.executable, "-m", "kamtcp", "record", "-o", str(path), "--count", "1000", "--interval", "0.1"]
    recording = subprocess.Popen(line, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "src"})
    time.sleep(2.5)
    recording.send_signal(number)
    _, said = recording.communicate(timeout=20)
    assert recording.returncode == 0, said
    assert b"are kept" in said
    assert 0 < len(load(path).samples) < 1000


def test_a_place_that_can_not_be_written_is_named_before_the_first_sample(tmp_path, capsys):
    began = time.monotonic()
    done = run(capsys, "record", "-o", str(tmp_path / "no/r"), "--count", "10", "--interval", "5")
    assert done.code == 2
    assert "can't be written" in done.err
    assert time.monotonic() - began < 4
