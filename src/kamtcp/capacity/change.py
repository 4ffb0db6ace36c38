"""One instance at two moments: what a symptom is told from.

Only differences live here, so that a symptom reads as its condition. A counter that went back, because what
counts it was made anew, is no difference: it is absent.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity.situation import Situation
from kamtcp.model.absent import Absent, Why
from kamtcp.model.client import Client
from kamtcp.model.instance import Instance, Process
from kamtcp.model.machine import Counters, counter


class Change(Struct, frozen=True):
    """Two looks at one instance (or at a machine without any), and what clients saw between them.

    Args:
        before, after: the same instance in the same namespace.
        client: of a load between the two; None where there was none.
    """

    before: Situation
    after: Situation
    client: Client | None = None

    @property
    def seconds(self) -> float:
        """Between the two looks; at least one clock tick."""
        return max(0.01, self.after.machine.boottime - self.before.machine.boottime)

    @property
    def instance(self) -> Instance | None:
        """The Kamailio of the second look."""
        return self.after.instance

    @property
    def restarted(self) -> bool:
        """Whether the second look saw another run of Kamailio."""
        first, second = self.before.instance, self.after.instance
        if first is None or second is None or self.orphaned:
            return False
        return first.attendant != second.attendant

    @property
    def orphaned(self) -> bool:
        """Whether its main process is gone and others of the same run live on: the second look takes one of them for it."""
        first, second = self.before.instance, self.after.instance
        if first is None or second is None or first.attendant == second.attendant:
            return False
        return second.attendant in {each.pid for each in first.processes}

    def grew(self, name: str) -> int | Absent:
        """Growth of a counter of the namespace ("TcpExt.ListenOverflows")."""
        return _growth(self.before.namespace.counters, self.after.namespace.counters, name)

    def statistic(self, name: str) -> int | Absent:
        """Growth of one of Kamailio's own counters ("tcp:local_reject")."""
        if self.restarted:
            return Absent(name, Why.NOT_VISIBLE, "Kamailio was restarted in between")
        first, second = self.before.instance, self.after.instance
        if first is None or second is None:
            return Absent(name, Why.MISSING, "no Kamailio")
        return _growth(first.statistics, second.statistics, name)

    def logged(self, *keys: str) -> int | Absent:
        """New lines of Kamailio's log with one of these keys: at least so many, since only the tail is read."""
        if self.instance is None:
            return Absent("log", Why.MISSING, "no Kamailio")
        if isinstance(self.instance.log, Absent):
            return self.instance.log
        old = {} if self.before.instance is None or isinstance(self.before.instance.log, Absent) else {
            each.key: each for each in self.before.instance.log
        }  # fmt: skip
        total = 0
        for line in self.instance.log:
            if line.key not in keys:
                continue
            earlier = old.get(line.key)
            more = line.count - (earlier.count if earlier else 0)
            # a flood pushes its own beginning out of the tail: the last line tells that there is more of it
            total += max(more, int(earlier is None or line.last != earlier.last))
        return total

    def cpu_share(self, process: Process | Absent) -> float | Absent:
        """Share of one core that a process used between the looks."""
        if isinstance(process, Absent):
            return process
        first = self.before.instance
        earlier = next((each for each in first.processes if each.pid == process.pid), None) if first else None
        if earlier is None or isinstance(earlier.cpu_ticks, Absent) or isinstance(process.cpu_ticks, Absent):
            return Absent(f"CPU time of pid {process.pid}", Why.NOT_VISIBLE, "not seen at both looks")
        ticks = process.cpu_ticks - earlier.cpu_ticks
        return ticks / self.after.machine.clock_ticks / self.seconds

    def failed(self, *causes: str) -> int:
        """Connections of the load that failed so; 0 without a load."""
        return 0 if self.client is None else self.client.failed(*causes)


def growth(before: int | Absent, after: int | Absent, name: str) -> int | Absent:
    """The difference of two readings of a counter.

    Returns:
        Absent where one is absent, or where the counter went back.
    """
    if isinstance(before, Absent):
        return before
    if isinstance(after, Absent):
        return after
    if after < before:
        return Absent(name, Why.NOT_VISIBLE, f"it went back from {before} to {after}: counted anew")
    return after - before


def _growth(before: Counters | Absent, after: Counters | Absent, name: str) -> int | Absent:
    return growth(counter(before, name), counter(after, name), name)
