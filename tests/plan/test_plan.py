"""From facts and a target to steps: what is proposed, what never is, and that a plan is enough and ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kamtcp.capacity.ladder import stops
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.lines import numbers
from kamtcp.model.absent import UNLIMITED
from kamtcp.model.instance import SharedMemory, Unit
from kamtcp.model.machine import PeerUse
from kamtcp.plan.outcome import Plan, plan
from kamtcp.plan.steps import Layer, Step
from situations import DENIED, NO_UNIT, situation

UNIT = Unit("kamailio.service", DENIED, DENIED, "", 4915)
TARGET = {"connections": 15_000, "rate": 500}
#: Debian's package as it comes: 64 MB, soft limit 1024
STOCK: dict[str, Any] = {
    "main": {"nofile_soft": 1024}, "workers": {"nofile_soft": 1024}, "unit": UNIT, "opened": 0,
    "shared_memory": SharedMemory(64 << 20, 63_900_000, 3_200_000, 3_200_000, 3_200_000, 10),
    "parameters": {"tcp_max_connections": 2048, "tcp_max_connections_hard": 2048},
}  # fmt: skip


def planned(**changes: Any) -> Plan:
    return plan(situation(**{**STOCK, "target": TARGET, **changes}))


def step(found: Plan, name: str, layer: Layer | None = None) -> Step:
    return next(each for each in found.steps if each.name == name and layer in (None, each.layer))


def names(found: Plan) -> list[str]:
    return [each.name for each in found.steps]


def test_a_stock_host_gets_the_steps_that_its_target_needs_and_no_other():
    found = planned()
    assert names(found) == [
        "RLIMIT_NOFILE", "LimitNOFILE", "tcp_max_connections", "include_file", "SHM_MEMORY", "Kamailio",
    ]  # fmt: skip
    assert (step(found, "tcp_max_connections").now, step(found, "tcp_max_connections").then) == (
        "2048",
        "16500",
    )
    assert found.met is True
    assert found.hosts == 1
    first = stops(found.solution.ladder_after)[0]
    assert isinstance(first.at, int)
    assert first.at >= 15_000


def test_a_host_that_holds_its_target_gets_no_step():
    found = plan(situation(target=TARGET))
    assert (found.steps, found.met) == ((), True)


class TestNeverLower:
    def test_the_hard_limit_of_the_drop_in_is_not_below_the_one_in_force(self):
        assert step(planned(), "LimitNOFILE").then == f"{16_500 + 5 * 14 + 64}:524288"
        unlimited = planned(main={"nofile_soft": 1024, "nofile_hard": UNLIMITED})
        assert step(unlimited, "LimitNOFILE").then.endswith(":infinity")
        unit = Unit("kamailio.service", 1024, 1_000_000, "/etc/x.conf:2", 4915)
        assert step(planned(unit=unit), "LimitNOFILE").then.endswith(":1000000")

    def test_a_unit_that_allows_more_keeps_its_soft_limit(self):
        unit = Unit("kamailio.service", 200_000, 300_000, "/etc/x.conf:2", 4915)
        assert step(planned(unit=unit), "LimitNOFILE").then == "200000:524288"

    def test_each_number_of_tcp_mem_keeps_its_height(self):
        low = planned(sysctls={"net.ipv4.tcp_mem": "90000 100 400000"}, target={"connections": 100_000})
        found = step(low, "net.ipv4.tcp_mem", Layer.SYSCTL)
        assert found.now == "90000 100 400000"
        assert all(a >= b for a, b in zip(numbers(found.then), numbers(found.now), strict=True))

    def test_what_could_not_be_seen_is_not_set_blindly(self):
        found = planned(main={"nofile_soft": DENIED})
        assert "LimitNOFILE" not in names(found)
        assert found.met is None
        assert any("tcp-main-descriptors" in each for each in found.unseen)

    def test_the_read_buffer_is_never_touched(self):
        assert not any("rd_buf" in each.name for each in planned(target={"connections": 10_000_000}).steps)


class TestWhoseToChange:
    def test_the_machines_keys_are_not_a_namespaced_hosts_to_change(self):
        found = planned(away=True, sysctls={"fs.epoll.max_user_watches": "2000"})
        assert "fs.epoll.max_user_watches" not in names(found)
        assert [each.name for each in found.elsewhere] == ["fs.epoll.max_user_watches"]
        assert found.met is False
        assert [each.name for each in found.short] == ["epoll-watches"]
        assert found.hosts is not None
        assert found.hosts > 1
        home = planned(sysctls={"fs.epoll.max_user_watches": "2000"})
        assert (home.elsewhere, home.met) == ((), True)
        assert (
            step(home, "fs.epoll.max_user_watches", Layer.SYSCTL_FILE).place == "/etc/sysctl.d/60-kamtcp.conf"
        )

    def test_the_namespaces_own_key_is_set_inside_it_and_in_no_file_of_the_machine(self):
        target = {**TARGET, "outbound": {"192.0.2.9:5060": 14_200}}
        name, sysctls = "net.ipv4.ip_local_port_range", {"net.ipv4.ip_local_port_range": "40000 50000"}
        inside = [
            each for each in planned(target=target, sysctls=sysctls, away=True).steps if each.name == name
        ]
        assert [(each.layer, each.then) for each in inside] == [(Layer.SYSCTL, "10000 65535")]
        assert inside[0].line == f"nsenter -t 812 -n sysctl -w '{name}=10000 65535'"
        home = [each.layer for each in planned(target=target, sysctls=sysctls).steps if each.name == name]
        assert home == [Layer.SYSCTL, Layer.SYSCTL_FILE]

    def test_without_systemd_it_is_kamailios_parameter_and_the_starters_option(self):
        found = planned(unit=NO_UNIT)
        assert step(found, "open_files_limit").layer is Layer.FRAGMENT
        assert step(found, "-m").layer is Layer.STARTER

    def test_above_the_hard_limit_open_files_limit_would_keep_it_from_starting(self):
        limits = {"nofile_soft": 1024, "nofile_hard": 4096}
        found = planned(unit=NO_UNIT, main=limits, workers=limits)
        assert "open_files_limit" not in names(found)
        assert step(found, "LimitNOFILE").layer is Layer.STARTER

    @pytest.mark.parametrize(
        "name", ["../../etc/shadow.service", "a b.service", "x;reboot.service", "é.service", ""]
    )
    def test_a_unit_whose_name_is_no_file_name_gets_no_drop_in(self, name):
        found = planned(unit=Unit(name, DENIED, DENIED, "", 4915))
        assert not any(each.layer is Layer.UNIT for each in found.steps)
        assert not any(name and name in each.place for each in found.steps)


def test_without_kamailio_the_hosts_part_is_planned():
    found = plan(situation(kamailio=False, files_max=6000, sysctls={"fs.file-max": "6000"}, target=TARGET))
    assert [each.name for each in found.steps] == ["fs.file-max", "fs.file-max"]
    assert found.met is True


def test_workers_memory_and_the_guard_of_tls_are_solved_together():
    """Six thousand at an instant take 22 workers, each with its own part of what TLS wants left."""
    found = planned(target={"connections": 15_000, "tls": 15_000, "rate": 6000}, opened_tls=0)
    after = found.solution.after
    assert len(after.workers) == -(-6000 // 278)
    guard = next(each for each in found.solution.ladder_after.all if each.name == "tls-memory-guard")
    assert guard.met is True
    assert f"x {after.require().process_count} processes" in guard.working


def test_what_memory_can_not_hold_is_said_and_how_many_hosts_would():
    """And the pool that is proposed fits in the memory there is, whatever was wished for."""
    available = 200_000_000
    found = planned(memory_available_bytes=available)
    assert found.met is False
    assert "kernel-memory" in [each.name for each in found.short]
    assert found.reach is not None
    assert 5_000 < found.reach < 15_000
    assert found.hosts == -(-15_000 // found.reach)
    assert int(step(found, "SHM_MEMORY").then) << 20 < available
    assert planned(memory_available_bytes=available, target={"connections": found.reach}).met is True


@st.composite
def hosts(draw: st.DrawFn) -> Situation:
    """Hosts of many kinds, and what somebody may want of them."""
    soft = draw(st.sampled_from([256, 1024, 4096, 65_536, 524_288]))
    hard = draw(st.sampled_from([soft, 524_288, 1 << 20]))
    limits = {"nofile_soft": soft, "nofile_hard": max(soft, hard)}
    most = draw(st.sampled_from([100, 2048, 20_000, 300_000]))
    connections = draw(st.integers(1, 400_000))
    tls = draw(st.sampled_from([0, connections // 3, connections]))
    megabytes = draw(st.sampled_from([32, 64, 1024, 8192]))
    target = {"connections": connections, "tls": tls, "rate": draw(st.sampled_from([None, 10, 500, 20_000])),
              "outbound": draw(st.sampled_from([{}, {"192.0.2.9:5060": min(connections, 20_000)}]))}  # fmt: skip
    sysctls = {
        "fs.nr_open": draw(st.sampled_from(["1024", "1048576"])),
        "fs.epoll.max_user_watches": draw(st.sampled_from(["500", "2000000"])),
        "net.ipv4.tcp_mem": draw(st.sampled_from(["10 20 30", "90000 100 400000", "100000 200000 400000"])),
        "net.netfilter.nf_conntrack_max": draw(st.sampled_from(["0", "4096", "1000000"])),
        "net.core.somaxconn": draw(st.sampled_from(["128", "4096"])),
        "net.ipv4.tcp_max_orphans": draw(st.sampled_from(["10", "131072"])),
        "net.core.netdev_max_backlog": draw(st.sampled_from(["10", "1000"])),
        "net.ipv4.tcp_max_tw_buckets": draw(st.sampled_from(["10", "131072"])),
    }
    return situation(
        main=limits, workers=limits, target=target, sysctls=sysctls, opened=0, away=draw(st.booleans()),
        kamailio=draw(st.sampled_from([True, True, True, False])), unit=draw(st.sampled_from([UNIT, NO_UNIT])),
        parameters={"tcp_max_connections": most, "tcp_max_connections_hard": most, "tcp_max_connections_file": most},
        shared_memory=SharedMemory(megabytes << 20, (megabytes << 20) - 4_000_000, 4_000_000, 4_000_000, 4_000_000, 9),
        outbound=draw(st.sampled_from([(), (PeerUse("192.0.2.9", 5060, 9, "192.0.2.1"),)])),
        memory_available_bytes=draw(st.sampled_from([10**8, 10**10])),
    ) if draw(st.booleans()) else situation(target=target, sysctls=sysctls)  # fmt: skip


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(hosts())
def test_a_plan_never_lowers_ends_and_says_why(s: Situation):
    found = plan(s)
    for each in found.steps:
        assert all((each.why, each.when, each.undo, each.risk, each.memory, each.then)), each
        assert each.answers, each
        assert each.then != each.now, each
        if each.direction == "at least":
            now, then = (numbers(value.replace(":", " ")) for value in (each.now, each.then))
            assert all(a >= b for a, b in zip(then, now, strict=False)), each
    again = plan(found.solution.after)
    assert again.steps == ()
    assert plan(s) == found
    assert found.met is not True or not found.short
