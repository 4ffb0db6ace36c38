"""A stock host, planned for 15,000 connections: what the plan foretells is what the host then says of itself."""

from __future__ import annotations

import os
import re

import pytest

from kamtcp.diagnose.verdict import judge
from kamtcp.host.live import Live
from kamtcp.model.target import Target
from kamtcp.plan.outcome import Plan, binding, plan
from kamtcp.rehearse.kamailio import Running, packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from kamtcp.survey.take import take

pytestmark = [
    pytest.mark.kamailio,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of a stand-in host need root"),
    pytest.mark.skipif(
        packages_root() is None,
        reason="no Kamailio: run scripts/fetch_packages.py or set KAMTCP_KAMAILIO_ROOT",
    ),
]
TARGET = Target(connections=15_000, rate=500)
WANTED = 15_000


def planned(running: Running) -> Plan:
    snapshot = take(Live(), only=str(running.pid))
    instance = next(each for each in snapshot.instances if each.attendant == running.pid)
    return plan(judge(snapshot, instance, TARGET).situation)


def test_the_host_that_was_planned_holds_the_target_and_nothing_more_is_to_be_done():
    with StandIn(packages_root(), name="planned") as host:
        with start_kamailio(host, config=Scenario()) as stock:
            found = planned(stock)
        before, after = binding(found.solution.ladder_before), binding(found.solution.ladder_after)
        assert before is not None
        assert after is not None
        assert before.name == "tcp-main-descriptors"
        assert isinstance(before.at, int)
        assert before.at < 1024
        assert isinstance(after.at, int)
        assert after.at >= WANTED
        assert found.met is True
        then = {each.name: each.then for each in found.steps}
        config = Scenario(
            tcp_max_connections=int(then["tcp_max_connections"]),
            open_files_limit=int(then["open_files_limit"]),
        )
        with start_kamailio(host, config=config, args=("-m", then["-m"], "-M", "8")) as changed:
            now = planned(changed)
    assert now.steps == ()
    assert now.met is True
    foretold = {each.name: each.at for each in found.solution.ladder_after.held}
    for each in now.solution.ladder_before.held:
        if each.name in ("tcp-max-connections", "descriptor-table", "tcp-main-descriptors", "shared-memory"):
            told = foretold[each.name]
            assert isinstance(told, int)
            assert isinstance(each.at, int)
            assert abs(told - each.at) <= 0.01 * each.at, each.name
    assert re.fullmatch(
        r"for p in [\d ]+; do .*prlimit --pid \$p --nofile=\d+:\d*; done", found.steps[0].line
    )
