"""What an instance says of itself over RPC, and whether it is really this instance that answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from kamtcp.host.door import Endpoint, Host
from kamtcp.kamailio import identity, levels
from kamtcp.kamailio.config import Config, loads
from kamtcp.kamailio.rpc import Rpc
from kamtcp.kamailio.values import Values
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import SharedMemory
from kamtcp.model.machine import Counters

T = TypeVar("T")

STATISTICS = ("tcp:", "websocket:")


class Own(Rpc):
    """RPC to one instance: an endpoint counts only if core.psx names the attendant's own pid.

    Two instances may share a directory, and a default path then leads to the other one.

    Attributes:
        stalled: the command that got no answer in time, None while all did.
        version: core.version, asked before anything else: it is what even a busy server answers.
    """

    stalled: str | None = None
    version: identity.Version | Absent

    def __init__(
        self, host: Host, candidates: Sequence[Endpoint], inner_pid: int, timeout: float = 2.0
    ) -> None:
        strangers: list[Absent] = []
        left = list(candidates)
        while True:
            super().__init__(host, left, timeout)
            if isinstance(self.endpoint, Absent):
                self.version = Absent("core.version", self.endpoint.why, self.endpoint.detail)
                break
            self.version = self.fact(identity.version, "core.version")
            said = self.fact(identity.processes, "core.psx")
            if isinstance(said, Absent) or any(each.pid == inner_pid for each in said):
                break
            strangers.extend(self.passed_over)
            strangers.append(Absent(f"{self.endpoint.transport.value} {self.endpoint.address}", Why.NOT_VISIBLE,
                                    "another Kamailio answers there"))  # fmt: skip
            left = left[left.index(self.endpoint) + 1 :]
        self.passed_over = (*strangers, *self.passed_over)

    def fact(self, parse: Callable[[Values], T], method: str, *args: int | str) -> T | Absent:
        """As `Rpc.fact`; a server that let one command wait is not asked again, so that a check ends in time."""
        if self.stalled is not None:
            return Absent(
                " ".join((method, *map(str, args))),
                Why.TIMEOUT,
                f"not asked, since {self.stalled} got no answer",
            )
        found = super().fact(parse, method, *args)
        if isinstance(found, Absent) and found.why is Why.TIMEOUT and not isinstance(self.endpoint, Absent):
            self.stalled = method
        return found


def shared_memory(rpc: Rpc) -> SharedMemory | Absent:
    """shm.stats, else the shmem statistics."""
    found = rpc.fact(levels.shm, "shm.stats")
    if isinstance(found, Absent):
        counters = rpc.fact(levels.counters, "stats.fetchn", "shmem:")
        other = counters if isinstance(counters, Absent) else levels.shm_of(counters)
        if isinstance(other, Absent):
            return found
        found = other
    fragments = 0 if isinstance(found.fragments, Absent) else found.fragments
    return SharedMemory(found.total, found.free, found.used, found.real_used, found.max_used, fragments)


def statistics(rpc: Rpc) -> Counters | Absent:
    """Kamailio's own counters of TCP and WebSocket, by "name"."""
    values: dict[str, int] = {}
    absent: Absent | None = None
    for group in STATISTICS:
        found = rpc.fact(levels.counters, "stats.fetchn", group)
        if isinstance(found, Absent):
            absent = absent or found
            continue
        values.update(found)
    return Counters(values) if values or absent is None else absent


def websocket(rpc: Rpc, modules: tuple[str, ...] | Absent) -> int | Absent:
    """Open WebSocket connections; 0 where the module isn't loaded."""
    if not isinstance(modules, Absent) and "websocket" not in modules:
        return 0
    found = rpc.fact(levels.counters, "stats.fetchn", "websocket:")
    if isinstance(found, Absent):
        return found
    return levels.ws_counters(found).ws_current_connections


def modules(rpc: Rpc, config: Config | Absent) -> tuple[str, ...] | Absent:
    """Loaded modules, without ".so"."""
    found = rpc.fact(identity.modules, "core.modules")
    if not isinstance(found, Absent):
        return tuple(name.removesuffix(".so") for name in found)
    if isinstance(config, Absent):
        return found
    return tuple(module.name for module in config.modules)


def tls_ports(rpc: Rpc, config: Config | Absent) -> tuple[int, ...] | Absent:
    """Ports that speak TLS: from corex.list_sockets or core.sockets_list, else from the configuration."""
    found = rpc.fact(identity.corex_listeners, "corex.list_sockets")
    if isinstance(found, Absent):
        found = rpc.fact(identity.core_listeners, "core.sockets_list")
    if not isinstance(found, Absent):
        return tuple(sorted({each.port for each in found if each.proto == "tls"}))
    if isinstance(config, Absent):
        return found
    if not loads(config, "tls"):
        return ()
    return tuple(sorted({each.port or 5061 for each in config.listens if each.protocol == "tls"}))
