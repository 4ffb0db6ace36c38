"""Requests, filter programs and the splitting of dumps."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError
from kamtcp.observe import inet_diag


def message(length=124, family=2, kind=18, state=1, fill=0):
    return struct.pack("=IHHIIBB", length, kind, 2, 1, 9, family, state) + bytes([fill]) * (length - 18)


def accepts(program, port):
    """Run a program as the kernel does (inet_diag_bc_run), for the port operations only."""
    at, left = 0, len(program)
    while left > 0:
        code, yes, no = struct.unpack_from("=BBH", program, at)
        other = struct.unpack_from("=H", program, at + 6)[0] if code in (2, 3) else 0
        held = {1: False, 2: port >= other, 3: port <= other}[code]
        at, left = (at + yes, left - yes) if held else (at + no, left - no)
    return left == 0


@settings(max_examples=100)
@given(st.sets(st.integers(0, 65535), max_size=40), st.integers(0, 65535))
def test_the_filter_leaves_out_exactly_its_ports(ports, other):
    """Each port of the set is refused; its neighbours and any other are let through."""
    program = inet_diag.not_from_ports(ports)
    for port in {other} | {near for one in ports for near in (one - 1, one, one + 1) if 0 <= near <= 65535}:
        assert accepts(program, port) == (port not in ports)


def test_neighbouring_ports_are_one_range():
    assert inet_diag.not_from_ports([5062, 5060, 5061, 5061]) == inet_diag.not_from_ports(range(5060, 5063))
    assert len(inet_diag.not_from_ports(range(5060, 5063))) == 20


def test_no_ports_mean_no_filter():
    assert inet_diag.not_from_ports([]) == b""
    assert len(inet_diag.request(inet_diag.EVERY)) == 76


@pytest.mark.parametrize("ports", [[-1], [65536], range(0, 65536, 2)])
def test_ports_that_fit_no_filter_are_refused(ports):
    with pytest.raises(ValueError):
        inet_diag.not_from_ports(ports)


def test_a_dump_of_one_length_is_not_copied():
    data = message() * 5
    [(length, run)] = inet_diag.groups(data)
    assert (length, run.obj) == (124, data)


@settings(max_examples=100)
@given(st.lists(st.sampled_from([88, 96, 124, 132]), max_size=300))
def test_messages_are_brought_together_by_length(lengths):
    """Nothing is lost, doubled or mixed, whatever the order of lengths."""
    data = b"".join(message(length, fill=number % 256) for number, length in enumerate(lengths))
    found = dict(inet_diag.groups(data))
    for length in (88, 96, 124, 132):
        mine = [message(length, fill=n % 256) for n, other in enumerate(lengths) if other == length]
        assert bytes(found.get(length, b"")) == b"".join(mine)


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        message()[:100],
        message() + b"\0",
        message() + message()[:88],
        message(kind=20, family=1),
        message(kind=19),
        message() + message(family=77),
        struct.pack("=I", 4) + message()[4:],
        struct.pack("=I", 125) + message()[4:] + b"x",
    ],
)
def test_what_is_no_dump_is_a_parse_error(data):
    with pytest.raises(ParseError):
        inet_diag.groups(data)


def test_attributes_are_split_and_checked():
    head = message(88)
    two = struct.pack("=HHB3xHHI", 5, 8, 7, 8, 15, 9)
    assert [(kind, bytes(value)) for kind, value in inet_diag.attributes(head + two)] == [
        (8, b"\x07"),
        (15, b"\x09\0\0\0"),
    ]
    for wrong in (struct.pack("=HH", 3, 1), struct.pack("=HH", 9, 1)):
        with pytest.raises(ParseError):
            list(inet_diag.attributes(head + wrong))
