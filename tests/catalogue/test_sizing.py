"""Sizes: what is proposed is enough. Put into the situation, the ceiling it belongs to is met."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kamtcp.capacity import needs
from kamtcp.capacity.catalogue import BY_NAME
from kamtcp.catalogue.size import Size
from kamtcp.catalogue.sizing import SIZES
from kamtcp.model.absent import UNLIMITED, Absent, Why
from kamtcp.model.instance import Cgroup, SharedMemory
from situations import DENIED, listener, process, situation

UNSEEN = Absent("value", Why.DENIED, "EACCES")
BIG = {"connections": 300_000, "rate": 5000.0, "outbound": {"192.0.2.9:5060": 20_000}}


def size(name: str, now: Any = UNSEEN, **changes: Any) -> Size:
    found = SIZES[name](situation(**{"target": BIG, **changes}), now)
    assert isinstance(found, Size), found
    return found


def met(ceiling: str, **changes: Any) -> bool | None:
    return BY_NAME[ceiling].compute(situation(**{"target": BIG, **changes})).met


SMALL_POOL = SharedMemory(64 << 20, 60 << 20, 2 << 20, 4 << 20, 8 << 20, 10)


class TestTheProposedValueIsEnough:
    def test_descriptors(self):
        need = int(size("nofile", 1024).value)
        assert met("tcp-main-descriptors", main={"nofile_soft": need}) is True
        assert met("tcp-main-descriptors", main={"nofile_soft": 1024}) is False

    def test_tcp_max_connections(self):
        need = int(size("tcp_max_connections", 2048).value)
        hard = {"tcp_max_connections": need, "tcp_max_connections_hard": need}
        assert met("tcp-max-connections", parameters=hard) is True
        assert met("descriptor-table", parameters=hard) is True

    def test_tcp_max_connections_with_threads(self):
        threads = {"tcp_main_threads": 1}
        need = int(size("tcp_max_connections", 2048, parameters=threads).value)
        assert need == needs.with_spare(300_000) + 28

    def test_tls_max_connections(self):
        target = {"connections": 300_000, "tls": 90_000, "wss": 9_000}
        need = int(size("tls_max_connections", 2048, target=target).value)
        assert met("tls-max-connections", target=target, parameters={"tls_max_connections": need}) is True

    @pytest.mark.parametrize(
        "target", [{"connections": 300_000}, {"connections": 30_000, "tls": 20_000, "ws": 5000}]
    )
    def test_shared_memory(self, target):
        need = int(size("shm", 64, target=target, shared_memory=SMALL_POOL).value) << 20
        pool = replace(SMALL_POOL, total=need, free=SMALL_POOL.free + need - SMALL_POOL.total)
        assert met("shared-memory", target=target, shared_memory=pool) is True
        assert met("tls-memory-guard", target=target, shared_memory=pool) in (True, None)
        assert met("shared-memory", target=target, shared_memory=SMALL_POOL) is False

    def test_private_memory(self):
        need = int(size("pkg", 8).value) << 20
        assert met("private-memory", parameters={"pkg_bytes": need}) is True
        assert met("private-memory", parameters={"pkg_bytes": 8 << 20}) is False

    def test_workers(self):
        need = int(size("tcp_children", 4).value)
        one = situation(target=BIG)
        more = tuple(process(900 + at, one.workers[0].role) for at in range(need))
        many = tuple(each for each in one.require().processes if each.role is not more[0].role) + more
        ceiling = BY_NAME["hand-off"].compute(situation(target=BIG, processes=many))
        assert ceiling.met is True
        assert met("hand-off") is False

    def test_send_buffer_instead_of_workers(self):
        need = int(size("wmem_default", 212_992).value)
        assert met("hand-off", handoff_sndbufs=(need,) * 4) is True

    def test_accept_queue(self):
        need = int(size("somaxconn", 4096).value)
        assert need == 8192
        assert met("accept-queue", listeners=(listener(5060, backlog=need),)) is True
        assert size("listen_backlog", 1024).value == "8192"

    def test_machine_wide_tables(self):
        assert met("nr-open", sysctls={"fs.nr_open": size("nr_open", 1024).value}) is True
        assert met("file-max", files_max=int(size("file_max", 6000).value)) is True
        watches = size("epoll_watches", 1000).value
        assert met("epoll-watches", sysctls={"fs.epoll.max_user_watches": watches}) is True
        orphans = size("max_orphans", 1000).value
        assert met("orphans", sysctls={"net.ipv4.tcp_max_orphans": orphans}) is True

    def test_conntrack(self):
        need = size("conntrack_max", 1000).value
        found = {"net.netfilter.nf_conntrack_max": need}
        assert met("conntrack-table", sysctls=found) is True
        assert met("conntrack-churn", sysctls=found) is True
        assert int(size("conntrack_buckets", 512, sysctls=found).value) * 2 >= int(need)

    def test_time_wait(self):
        need = size("tw_buckets", 4096).value
        assert need == "450000"
        assert met("time-wait-buckets", sysctls={"net.ipv4.tcp_max_tw_buckets": need}) is True

    def test_ports(self):
        need = size("port_range", 32768)
        assert need.enough is False
        assert met("ephemeral-ports-half", sysctls={"net.ipv4.ip_local_port_range": need.value}) is True
        assert met("ephemeral-ports-half") is False

    def test_tcp_mem(self):
        target = {"connections": 3_000_000, "active_share": 0.5}
        need = size("tcp_mem", 100_000, target=target)
        assert need.enough is False
        assert met("tcp-mem", target=target, sysctls={"net.ipv4.tcp_mem": need.value}) is True
        first, second, third = map(int, need.value.split())
        assert first < second < third
        assert "too small" in need.note

    def test_packets(self):
        target = {"connections": 1000, "rate": 50_000.0}
        need = size("netdev_max_backlog", 1000, target=target).value
        assert met("packet-backlog", target=target, sysctls={"net.core.netdev_max_backlog": need}) is True

    def test_hash_buckets(self):
        target = {"connections": 3_000_000}
        need = size("thash_entries", UNSEEN, target=target).value
        assert met("hash-chains", target=target, sysctls={"net.ipv4.tcp_ehash_entries": need}) is True

    def test_cgroups(self):
        limited = Cgroup("/k", 1 << 30, 900 << 20, 20, 14)
        need = int(size("memory_max", 1 << 30, cgroup=limited).value)
        assert met("cgroup-memory", cgroup=replace(limited, memory_limit_bytes=need)) is True
        assert met("cgroup-memory", cgroup=limited) is False
        assert int(size("tasks_max", 20, cgroup=limited).value) > 14


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5_000_000), st.integers(0, 200_000), st.sampled_from(sorted(SIZES)))
def test_no_target_makes_a_size_fail_or_go_down(connections, rate, name):
    found = SIZES[name](situation(target={"connections": connections, "rate": float(rate)}), 1000)
    assert isinstance(found, Size | Absent)
    if isinstance(found, Size) and found.enough:
        assert (
            found.value in ("1000", "1", "0", "10") or not found.value.isdigit() or int(found.value) >= 1000
        )


@pytest.mark.parametrize("name", sorted(SIZES))
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"kamailio": False},
        {"kamailio": False, "target": BIG},
        {"target": BIG, "shared_memory": DENIED, "version": DENIED, "cgroup": DENIED, "listeners": DENIED},
        {"target": BIG, "handoff_messages": DENIED, "files_allocated": DENIED, "memory_total_bytes": DENIED},
        {
            "target": BIG,
            "conntrack_active": DENIED,
            "conntrack_count": DENIED,
            "sockstat": {},
            "opened": DENIED,
        },
    ],
)
@pytest.mark.parametrize("now", [UNSEEN, UNLIMITED, 0, -1, 1 << 40])
def test_what_can_not_be_seen_is_said_and_never_guessed(name, changes, now):
    found = SIZES[name](situation(**changes), now)
    assert isinstance(found, Size | Absent)
    if isinstance(found, Absent):
        assert found.detail or found.why not in (Why.NOT_ASKED, Why.MISSING)
    elif isinstance(now, Absent):
        assert found.enough is not True or name in (
            "port_range",
            "reserved_ports",
            "tcp_mem",
            "thash_entries",
        )


def test_a_present_value_that_is_enough_is_left():
    found = size("somaxconn", 65_536)
    assert (found.value, found.enough) == ("65536", True)
    assert size("nofile", UNLIMITED).enough is True


def test_where_nothing_tracks_connections_nothing_is_set():
    for name in ("conntrack_max", "conntrack_buckets", "conntrack_established"):
        found = SIZES[name](situation(target=BIG, conntrack_active=False), 1000)
        assert isinstance(found, Absent)
        assert "no rule of this namespace" in found.detail


def test_the_limit_per_address_follows_the_release():
    assert size("accept_iplimit", 1024).value == "0"
    old = size("accept_iplimit", 1024, version="5.7.4")
    assert (old.value, old.enough) == ("100001", False)
    assert isinstance(SIZES["accept_iplimit"](situation(version="5.6.3"), 1024), Absent)


def test_listening_ports_inside_the_range_are_reserved():
    found = size("reserved_ports", 0, sysctls={"net.ipv4.ip_local_reserved_ports": "40000"},
                 parameters={}, listeners=(listener(5060),))  # fmt: skip
    assert (found.value, found.enough) == ("40000", True)
    wide = {"net.ipv4.ip_local_port_range": "1024\t65535"}
    assert size("reserved_ports", 0, sysctls=wide).value == "5060,5061"


def test_threads_mode_is_for_openssl_3():
    assert size("threads_mode", 0).value == "2"
    assert size("threads_mode", 1).enough is True
    assert isinstance(SIZES["threads_mode"](situation(version="5.6.3"), UNSEEN), Absent)
    assert isinstance(SIZES["threads_mode"](situation(openssl=1), UNSEEN), Absent)


def test_many_websockets_want_a_slower_timer():
    assert size("websocket_interval", 1, target={"connections": 50_000, "ws": 20_000}).value == "30"


def test_a_lifetime_outlasts_the_silence_of_a_live_phone():
    target = {"connections": 1000, "registration_seconds": 3600, "keepalive_seconds": 120}
    assert size("connection_lifetime", 60, target=target).value == "125"


def test_locked_memory_needs_no_limit():
    found = size("memlock", 8 << 20, parameters={"mlock_pages": 1})
    assert (found.value, found.enough) == ("infinity", False)
    assert size("memlock", UNLIMITED, parameters={"mlock_pages": 1}).enough is True


@pytest.mark.parametrize(
    ("value", "power"), [(0, 1), (1, 1), (1.5, 2), (2, 2), (4097, 8192), (1 << 20, 1 << 20)]
)
def test_power_of_two(value, power):
    assert needs.power_of_two(value) == power
