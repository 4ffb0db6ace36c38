"""Limits that Kamailio sets itself, and descriptors: cases of the stop points, workers, hand-off, table, private memory."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from truth_measure import number, until
from truth_row import COUNTS, MEMORY, Outcome, Row

from kamtcp.errors import StandInError
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import Steady
from kamtcp.rehearse.kamailio import Running
from kamtcp.rehearse.scenario import Scenario
from stop_cases import ENCRYPTED, PLAIN, TRIES, WEB, Case
from stop_rig import (
    HARD,
    QUEUED,
    ServerEnded,
    burst,
    causes,
    climb,
    hanging,
    has_ended,
    let_off,
    log_of,
    order,
    predict,
    server,
    settle,
    workers,
)


def climbed(case: Case) -> Outcome:
    """Connections opened until no more are answered; a server that aborts in OpenSSL is tried again."""
    ended = ""
    for _ in range(TRIES):
        try:
            with server(case.config, nofile=case.nofile, user=case.user, log=case.carrier.secure) as running:
                found = climb(
                    running,
                    target=case.target,
                    carrier=case.carrier,
                    answer_timeout=5.0 if case.carrier.secure else 2.0,
                )
        except ServerEnded as end:
            ended = str(end)
            continue
        assert found.empty.name == case.ceiling, f"named {found.empty.name}: {found.empty.binding.working}"
        assert found.client == found.inet_diag == found.tcp_info, "client, inet_diag and core.tcp_info differ"
        assert found.refused and found.refused.keys() <= case.causes, f"it ended with {found.refused}"
        return Outcome(
            found.empty.at, found.client, "connections held",
            "client, inet_diag and core.tcp_info agree", f"beyond it {_told(found.refused)}",
        )  # fmt: skip
    raise ServerEnded(f"aborted in all {TRIES} tries: {ended}")


def hand_off(count: int) -> Outcome:
    """What the sockets to hanging workers take of connections that all send at one instant."""
    return hand_off_of(count, starting=contextlib.nullcontext)


def hand_off_of(count: int, starting: Callable[[], AbstractContextManager[None]]) -> Outcome:
    """The same; `starting` is around the start of the server alone."""
    config = Scenario(tcp_max_connections=8000, tcp_children=count)
    with ExitStack() as stack:
        with starting():
            running = stack.enter_context(server(config, shm_megabytes=256, log=True))
        prediction = predict(running.pid)
        limit = number(prediction.ceiling("hand-off"))
        offered = limit + 30
        with hanging(workers(prediction)), burst(running, offered) as load:
            let_off(load)
            taken = offered - until(lambda: log_of(running).count(QUEUED), 5.0)
    return Outcome(
        limit, taken, "connections at one instant", "workers stopped; tcp main logs each one beyond"
    )


def lower_nofile(pid: int, soft: int) -> None:
    """The soft limit of one process, as its own user may set it (another's needs CAP_SYS_RESOURCE)."""
    owner = os.stat(f"/proc/{pid}").st_uid
    line = ["setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups", "prlimit", f"--pid={pid}"]
    subprocess.run([*line, f"--nofile={soft}:{HARD}"], check=True)


def _links(pid: int) -> set[str]:
    """What the descriptors of a process lead to."""
    found = set()
    for number_ in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(f"/proc/{pid}/fd/{number_}"))
    return found


def worker_descriptors() -> Outcome:
    """Workers with few descriptors; tcp main with many."""
    soft = 200
    with server(Scenario(tcp_max_connections=4000, tcp_children=2), shm_megabytes=128, log=True) as running:
        for pid in workers(predict(running.pid)):
            lower_nofile(pid, soft)
        ceiling = predict(running.pid).ceiling("worker-descriptors")
        limit = number(ceiling)
        with Load(order(running.standin, Steady(limit + 150, 600.0), answer_timeout=3.0)) as load:
            settle(load, running)
            load.stop()
            result = load.result()
        assert "no fd read" in log_of(running), "no worker ran out of descriptors"
    return Outcome(
        limit, result.load.answered, ceiling.unit, f"2 workers of {soft} descriptors, 600 new a second",
        f"beyond it {_told(causes(result))}",
    )  # fmt: skip


def _told(failures: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in failures.items())


def _await_tables(running: Running) -> None:
    """Every worker and tcp main has its tables: a process that could not allocate them never makes its epoll.

    Raises:
        ServerEnded: one had no room, and took the others along.
    """

    def ready() -> bool:
        return (
            sum("anon_inode:[eventpoll]" in _links(pid) for pid in running.children()) >= 5
        )  # of 4 workers and main

    if not until(lambda: has_ended(running) or ready(), 20.0) or has_ended(running):
        raise ServerEnded(log_of(running).partition("CRITICAL")[2].splitlines()[0].strip(" :"))


def private_memory(megabytes: int) -> Outcome:
    """The largest tcp_max_connections with which the server starts, found by halving."""

    def args(top: int) -> dict[str, object]:
        return {"config": Scenario(tcp_max_connections=top), "private_megabytes": megabytes, "log": True}

    with server(**args(1000)) as running:  # type: ignore[arg-type]
        predicted = number(predict(running.pid).ceiling("private-memory"))
    low, high = 1000, 2 * predicted
    refused = ""
    while high - low > predicted // 100:
        middle = (low + high) // 2
        try:
            with server(**args(middle)) as running:  # type: ignore[arg-type]
                _await_tables(running)
                low = middle
        except (StandInError, ServerEnded) as error:
            high, refused = middle, str(error)
    assert refused, "it started with twice of that"
    return Outcome(
        predicted, low, "tcp_max_connections", "start and refusal, halved to 1 %", f"refused: {refused[:160]}"
    )


ROWS = (
    *(Row(re.sub(r"\W+", "-", case.title.lower()).strip("-"), case.title, case.ceiling, case.tolerance, partial(climbed, case))
      for case in (*PLAIN, *ENCRYPTED, *WEB)),
    Row("hand-off-2", "tcp_children=2, all at one instant", "hand-off", COUNTS, partial(hand_off, 2)),
    Row("hand-off-8", "tcp_children=8, all at one instant", "hand-off", COUNTS, partial(hand_off, 8)),
    Row("worker-descriptors", "soft RLIMIT_NOFILE 200 of 2 workers", "worker-descriptors", COUNTS, worker_descriptors),
    Row("private-memory-2", "-M 2, start refused", "private-memory", MEMORY, partial(private_memory, 2)),
    Row("private-memory-8", "-M 8, start refused", "private-memory", MEMORY, partial(private_memory, 8)),
)  # fmt: skip
