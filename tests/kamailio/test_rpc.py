"""Choosing an endpoint and asking it."""

from __future__ import annotations

import pytest

from kamtcp.errors import NotRecorded, RpcError, RpcFault
from kamtcp.host.door import Endpoint, Transport
from kamtcp.kamailio import levels
from kamtcp.kamailio.commands import encode
from kamtcp.kamailio.rpc import Rpc
from kamtcp.model.absent import Absent, Why

CTL = Endpoint(Transport.BINRPC_UNIX, "/run/kamailio/kamailio_ctl")
DGRAM = Endpoint(Transport.JSON_DGRAM, "/run/kamailio/kamailio_rpc.sock")
FAULT = b'{"jsonrpc":"2.0","error":{"code":500,"message":"Method Not Found"},"id":1}'


class Replies:
    """A host that holds RPC replies by endpoint and request, as a recording does; an exception is raised."""

    def __init__(self, *held):
        self.held = {
            (endpoint, encode(endpoint.transport, *command)): reply for endpoint, command, reply in held
        }
        self.asked = []

    def call(self, endpoint, request, timeout=2.0):
        self.asked.append(endpoint)
        reply = self.held.get((endpoint, request), NotRecorded("no such call"))
        if isinstance(reply, Exception):
            raise reply
        return reply


VERSION = ("core.version",)


def test_the_first_that_answers_is_taken(json_reply, binrpc_reply):
    """The others are remembered with what kept them back."""
    http = Endpoint(Transport.JSON_HTTP, "http://127.0.0.1:5060/RPC")
    host = Replies(
        (http, VERSION, TimeoutError("no whole answer in 2 s")),
        (CTL, VERSION, PermissionError(13, "Permission denied")),
        (DGRAM, VERSION, json_reply("own/core.version")),
        (DGRAM, ("core.tcp_info",), json_reply("own/core.tcp_info")),
    )
    garbled = Endpoint(Transport.BINRPC_TCP, "127.0.0.1:2049")
    host.held[garbled, encode(garbled.transport, *VERSION)] = b"SSH-2.0"
    rpc = Rpc(host, [http, CTL, garbled, Endpoint(Transport.BINRPC_TCP, "127.0.0.1:1"), DGRAM, CTL])
    assert rpc.endpoint == DGRAM
    assert [each.why for each in rpc.passed_over] == [
        Why.TIMEOUT,
        Why.DENIED,
        Why.MALFORMED,
        Why.NOT_RECORDED,
    ]
    assert rpc.passed_over[1].source == "binrpc unix stream /run/kamailio/kamailio_ctl"
    assert levels.tcp_info(rpc.ask("core.tcp_info")).max_connections == 4096


def test_a_fault_does_not_disqualify(binrpc_reply):
    """A server that refuses core.version still answers."""
    rpc = Rpc(Replies((CTL, VERSION, binrpc_reply("own/no.such"))), [CTL])
    assert rpc.endpoint == CTL
    with pytest.raises(RpcFault):
        rpc.ask("core.version")


def test_a_command_that_is_not_there_is_missing(binrpc_reply, json_reply):
    """Both modules call it 500; the text tells."""
    for endpoint, fault in ((CTL, binrpc_reply("own/no.such")), (DGRAM, FAULT)):
        version = (binrpc_reply if endpoint is CTL else json_reply)("own/core.version")
        rpc = Rpc(Replies((endpoint, VERSION, version), (endpoint, ("tls.info",), fault)), [endpoint])
        found = rpc.fact(levels.counters, "tls.info")
        assert (found.source, found.why) == ("tls.info", Why.MISSING)


def test_other_failures_of_a_command_keep_their_reason(json_reply):
    """Timeout, fault and a reply of the wrong kind are three different absences."""
    refused = b'{"error":{"code":500,"message":"tcp support disabled"}}'
    rpc = Rpc(
        Replies(
            (DGRAM, VERSION, json_reply("own/core.version")),
            (DGRAM, ("tls.info",), TimeoutError("late")),
            (DGRAM, ("core.tcp_info",), refused),
            (DGRAM, ("shm.stats",), json_reply("own/core.version")),
        ),
        [DGRAM],
    )
    assert rpc.fact(levels.counters, "tls.info").why is Why.TIMEOUT
    assert rpc.fact(levels.tcp_info, "core.tcp_info").detail == "fault 500: tcp support disabled"
    assert rpc.fact(levels.shm, "shm.stats").why is Why.MALFORMED
    assert rpc.endpoint == DGRAM


def test_without_an_endpoint_everything_is_absent():
    """With the reason of the first candidate; the endpoint itself names those of all."""
    nothing = Rpc(Replies(), [])
    assert nothing.fact(levels.shm, "shm.stats") == Absent(
        "shm.stats", Why.MISSING, "no RPC endpoint answers"
    )
    denied = Rpc(
        Replies((CTL, VERSION, PermissionError(13, "no")), (DGRAM, VERSION, TimeoutError("late"))),
        [CTL, DGRAM],
    )
    assert denied.fact(levels.shm, "shm.stats").why is Why.DENIED
    assert "late" in denied.endpoint.detail
    with pytest.raises(RpcError, match="kamailio_ctl"):
        denied.ask("core.version")


def test_forbidden_commands_never_reach_the_host(json_reply):
    """ValueError: it is a mistake of ours, not of the server's."""
    host = Replies((DGRAM, VERSION, json_reply("own/core.version")))
    rpc = Rpc(host, [DGRAM])
    for ask in (lambda: rpc.ask("core.tcp_list"), lambda: rpc.fact(levels.shm, "core.tcp_list")):
        with pytest.raises(ValueError, match="never asked"):
            ask()
    assert host.asked == [DGRAM]


def test_many_silent_endpoints_do_not_make_a_check_endless():
    """A configuration may name thousands; three of them may let the question wait."""
    many = [Endpoint(Transport.BINRPC_UNIX, f"/run/{number}") for number in range(200)]
    host = Replies(*((each, VERSION, TimeoutError("no whole answer in 2 s")) for each in many))
    rpc = Rpc(host, many)
    assert isinstance(rpc.endpoint, Absent)
    assert rpc.endpoint.why is Why.TIMEOUT
    assert len(host.asked) == 3
    assert "not asked: 3 others kept silent" in str(rpc.passed_over[-1])
