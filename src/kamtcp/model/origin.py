"""Where a number comes from. Nothing is computed from a number that can't say so."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Origin(Enum):
    """How a number came about, from the firmest to the softest."""

    READ = "read"  # from this host or this Kamailio, now
    PROBED = "probed"  # by a harmless experiment on this kernel
    MEASURED = "measured"  # on this host: between two looks at this very instance, or by calibrate
    TARGET = "target"  # given by the operator
    DEFAULT = "default"  # compiled in; nothing on this host says otherwise
    REFERENCE = "reference"  # measured by kamtcp's authors on another machine
    ASSUMED = "assumed"  # a stated assumption, for want of anything better


_SOFTNESS = {origin: rank for rank, origin in enumerate(Origin)}


class Figure(Struct, frozen=True):
    """One number that went into an arithmetic.

    Args:
        value: the number; its unit is in `what`.
        what: name as the field prints it, with unit and place ("RLIMIT_NOFILE soft of pid 4711, tcp main").
        origin: see Origin.
    """

    value: float
    what: str
    origin: Origin


def softest(figures: tuple[Figure, ...]) -> Origin:
    """The weakest origin among the inputs: a result is no firmer than that."""
    return max((figure.origin for figure in figures), key=_SOFTNESS.__getitem__, default=Origin.READ)
