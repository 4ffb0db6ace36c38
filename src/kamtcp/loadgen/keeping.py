"""What held connections do by the clock: keepalives, and the little that slow readers read."""

from __future__ import annotations

import os

from kamtcp.loadgen.kinds import Kind
from kamtcp.loadgen.peers import HELD, WAITING, Peers
from kamtcp.loadgen.program import Asked
from kamtcp.loadgen.talking import Talking


def keep_alive(place: int, kind: Kind, peers: Peers, talking: Talking, now: float) -> None:
    """Send the keepalives of a kind that are due. One that isn't answered yet isn't repeated."""
    keepalive, queue = kind.what.keepalive, kind.alive
    if keepalive is None:
        return
    what: Asked = "crlf" if keepalive.what == "ping" and not kind.web else keepalive.what
    while queue and queue[0][2] <= now:
        fd, opened, due = queue.popleft()
        if peers.state[fd] < HELD or peers.opened[fd] != opened or peers.kind[fd] != place:
            continue  # it ended, and another may have its descriptor
        queue.append((fd, opened, max(due, now - keepalive.every) + keepalive.every))
        if peers.state[fd] == WAITING or fd in peers.unsent:
            continue
        peers.parts[peers.part[fd]].tally.keepalives += 1
        talking.ask(fd, what)
        if kind.slow and peers.state[fd] == WAITING:
            peers.state[fd] = HELD  # it doesn't read the answer
            peers.pending.pop(fd, None)


def read_slowly(place: int, kind: Kind, peers: Peers, now: float) -> None:
    """Let the slow readers of a kind read what a second allows them."""
    queue = kind.readers
    while queue and queue[0][2] <= now:
        fd, opened, _ = queue.popleft()
        if peers.state[fd] < HELD or peers.opened[fd] != opened or peers.kind[fd] != place:
            continue
        try:
            os.read(fd, kind.what.read_rate or 1)
        except BlockingIOError:
            pass
        except OSError as error:
            peers.broken(fd, error.errno or 0)
            continue
        queue.append((fd, opened, now + 1.0))
