"""Prices that `kamtcp calibrate` measured on this host, and whether they hold for an instance."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct

from kamtcp.cli import state
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.model.growth import PLAUSIBLE
from kamtcp.model.price import TRANSPORTS, Conditions, Measured, differences, measured

FILE = state.path("calibrated.json")
SCHEMA = 1
#: of other kernels, releases and settings; the oldest are forgotten
_MOST = 64

Bytes = Annotated[float, Meta(ge=PLAUSIBLE[0], le=PLAUSIBLE[1])]


class Calibration(Struct, frozen=True):
    """What one transport cost.

    Args:
        conditions: under which it holds. at: seconds since the epoch.
        values: bytes of shared memory per connection, one for each round.
        main_microseconds: CPU time of tcp main per connection opened; None where the kernel doesn't tell.
    """

    transport: str
    conditions: Conditions
    at: Annotated[float, Meta(ge=0, le=1e11)]
    values: Annotated[tuple[Bytes, ...], Meta(min_length=1)]
    main_microseconds: float | None = None


class Calibrations(Struct, frozen=True):
    """calibrated.json."""

    schema: int = SCHEMA
    prices: tuple[Calibration, ...] = ()


def present(host: Host) -> Calibrations | Absent | None:
    """All that were kept; Absent where the file can't be used."""
    return state.read(host, FILE, Calibrations, SCHEMA)


def keep(host: Host, fresh: Iterable[Calibration]) -> None:
    """Put fresh ones in the place of those of the same transport and conditions.

    Raises:
        OSError: they can't be written.
    """
    found, new = present(host), tuple(fresh)
    if isinstance(found, Absent):
        raise OSError(str(found))
    replaced = {(each.transport, each.conditions) for each in new}
    old = [] if found is None else [
        each for each in found.prices if (each.transport, each.conditions) not in replaced
    ]  # fmt: skip
    state.write(FILE, Calibrations(prices=(*old, *new)[-_MOST:]))


def holding(
    known: Calibrations, conditions: Conditions | Absent
) -> tuple[dict[str, Measured], tuple[Absent, ...]]:
    """Those that hold under these conditions, and why the others of this host don't, one line for each reason."""
    held: dict[str, Measured] = {}
    refused: dict[str, list[str]] = {}
    for transport in TRANSPORTS:
        mine = [each for each in known.prices if each.transport == transport]
        fits = [each for each in mine if each.conditions == conditions]
        if fits:
            held[transport] = measured(fits[-1].values, f"calibrated on {day(fits[-1].at)}")
        elif mine:
            reason = f"that of {day(mine[-1].at)} is not used: {_why_not(mine[-1].conditions, conditions)}"
            refused.setdefault(reason, []).append(transport)
    return held, tuple(
        Absent(f"calibrated price of {', '.join(names)}", Why.MISSING, reason)
        for reason, names in refused.items()
    )


def _why_not(then: Conditions, now: Conditions | Absent) -> str:
    if isinstance(now, Absent):
        return f"whether it holds here can't be told ({now})"
    return f"{differences(then, now)}; run kamtcp calibrate again"


def day(at: float) -> str:
    """The day of a moment, UTC."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()
