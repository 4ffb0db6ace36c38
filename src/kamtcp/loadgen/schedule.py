"""When each connection is due: arrivals that a slow server can't slow down (open loop). Pure, no clock.

A schedule yields the moments of its arrivals, in seconds after the start, never falling. The engine starts
connection k at moment k, or as soon after it as it can; how late it was is its own lateness, not the server's.

Source  Schroeder, Wierman, Harchol-Balter: Open Versus Closed (NSDI 2006)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, repeat
from math import sqrt

from msgspec import Struct


class AtOnce(Struct, frozen=True, tag="at-once"):
    """All connections are due at the very start.

    Args:
        count: connections.
    """

    count: int

    def moments(self) -> Iterator[float]:
        return repeat(0.0, self.count)


class Steady(Struct, frozen=True, tag="steady"):
    """A constant rate.

    Args:
        count: connections.
        per_second: new connections per second, > 0.
    """

    count: int
    per_second: float

    def moments(self) -> Iterator[float]:
        return (k / self.per_second for k in range(self.count))


class Ramp(Struct, frozen=True, tag="ramp"):
    """A rate that grows linearly from nothing, then stays.

    Args:
        top: new connections per second once ramped up, > 0.
        over: seconds of ramp, >= 0.
        stay: seconds at the top.
    """

    top: float
    over: float
    stay: float

    @property
    def count(self) -> int:
        return int(self.top * (self.over / 2 + self.stay) + 1e-9)

    def moments(self) -> Iterator[float]:
        on_ramp = self.top * self.over / 2
        for k in range(self.count):
            yield sqrt(2 * k * self.over / self.top) if k < on_ramp else self.over + (k - on_ramp) / self.top


class Poisson(Struct, frozen=True, tag="poisson"):
    """Independent arrivals, as many unrelated clients make them: the same seed gives the same moments.

    Args:
        count: connections.
        per_second: mean rate, > 0.
        seed: any integer.
    """

    count: int
    per_second: float
    seed: int = 1

    def moments(self) -> Iterator[float]:
        from random import Random

        chance, moment = Random(self.seed), 0.0  # noqa: S311  (arrivals, no secrets)
        for _ in range(self.count):
            yield moment
            moment += chance.expovariate(self.per_second)


Schedule = AtOnce | Steady | Ramp | Poisson


def share(schedule: Schedule, worker: int, workers: int) -> Iterator[float]:
    """The moments of one of several workers: every `workers`-th arrival, so that the sum keeps the schedule."""
    return islice(schedule.moments(), worker, None, workers)


def share_count(count: int, worker: int, workers: int) -> int:
    """How many of `count` arrivals `share` gives to one worker."""
    return (count - worker + workers - 1) // workers
