"""The five transports against a real Kamailio, which must give one and the same answer."""

from __future__ import annotations

import os
import socket
import time

import pytest

from kamtcp.errors import RpcFault
from kamtcp.host.door import Endpoint, Transport
from kamtcp.host.exchange import exchange
from kamtcp.kamailio import identity, levels
from kamtcp.kamailio.commands import decode, encode
from kamtcp.kamailio.fields import one_struct
from kamtcp.kamailio.rpc import Rpc

pytestmark = pytest.mark.kamailio


class Here:
    """A host of nothing but sockets; calls are made inside the server's network namespace."""

    def __init__(self, kamailio):
        self.kamailio = kamailio

    def call(self, endpoint, request, timeout=2.0):
        return self.kamailio.inside(exchange, endpoint, request, timeout)


def ask(kamailio, transport, method, *args):
    reply = Here(kamailio).call(kamailio.endpoints[transport], encode(transport, method, *args))
    return decode(transport, reply)


@pytest.mark.parametrize("transport", Transport)
def test_all_transports_agree_on_the_connections(kamailio, transport):
    """23 connections are opened, 23 are told; HTTP counts the one by which it asks."""

    def opened():
        return [socket.create_connection(("127.0.0.1", 25060)) for _ in range(23)]

    held = kamailio.inside(opened)
    own = 1 if transport is Transport.JSON_HTTP else 0
    try:
        until = time.monotonic() + 5
        while time.monotonic() < until:
            info = levels.tcp_info(ask(kamailio, transport, "core.tcp_info"))
            if info.opened_connections == 23 + own:
                break
            time.sleep(0.05)
        assert info == levels.TcpInfo(2, 512, 2048, 23 + own, 0, 0)
    finally:
        for each in held:
            each.close()


@pytest.mark.parametrize("transport", Transport)
def test_every_transport_gives_every_fact(kamailio, transport):
    """All commands that kamtcp asks, as facts; and a fault where the module is not loaded."""
    got = {
        name: parse(ask(kamailio, transport, *name.split()))
        for name, parse in {
            "core.version": identity.version,
            "core.info": identity.info,
            "core.uptime": identity.uptime,
            "core.arg": identity.arguments,
            "core.modules": identity.modules,
            "core.ppdefines": identity.ppdefines,
            "core.flags": identity.flags,
            "core.psx": identity.processes,
            "corex.list_sockets": identity.corex_listeners,
            "core.sockets_list": identity.core_listeners,
            "shm.stats": levels.shm,
            "pkg.stats": levels.pkg,
            "stats.fetchn tcp: shmem: websocket:": levels.counters,
            "stats.get_statistics tcp:": levels.counters,
            "core.tcp_options": lambda values: one_struct("core.tcp_options", values),
            "cfg.get tcp": lambda values: one_struct("cfg.get tcp", values),
        }.items()
    }
    assert got["core.version"].name == "kamailio"
    assert got["core.tcp_options"].get("max_connections(soft)") == 512
    assert got["shm.stats"].total == 32 << 20
    assert got["stats.get_statistics tcp:"].keys() <= got["stats.fetchn tcp: shmem: websocket:"].keys()
    assert [(each.proto, each.port) for each in got["corex.list_sockets"]] == [("tcp", 25060)]
    with pytest.raises(RpcFault, match=r"(?i)not found"):
        ask(kamailio, transport, "tls.info")


def test_nothing_of_ours_is_left_beside_the_servers_sockets(kamailio):
    """FIFO and datagram answers need a name of ours; it is gone afterwards."""
    for transport in (Transport.JSON_FIFO, Transport.JSON_DGRAM):
        ask(kamailio, transport, "core.version")
    assert not [name for name in os.listdir(kamailio.run) if name.startswith("kamtcp_")]


def test_paths_are_found_below_the_root_of_a_process(kamailio):
    """As for a Kamailio in a container: /proc/PID/root in front, which makes the path longer."""
    for transport in (Transport.BINRPC_UNIX, Transport.JSON_DGRAM, Transport.JSON_FIFO):
        endpoint = kamailio.endpoints[transport]
        reply = kamailio.inside(
            exchange, endpoint, encode(transport, "core.version"), 2.0, root=f"/proc/{kamailio.pid}/root"
        )
        assert decode(transport, reply)[0].startswith("kamailio ")


def test_the_datagram_is_answered_from_outside_of_the_network_namespace(kamailio):
    """There an abstract name would not be reached, so a file is used, and removed."""
    endpoint = kamailio.endpoints[Transport.JSON_DGRAM]
    reply = exchange(endpoint, encode(Transport.JSON_DGRAM, "core.version"), 2.0)
    assert decode(Transport.JSON_DGRAM, reply)[0].startswith("kamailio ")
    assert not [name for name in os.listdir(kamailio.run) if name.startswith("kamtcp_")]


def test_an_http_page_that_is_no_rpc_is_passed_over(kamailio):
    """xhttp answers 404 with text; the next candidate is taken."""
    wrong = Endpoint(Transport.JSON_HTTP, "http://127.0.0.1:25060/nothing")
    right = kamailio.endpoints[Transport.BINRPC_UNIX]
    rpc = Rpc(Here(kamailio), [wrong, right])
    assert rpc.endpoint == right
    assert "no such page" in rpc.passed_over[0].detail


def test_a_thousand_questions_leave_no_connection_behind(kamailio):
    """ctl serves 128 clients at most; each call of ours closes its own."""
    for _ in range(1000):
        ask(kamailio, Transport.BINRPC_UNIX, "core.tcp_info")
    assert ask(kamailio, Transport.BINRPC_UNIX, "core.version")
