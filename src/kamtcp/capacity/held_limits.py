"""Ceilings that Kamailio sets itself: its counts of connections, in all, over TLS, from one address."""

from __future__ import annotations

from kamtcp.capacity.ceiling import Ceiling, Effect, Kind, Spec
from kamtcp.capacity.situation import Situation, share_of
from kamtcp.model.absent import UNLIMITED, Absent, Limit

MAX_CONNECTIONS = Spec(
    "tcp-max-connections", "tcp_max_connections", Kind.HELD, Effect.STOPS, "connections",
    ("kamailio:tcp_max_connections",), "tcp_max_connections",
    "Kamailio src/core/tcp_main.c handle_new_connect(), tcp_send()",
)  # fmt: skip

MAX_TLS = Spec(
    "tls-max-connections", "tls_max_connections", Kind.HELD, Effect.STOPS, "TLS connections",
    ("kamailio:tls_max_connections",), "tls_max_connections",
    "Kamailio src/core/tcp_main.c handle_new_connect()",
)  # fmt: skip

PER_SOURCE = Spec(
    "per-source-limit", "tcp_accept_iplimit, per client address", Kind.HELD, Effect.STOPS,
    "connections from one address", ("kamailio:tcp_accept_iplimit",), "per-source cap",
    "Kamailio src/core/tcp_main.c tcp_connection_limit_srcip() (5.7.3 and later)",
)  # fmt: skip


def tcp_max_connections(s: Situation) -> Ceiling:
    """Connections of all transports, inbound and outbound together.

    The soft value is in force (`cfg.set_now_int tcp max_connections` lowers it); the hard one is of the start.
    """
    limit = s.number("tcp_max_connections")
    if isinstance(limit, Absent):
        return MAX_CONNECTIONS.unseen(limit, goal=s.goal_held)
    figure = s.figure("tcp_max_connections")
    return MAX_CONNECTIONS.met(
        limit, f"{limit} ({figure.what})", (figure,), now=s.opened, goal=s.goal_held
    )  # fmt: skip


def tls_max_connections(s: Situation) -> Ceiling:
    """Connections accepted on TLS listeners, WSS included."""
    enabled = s.parameter("enable_tls")
    if not isinstance(enabled, Absent) and enabled.value == 0 and s.mix.encrypted == 0:
        return MAX_TLS.none(f"TLS is off: enable_tls=no ({enabled.where})")
    limit = s.number("tls_max_connections")
    if isinstance(limit, Absent):
        return MAX_TLS.unseen(limit, goal=_tls_goal(s), floor=None if s.mix.encrypted else s.goal_held)
    figure = s.figure("tls_max_connections")
    at = share_of(limit, s.mix.encrypted)
    return MAX_TLS.met(
        limit, f"{limit} ({figure.what})", (figure,), at=at, now=s.require().opened_tls, goal=_tls_goal(s)
    )


def _tls_goal(s: Situation) -> int | None:
    """TLS and WSS connections of the target, by the transports it is counted for."""
    goal = round((s.goal_held or 0) * s.mix.encrypted)
    return goal or None


def per_source_limit(s: Situation) -> Ceiling:
    """Connections from one peer address, counted on every accept by a walk over all connections.

    Phones behind one carrier NAT, or everybody behind one load balancer, share an address.
    """
    found = s.parameter("tcp_accept_iplimit")
    if isinstance(found, Absent):
        return PER_SOURCE.unseen(found)
    if found.value == "none":
        return PER_SOURCE.none(f"this version has no limit per source address ({found.where})")
    limit = s.number("tcp_accept_iplimit")
    clients = s.require().clients_per_source
    if isinstance(limit, Absent):
        return PER_SOURCE.unseen(limit)
    figure = s.figure("tcp_accept_iplimit")
    if limit <= 0:
        return PER_SOURCE.none(f"tcp_accept_iplimit={limit} switches it off ({found.where})")
    goal = s.target.clients_per_source
    return PER_SOURCE.met(
        limit, f"{limit} ({figure.what})", (figure,), at=_at_of_source(s, limit), now=clients, goal=goal,
        note="rejects are logged (CRITICAL) and counted nowhere",
    )  # fmt: skip


def _at_of_source(s: Situation, limit: int) -> Limit:
    """Connections in all when the busiest address meets its cap; unlimited while no address is known to be shared."""
    if s.target.clients_per_source and s.target.connections:
        return share_of(limit, s.target.clients_per_source / s.target.connections)
    return UNLIMITED
