"""Ceilings of new connections that come from closed ones: TIME-WAIT, conntrack, ports that rest."""

from __future__ import annotations

from kamtcp.capacity.ceiling import NOT_MEASURED, Ceiling, Effect, Kind, Spec
from kamtcp.capacity.held_network import busiest, conntrack_closed_seconds, port_range
from kamtcp.capacity.situation import Situation, unseen
from kamtcp.model.absent import UNLIMITED, Absent, Why
from kamtcp.model.machine import counter
from kamtcp.model.origin import Figure, Origin

#: TCP_TIMEWAIT_LEN, compiled into Linux; tcp_fin_timeout doesn't change it
TIMEWAIT_SECONDS = 60

TIME_WAIT = Spec(
    "time-wait-buckets", "tcp_max_tw_buckets", Kind.RATE, Effect.LOSES_PROTECTION, "closes by this host per second",
    ("sysctl:net.ipv4.tcp_max_tw_buckets",), "TIME_WAIT buckets", "Linux net/ipv4/inet_timewait_sock.c inet_twsk_alloc()",
)  # fmt: skip

CHURN = Spec(
    "conntrack-churn", "conntrack entries of closed flows", Kind.RATE, Effect.STOPS, "new connections per second",
    ("sysctl:net.netfilter.nf_conntrack_max", "nftables: notrack for the SIP ports"), "conntrack churn",
    "Linux net/netfilter/nf_conntrack_proto_tcp.c: time_wait entries stay 120 s; nf_conntrack_core.c gc_worker()",
)  # fmt: skip

PORTS_RATE = Spec(
    "ephemeral-ports-rate", "ephemeral ports that rest in TIME-WAIT", Kind.RATE, Effect.STOPS,
    "outbound connections per second to one destination", ("sysctl:net.ipv4.ip_local_port_range", "sysctl:net.ipv4.tcp_tw_reuse"),
    "outbound ports / TIME_WAIT", "Linux net/ipv4/inet_hashtables.c __inet_check_established(); tcp_ipv4.c tcp_twsk_unique()",
)  # fmt: skip


def time_wait_buckets(s: Situation) -> Ceiling:
    """Connections a second that this host closes first until TIME-WAIT is skipped; none is refused."""
    limit = s.sysctl("net.ipv4.tcp_max_tw_buckets")
    if isinstance(limit, Absent):
        return TIME_WAIT.unseen(limit, goal=s.goal_rate)
    now = counter(s.namespace.sockstat, "TCP.tw")
    if limit < 0:
        return TIME_WAIT.none("tcp_max_tw_buckets is negative: no limit on this kernel", now=now)
    top = Figure(limit, "tcp_max_tw_buckets", Origin.READ)
    stay = Figure(TIMEWAIT_SECONDS, "s, constant", Origin.REFERENCE)
    return TIME_WAIT.met(
        limit // TIMEWAIT_SECONDS, f"{limit} ({top.what}) / {TIMEWAIT_SECONDS} ({stay.what})", (top, stay),
        now=now if isinstance(now, Absent) else now // TIMEWAIT_SECONDS, goal=s.goal_rate,
    )  # fmt: skip


def conntrack_churn(s: Situation) -> Ceiling:
    """New connections a second that conntrack has room for, since a closed flow stays up to three minutes in its table."""
    if s.namespace.conntrack_active is False:
        return CHURN.none("no rule of this namespace tracks connections")
    limit = s.sysctl("net.netfilter.nf_conntrack_max")
    if isinstance(limit, Absent) and limit.why is Why.MISSING:
        return CHURN.none("this kernel has no nf_conntrack loaded")
    count = s.namespace.conntrack_count
    if (
        isinstance(s.namespace.conntrack_active, Absent)
        or isinstance(limit, Absent)
        or isinstance(count, Absent)
    ):
        return CHURN.unseen(unseen(s.namespace.conntrack_active, limit, count), goal=s.goal_rate)
    if limit == 0:
        return CHURN.none("nf_conntrack_max is 0: no limit")
    top = Figure(limit, "nf_conntrack_max", Origin.READ)
    keep = _held(s)
    time = conntrack_closed_seconds(s)
    return CHURN.met(
        int((limit - keep.value) // time.value),
        f"({limit} ({top.what}) - {keep.value:.0f} ({keep.what})) / {time.value:.0f} ({time.what})",
        (top, keep, time), now=NOT_MEASURED, goal=s.goal_rate,
    )  # fmt: skip


def _held(s: Situation) -> Figure:
    """Connections that keep an entry each: the target's or those that are open, whichever are more."""
    if s.instance is None:
        return Figure(0, "connections held", Origin.READ)
    opened, wanted = s.opened_figure(), s.target.connections or 0
    if wanted > opened.value:
        return Figure(wanted, "connections held", Origin.TARGET)
    return Figure(opened.value, opened.what.replace("open connections", "connections held"), opened.origin)


def ephemeral_ports_rate(s: Situation) -> Ceiling:
    """New outbound connections a second to one destination while each closed one rests for a minute."""
    found, reuse = port_range(s), s.sysctl("net.ipv4.tcp_tw_reuse")
    name, _, _ = busiest(s)
    wanted = s.target.outbound_rate
    if wanted:
        name = max(wanted, key=lambda each: (wanted[each], each))
    goal = round(wanted[name]) if wanted else None
    if isinstance(found, Absent) or isinstance(reuse, Absent):
        return PORTS_RATE.unseen(unseen(found, reuse), goal=goal)
    rest = Figure(1 if reuse == 1 else TIMEWAIT_SECONDS, f"s of rest, tcp_tw_reuse={reuse}", Origin.READ)
    limit = int(found.ports / rest.value)
    return PORTS_RATE.met(
        limit, f"({found.working}) / {rest.value:.0f} ({rest.what})", (*found.inputs, rest), at=UNLIMITED, now=NOT_MEASURED, goal=goal,
        title=PORTS_RATE.title + (f" (to {name})" if name else " (nothing outbound now)"),
        note="only where Kamailio closes first",
    )  # fmt: skip
