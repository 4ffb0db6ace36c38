"""What a load run saw, each cause of failure with a counter of its own.

A connection counts as answered only after a final SIP response: a server that is out of descriptors or memory
still completes handshakes, because the kernel does.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

from msgspec import Struct, field


class Failures(Struct):
    """Connections that got no answer, by cause. All are counts of connections.

    Args:
        refused: RST in answer to the SYN.
        connect_timeout: no open connection in time (TLS: or the handshake didn't finish in time).
        reset: RST after the connection was open, before an answer.
        closed_before_answer: FIN after the connection was open, before an answer (TLS: after the handshake).
        no_answer: open, but no final response in time.
        tls: the handshake failed: an alert, an end of stream in it, or no TLS at all.
        not_sip: something came back that is no SIP.
        local_ports: the generator's own source ports ran out or were taken.
        local_descriptors: the generator's own descriptors ran out.
        other: any other error of the generator's system calls; `Result.errors` names them.
    """

    refused: int = 0
    connect_timeout: int = 0
    reset: int = 0
    closed_before_answer: int = 0
    no_answer: int = 0
    tls: int = 0
    not_sip: int = 0
    local_ports: int = 0
    local_descriptors: int = 0
    other: int = 0

    def total(self) -> int:
        return sum(getattr(self, name) for name in self.__struct_fields__)

    def add(self, more: Failures) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(more, name))


class Percentiles(Struct, frozen=True):
    """A distribution of times, in seconds."""

    count: int
    p50: float
    p90: float
    p99: float
    p999: float
    highest: float


def percentiles(values: Iterable[float]) -> Percentiles | None:
    """Nearest-rank percentiles; None without values."""
    ranked = sorted(values)
    if not ranked:
        return None

    def rank(share: float) -> float:
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]

    return Percentiles(len(ranked), rank(0.5), rank(0.9), rank(0.99), rank(0.999), ranked[-1])


class Tally(Struct):
    """Counts of one group of connections (the load itself, or the trickle beside it).

    Args:
        offered: connections that were due and started.
        connected: of these, open (TLS: handshake complete).
        answered: of these, with a final SIP response.
        statuses: final responses by status.
        failures: the others, by cause.
        lost_closed: answered connections that the server then closed (FIN). lost_reset: that it reset.
    """

    offered: int = 0
    connected: int = 0
    answered: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    failures: Failures = field(default_factory=Failures)
    lost_closed: int = 0
    lost_reset: int = 0

    def add(self, more: Tally) -> None:
        self.offered += more.offered
        self.connected += more.connected
        self.answered += more.answered
        self.lost_closed += more.lost_closed
        self.lost_reset += more.lost_reset
        for status, count in more.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        self.failures.add(more.failures)


class WorkerResult(Struct):
    """What one worker hands back; times are float32 arrays in native byte order, seconds.

    Args:
        held_min: fewest connections held at any moment between the last settled connection and the end of the hold.
        held_end: connections held at the end of the hold.
        seconds: from the start of the schedule to the last settled connection.
        cpu_seconds: user and system time of the worker, its start left out.
        latency: scheduled moment (burst: the instant) to final response, of each answered connection.
        lateness: scheduled moment to the connect(2), of each connection.
        errors: errno name to count, for `Failures.other`.
    """

    load: Tally
    trickle: Tally
    held_min: int
    held_end: int
    seconds: float
    cpu_seconds: float
    latency: bytes
    lateness: bytes
    errors: dict[str, int]


class Result(Struct, frozen=True):
    """A whole run; fields as in `Tally` and `WorkerResult`."""

    load: Tally
    trickle: Tally
    held_min: int
    held_end: int
    seconds: float
    cpu_seconds: float
    latency: Percentiles | None
    lateness: Percentiles | None
    errors: dict[str, int]
    workers: int


def merge(parts: Sequence[WorkerResult]) -> Result:
    """One result of all workers'. `held_min` is the sum of their lowest, so at most the true minimum."""
    load, trickle = Tally(), Tally()
    latency, lateness = array("f"), array("f")
    errors: dict[str, int] = {}
    for part in parts:
        load.add(part.load)
        trickle.add(part.trickle)
        latency.frombytes(part.latency)
        lateness.frombytes(part.lateness)
        for name, count in part.errors.items():
            errors[name] = errors.get(name, 0) + count
    return Result(
        load=load,
        trickle=trickle,
        held_min=sum(part.held_min for part in parts),
        held_end=sum(part.held_end for part in parts),
        seconds=max((part.seconds for part in parts), default=0.0),
        cpu_seconds=sum(part.cpu_seconds for part in parts),
        latency=percentiles(latency),
        lateness=percentiles(lateness),
        errors=errors,
        workers=len(parts),
    )
