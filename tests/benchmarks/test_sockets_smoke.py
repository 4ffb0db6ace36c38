"""The benchmarks of reading sockets run to their end, on few sockets."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.mark.netns
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.skipif(not (shutil.which("cc") and shutil.which("ss")), reason="needs cc and ss")
def test_the_census_benchmark_counts_what_c_and_ss_count():
    """2,000 sockets and a listener: everybody who counts them all says 2,001."""
    command = [
        sys.executable,
        HERE / "census.py",
        "--sockets",
        "2000",
        "--repeat",
        "1",
        "--no-slow",
        "--json",
        "-",
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    rows = json.loads(done.stdout)["rows"]
    every = (
        "kamtcp full census",
        "kamtcp full, one thread",
        "kamtcp full, in a new process",
        "C, same dump",
        "ss -tan",
    )
    for name in every:
        assert rows[name]["counted"] == 2001
    assert rows["kamtcp states census"]["counted"] == 2001
    assert rows["kamtcp outbound"]["counted"] == 1000
    assert rows["kamtcp listeners"]["counted"] == 1
