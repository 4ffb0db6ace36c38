"""The memory limit of a control group: version 1 met with a real Kamailio, version 2 from files as recorded."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from truth_measure import number, until
from truth_row import MEMORY, NotProven, Outcome, Row, Server

from fake_host import TreeHost
from kamtcp.capacity.held_kernel import cgroup_memory
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import Steady
from kamtcp.loadgen.sources import plan_sources
from kamtcp.rehearse.kamailio import Running
from kamtcp.rehearse.scenario import Scenario
from kamtcp.survey.evidence import cgroups
from situations import situation
from stop_rig import SECOND_BASE, has_ended, order, predict, server, settle, why_it_ended

V1 = Path("/sys/fs/cgroup/memory")
ROOM = 40 << 20  # bytes
SLOW = 400.0  # new connections a second where it gives


@contextmanager
def group() -> Iterator[Path]:
    """A memory group of our own; processes in it must have ended when this is left."""
    place = V1 / f"kamtcp-truth-{os.getpid()}"
    try:
        place.mkdir()
    except OSError as error:
        raise NotProven(
            f"no memory controller of version 1 that can be used here ({error.strerror})"
        ) from error
    try:
        yield place
    finally:
        until(lambda: not (place / "cgroup.procs").read_text(), 20.0)
        place.rmdir()


def version_1() -> Outcome:
    """Kamailio in a group with 40 MiB to spare: it holds connections until one of its processes is killed."""
    with (
        group() as place,
        server(Scenario(tcp_max_connections=18_000), shm_megabytes=400, log=True) as running,
    ):
        for pid in (running.pid, *running.children()):
            (place / "cgroup.procs").write_text(str(pid))
        with Load(order(running.standin, Steady(200, 1000.0))) as load:  # what is charged once, is
            settle(load, running)
            used = int((place / "memory.usage_in_bytes").read_text())
            (place / "memory.limit_in_bytes").write_text(str(used + ROOM))
            prediction = predict(running.pid)
            limit = number(prediction.ceiling("cgroup-memory"))
            assert prediction.name == "cgroup-memory", f"{prediction.name} at {prediction.at}"
            fast = limit * 4 // 5 - 200
            with _more(running, fast, 2500.0, SECOND_BASE) as most:
                settle(most, running)
                with _more(running, limit, SLOW, "127.0.128.1") as last:
                    answered = 0
                    while not has_ended(running) and answered < limit:
                        answered = max(answered, last.progress().answered)
                        time.sleep(0.02)
                told = why_it_ended(running) if has_ended(running) else "it went on"
            killed = (place / "memory.oom_control").read_text().split()[-1]
        assert answered < limit, "it never stopped"
    return Outcome(
        limit, 200 + fast + answered, "connections held", "memory.limit_in_bytes 40 MiB above use: answered when it ended",
        f"{killed} processes killed for memory; {told}",
    )  # fmt: skip


def _more(running: Running, count: int, rate: float, base: str) -> Load:
    """Beside the load that is there; sources of its own."""
    return Load(
        order(running.standin, Steady(count, rate)), sources=plan_sources(count, base=base, avoid=(5060,))
    )


FILES = {
    "/proc/831/cgroup": b"0::/system.slice/kamailio.service\n",
    "/proc/self/mountinfo": b"29 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
    "/sys/fs/cgroup/cgroup.controllers": b"memory pids\n",
    "/sys/fs/cgroup/system.slice/memory.max": b"max\n",
    "/sys/fs/cgroup/system.slice/memory.current": b"900000000\n",
    "/sys/fs/cgroup/system.slice/kamailio.service/memory.max": b"536870912\n",
    "/sys/fs/cgroup/system.slice/kamailio.service/memory.current": b"100000000\n",
    "/sys/fs/cgroup/system.slice/kamailio.service/pids.max": b"max\n",
    "/sys/fs/cgroup/system.slice/kamailio.service/pids.current": b"14\n",
}


def version_2() -> Outcome:
    """memory.max of the service, as its files were; the arithmetic worked by hand."""
    found = cgroup_memory(situation(cgroup=cgroups(TreeHost(FILES), 831)))
    # 400 open + (536,870,912 - 100,000,000) / (4,000 + 5,300) = 400 + 46,975
    return Outcome(
        number(found), 47_375, "connections held", "memory.max and memory.current as recorded; worked by hand"
    )


ROWS = (
    Row("cgroup-v1", "cgroup v1, memory.limit_in_bytes", "cgroup-memory", MEMORY, version_1),
    Row(
        "cgroup-v2",
        "cgroup v2, memory.max",
        "cgroup-memory",
        MEMORY,
        version_2,
        server=Server.RECORDED,
        quick=True,
    ),
)
