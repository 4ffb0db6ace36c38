from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_host import ThisHost, TreeHost
from kamtcp.model.absent import Why
from kamtcp.observe import namespaces, processes
from kamtcp.observe.kernel_text import text


def test_a_recorded_process(linux_6_18):
    found = processes.collect(linux_6_18, 831)
    assert (found.stat.pid, found.stat.comm, found.stat.ppid, found.stat.threads) == (831, "kamailio", 1, 1)
    assert found.status.ns_pids == (831,)
    assert found.status.cap_effective == 0x1FFFEFFFFFF
    assert isinstance(found.status.cap_bounding, int)
    assert found.schedstat.slices > 0


def test_an_old_kernel_lacks_ns_pids_and_schedstat(linux_3_10):
    found = processes.collect(linux_3_10, 831)
    assert found.status.uids == (105,) * 4
    assert found.status.vm_rss_bytes == 9000 * 1024
    assert found.status.ns_pids.why is Why.MISSING
    assert found.schedstat.why is Why.MISSING
    assert (found.stat.utime_ticks, found.stat.stime_ticks, found.stat.starttime_ticks) == (120, 340, 5000)


def test_a_kernel_thread_has_no_resident_memory():
    data = b"Name:\tkthreadd\nThreads:\t1\nUid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n"
    assert processes.parse_status(data).vm_rss_bytes.why is Why.MISSING


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=15).filter(lambda name: b"\0" not in name))
def test_a_name_may_hold_anything(comm):
    """Parentheses, blanks, newlines, and what looks like the fields after it."""
    data = (
        b"831 (" + comm + b") S 1 831 831 0 -1 4202816 2500 0 0 0 120 340 0 0 20 0 1 0 5000 307200000 2250\n"
    )
    found = processes.parse_stat(data)
    assert (found.comm, found.ppid, found.starttime_ticks) == (text(comm), 1, 5000)


def test_only_numbers_are_processes():
    host = TreeHost({"/proc/1/stat": b"", "/proc/831/stat": b"", "/proc/uptime": b"", "/proc/self/stat": b""})
    assert processes.pids(host) == (1, 831)


def test_a_process_that_is_not_there_is_missing():
    with pytest.raises(FileNotFoundError):
        processes.collect(ThisHost(), 2**22 + 1)


def test_a_real_process_with_a_hostile_name():
    """prctl(PR_SET_NAME) takes any 15 bytes."""
    code = (
        "import ctypes, time\n"
        "ctypes.CDLL(None).prctl(15, b') R 1\\n((', 0, 0, 0)\n"
        "while time.process_time() < 0.1: pass\n"
        "print(flush=True); input()"
    )
    started = time.clock_gettime(time.CLOCK_BOOTTIME)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        found = processes.collect(ThisHost(), child.pid)
        child.communicate(b"\n")
    ticks = os.sysconf("SC_CLK_TCK")
    assert found.stat.comm == ") R 1\n(("
    assert found.stat.ppid == os.getpid()
    assert abs(found.stat.starttime_ticks / ticks - started) < 2
    assert (found.stat.utime_ticks + found.stat.stime_ticks) / ticks >= 0.05
    assert found.schedstat.run_ns >= 100_000_000
    assert found.status.uids == (os.getuid(),) * 4
    assert found.status.vm_rss_bytes > 1 << 20


def test_my_namespaces_are_those_of_os_stat():
    found = namespaces.collect(ThisHost(), os.getpid())
    assert found.net == os.stat("/proc/self/ns/net").st_ino
    assert found.mnt == os.stat("/proc/self/ns/mnt").st_ino


@pytest.mark.netns
def test_a_namespace_of_its_own_has_another_number(in_netns):
    here, there = namespaces.collect(ThisHost(), os.getpid()), in_netns(_my_namespaces)
    assert here.net != there.net
    assert here.pid == there.pid


def _my_namespaces():
    return namespaces.collect(ThisHost(), os.getpid())
