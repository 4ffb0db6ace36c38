"""Timers of Kamailio: lifetimes, WebSocket pings, message and connect timeouts.

tcp main looks at its timers when its poll returns, which is after 5 s where nothing else wakes it. A worker keeps a
connection 5 s after the last data and looks every 2 s; only then does the lifetime start anew.

Source  Kamailio src/core/tcp_main.c tcp_main_loop(), tcpconn_main_timeout(), handle_tcp_child(); src/core/tcp_conn.h
        TCP_MAIN_SELECT_TIMEOUT, TCP_CHILD_TIMEOUT, TCP_CHILD_SELECT_TIMEOUT; src/modules/websocket/ws_frame.c ws_keepalive()
"""

from __future__ import annotations

from kamtcp.capacity.situation import Situation, unseen
from kamtcp.capacity.timer import KAMAILIO, Timer, hidden, off
from kamtcp.model.absent import Absent
from kamtcp.model.origin import Origin

#: seconds: until tcp main looks at the latest; a worker keeps a connection after data; until it looks at the latest
MAIN_LOOKS, WORKER_KEEPS, WORKER_LOOKS = 5, 5, 2
_CLOSES = "closes it"


def lifetimes(s: Situation) -> tuple[Timer, ...]:
    """Idle plain TCP and WS, one that never said anything, idle TLS and WSS."""
    idle = _lifetime(s, "tcp_connection_lifetime", "tcp-lifetime", "idle TCP or WS, after its last message")
    silent = _lifetime(
        s, "tcp_connection_lifetime", "tcp-silent", "plain TCP that never sent anything", said=False
    )
    title = "idle TLS or WSS, after its last message"
    if s.number("enable_tls") == 0:
        return idle, silent, off("tls-lifetime", title, "TLS is off")
    return idle, silent, _lifetime(s, "tls.connection_timeout", "tls-lifetime", title)


def _lifetime(s: Situation, parameter: str, name: str, title: str, *, said: bool = True) -> Timer:
    value, found = s.number(parameter), s.parameter(parameter)
    if isinstance(value, Absent) or isinstance(found, Absent):
        return hidden(name, title, _CLOSES, unseen(value, found), KAMAILIO)
    working = f"{parameter}={value} ({found.where})"
    if value < 0:
        return off(name, title, working, found.origin)
    start, late = float(value), MAIN_LOOKS
    if said:
        start, late = start + WORKER_KEEPS, late + WORKER_LOOKS
        working += f" + {WORKER_KEEPS} to {WORKER_KEEPS + WORKER_LOOKS} in a worker"
    working += f" + up to {MAIN_LOOKS} until tcp main looks"
    return Timer(name, title, start, _CLOSES, working, found.origin, start + late, KAMAILIO)


def websocket(s: Situation) -> tuple[Timer, Timer]:
    """Kamailio's ping, and the close of a peer that didn't answer the one before."""
    ping, dead = "websocket-ping", "websocket-dead"
    asks, gone = "idle WebSocket", "WebSocket ping unanswered"
    modules = s.require().modules
    if not isinstance(modules, Absent) and "websocket" not in modules:
        why = "module websocket is not loaded"
        return off(ping, asks, why), off(dead, gone, why)
    mechanism, timeout = s.number("websocket.keepalive_mechanism"), s.number("websocket.keepalive_timeout")
    interval = s.number("websocket.keepalive_interval")
    if isinstance(mechanism, Absent) or isinstance(timeout, Absent) or isinstance(interval, Absent):
        absent = unseen(mechanism, timeout, interval)
        return hidden(ping, asks, "pings: traffic", absent, KAMAILIO), hidden(
            dead, gone, _CLOSES, absent, KAMAILIO
        )
    working = f"keepalive_mechanism={mechanism}, keepalive_timeout={timeout}, keepalive_interval={interval}"
    if mechanism not in (1, 2):
        return off(ping, asks, working), off(dead, gone, working)
    late = timeout + 1 + interval  # whole seconds of time(2), then the next run
    pings = Timer(ping, asks, float(timeout), "pings: traffic", working, Origin.READ, float(late), KAMAILIO)
    if mechanism == 2:  # a pong asks for no answer
        return pings, off(dead, gone, working)
    return pings, Timer(
        dead, gone, 2.0 * timeout, _CLOSES, f"2 x ({working})", Origin.READ, 2.0 * late, KAMAILIO
    )


def messages(s: Situation) -> tuple[Timer, ...]:
    """Timeouts of 5.7.3 and later: nothing whole was sent, a message stays incomplete. A timer looks now and then."""
    check = s.number("tcp_check_timer")
    rows = []
    for parameter, name, title in (
        ("tcp_msg_data_timeout", "message-data", "accepted, never sent a whole message"),
        ("tcp_msg_read_timeout", "message-read", "message incomplete"),
    ):
        found, value = s.parameter(parameter), s.number(parameter)
        if isinstance(found, Absent):
            rows.append(hidden(name, title, _CLOSES, found, KAMAILIO))
        elif found.value == "none":
            rows.append(off(name, title, f"{parameter}: {found.where}", found.origin))
        elif isinstance(value, Absent):
            rows.append(hidden(name, title, _CLOSES, value, KAMAILIO))
        elif check == 0:
            rows.append(off(name, title, "tcp_check_timer=0", found.origin))
        else:
            period = check if isinstance(check, int) and check > 0 else max(1, value // 2)
            working = (
                f"{parameter}={value} ({found.where}) + up to {period} until the table is looked through"
            )
            rows.append(
                Timer(
                    name, title, float(value), _CLOSES, working, found.origin, float(value + period), KAMAILIO
                )
            )
    return tuple(rows)


def connect(s: Situation) -> Timer:
    """An outbound connection that Kamailio waits for."""
    name, title, does = "connect", "outbound, no answer to the SYN", "gives up the request"
    value, found = s.number("tcp_connect_timeout"), s.parameter("tcp_connect_timeout")
    if isinstance(value, Absent) or isinstance(found, Absent):
        return hidden(name, title, does, unseen(value, found), KAMAILIO)
    working = f"tcp_connect_timeout={value} ({found.where}) + up to {MAIN_LOOKS} until tcp main looks"
    return Timer(name, title, float(value), does, working, found.origin, float(value + MAIN_LOOKS), KAMAILIO)
