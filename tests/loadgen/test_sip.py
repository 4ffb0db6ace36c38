from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError
from kamtcp.loadgen.sip import LARGEST, Requests, Response, Stream, only_status

# as Kamailio 5.6.3 answers OPTIONS on TCP (sl_send_reply)
ANSWER = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP load.invalid;branch=z9hG4bKk0x7;rport=1031;received=127.0.1.1\r\n"
    b"From: <sip:load7@load.invalid>;tag=k0x7\r\nTo: <sip:127.0.0.1:5060>;tag=a6a1c5f60faecf035a1ae5b6e96e979a-5a3e\r\n"
    b"Call-ID: k0x7@load.invalid\r\nCSeq: 1 OPTIONS\r\nServer: kamailio (5.6.3 (x86_64/linux))\r\nContent-Length: 0\r\n\r\n"
)


def message(status: int, cseq: int, method: str, body: bytes) -> bytes:
    return (
        b"SIP/2.0 %d Text\r\nCSeq: %d %s\r\nl: %d\r\n\r\n" % (status, cseq, method.encode(), len(body)) + body
    )


responses = st.lists(
    st.tuples(
        st.integers(100, 699),
        st.integers(0, 2**31),
        st.sampled_from(["OPTIONS", "REGISTER"]),
        st.binary(max_size=20),
    ),
    max_size=4,
)


@settings(max_examples=100)
@given(
    responses,
    st.lists(st.integers(1, 40), min_size=1, max_size=10),
    st.sampled_from([b"", b"\r\n", b"\r\n\r\n"]),
)
def test_responses_are_cut_out_however_the_stream_is_split(
    sent: list[tuple[int, int, str, bytes]], sizes: list[int], between: bytes
) -> None:
    data = b"".join(message(*one) + between for one in sent)
    stream, found, place, turn = Stream(), [], 0, 0
    while place < len(data):
        size = sizes[turn % len(sizes)]
        found += stream.feed(data[place : place + size])
        place, turn = place + size, turn + 1
    assert found == [Response(status, cseq, method) for status, cseq, method, _ in sent]


@settings(max_examples=100)
@given(
    st.lists(st.one_of(st.binary(max_size=60), st.just(ANSWER), st.just(b"SIP/2.0 "), st.just(b"\r\n\r\n")))
)
def test_only_parse_errors_escape_from_any_bytes(parts: list[bytes]) -> None:
    stream = Stream()
    try:
        for part in parts:
            only_status(part)
            stream.feed(part)
    except ParseError:
        pass


def test_the_quick_look_and_the_parser_agree_on_kamailios_answer() -> None:
    assert only_status(ANSWER) == 200
    assert Stream().feed(ANSWER) == (Response(200, 1, "OPTIONS"),)


@pytest.mark.parametrize(
    "data", [ANSWER + ANSWER, ANSWER[:-1], b"\r\n" + ANSWER, ANSWER.replace(b"h: 0", b"h: 1"), b""]
)
def test_the_quick_look_leaves_whatever_else_to_the_parser(data: bytes) -> None:
    assert only_status(data) == 0


def test_requests_of_the_server_and_keepalives_are_skipped() -> None:
    asked = Requests("OPTIONS", "TCP", "127.0.0.1:5060", "k").build(3)
    assert Stream().feed(b"\r\n\r\n" + asked + ANSWER) == (Response(200, 1, "OPTIONS"),)


@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER"])
def test_every_connection_asks_with_its_own_call_id_and_branch(method: str) -> None:
    requests = Requests(method, "TLS", "127.0.0.1:5061", "r9")
    first, second = requests.build(1), requests.build(2)
    assert first != second
    assert first.startswith(b"%s sip:127.0.0.1:5061;transport=tls SIP/2.0\r\n" % method.encode())
    assert b"\r\nCall-ID: r91@load.invalid\r\n" in first
    assert b";branch=z9hG4bKr91;" in first
    assert first.endswith(b"Content-Length: 0\r\n\r\n")


def test_what_is_no_sip_and_what_is_too_large_is_refused_early() -> None:
    with pytest.raises(ParseError, match="a SIP message"):
        Stream().feed(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(ParseError, match="bytes of headers"):
        Stream().feed(b"SIP/2.0 200 OK\r\nX: " + b"x" * LARGEST)
    with pytest.raises(ParseError, match="a body of at most"):
        Stream().feed(b"SIP/2.0 200 OK\r\nContent-Length: 999999999\r\n\r\n")
