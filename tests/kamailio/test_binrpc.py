"""BINRPC: what ctl really sends decodes, and nothing else gets further than ParseError or RpcFault."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError, RpcFault
from kamtcp.kamailio.binrpc import decode_reply, encode_request, reply_length
from kamtcp.kamailio.values import Members

INT, STR, DOUBLE, STRUCT, ARRAY, NAME, BYTES = range(7)


def minimal(number):
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def sized(kind, payload):
    if len(payload) < 8:
        return bytes((len(payload) << 4 | kind,)) + payload
    length = minimal(len(payload))
    return bytes((0x80 | len(length) << 4 | kind,)) + length + payload


def as_ctl_writes(value):
    """A value as binrpc.h's binrpc_add…() write it, the 8-byte double included."""
    match value:
        case bool() | None:
            raise AssertionError
        case int() if -(1 << 31) <= value < 1 << 31:
            return sized(INT, minimal(value & 0xFFFFFFFF))
        case int() | float():
            payload = minimal(round(value * 1000) & 0xFFFFFFFFFFFFFFFF)
            return bytes(((len(payload) << 4 | DOUBLE) & 0xFF,)) + payload
        case str():
            return sized(STR, value.encode() + b"\0")
        case bytes():
            return sized(BYTES, value)
        case Members():
            inner = b"".join(
                (b"" if name is None else sized(NAME, name.encode() + b"\0")) + as_ctl_writes(each)
                for name, each in value.pairs
            )
            return b"\x03" + inner + b"\x83"
        case tuple():
            return b"\x04" + b"".join(map(as_ctl_writes, value)) + b"\x84"


def reply(body, kind=1, cookie=b"kamt"):
    length = minimal(len(body)) or b"\0"
    return bytes((0xA1, kind << 4 | (len(length) - 1) << 2 | len(cookie) - 1)) + length + cookie + body


TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=20)
PLAIN = st.one_of(
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(1 << 31, (1 << 63) // 1000 - 1),
    st.integers(-(1 << 63) // 1000 + 1, -(1 << 31) - 1),
    st.integers(-(10**9), 10**9).map(lambda n: n / 8),
    TEXT,
    st.binary(max_size=20),
)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(st.tuples(st.none() | TEXT, inner), max_size=5).map(lambda p: Members(tuple(p))),
        st.lists(inner, max_size=5).map(tuple),
    ),
    max_leaves=20,
)


def test_every_captured_reply_decodes(captures):
    """All replies recorded from a real server decode, or are the fault they should be."""
    for name, _, data in captures["binrpc"]:
        if "no.such" in name:
            with pytest.raises(RpcFault, match=r"500 command no\.such not found"):
                decode_reply(data)
        else:
            assert decode_reply(data), name


def test_requests_are_those_that_the_captured_server_answered(captures):
    """The encoder gives the very bytes of the recorded requests, whose command the JSON capture of that name tells."""
    commands = {name: json.loads(request) for name, request, _ in captures["json"]}
    compared = 0
    for name, request, _ in captures["binrpc"]:
        if name in commands:
            cookie = 0x1234ABCD if name.startswith("lab/") else 0x6B616D74
            asked = commands[name]
            assert encode_request(asked["method"], asked["params"], cookie) == request, name
            compared += 1
    assert compared > 20


def test_the_same_question_gives_the_same_bytes():
    """Requests are keys of recordings."""
    assert encode_request("core.tcp_info") == encode_request("core.tcp_info")


def test_a_shared_memory_that_ran_out_has_a_negative_free():
    """Header byte 0x82 is a double of 8 bytes and not an end mark."""
    body = b"\x03\x55free\0\x82" + (-(1 << 63)).to_bytes(8, "big", signed=True) + b"\x83"
    (found,) = decode_reply(reply(body))
    assert found.get("free") == -(1 << 63) // 1000


def test_an_int_of_four_bytes_can_be_negative_and_a_shorter_one_never():
    """0xff in one byte is 255: leading zero bytes were taken off."""
    assert decode_reply(reply(bytes.fromhex("40 ff ff ff fe 10 ff 00"))) == [-2, 255, 0]


def test_names_may_repeat_and_may_be_missing():
    """A struct keeps order, duplicates and nameless members."""
    sent = Members((("socket", 1), (None, "x"), ("socket", 2)))
    (found,) = decode_reply(reply(as_ctl_writes(sent)))
    assert found == sent
    assert found.all("socket") == (1, 2)
    assert found.get("socket") == 1


@settings(max_examples=100)
@given(st.lists(VALUES, max_size=6))
def test_reads_back_what_ctl_writes(values):
    """Any tree of values survives the server's encoding."""
    assert decode_reply(reply(b"".join(map(as_ctl_writes, values)))) == values


@settings(max_examples=100)
@given(st.binary(max_size=80), st.integers(0, 3), st.booleans())
def test_only_parse_errors_and_faults_escape(body, kind, framed):
    """No bytes, however strange, raise anything else."""
    with contextlib.suppress(ParseError, RpcFault):
        decode_reply(reply(body, kind) if framed else body)


@settings(max_examples=50)
@given(st.data())
def test_damaged_captures_raise_only_parse_errors(captures, data):
    """A real reply with bytes changed still raises nothing else."""
    _, _, whole = data.draw(st.sampled_from(captures["binrpc"]))
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ParseError, RpcFault):
        decode_reply(bytes(damaged))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x03" * 100_000, id="a hundred thousand open structs"),
        pytest.param(b"\x03" * 40 + b"\x83" * 40, id="forty levels"),
        pytest.param(b"\x00" * 300_000, id="more values than any reply has"),
        pytest.param(b"\xf1\xff\xff\xff\xff\xff\xff\xff", id="a string of 2**56 bytes"),
        pytest.param(b"\x83", id="an end without a begin"),
        pytest.param(b"\x03\x84", id="a struct closed as an array"),
        pytest.param(b"\x03\x25a\0\x83", id="a name without a value"),
        pytest.param(b"\x21ab", id="a string without its NUL"),
        pytest.param(b"\x25a\0\x00", id="a name outside of a struct"),
        pytest.param(b"\x50\0\0\0\0\0", id="an int of five bytes"),
        pytest.param(b"\x92\0", id="a double of nine bytes"),
        pytest.param(b"\x80", id="an end mark of an int"),
        pytest.param(b"\x07", id="a type that is none"),
    ],
)
def test_hostile_bodies_are_refused(body):
    """Nesting and sizes are bounded, and the grammar is held."""
    with pytest.raises(ParseError):
        decode_reply(reply(body))


def test_what_a_request_can_not_carry_is_refused():
    """A NUL, a number beyond 32 bits, a request above what ctl reads."""
    for args in (["a\0b"], [1 << 31], ["x" * 65_536]):
        with pytest.raises(ValueError):
            encode_request("core.echo", args)
    with pytest.raises(ValueError):
        encode_request("core.echo", (), 1 << 32)


def test_the_length_is_known_from_the_header_alone():
    """None until the header is whole, then the length of the packet, whatever else has come."""
    packet = reply(b"\x00" * 300)
    assert [reply_length(packet[:n]) for n in (0, 1, 2, 7)] == [None] * 4
    assert reply_length(packet[:8]) == len(packet) == reply_length(packet + b"more")
    with pytest.raises(ParseError):
        reply_length(b"HTTP")
    with pytest.raises(ParseError):
        reply_length(b"\xa1\x23")
