"""Prices that were measured here, the firmest of each transport, and why others that exist are not used."""

from __future__ import annotations

from kamtcp.cli import calibrated, seen
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent
from kamtcp.model.instance import Instance
from kamtcp.model.machine import Machine
from kamtcp.model.price import Measured, conditions_of


def prices(
    host: Host, machine: Machine, instance: Instance, between: dict[str, Measured]
) -> tuple[dict[str, Measured], tuple[Absent, ...]]:
    """By transport: what this instance's own use showed is firmer than what was calibrated.

    Args:
        host: whose state directory is read.
        machine: what they are to hold for.
        instance: of that machine.
        between: from two samples of a recording.
    """
    conditions = conditions_of(machine, instance)
    own, kept = seen.present(host), calibrated.present(host)
    gaps = [each for each in (own, kept) if isinstance(each, Absent)]
    found: dict[str, Measured] = {}
    if isinstance(own, seen.Seen) and not isinstance(conditions, Absent):
        found = seen.of(own, instance.name, conditions)
    found |= between
    if isinstance(kept, calibrated.Calibrations):
        holding, refused = calibrated.holding(kept, conditions)
        found = {**holding, **found}
        gaps += refused
    return found, tuple(gaps)


def remember(host: Host) -> None:
    """Ask for both files; the answers stay with the recorder that `host` is."""
    for present in (seen.present, calibrated.present):
        present(host)
