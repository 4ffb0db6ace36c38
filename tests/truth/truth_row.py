"""What a row of the table of truth is: one ceiling made binding, what was predicted, what was found."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from msgspec import Struct

COUNTS, MEMORY, RATES = 0.02, 0.05, 0.20  # allowed, part of what is measured


class Server(Enum):
    """Who was under load: the table keeps them apart, for a stand-in is no proof of Kamailio."""

    KAMAILIO = "Kamailio"
    STAND_IN = "stand-in"
    RECORDED = "recorded files"


class NotProven(Exception):
    """This row can't be made to happen here; the text says why."""


class Outcome(Struct, frozen=True):
    """What came of a row.

    Args:
        predicted: by the ladder, before the load.
        measured: by the load, in the same unit.
        unit: what both count.
        how: how it was measured, a clause.
        seen: what else there was to see: counters, causes of failure, latencies.
    """

    predicted: float
    measured: float
    unit: str
    how: str
    seen: str = ""

    @property
    def error(self) -> float:
        """(predicted - measured) / measured."""
        if not self.measured:
            return 0.0 if not self.predicted else float("inf")
        return (self.predicted - self.measured) / self.measured


class Row(Struct, frozen=True):
    """One row.

    Args:
        name: stable, also the test's id. case: what was set, for people.
        ceiling: the ceiling's or timer's name in the ladder.
        allowed: largest part of what is measured that the prediction may be off.
        measure: does it. Raises NotProven, or AssertionError where a counter or a name is not as predicted.
        server: who is under load.
        host_wide: the value of the whole machine that it changes; "" for none.
        quick: a few seconds: runs with all other tests too.
    """

    name: str
    case: str
    ceiling: str
    allowed: float
    measure: Callable[[], Outcome]
    server: Server = Server.KAMAILIO
    host_wide: str = ""
    quick: bool = False


class Result(Struct, frozen=True):
    """A row as it stands: measured (and then within what is allowed or not), or why it is not proven here."""

    outcome: Outcome | None
    not_proven: str = ""
    failed: str = ""
