"""Who closes an idle connection first, and how long a dead peer stays counted.

A connection that nobody uses is closed by the first of these to fire. A phone registers again only when its
registration runs out: any timer shorter than that, with no traffic in between, makes it unreachable until then.
"""

from __future__ import annotations

from kamtcp.capacity import timers_kamailio, timers_kernel
from kamtcp.capacity.situation import Situation
from kamtcp.capacity.timer import PHONE, Timer, off
from kamtcp.model.origin import Origin


def chain(s: Situation) -> tuple[Timer, ...]:
    """All timers on a connection of this instance, in a fixed order; a row more for each box the target names."""
    return (
        *_of_target(s),
        *timers_kamailio.lifetimes(s),
        *timers_kamailio.websocket(s),
        *timers_kernel.probes(s),
        *timers_kamailio.messages(s),
        *timers_kernel.retransmissions(s),
        timers_kernel.fin_wait(s),
        *timers_kernel.handshakes(s),
        timers_kamailio.connect(s),
        timers_kernel.conntrack(s),
        *_middle(s),
    )


def _of_target(s: Situation) -> tuple[Timer, ...]:
    rows = (
        ("registration", "registration expiry", s.target.registration_seconds, "registers again: traffic"),
        ("crlf-ping", "CRLF keepalive of the phones", s.target.keepalive_seconds, "pings: traffic"),
    )
    return tuple(
        off(name, title, "not stated in the target", Origin.TARGET) if seconds is None
        else Timer(name, title, float(seconds), does, "target", Origin.TARGET, who=PHONE)
        for name, title, seconds, does in rows
    )  # fmt: skip


def _middle(s: Situation) -> tuple[Timer, ...]:
    """Boxes on the way, as the target declares them: nothing on this host shows them."""
    return tuple(
        Timer(f"middle-{name}", "box on the way", float(seconds), "forgets it, neither end is told", "target",
              Origin.TARGET, who=name)
        for name, seconds in sorted(s.target.middle.items())
    )  # fmt: skip
