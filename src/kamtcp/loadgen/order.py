"""What one worker of the load generator is told to do.

An order is plain data: it travels as JSON from the command to the workers, and into reports.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from kamtcp.loadgen.schedule import Schedule
from kamtcp.loadgen.sources import Block


class Carrier(Enum):
    """What carries SIP."""

    TCP = "tcp"
    TLS = "tls"


class Mode(Enum):
    """When a connection sends its request."""

    EACH = "each"  # as soon as it is open
    BURST = "burst"  # all at one instant, once all are open


class Closing(Enum):
    """How held connections end."""

    FIN = "fin"  # orderly; the generator keeps the TIME-WAIT
    RESET = "reset"  # RST; nothing stays on either side


class Order(Struct, frozen=True):
    """One worker's share of a load.

    Args:
        address: of the server, IPv4 or IPv6. port: its TCP port.
        carrier: TCP or TLS.
        schedule: arrivals of the whole load; this worker takes those of `worker` out of `workers`.
        sources: source addresses and ports, as many as this worker's arrivals.
        mode: when requests are sent.
        method: "OPTIONS" or "REGISTER".
        run: short token that tells this run's dialogues from others'.
        concurrency: unanswered connections at a time, None for no bound. 1 is one TLS handshake at a time. Arrivals
            that have to wait for it are late, and their latency says so.
        connect_timeout: seconds from connect(2) to an open connection (TLS: and a finished handshake).
        answer_timeout: seconds from the request to a final response.
        hold_seconds: how long answered connections are held once the last is settled; None: until told to stop.
        trickle_seconds: beside a burst, one more connection each so many seconds, counted apart; None for none.
        closing: how connections end.
        ca_file: what a TLS server's certificate must chain to; None: not checked.
        netns_pid: enter the network namespace of this process; None: stay in one's own.
    """

    address: str
    port: int
    schedule: Schedule
    sources: tuple[Block, ...]
    carrier: Carrier = Carrier.TCP
    mode: Mode = Mode.EACH
    method: str = "OPTIONS"
    run: str = "k"
    worker: int = 0
    workers: int = 1
    concurrency: int | None = None
    connect_timeout: float = 5.0
    answer_timeout: float = 10.0
    hold_seconds: float | None = 0.0
    trickle_seconds: float | None = None
    closing: Closing = Closing.RESET
    ca_file: str | None = None
    netns_pid: int | None = None
