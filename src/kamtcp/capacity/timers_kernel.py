"""Timers of the kernel: keepalive, retransmission, orphans, SYNs, connection tracking.

Source  Linux net/ipv4/tcp_timer.c tcp_keepalive_timer(), tcp_write_timeout(), retransmits_timed_out(), tcp_model_timeout(),
        tcp_clamp_rto_to_user_timeout(), tcp_orphan_retries(); net/ipv4/inet_connection_sock.c reqsk_timer_handler()
"""

from __future__ import annotations

import math

from kamtcp.capacity import keepalive
from kamtcp.capacity.situation import Situation, unseen
from kamtcp.capacity.timer import KERNEL, WHEEL, Timer, hidden, off
from kamtcp.model.absent import Absent, Why
from kamtcp.model.origin import Origin

RTO_MIN, RTO_MAX = 0.2, 120.0
#: tcp_orphan_retries=0 means so many
ORPHAN_RETRIES = 8
#: the kernel takes no more, of either setting: net/ipv4/tcp.c MAX_TCP_SYNCNT
MOST_RETRIES = 127
_CLOSES = "closes it"


def probes(s: Situation) -> tuple[Timer, Timer]:
    """The first keepalive probe, which keeps boxes on the way open, and the end of a peer that answers none."""
    probe, dead = "tcp-probe", "tcp-keepalive"
    asks, gone = "idle, TCP keepalive", "peer answers no TCP keepalive probe"
    found, longest = keepalive.on_listeners(s), keepalive.user_timeout(s)
    if isinstance(found, Absent):
        return hidden(probe, asks, "sends a probe", found, KERNEL), hidden(dead, gone, _CLOSES, found, KERNEL)
    if not found.on:
        why = found.where if "=" in found.where else f"{found.where}: SO_KEEPALIVE is off"
        return off(probe, asks, why), off(dead, gone, why)
    where = f" ({found.where})" if found.where else ""
    first = Timer(
        probe, asks, float(found.idle), "sends a probe", f"{found.idle} s idle{where}", Origin.READ,
        found.idle * WHEEL, KERNEL,
    )  # fmt: skip
    if isinstance(longest, Absent):
        return first, hidden(dead, gone, _CLOSES, longest, KERNEL)
    count, working = found.count, f"{found.idle} s idle + {found.count} probes x {found.interval} s{where}"
    if longest > 0 and found.interval > 0:  # a time takes the place of the number of probes
        count = max(1, math.ceil((longest - found.idle) / found.interval))
        working = (
            f"{found.idle} s idle + {count} x {found.interval} s, since TCP_USER_TIMEOUT={longest:g} s{where}"
        )
    seconds = float(found.idle + count * found.interval)
    return first, Timer(dead, gone, seconds, _CLOSES, working, Origin.READ, seconds * WHEEL, KERNEL)


def rto_max(s: Situation) -> float | Absent:
    """The longest wait between two retransmissions, seconds: a sysctl since 6.15, a constant before."""
    value = s.sysctl("net.ipv4.tcp_rto_max_ms")
    if isinstance(value, Absent):
        return RTO_MAX if value.why is Why.MISSING else value
    return value / 1000


def model(retries: int, longest: float) -> float:
    """Seconds that `retries` mean: waits from 0.2 s, doubling up to `longest`; tcp_model_timeout()."""
    doublings = max(0, int(math.log2(max(1.0, longest / RTO_MIN))))
    if retries <= doublings:
        return float((2 ** (retries + 1) - 1) * RTO_MIN)
    return float((2 ** (doublings + 1) - 1) * RTO_MIN + (retries - doublings) * longest)


def retransmissions(s: Situation) -> tuple[Timer, Timer]:
    """A peer that acknowledges nothing: with the connection open, and after Kamailio closed it."""
    open_ = ("retransmission", "peer gone while data is on its way", "closes it", "tcp_retries2")
    closed = (
        "orphan",
        "closed towards a peer that is gone (FIN-WAIT-1)",
        "forgets the socket",
        "tcp_orphan_retries",
    )
    return _unacknowledged(s, *open_), _unacknowledged(s, *closed)


def _unacknowledged(s: Situation, name: str, title: str, does: str, setting: str) -> Timer:
    limit, longest = keepalive.user_timeout(s), rto_max(s)
    retries = s.sysctl(f"net.ipv4.{setting}")
    if isinstance(limit, Absent):
        return hidden(name, title, does, limit, KERNEL)
    if limit > 0:
        working = f"TCP_USER_TIMEOUT={limit:g} s, instead of {setting}"
        return Timer(name, title, limit, does, working, Origin.READ, limit * WHEEL + RTO_MIN, KERNEL)
    if isinstance(retries, Absent) or isinstance(longest, Absent):
        return hidden(name, title, does, unseen(retries, longest), KERNEL)
    if setting == "tcp_orphan_retries" and retries == 0:
        retries = ORPHAN_RETRIES
    seconds = model(retries, longest)
    # counted from 0.2 s, but waited in steps of the round trip, after a tail loss probe: the first step beyond is the end
    late = min(longest, seconds + 1) * WHEEL + 2 * RTO_MIN
    working = f"{setting}={retries}, from 0.2 s doubling to {longest:g} s + up to one more wait"
    return Timer(name, title, round(seconds, 1), does, working, Origin.READ, round(seconds + late, 1), KERNEL)


def fin_wait(s: Situation) -> Timer:
    """Closed, the FIN acknowledged, and the peer never closes its side."""
    name, title, does = (
        "fin-wait-2",
        "closed, the peer doesn't close its side (FIN-WAIT-2)",
        "forgets the socket",
    )
    options, linger = s.require().listener_options, s.number("tcp_linger2")
    value: int | Absent = s.sysctl("net.ipv4.tcp_fin_timeout")
    working = f"tcp_fin_timeout={value}"
    if not isinstance(options, Absent):
        value, working = options.linger2, f"TCP_LINGER2={options.linger2} (listener on port {options.port})"
    elif isinstance(linger, int) and linger > 0:
        value, working = linger, f"tcp_linger2={linger}"
    elif isinstance(linger, Absent) and linger.why is not Why.MISSING:
        value = linger
    if isinstance(value, Absent):
        return hidden(name, title, does, value, KERNEL)
    if value < 0:
        return Timer(name, title, 0.0, does, working, Origin.READ, 0.0, KERNEL)
    return Timer(name, title, float(value), does, working, Origin.READ, value * WHEEL, KERNEL)


def handshakes(s: Situation) -> tuple[Timer, Timer]:
    """Half-open inbound, and outbound without an answer."""
    return _syn_ack(s), _syn(s)


def _syn_ack(s: Situation) -> Timer:
    name, title, does = "syn-ack", "half-open, the client never answers", "forgets it"
    retries = s.sysctl("net.ipv4.tcp_synack_retries")
    if isinstance(retries, Absent):
        return hidden(name, title, does, retries, KERNEL)
    seconds = float(2 ** (retries + 1) - 1) if retries < 7 else 127.0 + (retries - 6) * RTO_MAX
    return Timer(
        name, title, seconds, does, f"tcp_synack_retries={retries}", Origin.READ, seconds * WHEEL, KERNEL
    )


def _syn(s: Situation) -> Timer:
    """Gives up at the first wait that ends beyond 2^(n+1)-1 s, or after n + linear SYNs."""
    name, title, does = "syn", "outbound, no answer to the SYN", "gives up the connection"
    retries, linear = s.sysctl("net.ipv4.tcp_syn_retries"), s.sysctl("net.ipv4.tcp_syn_linear_timeouts")
    if isinstance(linear, Absent) and linear.why is Why.MISSING:
        linear = 0
    if isinstance(retries, Absent) or isinstance(linear, Absent):
        return hidden(name, title, does, unseen(retries, linear), KERNEL)
    retries, linear = min(retries, MOST_RETRIES), min(linear, MOST_RETRIES)
    at, wait, bound = 0.0, 1.0, 2.0 ** (retries + 1) - 1
    for sent in range(1, retries + linear + 2):
        at += wait
        if at >= bound:
            break
        if sent > linear:
            wait = min(RTO_MAX, wait * 2)
    working = f"tcp_syn_retries={retries}, tcp_syn_linear_timeouts={linear}"
    return Timer(name, title, at, does, working, Origin.READ, at * WHEEL, KERNEL)


def conntrack(s: Situation) -> Timer:
    """The firewall of this host; whether it follows connections at all may not be known."""
    name, title, does = "conntrack", "connection tracking of this host", "forgets an idle connection"
    active = s.namespace.conntrack_active
    if isinstance(active, Absent):
        return hidden(name, title, does, active, KERNEL)
    if not active:
        return off(name, title, "no rule of this namespace tracks connections")
    name_of = "net.netfilter.nf_conntrack_tcp_timeout_established"
    seconds, loose = s.sysctl(name_of), s.sysctl("net.netfilter.nf_conntrack_tcp_loose")
    if isinstance(seconds, Absent):
        return hidden(name, title, does, seconds, KERNEL)
    working = f"nf_conntrack_tcp_timeout_established={seconds}"
    if isinstance(loose, int):
        working += f", nf_conntrack_tcp_loose={loose}: " + (
            "taken up again" if loose else "its packets are invalid then"
        )
    return Timer(name, title, float(seconds), does, working, Origin.READ, who=KERNEL)
