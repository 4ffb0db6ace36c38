from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from kamtcp.errors import ParseError, UsageError
from kamtcp.loadgen.websocket import (
    Refused,
    Upgrade,
    accept_of,
    client_request,
    new_key,
    read_request,
    refusal,
    server_answer,
    split_head,
)

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3
REQUEST = client_request("server.example.com", "/chat", KEY, "http://example.com")
ANSWER = server_answer(REQUEST[:-4])


def test_the_accept_of_the_rfc():
    assert accept_of(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in ANSWER


def test_each_key_is_another():
    keys = {new_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(len(key) == 24 for key in keys)


@settings(deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=6), st.binary(max_size=30))
def test_an_answer_is_read_however_it_is_split(sizes, behind):
    upgrade, data, place, turn, rest = Upgrade(KEY), ANSWER + behind, 0, 0, None
    while rest is None:
        size = sizes[turn % len(sizes)]
        rest = upgrade.feed(data[place : place + size])
        place, turn = place + size, turn + 1
    assert rest + data[place:] == behind


hostile = st.lists(
    st.one_of(
        st.binary(max_size=50),
        st.sampled_from(
            [
                b"HTTP/1.1 101 ",
                b"HTTP/1.1 403 No\r\n",
                b"\r\n",
                b"\r\n\r\n",
                b"Upgrade: websocket\r\n",
                ANSWER[:-2],
                REQUEST[:-2],
            ]
        ),
    ),
    max_size=8,
)


@settings(max_examples=100, deadline=None)
@given(hostile)
def test_only_parse_errors_escape_from_any_answer(parts):
    upgrade = Upgrade(KEY)
    try:
        for part in parts:
            if upgrade.feed(part) is not None:
                break
    except ParseError:
        pass


@settings(max_examples=100, deadline=None)
@given(hostile)
def test_only_parse_errors_escape_from_any_request(parts):
    try:
        cut = split_head(b"".join(parts))
        if cut is not None:
            server_answer(cut[0])
    except ParseError:
        pass


def test_another_status_is_a_refusal_with_that_status():
    for status in (403, 503):
        with pytest.raises(Refused) as caught:
            Upgrade(KEY).feed(refusal(status))
        assert caught.value.status == status


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"HTTP/1.1", b"SIP/2.01", "expected HTTP/1.1"),
        (b"101", b"1O1", "a status line"),
        (b"Upgrade: websocket", b"Upgrade: h2c", "Upgrade: websocket"),
        (b"Connection: Upgrade", b"Connection: close", "Connection: Upgrade"),
        (b"Accept: s3", b"Accept: S3", "of the key sent"),
        (b"Protocol: sip", b"Protocol: chat", "Protocol: sip"),
        (b"Sec-WebSocket-Protocol: sip", b"X: y", "Protocol: sip"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: x\r\n\r\n", "no extensions"),
        (b"\r\n\r\n", b"\r\n folded\r\n\r\n", "a header"),
        (b"\r\n\r\n", b"\r\nX: " + b"y" * 20_000, "at most 16384"),
    ],
)
def test_what_is_wrong_with_an_answer_is_named(old, new, says):
    assert old in ANSWER
    with pytest.raises(ParseError, match=says):
        Upgrade(KEY).feed(ANSWER.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"GET ", b"PUT ", "GET PATH"),
        (b"HTTP/1.1", b"HTTP/1.0", "GET PATH"),
        (b"Version: 13", b"Version: 8", "Version: 13"),
        (KEY, b"c2hvcnQ=", "16 bytes"),
        (b"Protocol: sip", b"Protocol: sipx, chat", "Protocol: sip"),
        (b"Host:", b"Hose:", "a Host header"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(old, new, says):
    assert old in REQUEST
    with pytest.raises(ParseError, match=says):
        read_request(REQUEST.replace(old, new)[:-4])


def test_a_request_is_read_as_it_was_written():
    asked = read_request(REQUEST[:-4])
    assert (asked.path, asked.host, asked.key, asked.origin) == (
        b"/chat",
        b"server.example.com",
        KEY,
        b"http://example.com",
    )
    assert read_request(client_request("h:1", "/", KEY)[:-4]).origin is None


@pytest.mark.parametrize(
    "wrong", [("a b", "/", None), ("h", "x", None), ("h", "/\r\nX: y", None), ("h", "/", "é")]
)
def test_nothing_else_can_be_smuggled_into_a_request(wrong):
    host, path, origin = wrong
    with pytest.raises(UsageError, match="WebSocket"):
        client_request(host, path, KEY, origin)


def test_the_websockets_library_accepts_our_request():
    server = ServerProtocol(subprotocols=["sip"])
    server.receive_data(client_request("h", "/sip", new_key()))
    (request,) = server.events_received()
    assert isinstance(request, Request)
    response = server.accept(request)
    assert response.status_code == 101, response.body
    key = request.headers["Sec-WebSocket-Key"].encode()
    assert Upgrade(key).feed(response.serialize()) == b""


def test_the_websockets_library_accepts_our_answer():
    client = ClientProtocol(parse_uri("ws://h/sip"), subprotocols=["sip"])
    client.send_request(client.connect())
    head, rest = split_head(b"".join(client.data_to_send())) or (b"", b"")
    assert rest == b""
    client.receive_data(server_answer(head))
    assert client.handshake_exc is None
    assert client.subprotocol == "sip"
