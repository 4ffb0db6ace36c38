"""Each limit on held connections, made the lowest one: check names it and says where it stops."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence

import pytest

from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import Steady
from kamtcp.rehearse.scenario import Scenario
from stop_cases import ENCRYPTED, PLAIN, Case, first_whole
from stop_rig import Climb, ServerEnded, climb, order, predict, server, settle, workers


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
            return climb(running, target=case.target, carrier=case.carrier, answer_timeout=5.0)

    hold_to_prediction(case, first_whole(case.title, one_try, remark), compare)


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
