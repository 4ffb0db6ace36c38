"""Real sockets in a network namespace of their own, counted by us and by `ss`."""

import ctypes
import os
import re
import socket
import subprocess
import threading

import pytest

from kamtcp.host.live import Live
from kamtcp.host.netlink import dump
from kamtcp.observe import census, inet_diag, sockets, unix_diag

pytestmark = pytest.mark.netns
CLONE_NEWNET = 0x40000000


HOST = Live()  # of the namespace that the calling thread is in


@pytest.fixture
def namespace():
    """Runs a function in a thread that has a network namespace of its own, with lo up."""

    def run(function):
        failed = []

        def inside():
            try:
                assert ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
                function()
            except BaseException as error:  # noqa: BLE001
                failed.append(error)

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
        if failed:
            raise failed[0]

    if os.geteuid():
        pytest.skip("needs root")
    return run


def ss(*options):
    done = subprocess.run(["ss", "-H", *options], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def curr_estab():
    with open("/proc/thread-self/net/snmp") as file:
        names, values = (line.split() for line in file if line.startswith("Tcp:"))
    return int(dict(zip(names, values, strict=True))["CurrEstab"])


def test_23_connections_are_counted_as_23(namespace):
    """12 over IPv4 and 11 over IPv6, counted by every reader and by ss."""

    def inside():
        with (
            socket.create_server(("127.0.0.1", 5060)) as four,
            socket.create_server(("::1", 5061), family=socket.AF_INET6) as six,
        ):
            kept = []
            for number in range(23):
                server = four if number < 12 else six
                kept += [socket.create_connection(server.getsockname()[:2]), server.accept()[0]]
            full = census.summary(census.collect(HOST))
            steady = sockets.states(HOST, curr_estab(), close_wait_counted=True)
            out = sockets.outbound(HOST, [one.port for one in sockets.listeners(HOST)])
            second = ss("-tan", "state", "established")
            for one in kept:
                one.close()
        assert full.by_state == {"ESTABLISHED": 46, "LISTEN": 2}
        assert full.by_port == {
            5060: {"ESTABLISHED": 12, "LISTEN": 1},
            5061: {"ESTABLISHED": 11, "LISTEN": 1},
        }
        assert dict(full.addresses.top) == {"127.0.0.1": 12, "::1": 11}
        assert len(second) == 46
        assert steady.established == 46
        assert out.sockets == 23
        assert [(one.address, one.port, one.ports) for one in out.top] == [
            ("127.0.0.1", 5060, 12),
            ("::1", 5061, 11),
        ]

    namespace(inside)


def test_an_overflowed_accept_queue_is_seen_as_ss_sees_it(namespace):
    """Backlog 1 takes two connections; a third is dropped and counted for this listener."""

    def inside():
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 5060))
            listener.listen(1)
            clients = [socket.socket() for _ in range(4)]
            for client in clients:
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", 5060))
            [found] = sockets.listeners(HOST)
            [line] = ss("-ltnmO")
            waiting = sockets.states(HOST, curr_estab(), close_wait_counted=True)
            for client in clients:
                client.close()
        _, rqueue, wqueue, *_ = line.split()
        assert (found.rqueue, found.wqueue) == (int(rqueue), int(wqueue)) == (2, 1)
        assert found.drops == int(re.search(r",d(\d+)", line)[1]) > 0
        assert waiting.by_state["SYN_SENT"] == 2

    namespace(inside)


def test_a_syn_that_waits_is_counted_at_its_listener(namespace):
    """TCP_DEFER_ACCEPT keeps a connection in SYN_RECV until data come."""

    def inside():
        with socket.socket() as listener, socket.socket() as client:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
            listener.bind(("127.0.0.1", 5060))
            listener.listen()
            client.connect(("127.0.0.1", 5060))
            steady = sockets.states(HOST, curr_estab(), close_wait_counted=True)
            full = census.collect(HOST)
            syn = ss("-tan", "state", "syn-recv")
        assert steady.by_port == {5060: {"LISTEN": 1, "SYN_RECV": 1}}
        assert full.by_state()["SYN_RECV"] == len(syn) == 1

    namespace(inside)


def test_the_kernel_runs_our_filter(namespace):
    """Ranges and single ports are left out by the kernel itself; others come through."""

    def inside():
        ports = [5060, 5061, 5062, 5080, 6000]
        servers = [socket.create_server(("127.0.0.1", port)) for port in ports]
        clients = [socket.create_connection(("127.0.0.1", port)) for port in ports]
        accepted = [server.accept()[0] for server in servers]
        every = {one.sport for one in sockets.sockets(dump(4, sockets.outbound_request([])))}
        left = {one.sport for one in sockets.sockets(dump(4, sockets.outbound_request(ports[:4])))}
        for one in servers + clients + accepted:
            one.close()
        assert every - left == set(ports[:4])
        assert 6000 in left
        long = inet_diag.request(inet_diag.EVERY, bytecode=inet_diag.not_from_ports(range(1, 4000, 2)))
        assert len(dump(4, long)) >= 0  # 2,000 ranges pass the kernel's check

    namespace(inside)


def test_the_send_buffer_of_a_socketpair_is_read(namespace):
    """What SO_SNDBUF set is there, doubled as the kernel does; the path of a listening socket too."""

    def inside():
        left, right = socket.socketpair()
        left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        found = {one.inode: one for one in unix_diag.collect(HOST)}
        mine, other = (found[os.fstat(one.fileno()).st_ino] for one in (left, right))
        assert mine.sndbuf == left.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 131072
        assert (mine.peer, other.peer) == (other.inode, mine.inode)
        seen = ss("-xan")
        assert len(seen) == len(found)
        left.close()
        right.close()

    namespace(inside)


def test_a_control_socket_is_found_by_its_path(namespace, tmp_path):
    def inside():
        path = str(tmp_path / "kamailio_ctl")
        with socket.socket(socket.AF_UNIX) as control:
            control.bind(path)
            control.listen(7)
            [one] = [one for one in unix_diag.collect(HOST) if one.path == path]
            assert (one.state, one.wqueue, one.inode) == (10, 7, os.fstat(control.fileno()).st_ino)

    namespace(inside)


def test_an_empty_namespace_has_nothing(namespace):
    def inside():
        assert sockets.listeners(HOST) == ()
        assert len(census.collect(HOST)) == 0
        assert unix_diag.collect(HOST) == ()

    namespace(inside)
