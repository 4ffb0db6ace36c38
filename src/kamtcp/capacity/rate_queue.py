"""Ceilings of new connections that are queues: accept queue, SYN queue, hand-off to the workers, packet backlog.

What arrives at one instant must fit; `goal` is what the target brings in its worst second.
"""

from __future__ import annotations

from kamtcp.capacity import reference
from kamtcp.capacity.ceiling import NOT_MEASURED, Ceiling, Effect, Kind, Spec
from kamtcp.capacity.situation import Situation, unseen
from kamtcp.model.absent import Absent, Why
from kamtcp.model.machine import ListenQueue
from kamtcp.model.origin import Figure, Origin

#: round trip of a far client; how long one entry stays in the SYN queue
ASSUMED_ROUND_TRIP_SECONDS = 0.2
#: how long softirq may be away before a backlog of packets is worked off
BACKLOG_SECONDS = 0.01

ACCEPT_QUEUE = Spec(
    "accept-queue", "accept queue", Kind.INSTANT, Effect.SLOWS, "connections at one instant",
    ("kamailio:tcp_listen_backlog", "sysctl:net.core.somaxconn"), "accept queue",
    "Linux include/net/sock.h sk_acceptq_is_full(): one more than the backlog; net/ipv4/tcp_ipv4.c tcp_conn_request()",
)  # fmt: skip

HANDOFF = Spec(
    "hand-off", "hand-off to the workers", Kind.INSTANT, Effect.SLOWS, "connections readable at one instant",
    ("kamailio:tcp_children", "sysctl:net.core.wmem_default (before Kamailio starts)"), "hand-off burst",
    "Kamailio src/core/pass_fd.c send_fd(), tcp_main.c send2child(), send_fd_queue_run(); Linux net/unix/af_unix.c",
)  # fmt: skip

SYN_QUEUE = Spec(
    "syn-queue", "SYN queue", Kind.RATE, Effect.LOSES_PROTECTION, "new connections per second",
    ("kamailio:tcp_listen_backlog", "sysctl:net.core.somaxconn"), "SYN queue and cookies",
    "Linux include/net/inet_connection_sock.h inet_csk_reqsk_queue_is_full(); tcp_conn_request()",
)  # fmt: skip

SOFTIRQ = Spec(
    "packet-backlog", "netdev_max_backlog (loopback, veth, RPS)", Kind.RATE, Effect.SLOWS, "new connections per second",
    ("sysctl:net.core.netdev_max_backlog",), "softirq backlog and budget", "Linux net/core/dev.c enqueue_to_backlog()",
)  # fmt: skip


def _tightest(s: Situation) -> ListenQueue | Absent:
    listeners = s.require().listeners
    if isinstance(listeners, Absent):
        return listeners
    if not listeners:
        return Absent("listeners of tcp main", Why.MISSING, "no listening TCP socket")
    return min(listeners, key=lambda each: (each.backlog, each.port))


def accept_queue(s: Situation) -> Ceiling:
    """Connections that one listener holds until tcp main accepts them, from the backlog in force (ss Send-Q)."""
    listener = _tightest(s)
    if isinstance(listener, Absent):
        return ACCEPT_QUEUE.unseen(listener, goal=s.goal_rate)
    backlog = Figure(listener.backlog, f"backlog of {listener.address}:{listener.port}", s.require().seen_as)
    return ACCEPT_QUEUE.met(
        listener.backlog + 1, f"{listener.backlog} ({backlog.what}) + 1", (backlog,), now=listener.queued, goal=s.goal_rate,
        note="beyond it a SYN is dropped and comes again after 1 s; tcp main takes one a loop",
    )  # fmt: skip


def hand_off(s: Situation) -> Ceiling:
    """Connections tcp main can hand to its workers in one go.

    Beyond it they wait in a list that an otherwise idle tcp main looks at only every 5 s; what then is older
    than 2 s and still doesn't fit is closed, uncounted. A steady trickle of other events hides this.

    RLIMIT_NOFILE also bounds descriptors in flight (Linux too_many_unix_fds(): ETOOMANYREFS for a sender without
    CAP_SYS_RESOURCE and CAP_SYS_ADMIN), but one instance can't meet that: a connection is handed to one worker at a
    time, every other process waits for one descriptor at most, and for each connection and each process tcp main
    keeps a descriptor open itself, so more are open than in flight. The kernel counts by user, though: while the
    workers of one instance hang, a second one of the same user is refused.
    """
    workers, machine = s.workers, s.machine
    if not workers:
        return HANDOFF.unseen(
            Absent("tcp workers", Why.NOT_VISIBLE, "no process of this role could be told"), goal=s.goal_rate
        )
    if isinstance(machine.handoff_messages, Absent) or isinstance(machine.handoff_sndbuf, Absent):
        return HANDOFF.unseen(unseen(machine.handoff_messages, machine.handoff_sndbuf), goal=s.goal_rate)
    each = Figure(
        machine.handoff_sndbuf / max(1, machine.handoff_messages), "bytes for one descriptor", Origin.PROBED
    )
    sndbufs = s.require().handoff_sndbufs
    if isinstance(sndbufs, Absent) or not sndbufs:
        buffer = Figure(machine.handoff_sndbuf, "socket buffer, as wmem_default gives it now", Origin.PROBED)
        limit = len(workers) * machine.handoff_messages
    else:
        buffer = Figure(min(sndbufs), "send buffer of the socket to a worker", Origin.READ)
        limit = len(workers) * round(machine.handoff_messages * buffer.value / max(1, machine.handoff_sndbuf))
    working = f"{len(workers)} workers x {buffer.value:.0f} ({buffer.what}) / {each.value:.0f} ({each.what})"
    return HANDOFF.met(
        limit, working, (buffer, each), now=NOT_MEASURED, goal=s.goal_rate,
        note="beyond it up to 5 s of silence, then connections are closed; nothing counts them",
    )  # fmt: skip


def syn_queue(s: Situation) -> Ceiling:
    """New connections a second that fit in the SYN queue while their handshakes are under way."""
    listener, cookies = _tightest(s), s.sysctl("net.ipv4.tcp_syncookies")
    if isinstance(listener, Absent) or isinstance(cookies, Absent):
        return SYN_QUEUE.unseen(unseen(listener, cookies), goal=s.goal_rate)
    bound = _half_open(s, listener, cookies=cookies > 0)
    if isinstance(bound, Absent):
        return SYN_QUEUE.unseen(bound, goal=s.goal_rate)
    trip = Figure(ASSUMED_ROUND_TRIP_SECONDS, "s round trip", Origin.ASSUMED)
    on = cookies > 0
    return SYN_QUEUE.met(
        int(bound.value / trip.value), f"{bound.value:.0f} ({bound.what}) / {trip.value:g} ({trip.what})", (bound, trip),
        now=NOT_MEASURED, goal=s.goal_rate, effect=Effect.LOSES_PROTECTION if on else Effect.SLOWS,
        note="beyond it SYN cookies: connections are made, without some TCP options" if on else
        "tcp_syncookies=0: beyond it SYNs are dropped",
    )  # fmt: skip


def _half_open(s: Situation, listener: ListenQueue, *, cookies: bool) -> Figure | Absent:
    """Half-open connections that one listener holds: one more than its backlog.

    With cookies off, a peer that tcp_metrics doesn't know yet is refused the last quarter of tcp_max_syn_backlog.
    Source: Linux net/ipv4/tcp_input.c tcp_conn_request().
    """
    bound = Figure(
        listener.backlog + 1, f"half-open connections of {listener.address}:{listener.port}", Origin.READ
    )
    if cookies:
        return bound
    most = s.sysctl("net.ipv4.tcp_max_syn_backlog")
    if isinstance(most, Absent):
        return bound if most.why is Why.MISSING else most
    for_new = max(0, most) - (max(0, most) >> 2) + 1
    if for_new >= bound.value:
        return bound
    return Figure(
        for_new, f"half-open connections of new peers, tcp_max_syn_backlog={most} less a quarter", Origin.READ
    )


def packet_backlog(s: Situation) -> Ceiling:
    """New connections a second over loopback, veth or RPS until a CPU's backlog of packets overflows."""
    limit = s.sysctl("net.core.netdev_max_backlog")
    if isinstance(limit, Absent):
        return SOFTIRQ.unseen(limit, goal=s.goal_rate)
    backlog = Figure(limit, "packets, netdev_max_backlog", Origin.READ)
    pause = Figure(BACKLOG_SECONDS, "s without softirq", Origin.ASSUMED)
    packets = Figure(
        reference.PACKETS_PER_CONNECTION, "packets received per new connection", Origin.REFERENCE
    )
    return SOFTIRQ.met(
        int(backlog.value / pause.value / packets.value),
        f"{limit} ({backlog.what}) / {pause.value:g} ({pause.what}) / {packets.value:.0f} ({packets.what})",
        (backlog, pause, packets), now=NOT_MEASURED, goal=s.goal_rate, note="a NIC with its own queues doesn't pass here",
    )  # fmt: skip
