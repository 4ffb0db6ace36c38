"""Ceilings of new connections that are CPU time: one thread accepts everything, handshakes need cores."""

from __future__ import annotations

from kamtcp.capacity import reference
from kamtcp.capacity.ceiling import NOT_MEASURED, Ceiling, Effect, Kind, Spec
from kamtcp.capacity.situation import Situation
from kamtcp.model.absent import UNLIMITED, Absent
from kamtcp.model.origin import Figure, Origin

ACCEPT = Spec(
    "accept-rate", "one core of tcp main, which accepts all", Kind.RATE, Effect.SLOWS, "new connections per second",
    ("a faster core", "a second instance"), "accept rate",
    "Kamailio src/core/tcp_main.c handle_new_connect(), handle_tcpconn_ev(): one connection per event, one thread",
)  # fmt: skip

SCAN = Spec(
    "per-source-scan", "per-source scan on every accept", Kind.RATE, Effect.SLOWS, "new connections per second",
    ("kamailio:tcp_accept_iplimit=0 (5.8.0 and later)",), "per-source scan",
    "Kamailio src/core/tcp_main.c tcp_connection_limit_srcip() (5.7.3 and later), under the global lock",
)  # fmt: skip

HANDSHAKES = Spec(
    "tls-handshakes", "TLS handshakes on all cores", Kind.RATE, Effect.SLOWS, "TLS handshakes per second",
    ("more cores", "kamailio:tcp_children"), "TLS handshakes per core",
    "Kamailio src/modules/tls/tls_server.c; every worker handshakes",
)  # fmt: skip


def accept_rate(s: Situation) -> Ceiling:
    """New connections a second until the single thread of tcp main fills one core."""
    cost = Figure(reference.ACCEPT_MICROSECONDS, "us of tcp main per new connection", Origin.REFERENCE)
    return ACCEPT.met(
        int(1e6 / cost.value), f"1000000 us / {cost.value:g} ({cost.what})", (cost,), now=NOT_MEASURED, goal=s.goal_rate,
    )  # fmt: skip


def per_source_scan(s: Situation) -> Ceiling:
    """The same with the walk over all connections that counts those of one address."""
    found = s.parameter("tcp_accept_iplimit")
    if isinstance(found, Absent):
        return SCAN.unseen(found, goal=s.goal_rate)
    if found.value == "none":
        return SCAN.none(f"this version doesn't count connections per source ({found.where})")
    if isinstance(found.value, int) and found.value <= 0:
        return SCAN.none(f"tcp_accept_iplimit={found.value} switches it off ({found.where})")
    opened = s.opened_figure()
    goal = s.target.connections
    held = (
        Figure(goal, "connections of the target", Origin.TARGET) if goal and goal > opened.value else opened
    )
    base = Figure(reference.ACCEPT_MICROSECONDS, "us per new connection", Origin.REFERENCE)
    each = Figure(reference.SCAN_MICROSECONDS_PER_CONNECTION, "us per open connection", Origin.REFERENCE)
    return SCAN.met(
        int(1e6 / (base.value + each.value * held.value)),
        f"1000000 us / ({base.value:g} ({base.what}) + {each.value:g} ({each.what}) x {held.value:.0f} ({held.what}))",
        # whether there is a limit at all may be an assumption (version or configuration not seen)
        (base, each, held, *([s.figure("tcp_accept_iplimit")] if isinstance(found.value, int) else [])),
        now=NOT_MEASURED, goal=s.goal_rate,
    )  # fmt: skip


def tls_handshakes(s: Situation) -> Ceiling:
    """Full handshakes a second, from a reference figure for one core; versions and allocators vary a lot."""
    cores = min(s.machine.cpus, max(1, len(s.workers))) if s.workers else s.machine.cpus
    each = Figure(reference.HANDSHAKES_PER_CORE, "handshakes per core", Origin.REFERENCE)
    count = Figure(cores, "cores that workers can use", Origin.READ)
    share = s.mix.encrypted
    limit = int(each.value * count.value)
    goal = None if s.goal_rate is None else round(s.goal_rate * share)
    return HANDSHAKES.met(
        limit, f"{count.value:.0f} ({count.what}) x {each.value:.0f} ({each.what})", (count, each),
        at=int(limit / share) if share else UNLIMITED, now=NOT_MEASURED, goal=goal if share else None,
    )  # fmt: skip
