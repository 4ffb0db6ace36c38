"""Two filters, each socket in exactly one: by an interpreter of the program here, and by the kernel's."""

import contextlib
import os
import socket
import struct
import subprocess
import threading
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_host import READER
from kamtcp.errors import NotRecorded
from kamtcp.host.live import Live
from kamtcp.host.namespaces import NetnsThread, in_new_netns
from kamtcp.observe import census, halves
from kamtcp.record.archive import Header, Recording
from kamtcp.record.recorded import samples
from kamtcp.record.recorder import Recorder

BOUNDS = [bound for pair in halves.IN for bound in pair]
EDGES = [0, 1, 65535, *BOUNDS, *(bound - 1 for bound in BOUNDS)]
PORTS = st.integers(0, 65535) | st.sampled_from(EDGES)
SAME = ("family", "state", "sport", "dport", "src", "dst", "cookie", "uid", "inode")


def accepts(program, sport, dport):
    """inet_diag_bc_run() for the three operations in use; every step has to lead forward."""
    at = 0
    while at < len(program):
        code, yes, no = struct.unpack_from("=BBH", program, at)
        assert yes >= 4
        assert no >= 4
        if code == 1:
            at += no
        else:
            [port] = struct.unpack_from("=H", program, at + 6)
            at += yes if {2: sport, 4: dport}[code] >= port else no
    return at == len(program)


@settings(max_examples=100, deadline=None)
@given(PORTS, PORTS)
def test_any_pair_of_ports_is_in_exactly_one_half(sport, dport):
    inside = [any(first <= port < beyond for first, beyond in halves.IN) for port in (sport, dport)]
    assert accepts(halves.half(1), sport, dport) == (inside[0] != inside[1])
    assert accepts(halves.half(0), sport, dport) == (inside[0] == inside[1])


def test_all_pairs_of_edges_are_in_exactly_one_half():
    programs = halves.half(0), halves.half(1)
    for sport in EDGES:
        for dport in EDGES:
            assert sum(accepts(program, sport, dport) for program in programs) == 1


@pytest.mark.parametrize(
    ("first", "last"), [(32768, 60999), (49152, 65535), (1024, 65535), (10000, 65000), (0, 65535)]
)
def test_each_usual_range_of_ports_is_halved(first, last):
    """Linux, RFC 6335, address translators, a tuned server: at worst 48 to 52."""
    held = sum(len(range(max(first, low), min(last + 1, beyond))) for low, beyond in halves.IN)
    assert 0.48 < held / (last + 1 - first) < 0.52


@pytest.mark.parametrize(
    ("release", "cpus", "expected"),
    [
        ("6.18.0", 2, True),
        ("6.9-rc1", 2, True),
        ("6.12.38+deb13-amd64", 64, True),
        ("6.18.0", 1, False),
        ("6.8.0-45-generic", 8, False),
        ("6.1.0-25-amd64", 8, False),
        ("10.0", 2, True),
        ("", 2, False),
        ("strange", 2, False),
    ],
)
def test_two_dumps_at_once_need_two_cpus_and_a_kernel_without_the_lock(release, cpus, expected):
    assert halves.worthwhile(msgspec.structs.replace(READER, release=release, cpus=cpus)) is expected


class OneCpu(Live):
    def reader(self):
        return msgspec.structs.replace(super().reader(), cpus=1)


class TwoCpus(Live):
    """Two CPUs and a kernel of today, whatever the test runs on; counts what it is asked."""

    def __init__(self):
        self.asked = []

    def reader(self):
        return msgspec.structs.replace(super().reader(), cpus=2, release="6.18.0")

    def netlink(self, protocol, request):
        self.asked.append(request)
        return super().netlink(protocol, request)


def rows(found):
    return sorted(zip(*(getattr(found, name).tolist() for name in SAME), strict=True), key=repr)


def crowd(stack):
    """Both families, mapped ones, five listeners, ports at all edges, six states; held by `stack`."""
    servers = []
    for port in (5060, 5061, 443, 25060, 61000):
        servers.append(stack.enter_context(socket.create_server(("127.0.0.1", port))))
        servers.append(stack.enter_context(socket.create_server(("::1", port), family=socket.AF_INET6)))
    both = socket.create_server(("::", 5080), family=socket.AF_INET6, dualstack_ipv6=True)
    servers.append(stack.enter_context(both))
    for number, server in enumerate(servers):
        address = "127.0.0.1" if server is both else server.getsockname()[0]
        for port in EDGES[2:] if number % 4 == 0 else (0, 0, 0):
            client = stack.enter_context(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.bind((address, port))
            client.connect((address, server.getsockname()[1]))
            stack.enter_context(server.accept()[0])
        client.shutdown(socket.SHUT_WR)  # FIN_WAIT2 and CLOSE_WAIT
    with socket.create_connection(("127.0.0.1", 443)) as gone:  # TIME_WAIT
        pass
    servers[4].accept()[0].close()
    waiting = stack.enter_context(socket.create_server(("127.0.0.1", 7000)))
    waiting.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)  # SYN_RECV
    stack.enter_context(socket.create_connection(("127.0.0.1", 7000)))
    return gone


@pytest.mark.netns
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_the_halves_together_are_one_dump():
    """No socket is missing, none is there twice, and neither half is empty, in the kernel's own words."""

    def inside():
        with contextlib.ExitStack() as stack:
            crowd(stack)
            for _ in range(200):  # a FIN is acknowledged up to 40 ms late: nothing may move between the dumps
                whole = census.collect(OneCpu())
                if not {"FIN_WAIT1", "LAST_ACK", "CLOSING"} & set(whole.by_state()):
                    break
                time.sleep(0.01)
            host = TwoCpus()
            halved = census.collect(host)
            alone = census.collect(host, at_once=False)
            each = [census.parse(Live().netlink(4, request)) for request in halves.REQUESTS]
        return whole, halved, alone, each, host.asked

    whole, halved, alone, each, asked = in_new_netns(inside)
    assert len(whole) > 100
    assert {"ESTABLISHED", "LISTEN", "FIN_WAIT2", "CLOSE_WAIT", "TIME_WAIT", "SYN_RECV"} <= set(
        whole.by_state()
    )
    assert rows(whole) == rows(halved) == rows(alone) == sorted(rows(each[0]) + rows(each[1]), key=repr)
    assert halved.distinct() == len(halved)
    assert all(len(one) > len(whole) // 4 for one in each)
    assert sorted(asked) == sorted([*halves.REQUESTS, census.REQUEST])
    one, two = census.summary(whole), census.summary(halved)
    assert (one.by_state, one.by_port, one.networks, one.addresses) == (
        two.by_state, two.by_port, two.networks, two.addresses,
    )  # fmt: skip


@pytest.fixture
def elsewhere():
    """A process in a network namespace of its own."""
    if os.geteuid():
        pytest.skip("needs root")
    command = "ip link set lo up; echo ready; exec sleep 60"
    with subprocess.Popen(["unshare", "--net", "sh", "-c", command], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            process.kill()


@pytest.mark.netns
def test_a_census_of_another_namespace_asks_twice_at_once(elsewhere):
    """Both dumps are made in that namespace, and neither waits for the other."""
    inside = NetnsThread(elsewhere)
    both = threading.Barrier(2, timeout=10)
    there = os.readlink(f"/proc/{elsewhere}/ns/net")
    seen = []

    def look():
        both.wait()
        seen.append(os.readlink("/proc/thread-self/ns/net"))

    second = threading.Thread(target=inside.do, args=(look,))
    second.start()
    inside.do(look)
    second.join(10)
    assert seen == [there, there]
    with inside.do(lambda: socket.create_server(("127.0.0.1", 5060))):
        found = census.collect(Live().within(elsewhere))
        assert found.listening_ports().tolist() == [5060]
        assert found.by_state() == {"LISTEN": 1}


@pytest.mark.netns
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("recorded_at_once", [True, False])
def test_a_recording_of_either_way_answers_both_ways(recorded_at_once):
    def inside():
        with contextlib.ExitStack() as stack:
            crowd(stack)
            recorder = Recorder(TwoCpus())
            recorder.reader()
            return census.collect(recorder, at_once=recorded_at_once), recorder.notes

    live, notes = in_new_netns(inside)
    [replay] = samples(Recording(Header("0", 0.0, scrubbed=False), [notes]))
    assert rows(census.collect(replay)) == rows(census.collect(replay, at_once=False)) == rows(live)


def test_a_recording_of_neither_is_not_recorded():
    [replay] = samples(Recording(Header("0", 0.0, scrubbed=False), [{("", "reader"): READER}]))
    with pytest.raises(NotRecorded):
        census.collect(replay)


def test_a_dump_that_fails_in_a_thread_fails_the_census():
    class Refusing(TwoCpus):
        def netlink(self, protocol, request):
            if request == halves.REQUESTS[0]:
                raise PermissionError(1, "not permitted")
            return b""

    with pytest.raises(PermissionError):
        census.collect(Refusing())
