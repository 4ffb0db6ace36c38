"""Where messages end, and what is no message."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError
from kamtcp.host.framing import FAULT, BinrpcHeader, binrpc_header, http_head, reply_length, with_reply_name

HEAD = b"HTTP/1.1 200 OK\r\nSia: SIP/2.0/TCP 127.0.0.1\r\nContent-Length: 206\r\n\r\n"


def test_a_fault_header_is_read():
    """Length and cookie may take one to four bytes each."""
    assert binrpc_header(bytes.fromhex("a1 33 1f 12 34 ab cd 20")) == BinrpcHeader(FAULT, 7, 0x1F, 0x1234ABCD)
    assert binrpc_header(bytes.fromhex("a1 1c 01 02 03 04 09")) == BinrpcHeader(1, 7, 0x01020304, 9)


def test_the_head_of_an_http_reply_tells_the_length():
    """None until the empty line has come."""
    assert [http_head(HEAD[:n]) for n in (0, 1, 8, len(HEAD) - 1)] == [None] * 4
    head = http_head(HEAD + b"{")
    assert (head.status, head.reason, head.size, head.body) == (200, "OK", len(HEAD), 206)


@pytest.mark.parametrize(
    "data",
    [
        b"SIP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000,
    ],
)
def test_what_is_no_http_reply_with_a_length_is_refused(data):
    """xhttp always states the length, so a reply without one is foreign."""
    with pytest.raises(ParseError):
        http_head(data)


@settings(max_examples=100)
@given(st.binary(max_size=60))
def test_only_parse_errors_escape(data):
    """No bytes raise anything else."""
    for read in (http_head, reply_length, lambda d: http_head(b"HTTP/1.1 200 OK\r\n" + d + b"\r\n\r\n")):
        with contextlib.suppress(ParseError):
            read(data)


def test_the_reply_name_goes_into_the_object():
    """The rest of the request stays as it was, byte for byte."""
    assert with_reply_name(b'{"id":1}', "kamtcp_1") == b'{"reply_name":"kamtcp_1","id":1}'
    for wrong in (b"", b"[]", b"{}", b"{ }"):
        with pytest.raises(ParseError):
            with_reply_name(wrong, "x")
