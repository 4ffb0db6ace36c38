"""A stretch of a load while it lasts: its counts and its times."""

from __future__ import annotations

from kamtcp.loadgen.result import STAGES, Stretch
from kamtcp.loadgen.times import Times


class Part:
    """One kind of clients in one phase."""

    def __init__(self, stretch: Stretch) -> None:
        self.stretch, self.tally = stretch, stretch.tally
        self.times = {name: Times() for name in (*STAGES, "lateness")}
        self.connect, self.answer = self.times["connect"], self.times["answer"]
        self.lateness = self.times["lateness"]

    def fold(self) -> None:
        for times in self.times.values():
            times.fold()

    def finish(self) -> Stretch:
        self.stretch.times = {
            name: times.to_bytes() for name, times in self.times.items() if times.fresh or times.seen
        }
        return self.stretch


def fail(part: Part, cause: str, which: str = "") -> None:
    """Count a failure."""
    failures = part.tally.failures
    setattr(failures, cause, getattr(failures, cause) + 1)
    if which:
        part.tally.note(cause, which)


def count(into: dict[int, int], key: int) -> None:
    into[key] = into.get(key, 0) + 1
