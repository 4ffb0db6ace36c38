"""What a restart of Kamailio costs: every connection, and the time until all are served again."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.model.absent import Absent

#: the poll interval of an otherwise idle tcp main, which looks at waiting connections only then
HANDOFF_STALL_SECONDS = 5


def cost(s: Situation, ladder: Ladder) -> str:
    """A clause: connections dropped, reconnects a second, predicted time until all are served."""
    opened = s.opened
    if isinstance(opened, Absent):
        return "a restart drops every connection (how many could not be seen)"
    if opened == 0:
        return "a restart drops no connection now"
    rates = {each.name: each.at for each in ladder.rates if isinstance(each.at, int)}
    speeds = [
        rates[name]
        for name in ("accept-rate", *(("tls-handshakes",) if s.mix.encrypted else ()))
        if name in rates
    ]
    dropped = f"a restart drops {opened:,} connections"
    if not speeds:
        return f"{dropped}; how fast they can come back could not be told"
    per_second = max(1, min(speeds))
    seconds = max(1, round(opened / per_second))
    handoff = rates.get("hand-off")
    stall = (
        f", {HANDOFF_STALL_SECONDS} s more if they come at one instant"
        if handoff is not None and opened > handoff
        else ""
    )
    return f"{dropped}; if all come back at once, up to {per_second:,} a second are served: all in about {seconds} s{stall}"
