"""What is wanted of a load: one kind of clients and what they do. Plain data; a profile says more (profile.py).

`Load` (processes.py) turns an order, or an order and a profile, into the program that its workers carry out (program.py).
"""

from __future__ import annotations

from enum import Enum
from typing import Literal

from msgspec import Struct, field

from kamtcp.loadgen.phases import Storm
from kamtcp.loadgen.population import Credentials, Keepalive, Question, Tls
from kamtcp.loadgen.schedule import Schedule
from kamtcp.loadgen.sources import Block


class Carrier(Enum):
    """What carries SIP."""

    TCP = "tcp"
    TLS = "tls"
    WS = "ws"
    WSS = "wss"

    @property
    def secure(self) -> bool:
        return self in (Carrier.TLS, Carrier.WSS)

    @property
    def web(self) -> bool:
        return self in (Carrier.WS, Carrier.WSS)


class Mode(Enum):
    """What the clients do."""

    EACH = "each"  # open on schedule, ask as soon as that is done, hold
    BURST = "burst"  # open on schedule, all ask at one instant once all are open, hold
    CHURN = "churn"  # open on schedule, ask, close when answered
    STORM = "storm"  # open on schedule, ask, lose the connection all at once, come back (`Order.storm`)
    RAMP = "ramp"  # as churn or as each, more and more, until it gives (`Order.climb`)


class Closing(Enum):
    """How connections end."""

    FIN = "fin"  # orderly; the generator keeps the TIME-WAIT
    RESET = "reset"  # RST; nothing stays on either side


class Climb(Struct, frozen=True):
    """Steps of a ramp, each of so many seconds, the next one so much higher, until one gives.

    A step gives when more than `failures` of its connections fail or held ones are lost, when more than 1 % of its
    answers come later than `p99` seconds after their scheduled moment, or when more than 1 % of its connections are
    started later than `Order.lateness_bound`: then it was the generator that gave.

    Args:
        what: "rate": connections per second, each closed when answered; "connections": held ones.
        first: of the first step; factor: of each to the one before; highest: where it ends at the latest.
        seconds: of one step.
        failures: share of a step's connections that may fail. p99: seconds.
    """

    what: Literal["rate", "connections"] = "rate"
    first: float = 50.0
    factor: float = 1.5
    highest: float = 100_000.0
    seconds: float = 5.0
    failures: float = 0.0
    p99: float = 1.0

    def steps(self) -> tuple[float, ...]:
        """The height of each step; at most 200."""
        found: list[float] = []
        height = self.first
        while height < self.highest and len(found) < 199:
            found.append(height)
            height = max(height * self.factor, height + 1)
        return (*found, self.highest)


class Order(Struct, frozen=True):
    """A load of one kind of clients.

    Args:
        address: of the server, IPv4 or IPv6. port: its TCP port.
        schedule: arrivals of the whole load (mode RAMP: ignored; `climb` says).
        sources: source addresses and ports; empty: planned by `Load`.
        carrier: TCP, TLS, WS or WSS. path, origin: of a WebSocket upgrade.
        mode: what happens. storm, climb: how, where it is STORM or RAMP.
        question: what each asks once it is open: "options", "register", "crlf" (RFC 5626) or "ping" (WebSocket's).
            A connection counts as answered when that is answered.
        expires: seconds that a REGISTER asks for.
        credentials: for digest authentication, where the server asks for it; None: a challenge is a failure.
        keepalive: what is sent on held connections, and how often; None: nothing. One that isn't answered within
            `answer_timeout` is a loss.
        tls: versions, ciphers, resumption, verification.
        run: short token that tells this run's dialogues from others'.
        concurrency: unanswered connections at a time, None for no bound. 1 is one TLS handshake at a time. Arrivals
            that have to wait for it are late, and their latency says so.
        connect_timeout: seconds from connect(2) to an open connection (TLS, WebSocket: and finished handshakes).
        answer_timeout: seconds from the request to a final response.
        hold_seconds: how long answered connections are held once the last is settled; None: until told to stop.
        trickle_seconds: beside a burst, one more connection each so many seconds, counted apart; None for none.
        closing: how connections end.
        lateness_bound: seconds; when more than 1 % of arrivals are started later than that, the result says that the
            generator can't vouch for it.
        netns_pid: enter the network namespace of this process; None: stay in one's own.
    """

    address: str
    port: int
    schedule: Schedule
    sources: tuple[Block, ...] = ()
    carrier: Carrier = Carrier.TCP
    mode: Mode = Mode.EACH
    question: Question = "options"
    expires: int = 3600
    credentials: Credentials | None = None
    keepalive: Keepalive | None = None
    tls: Tls = field(default_factory=Tls)
    path: str = "/"
    origin: str | None = None
    storm: Storm | None = None
    climb: Climb | None = None
    run: str = "k"
    concurrency: int | None = None
    connect_timeout: float = 5.0
    answer_timeout: float = 10.0
    hold_seconds: float | None = 0.0
    trickle_seconds: float | None = None
    closing: Closing = Closing.RESET
    lateness_bound: float = 0.1
    netns_pid: int | None = None
