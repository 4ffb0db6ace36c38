"""What a responder shall do, the same for all of its processes."""

from __future__ import annotations

from msgspec import Struct

from kamtcp.loadgen.responder.faults import Fault
from kamtcp.loadgen.responder.registrar import Guard
from kamtcp.loadgen.target import Aim


class Settings(Struct, frozen=True):
    """How a responder behaves.

    Args:
        aims: where it listens; port 0: the kernel chooses.
        processes: that share each port (SO_REUSEPORT).
        guard: who may REGISTER; None: everybody.
        expires: seconds that a REGISTER is granted at most.
        certificate: PEM file with key and certificate, for tls and wss; None: one is made on the spot.
        backlog: of listen(2); the kernel cuts it at net.core.somaxconn.
        fault: what it does wrong; None: nothing.
    """

    aims: tuple[Aim, ...]
    processes: int = 1
    guard: Guard | None = None
    expires: int = 3600
    certificate: str | None = None
    backlog: int = 4096
    fault: Fault | None = None


class Listener(Struct, frozen=True):
    """One listening socket, as the kernel knows it. Its namespace is that of its process."""

    aim: str
    pid: int
    inode: int


class Ready(Struct, frozen=True):
    """A responder that listens.

    Args:
        pid: of its first process, which ends all others.
        listeners: one for each target and process.
    """

    pid: int
    listeners: tuple[Listener, ...]


class Totals(Struct, frozen=True):
    """What a responder did. All are counts.

    Args:
        accepted: connections. open: of them, those that are open now.
        answered: requests (also with 401). challenged: of them, with 401.
        broken: connections that it closed because the peer broke the protocol.
        full: times that it was out of descriptors in accept(2).
    """

    accepted: int = 0
    open: int = 0
    answered: int = 0
    challenged: int = 0
    broken: int = 0
    full: int = 0
