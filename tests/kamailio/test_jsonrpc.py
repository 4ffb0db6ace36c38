"""JSON-RPC: same values as BINRPC, doubled names kept, only ParseError and RpcFault escape."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError, RpcFault
from kamtcp.kamailio import binrpc
from kamtcp.kamailio.jsonrpc import decode_reply, encode_request
from kamtcp.kamailio.values import Members

# The BINRPC side writes NULL as text, lists the sockets in another shape, and the two were asked moments apart.
NOT_THE_SAME = {"own/cfg.get_tls", "own/core.sockets_list", "own/no.such", "own/pkg.stats", "own/core.uptime"}


def test_every_captured_reply_decodes(captures):
    """All replies recorded from a real server decode, or are the fault they should be."""
    for name, _, data in captures["json"]:
        if "no.such" in name or "max_connections" in name:
            with pytest.raises(RpcFault):
                decode_reply(data)
        else:
            assert decode_reply(data), name


def test_both_encodings_give_the_same_values(captures):
    """What came over BINRPC and over JSON within the same second is equal."""
    by_json = {name: data for name, _, data in captures["json"]}
    compared = 0
    for name, _, data in captures["binrpc"]:
        if name.startswith("own/") and name not in NOT_THE_SAME:
            assert binrpc.decode_reply(data) == decode_reply(by_json[name]), name
            compared += 1
    assert compared > 15


def test_requests_are_deterministic_and_what_the_server_took(captures):
    """The recorded requests are what the encoder gives."""
    asked = {name: request for name, request, _ in captures["json"]}
    assert encode_request("cfg.get", ["tcp"]) == asked["own/cfg.get_tcp"]


def test_doubled_names_are_kept():
    """A listener with two addresses names `address` twice; a dict would lose one."""
    (found,) = decode_reply(b'{"result":{"address":"192.0.2.1","address":"192.0.2.2"},"id":1}')
    assert found == Members((("address", "192.0.2.1"), ("address", "192.0.2.2")))


def test_an_error_object_is_a_fault():
    """Code and text come through."""
    with pytest.raises(RpcFault) as caught:
        decode_reply(b'{"jsonrpc":"2.0","error":{"code":500,"message":"Method Not Found"},"id":1}')
    assert (caught.value.code, caught.value.text) == (500, "Method Not Found")


def test_counters_in_scientific_notation_are_whole_numbers():
    """srjson prints large numbers as 1.5e+10; they stay exact integers."""
    assert decode_reply(b'{"result":[1.5e+10, 0.25, true, null, -3]}') == [15_000_000_000, 0.25, 1, None, -3]


def test_bytes_that_are_no_utf_8_do_not_come_back_later():
    """Text of any encoding decodes, and what comes out can be printed."""
    for sent in (b'{"result":["caf\xe9"]}', b'{"result":["\\ud800x"]}', b'{"result":{"\\udfff":1}}'):
        str(decode_reply(sent)).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"id":1}',
        b'{"result":NaN}',
        b'{"result":1e999}',
        b'{"result":' + b"9" * 5000 + b"}",
        b'{"result":99999999999999999999999}',
        b'{"error":{"code":"x","message":"y"}}',
        b'{"result":' + b"[" * 100_000,
        b'{"result":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"result":[' + b"0," * 300_000 + b"0]}",
        b'{"result":1',
    ],
)
def test_hostile_replies_are_refused(data):
    """Nesting, sizes and numbers are bounded."""
    with pytest.raises(ParseError):
        decode_reply(data)


@settings(max_examples=100)
@given(
    st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda t: t.encode("utf-8", "surrogatepass")))
)
def test_only_parse_errors_and_faults_escape(data):
    """No bytes raise anything else, as a whole reply or as its result."""
    for sent in (data, b'{"result":' + data + b"}", b'{"error":' + data + b"}"):
        with contextlib.suppress(ParseError, RpcFault):
            decode_reply(sent)
