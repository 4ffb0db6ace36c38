"""What the timers together mean for one connection: when it ends and by whom, and how long a phone can't be reached."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from kamtcp.capacity.situation import Situation
from kamtcp.capacity.timer import Timer, named
from kamtcp.model.absent import Absent, Why

_UNANSWERED = "websocket-unacknowledged"
IDLE, DEAD, UNSENT, CUT = "idle", "dead", "dead-with-data", "unreachable"
TITLES = {
    IDLE: "phone idle",
    DEAD: "phone gone, no data sent",
    UNSENT: "phone gone, data sent",
    CUT: "phone unreachable",
}
#: what each timer is called in one line
_SHORT = {
    "registration": "registers", "crlf-ping": "pings", "websocket-ping": "pings", "websocket-dead": "WebSocket ping",
    "tcp-lifetime": "connection lifetime", "tls-lifetime": "connection lifetime", "tcp-keepalive": "TCP keepalive",
    "retransmission": "retransmission", _UNANSWERED: "data of its ping",
}  # fmt: skip


class Outcome(Struct, frozen=True):
    """What happens in one case on one transport.

    Args:
        transport: "TCP", "TLS", "WS" or "WSS". case: one of `TITLES`.
        seconds: at the earliest; Absent where a timer that could come first can't be told, None for never.
        latest: at the latest, by the timers that are known; None for never.
        who, why: who does it, and the timer that does.
    """

    transport: str
    case: str
    seconds: float | Absent | None
    latest: float | None
    who: str
    why: str


def outcomes(s: Situation, timers: tuple[Timer, ...]) -> tuple[Outcome, ...]:
    """The cases of each transport that this instance speaks."""
    if s.instance is None:
        return ()
    found: list[Outcome] = []
    for transport in transports(s):
        found += [
            _idle(transport, timers),
            _first(transport, DEAD, _closers(transport, timers, "tcp-keepalive")),
            _first(transport, UNSENT, _closers(transport, timers, "retransmission")),
            unreachable(s, transport, timers),
        ]
    return tuple(found)


def transports(s: Situation) -> tuple[str, ...]:
    """Those that may be spoken here: only what is known to be off is left out."""
    modules = s.require().modules
    websocket = isinstance(modules, Absent) or "websocket" in modules
    tls = s.number("enable_tls") != 0
    return tuple(
        name for name, there in (("TCP", True), ("TLS", tls), ("WS", websocket), ("WSS", tls and websocket)) if there
    )  # fmt: skip


def lifetime(transport: str, timers: tuple[Timer, ...]) -> Timer:
    """The lifetime of idle connections of a transport."""
    return named(timers, "tls-lifetime" if transport in ("TLS", "WSS") else "tcp-lifetime")


def packets(transport: str, timers: tuple[Timer, ...]) -> tuple[Timer, ...]:
    """What sends a packet over an idle connection, and so keeps boxes on the way open."""
    return (*traffic(transport, timers), named(timers, "tcp-probe"))


def traffic(transport: str, timers: tuple[Timer, ...]) -> tuple[Timer, ...]:
    """What starts the lifetime anew: data, in either direction."""
    pings = ("websocket-ping",) if transport in ("WS", "WSS") else ()
    return tuple(named(timers, name) for name in ("registration", "crlf-ping", *pings))


def _closers(transport: str, timers: tuple[Timer, ...], other: str) -> tuple[Timer, ...]:
    found = (lifetime(transport, timers), named(timers, other))
    if transport not in ("WS", "WSS"):
        return found
    dead = (named(timers, "websocket-dead"),)
    return (*found, *dead, *(_unacknowledged(timers) if other != "retransmission" else ()))


def _unacknowledged(timers: tuple[Timer, ...]) -> tuple[Timer, ...]:
    """A ping to a phone that is gone is data on its way, which the kernel gives up by its own clock."""
    ping, given_up = named(timers, "websocket-ping"), named(timers, "retransmission")
    if not isinstance(ping.seconds, int | float) or not isinstance(given_up.seconds, int | float):
        return ()
    end = (ping.end or 0.0) + (given_up.end or 0.0)
    return (
        Timer(_UNANSWERED, ping.title, ping.seconds + given_up.seconds, given_up.does, "", ping.origin, end, given_up.who),
    )  # fmt: skip


def _idle(transport: str, timers: tuple[Timer, ...]) -> Outcome:
    """Closed at the end of its lifetime, unless traffic comes sooner."""
    ends = lifetime(transport, timers)
    sooner = earliest(traffic(transport, timers))
    if sooner is None:
        return _first(transport, IDLE, (ends,))
    if ends.seconds is None or (isinstance(ends.seconds, int | float) and (sooner.end or 0) <= ends.seconds):
        return Outcome(
            transport, IDLE, None, None, sooner.who, f"{_short(sooner)} each {sooner.seconds:,g} s"
        )
    return _first(transport, IDLE, (ends,))


def earliest(timers: Iterable[Timer]) -> Timer | None:
    """The one that surely fires first; None where none is known to run."""
    running = [each for each in timers if isinstance(each.seconds, int | float)]
    return min(running, key=lambda each: each.end or 0.0, default=None)


def _first(transport: str, case: str, timers: tuple[Timer, ...]) -> Outcome:
    """Whichever comes first."""
    first = earliest(timers)
    gap = next((each.seconds for each in timers if isinstance(each.seconds, Absent)), None)
    if first is None:
        return Outcome(transport, case, gap, None, "", "nothing ends it")
    low = min(each.seconds for each in timers if isinstance(each.seconds, int | float))
    return Outcome(transport, case, gap or low, first.end, first.who, _short(first))


def _short(timer: Timer) -> str:
    return _SHORT.get(timer.name, "forgets it")


def cuts(transport: str, timers: tuple[Timer, ...]) -> tuple[Timer, ...]:
    """What ends an idle connection of a phone that is there: its lifetime, boxes on the way."""
    return (lifetime(transport, timers), *(each for each in timers if each.name.startswith("middle-")))


def unreachable(s: Situation, transport: str, timers: tuple[Timer, ...]) -> Outcome:
    """From the first cut that nothing prevents until the phone speaks up again by itself."""
    registers = s.target.registration_seconds
    kept: list[Timer] = []
    for cut in cuts(transport, timers):
        if isinstance(cut.seconds, Absent):
            return Outcome(transport, CUT, cut.seconds, None, cut.who, _short(cut))
        if cut.seconds is None:
            continue
        keepers = packets(transport, timers) if cut.name.startswith("middle-") else traffic(transport, timers)
        if any(
            (each.end or cut.seconds) < cut.seconds
            for each in keepers
            if isinstance(each.seconds, int | float)
        ):
            continue
        absent = next((each.seconds for each in keepers if isinstance(each.seconds, Absent)), None)
        if absent is not None:
            return Outcome(transport, CUT, absent, None, cut.who, _short(cut))
        kept.append(cut)
    cut_first = earliest(kept)
    if cut_first is None:
        return Outcome(transport, CUT, None, None, "", "kept open in time")
    assert isinstance(cut_first.seconds, int | float)
    speaks = [each for each in (registers, s.target.keepalive_seconds) if each]
    if not speaks:
        why = Absent("registration_seconds", Why.MISSING, "not stated in the target")
        return Outcome(transport, CUT, why, None, cut_first.who, _short(cut_first))
    longest = max(0.0, min(speaks) - cut_first.seconds)
    return Outcome(
        transport, CUT, 0.0 if longest else None, longest or None, cut_first.who, _short(cut_first)
    )
