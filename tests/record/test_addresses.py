"""The address map: one-to-one, classes and prefixes kept, fast enough for a large census."""

from __future__ import annotations

import ipaddress
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.record.addresses import AddressMap, network

KEY = bytes(range(32))
MAP = AddressMap(KEY)

CLASSES4 = [
    ipaddress.ip_network(net)
    for net in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "198.18.0.0/15",
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "127.0.0.0/8",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "0.0.0.0/8",
    )
]
CLASSES6 = [
    ipaddress.ip_network(net)
    for net in (
        "fc00::/8",
        "fd00::/8",
        "fe80::/10",
        "ff00::/8",
        "2001:db8::/32",
        "2002::/16",
        "2001::/32",
        "fec0::/10",
        "::ffff:0:0/96",
        "2000::/3",
    )
]

v4 = st.one_of(
    st.binary(min_size=4, max_size=4),
    st.sampled_from(CLASSES4).flatmap(
        lambda net: st.integers(int(net[0]), int(net[-1])).map(lambda number: number.to_bytes(4, "big"))
    ),
)
v6 = st.one_of(
    st.binary(min_size=16, max_size=16),
    st.sampled_from(CLASSES6).flatmap(
        lambda net: st.integers(int(net[0]), int(net[-1])).map(lambda number: number.to_bytes(16, "big"))
    ),
)


def classes(packed, table):
    address = ipaddress.ip_address(packed)
    return [net for net in table if address in net]


@settings(max_examples=100, deadline=None)
@given(st.lists(v4, min_size=2, max_size=40))
def test_v4_addresses_stay_different_and_share_the_same_prefixes_of_24_bits(addresses):
    for one in addresses:
        for two in addresses:
            assert (one == two) == (MAP.v4(one) == MAP.v4(two))
            assert (one[:3] == two[:3]) == (MAP.v4(one)[:3] == MAP.v4(two)[:3])


@settings(max_examples=100, deadline=None)
@given(st.lists(v6, min_size=2, max_size=20))
def test_v6_addresses_stay_different_and_share_the_same_prefixes_of_64_bits(addresses):
    for one in addresses:
        for two in addresses:
            assert (one == two) == (MAP.v6(one) == MAP.v6(two))
            assert (one[:8] == two[:8]) == (MAP.v6(one)[:8] == MAP.v6(two)[:8])


@settings(max_examples=100, deadline=None)
@given(v4)
def test_v4_addresses_stay_in_their_class(address):
    assert classes(MAP.v4(address), CLASSES4) == classes(address, CLASSES4)


@settings(max_examples=100, deadline=None)
@given(v6)
def test_v6_addresses_stay_in_their_class(address):
    assert classes(MAP.v6(address), CLASSES6) == classes(address, CLASSES6)


@settings(max_examples=100, deadline=None)
@given(v4)
def test_mapped_addresses_follow_their_v4_address(address):
    prefix = bytes(10) + b"\xff\xff"
    assert MAP.v6(prefix + address) == prefix + MAP.v4(address)


@pytest.mark.parametrize("width", [8, 9, 12, 14, 16])
def test_the_small_permutations_reach_every_value_once(width):
    assert {MAP._permute(number, width) for number in range(1 << width)} == set(range(1 << width))


def test_the_last_octet_is_permuted_inside_its_network_with_both_ends_in_place():
    mapped = [MAP.v4(bytes((9, 8, 7, octet))) for octet in range(256)]
    assert len(set(mapped)) == 256
    assert (mapped[0][3], mapped[255][3]) == (0, 255)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.1.75", "255.255.255.0", "255.0.0.0", "192.0.0.0", "128.0.0.0", "::", "::1", "ff02::1", "::ffff:127.0.0.1"],
)  # fmt: skip
def test_addresses_that_name_nobody_stay(address):
    assert MAP.text(address) == address


def test_another_key_gives_another_map_and_the_same_key_the_same():
    addresses = [bytes((8, n, n, n)) for n in range(1, 200)]
    other = AddressMap(b"another key of some length")
    assert [AddressMap(KEY).v4(a) for a in addresses] == [MAP.v4(a) for a in addresses]
    assert sum(other.v4(a) == MAP.v4(a) for a in addresses) < 3
    assert sum(MAP.v4(a) == a for a in addresses) < 3


def test_zones_and_text_forms_are_kept():
    assert MAP.text("fe80::1%eth0").endswith("%eth0")
    assert MAP.text("fe80::1%eth0").startswith("fe80::")
    with pytest.raises(ValueError, match="not an IP address"):
        MAP.text("example.com")


def test_a_network_keeps_its_host_part_empty():
    packed = ipaddress.ip_address("10.20.0.0").packed
    assert network(packed, MAP.v4(packed), 16)[2:] == b"\0\0"
    packed = ipaddress.ip_address("10.0.0.0").packed
    assert network(packed, MAP.v4(packed), 8) == packed


@pytest.mark.parametrize("size", [4, 16])
def test_a_hundred_thousand_addresses_take_seconds_not_minutes(size):
    source = random.Random(1)
    addresses = [source.randbytes(size) for _ in range(100_000)]
    fresh = AddressMap(KEY)
    start = time.process_time()
    mapped = set(map(fresh.v4 if size == 4 else fresh.v6, addresses))
    assert time.process_time() - start < 9  # 0.8 and 1.3 s on an idle machine
    assert len(mapped) == len(set(addresses))
