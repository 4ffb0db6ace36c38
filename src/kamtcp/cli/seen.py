"""What checks saw of running instances: natural changes of use, and the prices that follow from them.

A check remembers how full each instance is. When a later one finds 200 connections more or fewer of one transport
alone, shared memory tells what one of them costs here.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from kamtcp.cli import state
from kamtcp.cli.calibrated import Bytes, day
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent
from kamtcp.model.growth import Level, level_of, price_between
from kamtcp.model.instance import Instance
from kamtcp.model.machine import Machine
from kamtcp.model.price import Conditions, Measured, conditions_of, measured
from kamtcp.model.snapshot import Snapshot

FILE = state.path("seen.json")
SCHEMA = 1
#: over a longer time, what else lives in shared memory (registrations, dialogs, tables) changes as much
LONGEST = 3600.0
_KEPT = 20  # latest prices of one instance, transport and conditions
_MOST = 64  # of such triples
_SAME_START = 2.0  # seconds; age and clock are read at different moments


class Look(Struct, frozen=True):
    """An instance at one moment.

    Args:
        attendant: its pid. started, at: seconds since the epoch.
    """

    attendant: int
    started: float
    at: float
    conditions: Conditions
    level: Level


class Prices(Struct, frozen=True):
    """Bytes per connection, the latest last."""

    instance: str
    transport: str
    conditions: Conditions
    at: Annotated[float, Meta(ge=0, le=1e11)]
    values: Annotated[tuple[Bytes, ...], Meta(min_length=1)]


class Seen(Struct, frozen=True):
    """seen.json. looks: by name of the instance."""

    schema: int = SCHEMA
    looks: dict[str, Look] = {}
    prices: tuple[Prices, ...] = ()


def present(host: Host) -> Seen | Absent | None:
    """All that was kept; Absent where the file can't be used."""
    return state.read(host, FILE, Seen, SCHEMA)


def keep(host: Host, snapshot: Snapshot) -> None:
    """Remember this look, and the price that it shows together with an earlier one. Nothing depends on it."""
    found = present(host)
    if isinstance(found, Absent):
        return  # said by whoever wants to use it; nothing is written over it
    before = found or Seen()
    after = before
    for instance in snapshot.instances:
        after = _with(after, snapshot.machine, instance)
    if after == before:
        return
    try:
        state.write(FILE, after)
    except (OSError, UnicodeEncodeError):  # a name that is not UTF-8
        return


def of(known: Seen, name: str, conditions: Conditions) -> dict[str, Measured]:
    """Prices of an instance, by transport."""
    return {
        each.transport: measured(each.values, f"seen here between checks, last on {day(each.at)}")
        for each in known.prices
        if (each.instance, each.conditions) == (name, conditions)
    }


def _with(seen: Seen, machine: Machine, instance: Instance) -> Seen:
    conditions, level = conditions_of(machine, instance), level_of(instance)
    if isinstance(conditions, Absent) or level is None or isinstance(instance.uptime_seconds, Absent):
        return seen
    now = machine.realtime
    look = Look(instance.attendant, now - instance.uptime_seconds, now, conditions, level)
    before = seen.looks.get(instance.name)
    if before is not None and _comparable(before, look):
        price = price_between(before.level, level)
        # less than its read buffer, which is taken whole, no connection costs: something else gave memory back
        if price is not None and price[1] >= conditions.read_buffer:
            seen = _added(seen, Prices(instance.name, price[0], conditions, now, (price[1],)))
        elif price is None and _small(before.level, level):
            return seen
    looks = {name: each for name, each in seen.looks.items() if 0 <= now - each.at <= LONGEST}
    return replace(seen, looks={**looks, instance.name: look})


def _comparable(before: Look, now: Look) -> bool:
    """Whether both are of the same process, under the same conditions, and not too far apart."""
    return (
        before.attendant == now.attendant
        and abs(before.started - now.started) <= _SAME_START
        and before.conditions == now.conditions
        and 0 <= now.at - before.at <= LONGEST
    )


def _small(before: Level, now: Level) -> bool:
    """Whether the change may still grow into one that tells: of one transport alone, and memory moved with it."""
    return price_between(before, now, least=1) is not None


def _added(seen: Seen, fresh: Prices) -> Seen:
    def same(each: Prices) -> bool:
        return (each.instance, each.transport, each.conditions) == (
            fresh.instance, fresh.transport, fresh.conditions,
        )  # fmt: skip

    earlier = next((each.values for each in seen.prices if same(each)), ())
    others = [each for each in seen.prices if not same(each)]
    kept = replace(fresh, values=(*earlier, *fresh.values)[-_KEPT:])
    return replace(seen, prices=(*others, kept)[-_MOST:])
