"""Who closes an idle connection first, and how long a dead peer stays counted.

A connection that nobody uses is closed by the first of these to fire. A phone registers again only when its
registration runs out: any timer shorter than that, with no traffic in between, makes it unreachable until then.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity.held_descriptors import WORKER_HOLD_SECONDS
from kamtcp.capacity.situation import Situation, first_absent
from kamtcp.model.absent import Absent
from kamtcp.model.origin import Origin


class Timer(Struct, frozen=True):
    """One timer of the chain.

    Args:
        name: stable. title: for people.
        seconds: when it fires after the last traffic; Absent where it can't be told, None where it doesn't run.
        does: what it does when it fires.
        working: how the seconds came about.
    """

    name: str
    title: str
    seconds: float | Absent | None
    does: str
    working: str
    origin: Origin


def chain(s: Situation) -> tuple[Timer, ...]:
    """All timers on an idle connection of this instance, in a fixed order."""
    return (
        *_of_target(s),
        _lifetime(s, "tcp_connection_lifetime", "tcp-lifetime", "idle plain TCP and WS"),
        _tls_lifetime(s),
        _websocket_ping(s),
        _keepalive(s),
        *_message_timeouts(s),
        _retransmission(s),
        _conntrack(s),
        *_middle(s),
    )


def _of_target(s: Situation) -> tuple[Timer, ...]:
    rows = (
        (
            "registration",
            "registration expiry",
            s.target.registration_seconds,
            "phone registers again: traffic",
        ),
        ("crlf-ping", "CRLF keepalive of the phones", s.target.keepalive_seconds, "phone pings: traffic"),
    )
    return tuple(
        Timer(name, title, seconds, does, "not stated in the target" if seconds is None else "target",
              Origin.TARGET)
        for name, title, seconds, does in rows
    )  # fmt: skip


def _lifetime(s: Situation, parameter: str, name: str, what: str) -> Timer:
    """The whole lifetime begins anew when a worker gives the connection back (Kamailio src/core/tcp_main.c, CONN_RELEASE)."""
    value, found = s.number(parameter), s.parameter(parameter)
    if isinstance(value, Absent) or isinstance(found, Absent):
        absent = value if isinstance(value, Absent) else found
        assert isinstance(absent, Absent)
        return Timer(name, what, absent, "Kamailio closes it", str(absent), Origin.READ)
    working = f"{parameter}={value} ({found.where})"
    if value < 0:
        return Timer(name, what, None, "Kamailio closes it", working, found.origin)
    return Timer(
        name, what, value + WORKER_HOLD_SECONDS, "Kamailio closes it",
        f"{working} + {WORKER_HOLD_SECONDS} s with the worker that read last", found.origin,
    )  # fmt: skip


def _tls_lifetime(s: Situation) -> Timer:
    enabled, what = s.number("enable_tls"), "idle TLS and WSS"
    if enabled == 0:
        return Timer("tls-lifetime", what, None, "", "TLS is off", Origin.READ)
    return _lifetime(s, "tls.connection_timeout", "tls-lifetime", what)


def _websocket_ping(s: Situation) -> Timer:
    mechanism, timeout = s.number("websocket.keepalive_mechanism"), s.number("websocket.keepalive_timeout")
    modules = s.require().modules
    if not isinstance(modules, Absent) and "websocket" not in modules:
        return Timer(
            "websocket-ping", "WebSocket ping", None, "", "module websocket is not loaded", Origin.READ
        )
    absent = first_absent(mechanism, timeout)
    if absent is not None or isinstance(mechanism, Absent) or isinstance(timeout, Absent):
        return Timer("websocket-ping", "WebSocket ping", absent, "Kamailio pings", str(absent), Origin.READ)
    runs = mechanism in (1, 2)
    return Timer(
        "websocket-ping", "WebSocket ping", timeout if runs else None, "Kamailio pings: traffic",
        f"keepalive_mechanism={mechanism}, keepalive_timeout={timeout}", Origin.READ,
    )  # fmt: skip


def _keepalive(s: Situation) -> Timer:
    """TCP keepalive as inbound connections have it: from the listener, else from the kernel's defaults."""
    on = s.number("tcp_keepalive")
    if not isinstance(on, Absent) and on == 0:
        return Timer(
            "tcp-keepalive", "dead peer noticed by TCP keepalive", None, "", "tcp_keepalive=no", Origin.READ
        )
    parts = []
    for parameter, sysctl in (
        ("tcp_keepidle", "net.ipv4.tcp_keepalive_time"),
        ("tcp_keepintvl", "net.ipv4.tcp_keepalive_intvl"),
        ("tcp_keepcnt", "net.ipv4.tcp_keepalive_probes"),
    ):
        own = s.number(parameter)
        parts.append(own if isinstance(own, int) and own > 0 else s.sysctl(sysctl))
    idle, interval, count = parts
    if isinstance(idle, Absent) or isinstance(interval, Absent) or isinstance(count, Absent):
        absent = first_absent(*parts)
        return Timer(
            "tcp-keepalive",
            "dead peer noticed by TCP keepalive",
            absent,
            "kernel closes it",
            str(absent),
            Origin.READ,
        )
    return Timer(
        "tcp-keepalive", "dead peer noticed by TCP keepalive", idle + interval * count, "kernel closes it",
        f"{idle} s idle + {count} probes x {interval} s", Origin.READ,
    )  # fmt: skip


def _message_timeouts(s: Situation) -> tuple[Timer, ...]:
    rows = []
    for parameter, name, what in (
        ("tcp_msg_data_timeout", "message-data", "accepted, never sent a whole message"),
        ("tcp_msg_read_timeout", "message-read", "message incomplete"),
    ):
        found = s.parameter(parameter)
        if isinstance(found, Absent):
            rows.append(Timer(name, what, found, "Kamailio closes it", str(found), Origin.READ))
        elif found.value == "none":
            rows.append(Timer(name, what, None, "", f"{parameter}: {found.where}", found.origin))
        else:
            value = s.number(parameter)
            rows.append(
                Timer(
                    name,
                    what,
                    value,
                    "Kamailio closes it",
                    f"{parameter}={found.value} ({found.where})",
                    found.origin,
                )
            )
    return tuple(rows)


def _retransmission(s: Situation) -> Timer:
    """ESTABLISHED with unacknowledged data: tcp_retries2 backoffs from 200 ms, 120 s at most each.

    Source: Linux net/ipv4/tcp_timer.c retransmits_timed_out(), tcp_model_timeout().
    """
    retries = s.sysctl("net.ipv4.tcp_retries2")
    if isinstance(retries, Absent):
        return Timer(
            "retransmission",
            "peer gone while data is unsent",
            retries,
            "kernel closes it",
            str(retries),
            Origin.READ,
        )
    doublings = min(retries, 9)  # 0.2 s * 2**9 = 102 s; the next would pass 120 s
    seconds = (2 ** (doublings + 1) - 1) * 0.2 + max(0, retries - doublings) * 120
    return Timer(
        "retransmission", "peer gone while data is unsent", round(seconds, 1), "kernel closes it",
        f"tcp_retries2={retries}, from 0.2 s doubling to 120 s", Origin.READ,
    )  # fmt: skip


def _middle(s: Situation) -> tuple[Timer, ...]:
    """Boxes on the way, as the target declares them: nothing on this host shows them."""
    return tuple(
        Timer(f"middle-{name}", f"{name} forgets an idle flow", seconds, "neither end is told", "target", Origin.TARGET)
        for name, seconds in sorted(s.target.middle.items())
    )  # fmt: skip


def _conntrack(s: Situation) -> Timer:
    what = "conntrack forgets an idle flow"
    if s.namespace.conntrack_active is False:
        return Timer("conntrack", what, None, "", "no rule of this namespace tracks connections", Origin.READ)
    seconds = s.sysctl("net.netfilter.nf_conntrack_tcp_timeout_established")
    if isinstance(seconds, Absent):
        return Timer(
            "conntrack", what, seconds, "packets are dropped or taken for new", str(seconds), Origin.READ
        )
    return Timer(
        "conntrack", what, seconds, "packets are dropped or taken for new",
        f"nf_conntrack_tcp_timeout_established={seconds}", Origin.READ,
    )  # fmt: skip
