from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from fake_host import ThisHost, TreeHost
from kamtcp.errors import ParseError
from kamtcp.model.absent import UNLIMITED, Unlimited, Why
from kamtcp.observe import limits
from kamtcp.observe.limits import Bound


def test_unlimited_is_not_a_number(linux_6_18):
    found = limits.collect(linux_6_18, 831)
    assert found.open_files == Bound(20000, 20000, "files")
    assert found.get("Max cpu time") == Bound(UNLIMITED, UNLIMITED, "seconds")
    assert found.get("Max nice priority") == Bound(0, 0, "")
    assert found.get("Max hopes").why is Why.MISSING


def test_the_largest_limit_fills_its_column():
    """2**64 - 2 is as wide as the column; the next one follows after one blank."""
    line = f"{'Max open files':<25} {2**64 - 2:<20} {2**64 - 2:<20} {'files':<10}\n"
    found = limits.parse(b"Limit                     Soft Limit\n" + line.encode())
    assert found.open_files == Bound(2**64 - 2, 2**64 - 2, "files")


def test_a_process_that_is_being_removed_is_gone():
    """Its file is empty."""
    with pytest.raises(ProcessLookupError):
        limits.collect(TreeHost({"/proc/831/limits": b""}), 831)


def test_a_zombie_on_this_kernel_still_has_limits():
    child = os.fork()
    if child == 0:
        os._exit(0)
    try:
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert limits.collect(ThisHost(), child) == limits.collect(ThisHost(), os.getpid())
    finally:
        os.waitpid(child, 0)


def test_limits_are_those_of_getrlimit():
    found = limits.collect(ThisHost(), os.getpid())
    for name, number in (
        ("Max open files", resource.RLIMIT_NOFILE),
        ("Max stack size", resource.RLIMIT_STACK),
    ):
        pair = tuple(
            -1 if isinstance(value, Unlimited) else value
            for value in (found.get(name).soft, found.get(name).hard)
        )
        assert pair == resource.getrlimit(number)


def test_limits_are_those_of_the_process_asked_about():
    """Lowered in a child: the limits of the reader don't matter, and a live change shows at once."""
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (230, 2300)); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        assert limits.collect(ThisHost(), child.pid).open_files == Bound(230, 2300, "files")
        resource.prlimit(child.pid, resource.RLIMIT_NOFILE, (231, 2300))
        assert limits.collect(ThisHost(), child.pid).open_files.soft == 231
        child.communicate(b"\n")


def test_the_row_of_open_files_is_what_the_whole_table_says(linux_6_18):
    assert limits.open_files(linux_6_18, 831) == limits.collect(linux_6_18, 831).open_files
    with pytest.raises(ParseError):
        limits.parse_open_files(b"Limit   Soft Limit\nMax cpu time   unlimited   unlimited   seconds\n")
