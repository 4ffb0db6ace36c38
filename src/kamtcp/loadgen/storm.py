"""A storm: clients lose their connection all at once, and each comes back until it is served."""

from __future__ import annotations

import time
from heapq import heappop, heappush
from random import Random

from kamtcp.loadgen import phases
from kamtcp.loadgen.acts import CLOSINGS, stretch
from kamtcp.loadgen.loop import TICK, Loop
from kamtcp.loadgen.part import Part
from kamtcp.loadgen.peers import ASKED, CONNECTING, HELD, OPEN, SHAKING, WAITING
from kamtcp.loadgen.program import Storm
from kamtcp.loadgen.tally import Tally

_BATCH = 64  # tries between two looks at epoll


def pause(how: phases.Storm, failed: int, chance: Random) -> float:
    """Seconds that a client waits after its `failed`th failed try in a row (from 1 on)."""
    if how.backoff == "none":
        return 0.0
    wait = how.first if how.backoff == "fixed" else min(how.first * 2.0 ** min(failed - 1, 60), how.highest)
    return wait * (1.0 - how.jitter * chance.random())


class Surge:
    """A storm in one worker: who is out, and when each tries next."""

    def __init__(self, loop: Loop, number: int, act: Storm, at: float) -> None:
        self.loop, self.act, self.at, self.how = loop, act, at, act.how
        self.parts = {place: stretch(loop, number, act.kind, place, at) for place in act.clients}
        self.tries: list[tuple[float, int, int, int]] = []  # heap of (moment, failed before, kind, client)
        self.failed: dict[tuple[int, int], int] = {}  # tries that failed since it is out, by (kind, client)
        self.lost_at: dict[tuple[int, int], float] = {}
        self.unhurt: set[tuple[int, int]] = set()  # those that the server hasn't ended yet
        self.chance = Random(f"{loop.program.run}{loop.worker}")  # noqa: S311  (waits, no secrets)

    def run(self) -> bool:
        """All of it; false once the load is stopped."""
        loop, peers = self.loop, self.loop.peers
        if not loop.until(self.at):
            return False
        loop.talking.asking = True
        peers.on_gone, peers.on_answered = self._gone, self._answered
        try:
            self._begin()
            end = self.at + self.how.seconds
            while (self.lost_at or self.unhurt) and time.monotonic() < end:
                self._try_due()
                following = self.tries[0][0] if self.tries else end
                if not loop.turn(max(0.0, min(TICK, following - time.monotonic()))):
                    return False
        finally:
            peers.on_gone = peers.on_answered = None
            self._give_up()
        return True

    def _begin(self) -> None:
        """The instant: connections are lost, or will be by the server's doing."""
        peers, now = self.loop.peers, time.monotonic()
        for place, client in peers.missing:  # lost a moment before
            if place in self.parts:
                self._tally(place).clients += 1
                self._out(place, client, now, now + self.how.within * self.chance.random())
        there = [(fd, peers.opened[fd]) for fd in peers.of_kind(self.act.clients, HELD, WAITING, OPEN)]
        for done, (fd, opened) in enumerate(there, start=1):
            if peers.opened[fd] != opened or not peers.state[fd]:
                continue  # the server was quicker
            place, client = peers.kind[fd], peers.client[fd]
            self._tally(place).clients += 1
            if self.how.closing == "server":
                self.unhurt.add((place, client))
                continue
            peers.close(fd, CLOSINGS[self.how.closing])
            spread = client / self.loop.program.clients[place].count
            self._out(place, client, time.monotonic(), self.at + self.how.within * spread)
            if (
                done % _BATCH == 0
            ):  # thousands take half a second; the first are back before the last are gone
                self._try_due()
                self.loop.poll(0.0)
        self._show()

    def _out(self, place: int, client: int, now: float, following: float) -> None:
        self.lost_at[place, client] = now
        heappush(self.tries, (following, 0, place, client))

    def _gone(self, client: int, place: int, part: Part, held: bool) -> None:
        """A connection ended: of one that was held, by the server; or a try that failed."""
        key = (place, client)
        if place not in self.parts or part.stretch.trickle:
            return
        now = time.monotonic()
        if key in self.lost_at:
            failed = self.failed[key] = self.failed.get(key, 0) + 1
            heappush(self.tries, (now + pause(self.how, failed, self.chance), failed, place, client))
            return
        if not held:
            return
        if key in self.unhurt:
            self.unhurt.discard(key)
        else:
            self._tally(place).served -= 1  # it was back, and is lost once more
        self._out(place, client, now, now + self.how.within * self.chance.random())

    def _answered(self, fd: int) -> None:
        peers = self.loop.peers
        place, key = peers.kind[fd], (peers.kind[fd], peers.client[fd])
        lost = self.lost_at.pop(key, None)
        if lost is None:
            return
        self.failed.pop(key, None)
        part = peers.parts[self.parts[place]]
        part.tally.served += 1
        part.times["back"].fresh.append(time.monotonic() - lost)

    def _try_due(self) -> None:
        loop, now = self.loop, time.monotonic()
        bound = loop.program.concurrency or 1 << 62
        for _ in range(_BATCH):
            if not self.tries or self.tries[0][0] > now or len(loop.peers.pending) >= bound:
                break
            due, _, place, client = heappop(self.tries)
            part = self.parts[place]
            stretch_ = loop.peers.parts[part].stretch
            stretch_.due_last = max(stretch_.due_last, due - self.at)
            if now - due > loop.program.lateness_bound:
                loop.late += 1
            loop.opening.open(place, client, part, due)
        self._show()

    def _give_up(self) -> None:
        """Who isn't back by now stays out."""
        peers = self.loop.peers
        mine = set(self.parts.values())
        for fd in peers.of_kind(self.act.clients, CONNECTING, SHAKING, OPEN, ASKED):
            if peers.part[fd] in mine:
                peers.close(fd)
        for place, _ in self.lost_at:
            self._tally(place).given_up += 1
        for place, _ in self.unhurt:
            self._tally(place).served += 1  # never lost, so never without a connection
        self.lost_at.clear()
        self._show()

    def _tally(self, place: int) -> Tally:
        return self.loop.peers.parts[self.parts[place]].tally

    def _show(self) -> None:
        self.loop.out = len(self.lost_at)
