"""Boxes between Kamailio and the phones that forget an idle connection before anything keeps it alive."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said
from kamtcp.diagnose.settings_kamailio import KEEPALIVE_TIME, keepalive_on_listeners
from kamtcp.model.absent import Absent


def forgets_first(s: Situation, ladder: Ladder) -> Said:
    """A declared idle timeout shorter than every packet of an idle plain TCP connection, and than its lifetime."""
    if not s.target.middle:
        return
    name, seconds = min(s.target.middle.items(), key=lambda each: (each[1], each[0]))
    pings = [each for each in (s.target.keepalive_seconds, s.target.registration_seconds) if each]
    if any(each < seconds for each in pings):
        return
    counts, lifetime = keepalive_on_listeners(s), s.number("tcp_connection_lifetime")
    gaps = [each for each in (*counts.values(), lifetime) if isinstance(each, Absent)]
    idle = counts["tcp_keepidle"] or (s.sysctl(KEEPALIVE_TIME) if any(counts.values()) else 0)
    if gaps or isinstance(idle, Absent) or isinstance(lifetime, Absent):
        yield from gaps or [each for each in (idle,) if isinstance(each, Absent)]
        return
    if 0 < idle < seconds or 0 <= lifetime <= seconds:
        return
    registered = s.target.registration_seconds
    if registered:
        until = f"up to {registered - seconds:,} s, until they register again"
    else:
        until = "until they register again (registration_seconds is not in the target)"
    yield finding(
        BY_CODE["TIM005"],
        f"{name} forgets a connection after {seconds:,} s without a packet, and nothing sends one or closes it sooner:"
        f" idle phones are registered but unreachable {until}",
        "ss -tnoi state established | head",
        no_cure("listeners are configured once, at start"),
        Cure(f"tcp_keepidle={max(1, seconds // 2)} in {s.require().config_path or 'kamailio.cfg'}; takes a restart",
             risk=cost(s, ladder)),
    )  # fmt: skip


RULES = (Rule(("TIM005",), forgets_first),)
