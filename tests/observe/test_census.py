"""The numpy census against the struct decoder, and its questions against plain Python."""

import collections
import pathlib
import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError
from kamtcp.observe import census, inet_diag, sockets

DUMPS = pathlib.Path(__file__).parent / "dumps"
EVERY = (DUMPS / "every.bin").read_bytes()
COLUMNS = (
    "family",
    "state",
    "timer",
    "sport",
    "dport",
    "cookie",
    "expires",
    "rqueue",
    "wqueue",
    "uid",
    "inode",
)


def rows_of(found):
    plain = zip(*(getattr(found, name).tolist() for name in COLUMNS), strict=True)
    ends = zip([one.tobytes() for one in found.src], [one.tobytes() for one in found.dst], strict=True)
    return sorted((*row, *pair) for row, pair in zip(plain, ends, strict=True))


def same_by_struct(data):
    return sorted(
        (*(getattr(one, name) for name in COLUMNS), one.src, one.dst) for one in sockets.sockets(data)
    )


def made(number, *, family=2, length=124, state=1, sport=5060, dst=b"", port_id=9):
    head = struct.pack("=IHHII", length, 18, 2, 1, port_id)
    body = struct.pack("=4B", family, state, 0, 0) + struct.pack("!HH", sport, 1024 + number % 60000)
    return (
        head + body + bytes(16) + dst.ljust(16, b"\0") + struct.pack("=IQ5I", 0, number, 0, 1, 2, 3, 4)
    ).ljust(length, b"\0")


@pytest.mark.parametrize("name", ["every", "listeners", "memory", "not_established", "outbound"])
def test_both_decoders_read_the_recorded_dumps_alike(name):
    """Mixed lengths, both families, six states: column for column the same."""
    data = (DUMPS / f"{name}.bin").read_bytes()
    assert rows_of(census.parse(data)) == same_by_struct(data)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([88, 96, 124, 132]), st.sampled_from([2, 10])), max_size=60),
    st.booleans(),
)
def test_both_decoders_read_any_mix_alike(shapes, two_dumps):
    """Also where the dumps of two sockets (two port ids) are joined: then the lengths are followed one by one."""
    data = b"".join(
        made(number, family=family, length=length, port_id=9 + (two_dumps and number > 20))
        for number, (length, family) in enumerate(shapes)
    )
    assert rows_of(census.parse(data)) == same_by_struct(data)


def test_an_address_that_looks_like_a_header_misleads_nobody():
    """A peer can choose its IPv6 address, and so put our header words into a message of mixed lengths."""
    lure = made(0)[:16]
    data = made(1, family=10, length=96, dst=lure) + made(2) + made(3, family=10, dst=lure)
    assert rows_of(census.parse(data)) == same_by_struct(data)


def test_an_empty_dump_is_an_empty_census():
    found = census.parse(b"")
    assert census.summary(found).sockets == 0
    assert found.distinct() == 0
    assert found.by_port() == {}


def test_the_recorded_census_in_numbers():
    found = census.parse(EVERY)
    summary = census.summary(found)
    assert summary.by_state == {
        "ESTABLISHED": 23, "SYN_RECV": 1, "FIN_WAIT2": 1, "TIME_WAIT": 1, "CLOSE_WAIT": 1, "LISTEN": 4,
    }  # fmt: skip
    assert summary.by_port[5060] == {"ESTABLISHED": 5, "CLOSE_WAIT": 1, "LISTEN": 1}
    assert summary.by_port[5070] == {"SYN_RECV": 1, "LISTEN": 1}
    assert summary.networks.top == (("127.0.0.0/24", 7), ("127.0.1.0/24", 3), ("::/64", 3))
    assert dict(summary.addresses.top)["::1"] == 3
    assert dict(summary.addresses.top)["127.0.0.7"] == 3  # mapped
    assert found.distinct() == len(found) == 31
    assert found.keepalive(found.state == inet_diag.State.ESTABLISHED) == 1


def test_states_and_census_agree():
    """What the steady census says of the recorded namespace is what the full one counted."""
    steady = sockets.parse_states((DUMPS / "not_established.bin").read_bytes(), 24, close_wait_counted=True)
    full = census.parse(EVERY)
    by_state = full.by_state()
    assert steady.established == by_state.pop("ESTABLISHED")
    assert steady.by_state == by_state
    without = {
        port: {s: n for s, n in row.items() if s != "ESTABLISHED"} for port, row in full.by_port().items()
    }
    assert steady.by_port == without


@pytest.mark.parametrize(("ipv4", "ipv6"), [(32, 128), (24, 64), (8, 48), (0, 0)])
def test_peers_are_counted_as_plain_python_counts_them(ipv4, ipv6):
    import ipaddress

    rng = random.Random(5)
    data, expected = [], collections.Counter()
    for number in range(500):
        family = rng.choice([2, 10, 10])
        four = bytes([10, 0, rng.randrange(4), rng.randrange(3)])
        if family == 2:
            dst, address = four, ipaddress.ip_address(four)
        elif rng.random() < 0.5:
            dst, address = bytes(10) + b"\xff\xff" + four, ipaddress.ip_address(four)
        else:
            dst = bytes([0x20, 1, 13, 0xB8, 0, 0, 0, rng.randrange(3)]) + bytes(7) + bytes([rng.randrange(3)])
            address = ipaddress.ip_address(dst)
        bits = ipv4 if address.version == 4 else ipv6
        text = str(ipaddress.ip_network((address, bits), strict=False))
        expected[str(address) if bits == address.max_prefixlen else text] += 1
        data.append(made(number, family=family, dst=dst))
    found = census.parse(b"".join(data))
    peers = found.peers(found.inbound([5060]), ipv4=ipv4, ipv6=ipv6)
    assert dict(peers.top) == expected
    assert (peers.sockets, peers.peers) == (500, len(expected))
    few = found.peers(found.inbound([5060]), ipv4=ipv4, ipv6=ipv6, keep=2)
    assert [count for _, count in few.top] == [count for _, count in expected.most_common(2)]


def test_sockets_reported_twice_are_told_by_their_cookie():
    found = census.parse(made(1) + made(2) + made(1))
    assert (len(found), found.distinct()) == (3, 2)


def test_inbound_leaves_listeners_out():
    found = census.parse(made(1, state=10) + made(2) + made(3, sport=9))
    assert found.inbound().tolist() == [False, True, False]
    assert found.inbound([9]).tolist() == [False, False, True]


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=400)
    | st.builds(
        lambda at, value, keep: EVERY[:at] + bytes([value]) + EVERY[at + 1 : keep],
        st.integers(0, len(EVERY) - 1),
        st.integers(0, 255),
        st.integers(0, len(EVERY)),
    )
)
def test_only_parse_error_escapes_on_any_bytes_and_both_refuse_alike(data):
    try:
        found = census.parse(data)
        census.summary(found)
        found.distinct()
    except ParseError:
        return
    assert rows_of(found) == same_by_struct(data)


def test_a_wrong_prefix_is_refused():
    found = census.parse(made(1))
    with pytest.raises(ValueError):
        found.peers(np.array([True]), ipv4=33)
