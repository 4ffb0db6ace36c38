"""What holds for every ceiling, whatever the facts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kamtcp.capacity.catalogue import ALL, BY_NAME
from kamtcp.capacity.ceiling import MOST, Ceiling
from kamtcp.capacity.ladder import Ladder, blind_spots, build, slows_first, stops
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.rules import findings
from kamtcp.model.absent import UNLIMITED, Absent, Unlimited, Why
from kamtcp.model.instance import Cgroup, SharedMemory
from kamtcp.model.machine import Counters, ListenQueue, PeerUse
from kamtcp.model.origin import Origin
from kamtcp.model.target import Mix
from situations import DENIED, MACHINE_SYSCTLS, NETNS_SYSCTLS, PARAMETERS, situation

SHORT = settings(max_examples=60, deadline=None)

numbers = st.sampled_from(
    [-(2**31), -1, 0, 1, 5, 1024, 20_000, 2**31 - 1, 2**31, 2**63 - 1, 2**64 - 1]
) | st.integers(0, 10**6)
absents = st.sampled_from([DENIED, Absent("it", Why.MISSING), Absent("it", Why.MALFORMED, "detail")])
facts = numbers | absents
limits = facts | st.just(UNLIMITED)
texts = st.sampled_from(
    ["-1", "0", "max", "", "1 2", "1\t2\t3", str(2**64), "9" * 30, "nonsense", "32768 60999", "60999 32768"]
)
shares = st.sampled_from(
    [
        (1.0, 0.0, 0.0, 0.0),
        (0.0, 1.0, 0.0, 0.0),
        (0.0, 0.0, 1.0, 0.0),
        (0.0, 0.0, 0.0, 1.0),
        (0.25, 0.25, 0.25, 0.25),
    ]
)
queues = st.builds(ListenQueue, st.just("::"), st.integers(0, 65535), numbers, numbers, facts, numbers)
pools = st.builds(SharedMemory, numbers, numbers, numbers, numbers, numbers, numbers)
groups = st.builds(Cgroup, st.just("/kam"), limits, facts, limits, facts)


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Any mixture of numbers, reasons and limits, most of it not to be met on any host."""
    process = st.fixed_dictionaries({
        "nofile_soft": limits, "nofile_hard": limits, "descriptors": facts, "highest_descriptor": facts,
        "capabilities": st.just(0) | absents, "uid": facts, "gid": facts, "pkg_used_bytes": facts,
    })  # fmt: skip
    chosen: dict[str, Any] = {
        "main": draw(process), "workers": draw(process),
        "parameters": {
            name: draw(numbers | st.none() | st.sampled_from(["none", "many"])) for name in PARAMETERS
        },
        "sysctls": {
            name: draw(texts | absents | numbers.map(str)) for name in (*NETNS_SYSCTLS, *MACHINE_SYSCTLS)
        },
        "opened": draw(facts), "opened_tls": draw(facts), "shared_memory": draw(pools | absents),
        "cgroup": draw(groups | absents), "listeners": draw(st.lists(queues, max_size=3).map(tuple) | absents),
        "handoff_sndbufs": draw(st.lists(numbers, max_size=3).map(tuple) | absents),
        "handoff_messages": draw(facts), "handoff_sndbuf": draw(facts), "files_max": draw(limits),
        "files_allocated": draw(facts), "memory_available_bytes": draw(facts), "connection_slab_bytes": draw(facts),
        "conntrack_active": draw(st.booleans() | absents), "conntrack_count": draw(facts),
        "clients_per_source": draw(facts), "other_descriptors": draw(facts), "process_count": draw(st.integers(0, 500)),
        "tls_ports": draw(st.sampled_from([(), (5061,)]) | absents), "openssl": draw(st.sampled_from([0, 1, 3]) | absents),
        "version": draw(st.sampled_from(["5.6.3", "5.7.4", "6.1.4", "nonsense", ""]) | absents),
        "outbound": draw(st.just((PeerUse("2001:db8::1", 5060, 7, "::"),)) | st.just(()) | absents),
    }  # fmt: skip
    target: dict[str, Any] = {}
    if draw(st.booleans()):
        target["connections"] = draw(st.integers(1, 2**31))
    if draw(st.booleans()):
        target["rate"] = draw(st.floats(0, 1e7))
        target["active_share"] = draw(st.floats(0, 1))
    if draw(st.booleans()):
        target["outbound"] = {"192.0.2.1:5060": draw(st.integers(0, 2**31))}
        target["clients_per_source"] = draw(st.integers(0, 2**31))
    s = situation(target=target, mix=Mix(*draw(shares), "drawn"), kamailio=draw(st.sampled_from([True, True, True, False])),
                  **chosen)  # fmt: skip
    if draw(st.booleans()):
        s = replace(s, namespace=replace(s.namespace, sockstat=draw(absents | st.just(Counters({})))))
    return s


def height(ceiling: Ceiling) -> float:
    """Unlimited stands above every number; Absent is asked for before."""
    assert not isinstance(ceiling.at, Absent)
    return float("inf") if isinstance(ceiling.at, Unlimited) else ceiling.at


@given(situations())
@SHORT
def test_no_facts_whatever_make_a_ceiling_or_a_finding_raise(s):
    """And what comes out is a number of at least 0, unlimited, or a reason."""
    ladder = build(s)
    for each in ladder.all:
        assert not isinstance(each.limit, int) or 0 <= each.limit <= MOST
        assert not isinstance(each.at, int) or 0 <= each.at <= MOST
        assert isinstance(each.limit, Absent) == isinstance(each.at, Absent)
        assert each.working
        assert each.met in (None, True, False)
    findings(s, ladder)
    blind_spots(ladder, s.target.connections)
    stops(ladder)
    slows_first(ladder)


@given(situations())
@SHORT
def test_the_same_facts_give_the_same_bytes(s):
    """Also when they were stored in between, and when they stand in another order."""
    before = msgspec.json.encode((build(s), findings(s, build(s))))
    stored = msgspec.json.decode(msgspec.json.encode(s), type=Situation)
    turned = replace(
        stored,
        machine=replace(stored.machine, sysctls=dict(reversed(stored.machine.sysctls.items()))),
        namespace=replace(stored.namespace, sysctls=dict(reversed(stored.namespace.sysctls.items()))),
        instance=stored.instance and replace(
            stored.instance, parameters=dict(reversed(stored.instance.parameters.items()))),
    )  # fmt: skip
    assert msgspec.json.encode((build(stored), findings(stored, build(stored)))) == before
    assert msgspec.json.encode((build(turned), findings(turned, build(turned)))) == before


@given(situations())
@SHORT
def test_every_ceiling_is_on_the_ladder_once_and_in_order(s):
    ladder = build(s)
    names = [entry.spec.name for entry in ALL if s.instance is not None or not entry.needs_instance]
    assert sorted(each.name for each in ladder.all) == sorted(names)
    for part in (ladder.held, ladder.rates):
        heights = [height(each) for each in part]
        assert heights == sorted(heights)


SOFT = {Origin.PROBED, Origin.DEFAULT, Origin.REFERENCE, Origin.ASSUMED}
SITUATIONS = {
    "healthy": {},
    "all TLS": {"target": {"connections": 20_000, "tls": 20_000, "rate": 500}},
    "mixed": {"target": {"connections": 20_000, "tls": 100, "wss": 50, "ws": 20, "outbound": {"192.0.2.1:5060": 90}}},
    "capped": {"parameters": {"tcp_accept_iplimit": 100}, "target": {"connections": 20_000, "clients_per_source": 50}},
    "reserved": {"sysctls": {"net.ipv4.ip_local_reserved_ports": "33000-44000"}, "connection_slab_bytes": 9000,
                 "handoff_sndbufs": (4096,), "other_descriptors": 200, "main": {"descriptors": 600}, "parameters": {"shm_megabytes": 4096}},
}  # fmt: skip
FACTS = [
    "opened", "opened_tls", "shared_memory", "cgroup", "listeners", "handoff_sndbufs", "handoff_messages",
    "handoff_sndbuf", "files_max", "files_allocated", "memory_available_bytes", "connection_slab_bytes",
    "conntrack_active", "conntrack_count", "clients_per_source", "other_descriptors", "outbound", "tls_ports", "openssl",
    "version", "unit", "modules",
]  # fmt: skip
TAKEN_AWAY = [
    *({name: DENIED} for name in FACTS),
    *({"sysctls": {name: DENIED}} for name in (*NETNS_SYSCTLS, *MACHINE_SYSCTLS)),
    *({"parameters": {name: None}} for name in PARAMETERS),
    *({who: {name: DENIED}} for who in ("main", "workers")
      for name in ("nofile_soft", "nofile_hard", "descriptors", "capabilities", "pkg_used_bytes")),
]  # fmt: skip


@pytest.mark.parametrize("basis", SITUATIONS.values(), ids=SITUATIONS)
def test_an_absent_input_never_makes_a_ceiling_higher(basis):
    """It becomes absent or stays, or it rests on a softer number from then on, and says so."""
    mix = situation(**basis).mix
    whole = situation(**basis, mix=mix)
    for gone in TAKEN_AWAY:
        merged = dict(basis)
        for key, value in gone.items():
            merged[key] = {**merged[key], **value} if isinstance(value, dict) and key in merged else value
        less = situation(**merged, mix=mix)
        for entry in ALL:
            before, after = entry.compute(whole), entry.compute(less)
            if isinstance(after.at, Absent) or isinstance(before.at, Absent):
                continue
            known = {(figure.what, figure.value) for figure in before.inputs}
            said = any(f.origin in SOFT for f in after.inputs if (f.what, f.value) not in known)
            assert height(after) <= height(before) or said, (gone, entry.spec.name, after.working)


def of_shm(free: int) -> dict[str, Any]:
    return {"shared_memory": SharedMemory(2**64 - 1, free, 0, 0, 0, 0), "memory_available_bytes": 10**9}


def of_group(limit: int) -> dict[str, Any]:
    return {"cgroup": Cgroup("/kam", limit, 1 << 20, limit, 3)}


def of_backlog(backlog: int) -> dict[str, Any]:
    return {"listeners": (ListenQueue("::", 5060, 0, backlog, 0, 1),)}


def of_sysctl(name: str, form: str = "{}") -> Any:
    return lambda value: {"sysctls": {name: form.format(value)}}


def of_parameter(name: str) -> Any:
    return lambda value: {"parameters": {name: value}}


TLS = {"connections": 1000, "tls": 600}
#: what is turned up, the least value that is a limit, the ceilings it raises
SETTINGS = [
    (of_parameter("tcp_max_connections"), 0, ["tcp-max-connections"]),
    (of_parameter("tcp_max_connections_hard"), 0, ["descriptor-table"]),
    (of_parameter("tls_max_connections"), 0, ["tls-max-connections"]),
    (of_parameter("tcp_accept_iplimit"), 1, ["per-source-limit"]),
    (of_parameter("pkg_bytes"), 0, ["private-memory"]),
    (lambda value: {"main": {"nofile_soft": value}}, 0, ["tcp-main-descriptors", "hand-off"]),
    (lambda value: {"workers": {"nofile_soft": value}}, 0, ["worker-descriptors"]),
    (of_sysctl("fs.nr_open"), 0, ["nr-open"]),
    (lambda value: {"files_max": value}, 0, ["file-max"]),
    (of_sysctl("fs.epoll.max_user_watches"), 0, ["epoll-watches"]),
    (of_shm, 0, ["shared-memory", "tls-memory-guard"]),
    (lambda value: {"memory_available_bytes": value}, 0, ["kernel-memory"]),
    (of_sysctl("net.ipv4.tcp_mem", "0 {} 0"), 0, ["tcp-mem"]),
    (of_group, 0, ["cgroup-memory", "cgroup-pids"]),
    (of_sysctl("net.ipv4.tcp_ehash_entries"), 0, ["hash-chains"]),
    (of_sysctl("net.netfilter.nf_conntrack_max"), 1, ["conntrack-table", "conntrack-churn"]),
    (of_sysctl("net.ipv4.tcp_max_orphans"), 0, ["orphans"]),
    (of_sysctl("net.ipv4.ip_local_port_range", "1024 {}"), 0, ["ephemeral-ports", "ephemeral-ports-half", "ephemeral-ports-rate"]),
    (of_backlog, 0, ["accept-queue", "syn-queue"]),
    (lambda value: {"handoff_sndbufs": (value,)}, 0, ["hand-off"]),
    (of_sysctl("net.ipv4.tcp_max_tw_buckets"), 0, ["time-wait-buckets"]),
    (of_sysctl("net.core.netdev_max_backlog"), 0, ["packet-backlog"]),
    (lambda value: {"cpus": value}, 1, ["tls-handshakes"]),
]  # fmt: skip
FIXED = {"accept-rate", "per-source-scan"}  # what raises them is hardware, or the length of a list


@pytest.mark.parametrize(
    ("change", "least", "names"), SETTINGS, ids=lambda each: str(each) if isinstance(each, list) else ""
)
@given(one=st.integers(0, 2**32), more=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_raising_a_setting_never_lowers_its_ceiling(change, least, names, one, more):
    one = max(one, least)
    for name in names:
        low, high = (
            BY_NAME[name].compute(situation(target=TLS, **change(value))) for value in (one, one + more)
        )
        assert height(low) <= height(high)


def test_every_ceiling_with_a_setting_is_among_those():
    assert {name for _, _, names in SETTINGS for name in names} | FIXED == set(BY_NAME)


@given(st.integers(0, 10**9))
@settings(max_examples=40, deadline=None)
def test_a_ladder_is_the_same_whatever_the_target_wants(wanted):
    """A target of plain TCP decides what is met, not where plain ceilings are."""
    plain: Ladder = build(situation(target={"connections": max(1, wanted)}))
    assert {each.name: each.limit for each in plain.held} == {
        each.name: each.limit for each in build(situation()).held
    }
