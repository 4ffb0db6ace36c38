"""What the workers carry out: kinds of clients, and phases in turn. Made of an order in ordered.py, of a profile in
profiled.py.

Every worker has the whole program and its own share of each schedule and count; a phase begins when all workers are
through with the one before.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from kamtcp.loadgen import phases
from kamtcp.loadgen.order import Carrier, Climb, Closing
from kamtcp.loadgen.population import Credentials, Keepalive, Tls
from kamtcp.loadgen.schedule import Schedule, share_count
from kamtcp.loadgen.sources import Block

Asked = Literal["options", "register", "crlf", "ping", "nothing", "half"]


class Clients(Struct, frozen=True):
    """One kind of clients. Fields as in `Order` and `population.Population`.

    Args:
        name: as results name it. count: clients of all workers.
        question: "nothing": counts once it is open, sends nothing; "half": likewise, after half a message.
        read_rate: bytes per second that each takes once it is answered; None: all.
        blocks: this worker's sources. shares_ports: other workers let the kernel choose ports of the same addresses.
    """

    name: str
    count: int
    address: str
    port: int
    carrier: Carrier = Carrier.TCP
    question: Asked = "options"
    expires: int = 3600
    credentials: Credentials | None = None
    keepalive: Keepalive | None = None
    tls: Tls = field(default_factory=Tls)
    path: str = "/"
    origin: str | None = None
    read_rate: int | None = None
    blocks: tuple[Block, ...] = ()
    shares_ports: bool = False


class Arrivals(Struct, frozen=True):
    """When clients of a kind (its place in `Program.clients`) are due."""

    clients: int
    schedule: Schedule


class Arrive(Struct, frozen=True, tag="arrive"):
    """Open connections when they are due.

    Args:
        ask: as soon as they are open; else they wait for a burst. close: when they are answered.
        cut: what isn't started a second after the last is due has failed: the generator is too slow.
        slow: seconds; later answers are shown on the board.
    """

    kind: str
    arrivals: tuple[Arrivals, ...]
    ask: bool = True
    close: bool = False
    cut: bool = False
    slow: float | None = None


class Open(Struct, frozen=True, tag="open"):
    """Open what of a share isn't open, at a rate of all workers or within some seconds."""

    kind: str
    clients: tuple[int, ...]
    rate: float | None = None
    seconds: float | None = None
    share: float = 1.0


class Hold(Struct, frozen=True, tag="hold"):
    """Keep what is open. seconds: None until told to stop."""

    kind: str
    seconds: float | None


class Burst(Struct, frozen=True, tag="burst"):
    """Every open connection asks at one instant.

    Args:
        question: None: what its clients ask. seconds: for the answers; None: as the timeout has it.
        trickle: beside it, one more connection each so many seconds.
    """

    kind: str
    clients: tuple[int, ...]
    question: Asked | None = None
    seconds: float | None = None
    trickle: float | None = None


class Storm(Struct, frozen=True, tag="storm"):
    """All lose their connection and come back."""

    kind: str
    clients: tuple[int, ...]
    how: phases.Storm


class Close(Struct, frozen=True, tag="close"):
    """Close a share of what is open."""

    kind: str
    clients: tuple[int, ...]
    how: phases.Close


Phase = Arrive | Open | Hold | Burst | Storm | Close


class Program(Struct, frozen=True):
    """Fields as in `Order`.

    Args:
        heights: of the phases of a ramp, what its steps are; empty otherwise.
    """

    clients: tuple[Clients, ...]
    phases: tuple[Phase, ...]
    run: str = "k"
    worker: int = 0
    workers: int = 1
    concurrency: int | None = None
    connect_timeout: float = 5.0
    answer_timeout: float = 10.0
    closing: Closing = Closing.RESET
    lateness_bound: float = 0.1
    netns_pid: int | None = None
    climb: Climb | None = None
    heights: tuple[float, ...] = ()

    def of_worker(self, clients: int) -> int:
        """How many clients of a kind are this worker's."""
        return share_count(self.clients[clients].count, self.worker, self.workers)
