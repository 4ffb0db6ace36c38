"""What the listeners hand on to each connection: keepalive and TCP_USER_TIMEOUT as they really have them.

Accepted sockets copy the listening one's options, and Kamailio sets those once, at start. So the socket itself is the
best witness; else the file that it was started with; else RPC, which a change at run time makes wrong.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity.reference import version_tuple
from kamtcp.capacity.situation import Situation, unseen
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Parameter

TIMES = ("tcp_keepidle", "tcp_keepintvl", "tcp_keepcnt")
_KERNEL = ("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes")
#: from this version on listeners have TCP_USER_TIMEOUT = tcp_send_timeout: Kamailio src/core/tcp_main.c tcp_init()
USER_TIMEOUT_SINCE = (5, 8, 0)


class Keepalive(Struct, frozen=True):
    """Keepalive of an accepted connection: seconds, seconds and a count; `where` says how that is known."""

    on: bool
    idle: int
    interval: int
    count: int
    where: str


def at_start(s: Situation, name: str) -> Parameter | Absent:
    """A keepalive parameter as the listeners got it at start: from the file, where that is still the one it was."""
    filed = s.require().parameters.get(f"{name}_file")
    if filed is not None and s.require().config_changed_since_start is False:
        return filed
    return s.parameter(name)


def number_at_start(s: Situation, name: str) -> int | Absent:
    """Its number; 0 (the kernel's own) where nothing names it although the configuration was read."""
    found = at_start(s, name)
    if isinstance(found, Absent) and found.why is Why.MISSING:
        filed = s.require().parameters.get(f"{name}_file")
        if filed is None or s.require().config_changed_since_start is False:
            return 0
        return Absent(
            name,
            Why.NOT_VISIBLE,
            f"RPC doesn't tell, and {filed.where} may have changed since Kamailio started",
        )
    if isinstance(found, Absent):
        return found
    if isinstance(found.value, int):
        return found.value
    return Absent(name, Why.MALFORMED, f"{found.where}: {found.value!r}")


def on_listeners(s: Situation) -> Keepalive | Absent:
    """Keepalive as connections that are accepted now get it."""
    options = s.require().listener_options
    if not isinstance(options, Absent):
        return Keepalive(
            options.keepalive, options.keepidle, options.keepintvl, options.keepcnt, f"listener on port {options.port}"
        )  # fmt: skip
    switch = number_at_start(s, "tcp_keepalive")
    own = [number_at_start(s, name) for name in TIMES]
    if isinstance(switch, Absent) or any(isinstance(each, Absent) for each in own):
        return unseen(switch, *own)
    if not switch and not any(own):  # any of the times switches it on
        return Keepalive(False, 0, 0, 0, "tcp_keepalive=no")
    parts = [mine or s.sysctl(kernel) for mine, kernel in zip(own, _KERNEL, strict=True)]
    idle, interval, count = parts
    if isinstance(idle, Absent) or isinstance(interval, Absent) or isinstance(count, Absent):
        return unseen(*parts)
    return Keepalive(True, idle, interval, count, "")


def user_timeout(s: Situation) -> float | Absent:
    """TCP_USER_TIMEOUT of accepted connections in seconds; 0 where it isn't set."""
    options = s.require().listener_options
    if not isinstance(options, Absent):
        return options.user_timeout_ms / 1000
    version = s.require().version
    if isinstance(version, Absent):
        return version
    if version_tuple(version) < USER_TIMEOUT_SINCE:
        return 0.0
    timeout = s.number("tcp_send_timeout")
    return timeout if isinstance(timeout, Absent) else float(max(0, timeout))
