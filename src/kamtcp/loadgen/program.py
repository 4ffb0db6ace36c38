"""What the workers carry out: kinds of clients, and phases in turn. Made of an order here, of a profile in profiled.py.

Every worker has the whole program and its own share of each schedule and count; a phase begins when all workers are
through with the one before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct, field
from msgspec.structs import replace

from kamtcp.errors import UsageError
from kamtcp.loadgen import phases
from kamtcp.loadgen.order import Carrier, Climb, Closing, Mode, Order
from kamtcp.loadgen.population import Credentials, Keepalive, Tls
from kamtcp.loadgen.schedule import AtOnce, Schedule, Steady, share_count
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


def of_order(order: Order) -> Program:
    """The phases of an order's mode.

    Raises:
        UsageError: a mode lacks what it needs, or the question can't be asked.
    """
    check_question(order.question, order.carrier, "the order")
    steps, heights, count = _phases(order)
    kind = Clients(
        name="",
        count=count,
        address=order.address,
        port=order.port,
        carrier=order.carrier,
        question=order.question,
        expires=order.expires,
        credentials=order.credentials,
        keepalive=order.keepalive,
        tls=order.tls,
        path=order.path,
        origin=order.origin,
        blocks=order.sources,
    )
    return replace(around(order, (kind,), steps), climb=order.climb, heights=heights)


def around(order: Order, clients: tuple[Clients, ...], steps: tuple[Phase, ...]) -> Program:
    """A program with what an order says of all clients."""
    return Program(
        clients,
        steps,
        run=order.run,
        concurrency=order.concurrency,
        connect_timeout=order.connect_timeout,
        answer_timeout=order.answer_timeout,
        closing=order.closing,
        lateness_bound=order.lateness_bound,
        netns_pid=order.netns_pid,
    )


def check_question(question: str, carrier: Carrier, whose: str) -> None:
    """Raises UsageError where a carrier can't carry it."""
    if question == "ping" and not carrier.web:
        raise UsageError(f"{whose}: ping is a WebSocket's; over {carrier.value} say crlf (RFC 5626)")


def _phases(order: Order) -> tuple[tuple[Phase, ...], tuple[float, ...], int]:
    """Phases, heights of a ramp's steps, and how many clients there are."""
    schedule = order.schedule
    hold = Hold("hold", order.hold_seconds)
    arrivals = (Arrivals(0, schedule),)
    match order.mode:
        case Mode.EACH:
            return (Arrive("ramp", arrivals), hold), (), schedule.count
        case Mode.BURST:
            burst = Burst("burst", (0,), trickle=order.trickle_seconds)
            return (Arrive("ramp", arrivals, ask=False), burst, hold), (), schedule.count
        case Mode.CHURN:
            return (Arrive("churn", arrivals, close=True, cut=True),), (), schedule.count
        case Mode.STORM:
            if order.storm is None:
                raise UsageError("a storm needs to be told how it blows: Order.storm")
            return (Arrive("ramp", arrivals), Storm("storm", (0,), order.storm), hold), (), schedule.count
        case Mode.RAMP:
            if order.climb is None:
                raise UsageError("a ramp needs its steps: Order.climb")
            steps, heights = zip(*_steps(order.climb), strict=True)
            last = (hold,) if order.climb.what == "connections" else ()
            return (*steps, *last), heights, sum(each.arrivals[0].schedule.count for each in steps)


def _steps(climb: Climb) -> Iterator[tuple[Arrive, float]]:
    before = 0
    for height in climb.steps():
        if climb.what == "rate":
            schedule: Schedule = Steady(max(1, round(height * climb.seconds)), height)
        else:
            more = max(0, round(height) - before)
            before += more
            schedule = Steady(more, more / climb.seconds) if more else AtOnce(0)
        yield (
            Arrive(
                "ramp",
                (Arrivals(0, schedule),),
                close=climb.what == "rate",
                cut=True,
                slow=climb.p99,
            ),
            height,
        )
