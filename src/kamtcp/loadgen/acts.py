"""What each phase does in a worker: a function per kind of phase, each returns false once the load is stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from heapq import merge

from kamtcp.loadgen.loop import TICK, Loop
from kamtcp.loadgen.order import Closing
from kamtcp.loadgen.part import fail
from kamtcp.loadgen.peers import HELD, OPEN, WAITING
from kamtcp.loadgen.program import Arrive, Burst, Close, Hold, Open
from kamtcp.loadgen.result import Stretch
from kamtcp.loadgen.schedule import Steady, share

_BATCH = 64  # connections opened between two looks at epoll
_GRACE = 1.0  # seconds after the last scheduled moment in which late arrivals are still started
CLOSINGS = {"fin": Closing.FIN, "rst": Closing.RESET}


def stretch(loop: Loop, number: int, kind: str, place: int, at: float, *, trickle: bool = False) -> int:
    """A new part, for one kind of clients in this phase."""
    name = loop.program.clients[place].name
    return loop.peers.add_part(Stretch(number, kind, name, trickle, begun=at - loop.start))


def arrive(loop: Loop, number: int, act: Arrive, at: float) -> bool:
    """Open what is due, when it is due or as soon as the bound on concurrency allows; wait for what becomes of it."""
    program, talking = loop.program, loop.talking
    parts = {each.clients: stretch(loop, number, act.kind, each.clients, at) for each in act.arrivals}
    talking.asking, talking.slow_after = act.ask, act.slow
    talking.slow = loop.late = 0
    if act.close:
        talking.closing.update(parts.values())
    moments = [
        _placed(share(each.schedule, program.worker, program.workers), each.clients) for each in act.arrivals
    ]
    names = {each.clients: _in_turn(loop, each.clients) for each in act.arrivals}
    cut = act.cut and program.concurrency is None  # with a bound, whoever waits does so by order
    return _open_due(loop, at, moments, parts, names, cut=cut) and loop.settle()


def open_more(loop: Loop, number: int, act: Open, at: float) -> bool:
    """Open what of a share isn't open: clients that never were, and those that were closed or lost."""
    program, peers = loop.program, loop.peers
    total = sum(program.clients[place].count for place in act.clients)
    parts, names, moments = {}, {}, []
    loop.talking.asking = True
    for place in act.clients:
        mine = loop.kinds[place].mine
        there = {peers.client[fd] for fd in peers.of_kind((place,), OPEN, HELD, WAITING)}
        wanted = round(act.share * mine) - len(there)
        if wanted <= 0:
            continue
        parts[place] = stretch(loop, number, act.kind, place, at)
        names[place] = iter([client for client in _all_of(loop, place) if client not in there])
        rate = wanted / act.seconds if act.seconds else (act.rate or 1.0) * mine / total
        offset = program.worker / program.workers / rate  # workers take turns
        moments.append(_placed((offset + each for each in Steady(wanted, rate).moments()), place))
    return _open_due(loop, at, moments, parts, names) and loop.settle()


def _placed(moments: Iterator[float], place: int) -> Iterator[tuple[float, int]]:
    return ((moment, place) for moment in moments)


def _all_of(loop: Loop, place: int) -> range:
    """The worker's clients of a kind."""
    return range(loop.program.worker, loop.program.clients[place].count, loop.program.workers)


def _in_turn(loop: Loop, place: int) -> Iterator[int]:
    """The worker's clients of a kind, those first that had no turn yet, and again from the first when all had."""
    kind, program = loop.kinds[place], loop.program
    while True:
        yield program.worker + kind.opened % max(kind.mine, 1) * program.workers
        kind.opened += 1


def _open_due(
    loop: Loop,
    at: float,
    moments: list[Iterator[tuple[float, int]]],
    parts: dict[int, int],
    names: Mapping[int, Iterator[int]],
    *,
    cut: bool = False,
) -> bool:
    """Start each arrival of (moment after `at`, kind).

    Args:
        loop: of this worker.
        at: CLOCK_MONOTONIC.
        moments: of several kinds, each ascending.
        parts: of each kind, where it counts.
        names: of each kind, its clients.
        cut: what would begin too late counts as the generator's own failure.

    Returns:
        False once the load is stopped.
    """
    program, peers, opening = loop.program, loop.peers, loop.opening
    bound = program.concurrency or 1 << 62
    now, late_from = time.monotonic, -program.lateness_bound
    batch, last = 0, -1.0
    for moment, place in merge(*moments) if len(moments) != 1 else moments[0]:
        due = at + moment
        while True:
            wait = due - now()
            if wait <= 0 and len(peers.pending) < bound and batch < _BATCH:
                break
            batch = 0
            if not loop.turn(min(max(wait, 0.0), TICK) if len(peers.pending) < bound else TICK):
                return False
        batch += 1
        part_place = parts[place]
        if moment > last:
            last = moment
            peers.parts[part_place].stretch.due_last = moment
        if wait < late_from:
            loop.late += 1
            if cut and wait < -_GRACE:
                part = peers.parts[part_place]
                part.tally.offered += 1
                fail(part, "generator_slow")
                continue
        opening.open(place, next(names[place]), part_place, due)
    return True


def hold(loop: Loop, act: Hold, at: float) -> bool:
    """Keep what is open."""
    loop.peers.lowest = loop.peers.held
    if act.seconds is not None:
        return loop.until(at + act.seconds)
    while loop.turn():
        pass
    return False


def burst(loop: Loop, number: int, act: Burst, at: float) -> bool:
    """Ask everywhere at one instant, wait for the answers, with a trickle of new connections beside it if wanted."""
    if not loop.until(at):
        return False
    peers, talking = loop.peers, loop.talking
    talking.asking = True
    parts: dict[int, int] = {}
    for fd in peers.of_kind(act.clients, OPEN, HELD, WAITING):
        place = peers.kind[fd]
        if peers.state[fd] != OPEN:
            if place not in parts:
                parts[place] = stretch(loop, number, act.kind, place, at)
            peers.ask_anew(fd, parts[place])
        peers.due[fd] = at
        question = act.question or loop.kinds[place].question
        if question == "ping" and not loop.kinds[place].web:
            question = "crlf"
        talking.ask(fd, question)
    end = None if act.seconds is None else at + act.seconds
    if act.trickle is not None:
        part = stretch(loop, number, act.kind, act.clients[0], at, trickle=True)
        if not _trickle(loop, act.clients[0], part, at, act.trickle):
            return False
    while any(True for _ in peers.unsettled()):
        if end is not None and time.monotonic() >= end:
            for fd in list(peers.unsettled()):
                peers.timed_out(fd)
        if not loop.turn():
            return False
    return True


def _trickle(loop: Loop, place: int, part: int, at: float, every: float) -> bool:
    """One more connection each `every` seconds, as long as others are pending."""
    peers, following = loop.peers, at
    names = _in_turn(loop, place)
    while any(peers.part[fd] != part for fd in peers.unsettled()):
        if time.monotonic() >= following:
            loop.opening.open(place, next(names), part, following)
            following += every
        if not loop.turn(max(0.0, following - time.monotonic())):
            return False
    return True


def close(loop: Loop, act: Close, at: float) -> bool:
    """Close a share of what is open of each kind, at once or evenly."""
    peers, how = loop.peers, act.how
    chosen: list[tuple[float, int, float]] = []  # (moment, descriptor, since when it is open)
    for place in act.clients:
        there = peers.of_kind((place,), OPEN, HELD, WAITING)
        wanted = round(how.share * len(there))
        for number, fd in enumerate(there[:wanted]):
            chosen.append((at + how.seconds * number / wanted, fd, peers.opened[fd]))
    for moment, fd, opened in sorted(chosen):
        if not loop.until(moment):
            return False
        if peers.state[fd] in (OPEN, HELD, WAITING) and peers.opened[fd] == opened:
            peers.close(fd, CLOSINGS[how.closing])
    return True
