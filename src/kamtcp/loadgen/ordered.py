"""An order's mode as a program."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from kamtcp.errors import UsageError
from kamtcp.loadgen.order import Carrier, Climb, Mode, Order
from kamtcp.loadgen.program import Arrivals, Arrive, Burst, Clients, Hold, Phase, Program, Storm
from kamtcp.loadgen.schedule import AtOnce, Schedule, Steady


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
