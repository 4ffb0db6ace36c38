"""Bursts: what the sockets to the workers take at one instant, what more than that does, and what hides it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kamtcp.rehearse.kamailio import Running
from kamtcp.rehearse.scenario import Scenario
from stop_rig import (
    HARD,
    QUEUED,
    agreed_counts,
    burst,
    causes,
    hanging,
    let_off,
    log_of,
    lost,
    overflow,
    predict,
    server,
    settle,
    workers,
)

MANY = 6000
CONFIG = Scenario(tcp_max_connections=8000, tcp_children=4)


@pytest.fixture
def running() -> Iterator[Running]:
    with server(CONFIG, shm_megabytes=256) as found:
        yield found


@pytest.fixture
def logging_server() -> Iterator[Running]:
    with server(CONFIG, shm_megabytes=256, log=True) as found:
        yield found


def test_the_sockets_to_four_hanging_workers_take_what_check_says(
    logging_server: Running, compare: Callable[..., None]
) -> None:
    """Beyond the ceiling tcp main says so once for each connection, so the ceiling can be counted to the last one."""
    prediction = predict(logging_server.pid)
    ceiling = prediction.ceiling("hand-off")
    probed = prediction.verdict.situation.machine.handoff_messages
    assert isinstance(ceiling.limit, int) and isinstance(probed, int)
    assert ceiling.limit == 4 * probed
    count = ceiling.limit + 30
    with hanging(workers(prediction)), burst(logging_server, count) as load:
        let_off(load)
        taken = count - log_of(logging_server).count(QUEUED)
    assert agreed_counts(logging_server.pid, 5060, 0) == (0, 0)  # a busy 5.6.3 may take long to end
    compare("burst, 4 workers hanging", prediction, taken, 0.0, name=ceiling.name)


def test_1100_at_one_instant_are_served_without_a_stall(running: Running) -> None:
    assert predict(running.pid).ceiling("hand-off").at >= 1100
    with burst(running, 1100) as load:
        settle(load, running)
        load.stop()
        result = load.result()
    assert causes(result) == {} and not lost(result)
    assert result.load.answered == 1100
    assert result.latency is not None and result.latency.p99 < 1.0


def test_6000_at_one_instant_lose_connections_or_stall(
    logging_server: Running, remark: Callable[[str], None]
) -> None:
    prediction = predict(logging_server.pid)
    assert prediction.ceiling("hand-off").at < MANY / 2
    with burst(logging_server, MANY) as load:
        overflow(logging_server, prediction, load)
        settle(load, logging_server)
        load.stop()
        result = load.result()
    assert result.latency is not None
    failed = causes(result)
    remark(
        f"{MANY:,} at one instant, 4 workers: {result.load.answered:,} answered, not answered {failed or 'none'},"
        f" p50 {result.latency.p50:.2f} s, p99 {result.latency.p99:.2f} s"
    )
    assert failed.keys() <= {"closed_before_answer", "reset"}
    assert failed or result.latency.highest > 4.0


def test_6000_beside_a_trickle_of_new_connections_lose_none(
    logging_server: Running, remark: Callable[[str], None]
) -> None:
    """Each new connection wakes tcp main, which then looks at those that wait."""
    prediction = predict(logging_server.pid)
    with burst(logging_server, MANY, trickle=0.05) as load:
        overflow(logging_server, prediction, load)
        settle(load, logging_server)
        load.stop()
        result = load.result()
    assert result.latency is not None
    remark(
        f"{MANY:,} at one instant beside a new connection each 50 ms, 4 workers: {result.load.answered:,} answered,"
        f" p50 {result.latency.p50:.2f} s, p99 {result.latency.p99:.2f} s"
    )
    assert causes(result) == {} and not lost(result)
    assert result.load.answered == MANY
    assert result.trickle.answered == result.trickle.offered >= 1
    assert result.latency.highest < 4.0


def test_the_descriptor_limit_does_not_bound_what_one_instance_has_in_flight() -> None:
    """Eight hanging workers have room for more descriptors than RLIMIT_NOFILE; tcp main never has that many open.

    The kernel's bound counts by user: a second instance of that user is refused while the first one's workers hang.
    """
    config = Scenario(tcp_max_connections=2048, tcp_children=8)
    with (
        server(config, nofile=(1024, HARD), log=True) as first,
        server(config, nofile=(1024, HARD), log=True) as second,
    ):
        one, other = predict(first.pid), predict(second.pid)
        assert one.ceiling("hand-off").at > 1024 > one.at
        with hanging(workers(one)), burst(first, one.at - 3) as load:
            let_off(load)
            assert QUEUED not in log_of(first) and "send_fd" not in log_of(first)
            with hanging(workers(other)), burst(second, 200) as beside:
                let_off(beside)
                assert "Too many references" in log_of(second)
