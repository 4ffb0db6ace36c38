from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from websockets.frames import Close, Opcode
from websockets.frames import Frame as Theirs
from websockets.streams import StreamReader

from kamtcp.errors import ParseError
from kamtcp.loadgen.websocket import BINARY, CLOSE, PING, PONG, TEXT, Frame, Frames, close_frame, frame
from kamtcp.loadgen.websocket.frames import mask_bytes

masks = st.one_of(st.none(), st.binary(min_size=4, max_size=4))
messages = st.tuples(st.sampled_from([TEXT, BINARY]), st.binary(max_size=300))
controls = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125))


def fragments(opcode: int, parts: list[bytes], between: list[tuple[int, bytes]], mask: bytes | None) -> bytes:
    """A message in fragments, with control frames in the gaps."""
    data = b""
    for place, part in enumerate(parts):
        whole = frame(opcode if place == 0 else TEXT, part, mask)
        first = (whole[0] & 0xF0 | (opcode if place == 0 else 0)) & (
            0xFF if place == len(parts) - 1 else 0x7F
        )
        data += bytes((first,)) + whole[1:]
        if place < len(between):
            data += frame(*between[place], mask)
    return data


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([TEXT, BINARY]), st.lists(st.binary(max_size=200), min_size=1, max_size=4))
    ),
    st.lists(controls, max_size=3),
    masks,
    st.lists(st.integers(1, 70), min_size=1, max_size=8),
)
def test_messages_come_out_however_they_are_split(sent, between, mask, sizes):
    """Fragmented, with pings in the gaps, pipelined, and cut anywhere."""
    data = b"".join(fragments(opcode, parts, between, mask) for opcode, parts in sent)
    expected = []
    for opcode, parts in sent:
        gaps = [Frame(*one) for one in between[: len(parts)]]
        # a control frame behind the last fragment comes after the message
        inside, after = gaps[: len(parts) - 1], gaps[len(parts) - 1 :]
        expected += [*inside, Frame(opcode, b"".join(parts)), *after]
    frames, found, place = Frames(masked=mask is not None), [], 0
    for size in itertools.cycle(sizes):
        if place >= len(data):
            break
        found += frames.feed(data[place : place + size])
        place += size
    assert found == expected


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=40), messages.map(lambda each: frame(*each)))), st.booleans())
@example([b"\x81\xff" + b"\xff" * 8 + b"abcd"], True)  # 2**64 - 1 bytes are announced
def test_only_parse_errors_escape_from_any_bytes(parts, masked):
    frames = Frames(masked=masked, largest=1000)
    try:
        for part in parts:
            for each in frames.feed(part):
                assert len(each.payload) <= 1000
    except ParseError:
        pass


def read_by_websockets(data: bytes, mask: bool, largest: int) -> tuple[list[tuple[int, bool, bytes]], bool]:
    """Frames that the websockets library reads, and whether it then found a fault."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    found: list[tuple[int, bool, bytes]] = []
    try:
        while True:
            parser = Theirs.parse(reader.read_exact, mask=mask, max_size=largest)
            try:
                next(parser)
            except StopIteration as done:
                found.append((int(done.value.opcode), done.value.fin, bytes(done.value.data)))
    except EOFError:
        return found, False
    except Exception as error:  # noqa: BLE001  (it has several)
        return found, type(error).__name__ != "EOFError"


@settings(max_examples=100, deadline=None)
@given(st.lists(messages | controls, max_size=5), masks)
def test_what_is_framed_here_the_websockets_library_reads(sent, mask):
    data = b"".join(frame(opcode, payload, mask) for opcode, payload in sent)
    found, fault = read_by_websockets(data, mask is not None, 1 << 20)
    assert not fault
    assert found == [(opcode, True, payload) for opcode, payload in sent]


@settings(max_examples=100, deadline=None)
@given(st.lists(messages | controls, max_size=5), st.booleans())
def test_what_the_websockets_library_frames_is_read_here(sent, mask):
    data = b"".join(Theirs(Opcode(opcode), payload).serialize(mask=mask) for opcode, payload in sent)
    assert Frames(masked=mask).feed(data) == tuple(Frame(*each) for each in sent)


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=20), st.booleans())
def test_a_frame_that_the_websockets_library_refuses_is_refused_here(data, mask):
    """A single frame: what spans frames (order of fragments) is the connection's business in that library."""
    _, fault = read_by_websockets(data, mask, 1000)
    frames = Frames(masked=mask, largest=1000)
    try:
        frames.feed(data)
    except ParseError:
        return
    assert not fault or frames.closed


@settings(deadline=None)
@given(st.binary(max_size=20), st.binary(min_size=4, max_size=4))
@example(b"x" * 10_001, b"abcd")  # the other way of masking
@example(bytes(range(256)) * 8, b"\x00\xff\x01\x80")
def test_masking_is_an_exclusive_or_of_every_fourth_byte(data, key):
    masked = mask_bytes(data, key)
    assert masked == bytes(byte ^ key[place % 4] for place, byte in enumerate(data))
    assert mask_bytes(masked, key) == data


def test_examples_of_the_rfc():
    """RFC 6455 section 5.7."""
    assert Frames(masked=False).feed(bytes.fromhex("810548656c6c6f")) == (Frame(TEXT, b"Hello"),)
    masked = bytes.fromhex("818537fa213d7f9f4d5158")
    assert Frames(masked=True).feed(masked) == (Frame(TEXT, b"Hello"),)
    assert frame(TEXT, b"Hello", bytes.fromhex("37fa213d")) == masked
    parts = bytes.fromhex("010348656c") + bytes.fromhex("80026c6f")
    assert Frames(masked=False).feed(parts) == (Frame(TEXT, b"Hello"),)
    assert frame(BINARY, b"x" * 256)[:4] == bytes.fromhex("827e0100")
    assert frame(BINARY, b"x" * 65536)[:10] == bytes.fromhex("827f0000000000010000")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("c100", "without reserved bits"),
        ("8300", "without reserved bits"),
        ("8185", "an unmasked frame"),
        ("0900", "a whole control frame"),
        ("897e", "a whole control frame"),
        ("817e0005", "the shortest form"),
        ("817f0000000000000005", "the shortest form"),
        ("817e0401", "at most 1024 bytes"),
        ("817fffffffffffffffff", "at most 1024 bytes"),
        ("8000", "fragments in turn"),
        ("01008100", "fragments in turn"),
        ("8801ff", "status of two bytes"),
    ],
)
def test_each_breach_of_the_protocol_is_named(data, says):
    with pytest.raises(ParseError, match=says):
        Frames(masked=False, largest=1024).feed(bytes.fromhex(data))


def test_fragments_together_are_bounded():
    frames = Frames(masked=False, largest=1024)
    part = b"\x01\x7e\x02\x00" + b"x" * 512
    assert frames.feed(part) == ()
    assert frames.feed(b"\x00\x7e\x02\x00" + b"y" * 512) == ()
    with pytest.raises(ParseError, match="at most 1024"):
        frames.feed(b"\x80\x01z")


def test_a_close_ends_it():
    frames = Frames(masked=False)
    (close,) = frames.feed(close_frame(1001) + b"\xff\xff")
    assert (close.opcode, close.close_code, frames.closed) == (CLOSE, 1001, True)
    assert Close.parse(close.payload).code == 1001
    assert frames.feed(b"\xff") == ()
    assert Frame(CLOSE, b"").close_code is None


def test_a_control_frame_has_no_room_for_more():
    with pytest.raises(ValueError, match="125"):
        frame(PING, b"x" * 126)


def test_the_witness_finds_faults():
    """The comparison above would be empty if the library took anything."""
    assert read_by_websockets(b"\xc1\x00", False, 1000)[1]
