"""Ceilings outside Kamailio that open connections meet on the network side: conntrack, orphans, local ports."""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity.ceiling import Ceiling, Effect, Kind, Spec
from kamtcp.capacity.situation import Situation, share_of, unseen
from kamtcp.model.absent import UNLIMITED, Absent, Why
from kamtcp.model.machine import counter
from kamtcp.model.origin import Figure, Origin

#: the kernel's default of nf_conntrack_tcp_timeout_time_wait, for which a closed flow stays in the table
CONNTRACK_CLOSED_SECONDS = 120
#: an expired entry is still counted until the kernel collects it, once a minute where most flows live long
#: (Linux nf_conntrack_core.c GC_SCAN_INTERVAL_MAX; flows of a 5 s timeout were counted for 58 to 61 s, Linux 6.18)
CONNTRACK_COLLECTED_SECONDS = 60

CONNTRACK = Spec(
    "conntrack-table", "conntrack table", Kind.HELD, Effect.STOPS, "connections",
    ("sysctl:net.netfilter.nf_conntrack_max", "nftables: notrack for the SIP ports"), "conntrack table",
    "Linux net/netfilter/nf_conntrack_core.c __nf_conntrack_alloc()",
)  # fmt: skip

ORPHANS = Spec(
    "orphans", "tcp_max_orphans on a mass close", Kind.HELD, Effect.HURTS_OTHERS, "connections closed at once",
    ("sysctl:net.ipv4.tcp_max_orphans",), "orphans on mass close", "Linux net/ipv4/tcp.c tcp_check_oom(), tcp_too_many_orphans()",
)  # fmt: skip

PORTS = Spec(
    "ephemeral-ports", "ephemeral ports", Kind.HELD, Effect.STOPS, "outbound connections to one destination",
    ("sysctl:net.ipv4.ip_local_port_range", "kamailio:tcp_source_ipv4"), "ephemeral ports per outbound destination",
    "Linux net/ipv4/inet_hashtables.c __inet_hash_connect(): EADDRNOTAVAIL, counted nowhere",
)  # fmt: skip

CLIFF = Spec(
    "ephemeral-ports-half", "ephemeral ports, cost cliff at half the range", Kind.HELD, Effect.SLOWS,
    "outbound connections to one destination", ("sysctl:net.ipv4.ip_local_port_range",), "cost cliff at half the range",
    "Linux net/ipv4/inet_hashtables.c __inet_hash_connect(): ports of one parity first",
)  # fmt: skip


def conntrack_closed_seconds(s: Situation) -> Figure:
    """How long a closed flow may count in the table: its timeout, and until it is collected."""
    stay = s.sysctl("net.netfilter.nf_conntrack_tcp_timeout_time_wait")
    after = f"and {CONNTRACK_COLLECTED_SECONDS} until collected"
    if isinstance(stay, Absent):
        seconds = CONNTRACK_CLOSED_SECONDS + CONNTRACK_COLLECTED_SECONDS
        return Figure(seconds, f"s, time_wait entries: {CONNTRACK_CLOSED_SECONDS} {after}", Origin.ASSUMED)
    seconds = max(1, stay) + CONNTRACK_COLLECTED_SECONDS
    return Figure(seconds, f"s, time_wait entries: {max(1, stay)} {after}", Origin.READ)


def conntrack_table(s: Situation) -> Ceiling:
    """Connections until conntrack drops packets of new ones. It counts only where a rule of this namespace tracks."""
    active, space = s.namespace.conntrack_active, s.namespace
    if active is False:
        return CONNTRACK.none(
            "no rule of this namespace tracks connections (nf_conntrack_count is 0 and its counters rest)"
        )
    limit = s.sysctl("net.netfilter.nf_conntrack_max")
    if isinstance(limit, Absent) and limit.why is Why.MISSING:
        return CONNTRACK.none("this kernel has no nf_conntrack loaded")
    if isinstance(active, Absent) or isinstance(limit, Absent) or isinstance(space.conntrack_count, Absent):
        return CONNTRACK.unseen(unseen(active, limit, space.conntrack_count), goal=s.goal_held)
    if limit == 0:
        return CONNTRACK.none("nf_conntrack_max is 0: no limit", now=space.conntrack_count)
    top = Figure(limit, "nf_conntrack_max", Origin.READ)
    used = Figure(space.conntrack_count, "entries now", Origin.READ)
    opened = s.opened_figure() if s.instance else Figure(0, "open connections", Origin.READ)
    figures = [opened, top, used]
    rate = s.target.rate or 0
    closed = Figure(
        rate * conntrack_closed_seconds(s).value, f"entries of closed flows at {rate:g}/s", Origin.TARGET
    )
    if rate:
        figures.append(closed)
    return CONNTRACK.met(
        int(opened.value + top.value - used.value - closed.value),
        f"{opened.value:.0f} ({opened.what}) + {top.value:.0f} ({top.what}) - {used.value:.0f} ({used.what})"
        + (f" - {closed.value:.0f} ({closed.what})" if rate else ""),
        tuple(figures), now=s.opened if s.instance else space.conntrack_count, goal=s.goal_held,
    )  # fmt: skip


def orphans(s: Situation) -> Ceiling:
    """Connections that may be closed at once towards peers that have gone silent; beyond it closing sockets are reset."""
    limit = s.sysctl("net.ipv4.tcp_max_orphans")
    now = counter(s.namespace.sockstat, "TCP.orphan")
    if isinstance(limit, Absent) or isinstance(now, Absent):
        return ORPHANS.unseen(unseen(limit, now), goal=s.goal_held)
    top = Figure(limit, "tcp_max_orphans", Origin.READ)
    used = Figure(now, "orphans now, whole machine", Origin.READ)
    return ORPHANS.met(
        int(top.value - used.value), f"{limit} ({top.what}) - {now} ({used.what})", (top, used), now=now, goal=s.goal_held,
    )  # fmt: skip


class PortRange(Struct, frozen=True):
    """Local ports the kernel may choose: how many, and of which range."""

    ports: int
    working: str
    inputs: tuple[Figure, ...]


def port_range(s: Situation) -> PortRange | Absent:
    """The usable size of ip_local_port_range, reserved ports taken off."""
    low, high = s.sysctl_at("net.ipv4.ip_local_port_range", 0), s.sysctl_at("net.ipv4.ip_local_port_range", 1)
    if isinstance(low, Absent) or isinstance(high, Absent):
        return unseen(low, high)
    size = Figure(max(0, high - low + 1), f"ports of ip_local_port_range {low}-{high}", Origin.READ)
    text = s.sysctl_text("net.ipv4.ip_local_reserved_ports")
    if isinstance(text, Absent) and text.why is not Why.MISSING:
        return text
    taken = 0 if isinstance(text, Absent) else within(text, low, high)
    if not taken:
        return PortRange(int(size.value), f"{size.value:.0f} ({size.what})", (size,))
    reserved = Figure(taken, "ip_local_reserved_ports among them", Origin.READ)
    return PortRange(
        int(size.value - taken),
        f"{size.value:.0f} ({size.what}) - {taken} ({reserved.what})",
        (size, reserved),
    )


def within(text: str, low: int, high: int) -> int:
    """How many ports of a list like "5060,8080-8090" lie in low..high."""
    total = 0
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (not last or last.isdigit()):
            total += max(0, min(high, int(last or first)) - max(low, int(first)) + 1)
    return total


def busiest(s: Situation) -> tuple[str, int, int | None]:
    """The destination to judge by: name, connections now, connections wanted (None without a target)."""
    now = {} if isinstance(s.namespace.outbound, Absent) else {
        f"{use.address}:{use.port}" if ":" not in use.address else f"[{use.address}]:{use.port}": use.connections
        for use in s.namespace.outbound
    }  # fmt: skip
    if s.target.outbound:
        name = max(s.target.outbound, key=lambda each: (s.target.outbound[each], each))
        return name, now.get(name, 0), s.target.outbound[name]
    if now:
        name = max(now, key=lambda each: (now[each], each))
        return name, now[name], None
    return "", 0, None


def ephemeral_ports(s: Situation) -> Ceiling:
    """Connections that Kamailio can open to one destination from one local address. Inbound ones need no port."""
    return _ports(s, PORTS, half=False)


def ephemeral_ports_half(s: Situation) -> Ceiling:
    """Half of that: beyond it each connect() searches the other parity and costs thirty times more."""
    return _ports(s, CLIFF, half=True)


def _ports(s: Situation, spec: Spec, *, half: bool) -> Ceiling:
    found = port_range(s)
    name, now, goal = busiest(s)
    if isinstance(found, Absent):
        return spec.unseen(found, goal=goal)
    limit = found.ports // 2 if half else found.ports
    at = UNLIMITED
    if goal and s.target.connections:
        at = share_of(limit, goal / s.target.connections)  # type: ignore[assignment]
    where = f" to {name}" if name else ""
    return spec.met(
        limit, found.working + (" / 2" if half else ""), found.inputs, at=at, now=now, goal=goal,
        title=spec.title + (where if name else " (nothing outbound now)"), unit=f"outbound connections{where or ' to one destination'}",
        note="" if half else "met: connect() gives EADDRNOTAVAIL, which no counter of the kernel tells",
    )  # fmt: skip
