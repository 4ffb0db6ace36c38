"""Which source address and port each connection uses.

The kernel's own choice of ports becomes 50 times slower once half of `ip_local_port_range` is used towards one
destination, and refuses when it is full; Kamailio from 5.7.3 on takes 1024 connections per source address. So
addresses and ports are planned: runs of ports that don't overlap between addresses, no port that a server may use.

Source  Linux net/ipv4/inet_hashtables.c, __inet_hash_connect(); ip(7), IP_BIND_ADDRESS_NO_PORT;
        Kamailio core, tcp_accept_iplimit
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from msgspec import Struct

from kamtcp.errors import UsageError

FIRST_PORT, LAST_PORT = 1024, 65535
LOOPBACK_BASE = "127.0.1.1"  # leaves 127.0.0.x to the servers
PER_ADDRESS = 1000  # below Kamailio's limit of 1024, whose other 24 are for whoever else is there


class Block(Struct, frozen=True):
    """A run of source ports of one address.

    Args:
        address: IPv4 or IPv6 address to bind.
        first: first port; 0: the kernel chooses, at connect (IP_BIND_ADDRESS_NO_PORT).
        count: connections from here.
    """

    address: str
    first: int
    count: int


def plan_sources(
    count: int,
    *,
    base: str = LOOPBACK_BASE,
    per_address: int = PER_ADDRESS,
    avoid: Iterable[int] = (),
    first: int = FIRST_PORT,
    last: int = LAST_PORT,
) -> tuple[Block, ...]:
    """Sources for `count` connections to one destination, on consecutive addresses from `base` on.

    Args:
        count: connections.
        base: first address; for loopback anything in 127.0.0.0/8.
        per_address: connections per source address, at most.
        avoid: ports that some server listens on.
        first: lowest port.
        last: highest port.

    Raises:
        UsageError: the addresses run out of the first address's /8.
    """
    runs = tuple(_free_runs(first, last, frozenset(avoid)))
    room = sum(high - low + 1 for low, high in runs)
    per_address = min(per_address, room)
    if per_address < 1:
        raise UsageError(f"no source port is left between {first} and {last}")
    blocks: list[Block] = []
    address, here, left = IPv4Address(base), per_address, count
    network = int(address) >> 24
    while left > 0:
        for low, high in runs:
            port = low
            while port <= high and left > 0:
                if here == 0:
                    address, here = address + 1, per_address
                    while address.packed[3] in (0, 255):  # names a network in many an operator's eyes
                        address += 1
                    if int(address) >> 24 != network:
                        raise UsageError(
                            f"{count} connections need more source addresses than {base} leaves in its /8"
                        )
                size = min(high - port + 1, here, left)
                blocks.append(Block(str(address), port, size))
                port, here, left = port + size, here - size, left - size
    return tuple(blocks)


def plan_addresses(
    count: int, *, base: str = LOOPBACK_BASE, per_address: int = PER_ADDRESS
) -> tuple[Block, ...]:
    """Sources for `count` connections that don't stay: as `plan_sources`, with ports that the kernel chooses.

    An address serves `per_address` of them before the next one's turn, so that TIME-WAITs of a minute leave
    enough ports.

    Raises:
        UsageError: the addresses run out of the first address's /8.
    """
    addresses = dict.fromkeys(
        block.address for block in plan_sources(count, base=base, per_address=per_address)
    )
    counts = [per_address] * (len(addresses) - 1) + [count - per_address * (len(addresses) - 1)]
    return tuple(Block(each, 0, mine) for each, mine in zip(addresses, counts, strict=True) if mine > 0)


def split(blocks: Iterable[Block], counts: Iterable[int]) -> tuple[tuple[Block, ...], ...]:
    """Deal planned sources out to workers: `counts[i]` connections for worker i, in order.

    Raises:
        UsageError: the counts ask for more than was planned.
    """
    source = iter(blocks)
    rest: Block | None = None
    shares = []
    for count in counts:
        mine, left = [], count
        while left > 0:
            block = rest if rest is not None else next(source, None)
            if block is None:
                raise UsageError(f"sources are planned for {left} connections fewer than asked")
            take = min(left, block.count)
            mine.append(Block(block.address, block.first, take))
            spare = block.count - take
            rest = Block(block.address, block.first and block.first + take, spare) if spare else None
            left -= take
        shares.append(tuple(mine))
    return tuple(shares)


def endpoints(blocks: Iterable[Block]) -> Iterator[tuple[str, int]]:
    """(address, port) of each connection in turn; port 0 where the kernel chooses."""
    for block in blocks:
        for offset in range(block.count):
            yield block.address, block.first and block.first + offset


def _free_runs(first: int, last: int, avoid: frozenset[int]) -> Iterator[tuple[int, int]]:
    low = first
    for port in [*sorted(port for port in avoid if first <= port <= last), last + 1]:
        if port > low:
            yield low, port - 1
        low = port + 1
