"""What is asked, in which encoding, and what is never asked."""

from __future__ import annotations

import pytest

from kamtcp.errors import ParseError
from kamtcp.host.door import Transport
from kamtcp.kamailio import binrpc, jsonrpc
from kamtcp.kamailio.commands import FORBIDDEN, decode, encode


@pytest.mark.parametrize("method", sorted(FORBIDDEN))
@pytest.mark.parametrize("transport", Transport)
def test_commands_that_stall_live_calls_are_refused(method, transport):
    """No transport and no spelling gets one of them out."""
    for spelling in (method, method.upper(), f" {method} "):
        with pytest.raises(ValueError, match="never asked"):
            encode(transport, spelling)


def test_all_that_the_brief_forbids_are_in_the_list():
    """The list itself is a promise."""
    assert set(FORBIDDEN) == {
        "core.tcp_list",
        "tls.list",
        "ws.dump",
        "mod.stats",
        "corex.shm_summary",
        "corex.shm_status",
        "corex.pkg_summary",
    }


@pytest.mark.parametrize("transport", Transport)
def test_each_transport_gets_its_encoding(transport):
    """ctl speaks BINRPC, jsonrpcs JSON."""
    codec = binrpc if transport in (Transport.BINRPC_UNIX, Transport.BINRPC_TCP) else jsonrpc
    assert encode(transport, "cfg.get", "tcp") == codec.encode_request("cfg.get", ["tcp"])
    with pytest.raises(ParseError):
        decode(transport, b"\x00")
