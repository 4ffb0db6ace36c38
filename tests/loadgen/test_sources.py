from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import UsageError
from kamtcp.loadgen.sources import Block, endpoints, plan_sources, split


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 3000),
    st.integers(1, 1200),
    st.frozensets(st.integers(1000, 1400), max_size=8),
    st.integers(1024, 1100),
    st.integers(1200, 2500),
)
def test_every_connection_has_an_end_of_its_own(
    count: int, per_address: int, avoid: frozenset[int], first: int, last: int
) -> None:
    planned = list(
        endpoints(plan_sources(count, per_address=per_address, avoid=avoid, first=first, last=last))
    )
    assert len(planned) == count == len(set(planned))
    assert not {port for _, port in planned} & avoid
    assert all(first <= port <= last for _, port in planned)
    used: dict[str, int] = {}
    for address, _ in planned:
        used[address] = used.get(address, 0) + 1
    assert all(number <= per_address for number in used.values())


def test_ports_of_neighbouring_addresses_do_not_overlap_while_there_are_enough() -> None:
    blocks = plan_sources(60_000)
    assert len({port for _, port in endpoints(blocks)}) == 60_000
    assert all(one.first < two.first for one, two in pairwise(blocks))


def test_addresses_that_look_like_networks_are_left_out() -> None:
    addresses = {block.address for block in plan_sources(600_000)}
    assert len(addresses) == 600
    assert not any(address.endswith((".0", ".255")) for address in addresses)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 50), max_size=6), st.integers(1, 40))
def test_workers_get_disjoint_shares_in_order(counts: list[int], per_address: int) -> None:
    blocks = plan_sources(sum(counts), per_address=per_address)
    shares = split(blocks, counts)
    assert [sum(block.count for block in share) for share in shares] == counts
    assert [end for share in shares for end in endpoints(share)] == list(endpoints(blocks))


def test_a_share_that_was_not_planned_is_refused() -> None:
    with pytest.raises(UsageError, match="2 connections fewer"):
        split((Block("127.0.1.1", 1024, 3),), (5,))


def test_too_many_connections_for_the_addresses_are_refused() -> None:
    with pytest.raises(UsageError, match="more source addresses"):
        plan_sources(5000, base="10.255.255.253", per_address=1000)


def test_a_block_without_ports_leaves_them_to_the_kernel() -> None:
    assert list(endpoints((Block("192.0.2.1", 0, 2),))) == [("192.0.2.1", 0)] * 2
