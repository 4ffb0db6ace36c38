"""Symptoms of Kamailio's own limits: connections, TLS connections, connections of one source."""

from __future__ import annotations

from kamtcp.capacity.change import Change
from kamtcp.capacity.ladder import Ladder
from kamtcp.diagnose.rule import lacking
from kamtcp.diagnose.symptom import Signs, Symptom
from kamtcp.model.absent import Absent, Why

_REJECTED = "tcp:local_reject"
#: parameter and ceiling; the log lines have the name of the ceiling
_NAMES = {
    "CFG050": ("tcp_max_connections", "tcp-max-connections"),
    "TLS050": ("tls_max_connections", "tls-max-connections"),
}


def tcp_limit_met(change: Change, ladder: Ladder) -> Signs:
    """tcp_max_connections: what comes beyond it is accepted and closed at once."""
    yield from _met(change, ladder, "CFG050", change.after.opened)


def tls_limit_met(change: Change, ladder: Ladder) -> Signs:
    """tls_max_connections, the same for TLS (secure WebSockets are TLS)."""
    instance = change.instance
    opened = Absent("opened_tls_connections", Why.MISSING) if instance is None else instance.opened_tls
    if change.after.number("tls_max_connections") == 0:
        return
    yield from _met(change, ladder, "TLS050", opened)


def _met(change: Change, ladder: Ladder, code: str, opened: int | Absent) -> Signs:
    """The log names the limit; the counter of refusals serves both, so that it needs a level that is at its limit."""
    parameter, ceiling = _NAMES[code]
    limit, refused, logged = (
        change.after.number(parameter),
        change.statistic(_REJECTED),
        change.logged(ceiling),
    )
    at_limit = isinstance(limit, int) and isinstance(opened, int) and 0 < limit <= opened
    told = isinstance(logged, int) and logged > 0
    counted = isinstance(refused, int) and refused > 0 and at_limit
    if not told and not counted:
        if not at_limit:
            yield from lacking(opened, refused if isinstance(logged, Absent) else None)
        return
    parts = [f"{opened:,} open, {parameter} is {limit:,}"]
    if isinstance(refused, int) and refused:
        parts.append(f"{refused:,} refused since the look before ({_REJECTED})")
    if told:
        parts.append(f"{logged:,} new lines in the log")
    yield "; ".join(parts)


def source_limit_met(change: Change, ladder: Ladder) -> Signs:
    """The limit of connections from one address (5.7.3 and later); nothing counts what it refuses."""
    logged = change.logged("iplimit")
    if isinstance(logged, Absent):
        if isinstance(change.after.number("tcp_accept_iplimit"), int):
            yield logged
    elif logged:
        evidence = f"{logged:,} new lines in the log: an address has as many connections as tcp_accept_iplimit allows"
        yield evidence


SYMPTOMS = (
    Symptom("CFG050", "tcp-max-connections", tcp_limit_met),
    Symptom("TLS050", "tls-max-connections", tls_limit_met),
    Symptom("CFG051", "per-source-limit", source_limit_met),
)
