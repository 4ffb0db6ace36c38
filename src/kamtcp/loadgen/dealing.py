"""How many processes a load takes, and which clients and sources each one gets."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from msgspec.structs import replace

from kamtcp.loadgen.program import Arrive, Clients, Program
from kamtcp.loadgen.schedule import share_count
from kamtcp.loadgen.sources import LOOPBACK_BASE, PER_ADDRESS, Block, plan_addresses, plan_sources, split

RESERVE = 64  # descriptors of a worker that are no connections
_SMALL = 2000  # connections below which a second process costs more than it gives
_SIP_PORTS = (5060, 5061, 5062)
_CHURNING = 10_000  # descriptors that connections which come and go are taken to need at a time


def workers_for(connections: int, *, cores: int, nofile: int, concurrency: int | None = None) -> int:
    """How many processes a load needs: one per core, more if the descriptor limit asks for it, one if it is small.

    Args:
        connections: of the whole load.
        cores: that may be used.
        nofile: hard limit of descriptors per process.
        concurrency: bound on unanswered connections; it is kept in one process.
    """
    least = -(-connections // max(1, nofile - RESERVE))
    if concurrency is not None or connections < _SMALL:
        return max(1, least)
    return max(cores, least)


def at_once(program: Program) -> int:
    """Connections that may be open at a time."""
    churns = [phase for phase in program.phases if isinstance(phase, Arrive) and phase.close]
    come_and_go = sum(each.schedule.count for phase in churns for each in phase.arrivals)
    stays = 0 if len(churns) == len(program.phases) else sum(each.count for each in program.clients)
    return stays + min(come_and_go, _CHURNING)


def deal(program: Program, workers: int, sources: tuple[Block, ...] | None) -> tuple[Program, ...]:
    """Each worker's program.

    Args:
        program: of the whole load.
        workers: how many.
        sources: for the kinds that have none of their own, in turn; empty: the kernel's choice; None: planned on
            loopback addresses if that is where the server is.

    Raises:
        UsageError: the sources don't suffice.
    """
    shares = [list[Clients]() for _ in range(workers)]
    without = [each.count for each in program.clients if not each.blocks]
    given = iter(split(sources, without) if sources else ((),) * len(without))
    begin = LOOPBACK_BASE
    for clients in program.clients:
        blocks = clients.blocks or next(given)
        if (
            not blocks
            and sources is None
            and ip_address(clients.address).is_loopback
            and ":" not in clients.address
        ):
            blocks, begin = _planned(program, clients, begin)
        counts = [share_count(clients.count, worker, workers) for worker in range(workers)]
        mine = split(blocks, counts) if blocks else ((),) * workers
        for worker, each in enumerate(mine):
            shares[worker].append(replace(clients, blocks=each, shares_ports=workers > 1))
    return tuple(
        replace(program, clients=tuple(each), worker=worker, workers=workers)
        for worker, each in enumerate(shares)
    )


def _planned(program: Program, clients: Clients, base: str) -> tuple[tuple[Block, ...], str]:
    """Sources of one kind, and where the next kind's begin."""
    if any(isinstance(phase, Arrive) and phase.close for phase in program.phases):
        blocks = plan_addresses(clients.count, base=base)
    else:
        avoid = (*_SIP_PORTS, clients.port)
        blocks = plan_sources(clients.count, base=base, per_address=PER_ADDRESS, avoid=avoid)
    return blocks, _after(blocks, base)


def _after(blocks: Iterable[Block], base: str) -> str:
    last = max((ip_address(block.address) for block in blocks), default=ip_address(base)) + 1
    while last.packed[-1] in (0, 255):
        last += 1
    return str(last)
