"""Two looks at one instance: what a connection costs here, measured.

Only shared memory is judged so: it grows with connections and with little else when the mix stays the same.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.model.absent import Absent
from kamtcp.model.instance import Instance
from kamtcp.model.price import Measured, measured
from kamtcp.model.snapshot import Snapshot

#: fewer new connections than this say more about everything else that uses shared memory
LEAST_CONNECTIONS = 200
#: bytes per connection that no transport can cost; a figure outside is some other growth
PLAUSIBLE = (1_000, 1_000_000)
_BETWEEN = "between two samples of this recording"


class Level(Struct, frozen=True):
    """How full an instance is.

    Args:
        opened: all connections. tls: TLS and WSS among them. websocket: WS and WSS. real_used: bytes, of shm.stats.
    """

    opened: int
    tls: int
    websocket: int
    real_used: int


def level_of(instance: Instance) -> Level | None:
    """None where a part of it can't be seen."""
    opened, tls, websocket, shm = (
        instance.opened,
        instance.opened_tls,
        instance.websocket,
        instance.shared_memory,
    )
    if isinstance(opened, Absent) or isinstance(tls, Absent) or isinstance(websocket, Absent):
        return None
    return None if isinstance(shm, Absent) else Level(opened, tls, websocket, shm.real_used)


def price_between(before: Level, now: Level, least: int = LEAST_CONNECTIONS) -> tuple[str, float] | None:
    """Transport and bytes of one connection, where `least` or more of one transport alone came or went."""
    opened, tls, websocket = (
        now.opened - before.opened,
        now.tls - before.tls,
        now.websocket - before.websocket,
    )
    if abs(opened) < least or tls not in (0, opened) or websocket not in (0, opened):
        return None
    price = (now.real_used - before.real_used) / opened
    if not PLAUSIBLE[0] <= price <= PLAUSIBLE[1]:
        return None
    return {(0, 0): "tcp", (1, 0): "tls", (0, 1): "ws", (1, 1): "wss"}[bool(tls), bool(websocket)], price


def prices_between(first: Snapshot, last: Snapshot) -> dict[str, dict[str, Measured]]:
    """Prices by attendant pid and transport.

    A price is given only where at least 200 connections of one transport alone came (or went) between the
    two snapshots of the same process.
    """
    before = {each.attendant: each for each in first.instances}
    found: dict[str, dict[str, Measured]] = {}
    for now in last.instances:
        earlier = before.get(now.attendant)
        if earlier is None or _age(now) < _age(earlier):
            continue
        levels = level_of(earlier), level_of(now)
        price = None if levels[0] is None or levels[1] is None else price_between(levels[0], levels[1])
        if price is not None:
            found[str(now.attendant)] = {price[0]: measured([price[1]], _BETWEEN)}
    return found


def _age(instance: Instance) -> int:
    return 0 if isinstance(instance.uptime_seconds, Absent) else instance.uptime_seconds
