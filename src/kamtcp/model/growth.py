"""Two snapshots of one instance: what a connection costs here, measured.

Only shared memory is judged so: it grows with connections and with little else when the mix stays the same.
"""

from __future__ import annotations

from kamtcp.model.absent import Absent
from kamtcp.model.instance import Instance
from kamtcp.model.snapshot import Snapshot

#: fewer new connections than this say more about everything else that uses shared memory
LEAST_CONNECTIONS = 200
#: bytes per connection that no transport can cost; a figure outside is some other growth
PLAUSIBLE = (1_000, 1_000_000)


def prices_between(first: Snapshot, last: Snapshot) -> dict[str, dict[str, float]]:
    """Bytes of shared memory per connection, by attendant pid and transport ("tcp" or "tls").

    A price is given only where at least 200 connections of one transport alone came (or went) between the
    two snapshots of the same process.
    """
    before = {each.attendant: each for each in first.instances}
    found: dict[str, dict[str, float]] = {}
    for now in last.instances:
        earlier = before.get(now.attendant)
        if earlier is None or _age(now) < _age(earlier):
            continue
        price = _price(earlier, now)
        if price is not None:
            found[str(now.attendant)] = price
    return found


def _age(instance: Instance) -> int:
    return 0 if isinstance(instance.uptime_seconds, Absent) else instance.uptime_seconds


def _price(before: Instance, now: Instance) -> dict[str, float] | None:
    if isinstance(before.shared_memory, Absent) or isinstance(now.shared_memory, Absent):
        return None
    counts = (before.opened, now.opened, before.opened_tls, now.opened_tls)
    if not all(isinstance(count, int) for count in counts) or now.websocket != before.websocket:
        return None
    opened = now.opened - before.opened  # type: ignore[operator]
    encrypted = now.opened_tls - before.opened_tls  # type: ignore[operator]
    if abs(opened) < LEAST_CONNECTIONS or encrypted not in (0, opened):
        return None
    price = (now.shared_memory.real_used - before.shared_memory.real_used) / opened
    if not PLAUSIBLE[0] <= price <= PLAUSIBLE[1]:
        return None
    return {"tls" if encrypted else "tcp": price}
