"""Each limit on held connections, made the lowest one: check names it and says where it stops."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence

import pytest
from msgspec import Struct
from stop_rig import HARD, Climb, ServerEnded, climb, order, predict, server, settle, workers

from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import Steady
from kamtcp.model.target import Target
from kamtcp.rehearse.scenario import Scenario

COUNTS, MEMORY = 0.02, 0.05
TRIES = 3  # of a server that aborts in OpenSSL


class Case(Struct, frozen=True):
    """A server whose lowest ceiling is `ceiling`.

    Args:
        causes: how a client may see that it stopped.
        working: words that the arithmetic shows.
    """

    title: str
    ceiling: str
    tolerance: float
    config: Scenario
    causes: frozenset[str]
    working: tuple[str, ...]
    nofile: tuple[int, int] = (HARD, HARD)
    user: bool = True
    target: Target = Target()
    tls: bool = False


CLOSED = frozenset(("reset", "closed_before_answer"))
NO_TLS = frozenset(("tls", "reset", "closed_before_answer"))
WAITS = frozenset(("no_answer",))

PLAIN = (
    Case(
        "soft RLIMIT_NOFILE 1024", "tcp-main-descriptors", COUNTS, Scenario(tcp_max_connections=2048), WAITS,
        ("1024 (RLIMIT_NOFILE soft of pid",), nofile=(1024, HARD),
    ),
    Case(
        "soft RLIMIT_NOFILE 1024, as root", "tcp-main-descriptors", COUNTS, Scenario(tcp_max_connections=2048), WAITS,
        ("1024 (RLIMIT_NOFILE soft of pid",), nofile=(1024, HARD), user=False,
    ),
    Case(
        "open_files_limit=1500", "tcp-main-descriptors", COUNTS,
        Scenario(tcp_max_connections=4000, open_files_limit=1500), WAITS,
        ("1500 (RLIMIT_NOFILE soft of pid", "from open_files_limit"), nofile=(1024, HARD),
    ),
    Case(
        "tcp_max_connections=2048", "tcp-max-connections", COUNTS, Scenario(tcp_max_connections=2048), CLOSED,
        ("2048 (tcp_max_connections",),
    ),
    Case(
        "-m 64, plain TCP", "shared-memory", MEMORY, Scenario(tcp_max_connections=19000), CLOSED,
        ("16384 (tcp_rd_buf_size)",),
    ),
    Case(
        "-m 64, plain TCP, tcp_rd_buf_size=4096", "shared-memory", MEMORY,
        Scenario(tcp_max_connections=19000, tcp_rd_buf_size=4096), CLOSED, ("4096 (tcp_rd_buf_size)",),
    ),
)  # fmt: skip

ENCRYPTED = (
    Case(
        "tls_max_connections=200", "tls-max-connections", COUNTS, Scenario(tls_port=5061, tls_max_connections=200),
        NO_TLS, ("200 (tls_max_connections",), target=Target(connections=1000, tls=1000), tls=True,
    ),
    Case(
        "TLS low-memory guard, -m 64", "tls-memory-guard", MEMORY, Scenario(tls_port=5061, tls_max_connections=4000),
        NO_TLS, ("low_mem_threshold1",), target=Target(connections=2000, tls=2000), tls=True,
    ),
    Case(
        "TLS low-memory guard, -m 64, RSA key", "tls-memory-guard", MEMORY,
        Scenario(tls_port=5061, tls_max_connections=4000, key="rsa"), NO_TLS, ("low_mem_threshold1",),
        target=Target(connections=2000, tls=2000), tls=True,
    ),
)  # fmt: skip


def titled(cases: Sequence[Case]) -> list[object]:
    return [pytest.param(case, id=case.title) for case in cases]


def hold_to_prediction(case: Case, found: Climb, compare: Callable[..., None]) -> None:
    """The limit is named, it was so before the load, three witnesses agree, and the number is right."""
    assert found.empty.made_at < found.first_connection
    assert found.partly.made_at < found.last_stretch
    for prediction, held in ((found.empty, 0), (found.partly, found.share_held), (found.full, found.client)):
        assert prediction.instance.opened == held
        assert prediction.name == case.ceiling, prediction.binding.working
        assert all(words in prediction.binding.working for words in case.working), prediction.binding.working
        assert not prediction.verdict.blind, prediction.verdict.blind
        compare(case.title, prediction, found.client, case.tolerance)
    assert found.command == (case.ceiling, found.partly.at)
    assert found.client == found.inet_diag == found.tcp_info
    assert found.refused, "it never stopped"
    assert found.refused.keys() <= case.causes


@pytest.mark.parametrize("case", titled(PLAIN))
def test_a_limit_on_plain_connections_is_named_and_met_where_check_says(
    case: Case, compare: Callable[..., None]
) -> None:
    with server(case.config, nofile=case.nofile, user=case.user) as running:
        found = climb(running, target=case.target)
    hold_to_prediction(case, found, compare)


@pytest.mark.parametrize("case", titled(ENCRYPTED))
def test_a_limit_on_tls_is_named_and_met_where_check_says(
    case: Case, compare: Callable[..., None], remark: Callable[[str], None]
) -> None:
    def one_try() -> Climb:
        with server(case.config, nofile=case.nofile, log=True) as running:
            return climb(running, target=case.target, tls=True, answer_timeout=5.0)

    hold_to_prediction(case, first_whole(case.title, one_try, remark), compare)


def first_whole(title: str, one_try: Callable[[], Climb], remark: Callable[[str], None]) -> Climb:
    """This server may abort (OpenSSL 3, no tls_threads_mode): that is told, tried again, and never a match."""
    for number in range(1, TRIES + 1):
        try:
            return one_try()
        except ServerEnded as end:
            remark(f"{title}, try {number} of {TRIES}: {end}")
    pytest.fail(f"{title}: the server aborted in all {TRIES} tries; nothing was compared")


def test_three_aborts_are_a_failure_that_says_so() -> None:
    def aborts() -> Climb:
        raise ServerEnded("server ended with -6")

    told: list[str] = []
    with pytest.raises(pytest.fail.Exception, match="aborted in all 3 tries; nothing was compared"):
        first_whole("TLS", aborts, told.append)
    assert told == [f"TLS, try {number} of 3: server ended with -6" for number in (1, 2, 3)]


def test_a_server_that_ends_under_load_is_told_from_one_that_refuses() -> None:
    """A worker that dies takes the whole server along, as an abort in OpenSSL does."""
    with server(Scenario(), log=True) as running:
        victim = workers(predict(running.pid))[0]
        with Load(order(running.standin, Steady(400, 100.0), answer_timeout=2.0)) as load:
            os.kill(victim, signal.SIGKILL)
            with pytest.raises(ServerEnded, match="exited by a signal 9"):
                settle(load, running)
