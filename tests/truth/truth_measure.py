"""What rows share: counters of a namespace, a load in one go, waiting for a condition, sockets by state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kamtcp.capacity.ceiling import Ceiling
from kamtcp.host.door import Host
from kamtcp.host.live import Live
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.result import Result
from kamtcp.loadgen.schedule import Schedule
from kamtcp.loadgen.sources import Block
from kamtcp.model.absent import Absent
from kamtcp.observe import census, snmp, sockets, sockstat
from kamtcp.observe.inet_diag import State
from kamtcp.rehearse.kamailio import Running
from kamtcp.rehearse.standin import StandIn
from stop_rig import order, settle


def counters(pid: int) -> dict[str, int]:
    """Tcp and TcpExt of the namespace of a process, by their last name ("ListenOverflows")."""
    found = snmp.collect(Live(), pid)
    assert not isinstance(found.snmp, Absent) and not isinstance(found.netstat, Absent), (
        f"{found.snmp} {found.netstat}"[:200]
    )
    return {
        name.partition(".")[2]: value
        for part in (found.snmp, found.netstat)
        for name, value in part.values.items()
    }


class Moved:
    """Counters of a namespace since this was made."""

    def __init__(self, pid: int) -> None:
        self.pid, self._before = pid, counters(pid)

    def __getitem__(self, name: str) -> int:
        return counters(self.pid)[name] - self._before[name]

    def text(self, *names: str) -> str:
        """The counters named, as they moved: "ListenOverflows +3, ListenDrops +3"."""
        now = counters(self.pid)
        return ", ".join(f"{name} +{now[name] - self._before[name]:,}" for name in names)


def of_state(inside: Host, *states: State, port: int | None = None) -> int:
    """Sockets in these states in this namespace; those of one own port only, if it is given."""
    found = census.collect(inside)
    rows = sum((found.state == state) for state in states) > 0
    if port is not None:
        rows &= found.sport == port
    return int(rows.sum())


def queued(inside: Host, port: int = 5060) -> int:
    """Connections in the accept queue of a listener of this namespace; costs the same at any number of connections."""
    return max(each.rqueue for each in sockets.listeners(inside) if each.port == port)


def stat(pid: int, name: str) -> int:
    """A field of /proc/net/sockstat of the namespace of a process: "TCP.tw", "TCP.orphan", "TCP.mem"."""
    fields = sockstat.parse_fields(Live().read(f"/proc/{pid}/net/sockstat"))
    return fields[name]


def until(condition: Callable[[], Any], seconds: float, *, every: float = 0.02) -> Any:
    """Wait for a condition; what it gave at last, true or not."""
    end = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < end:
        time.sleep(every)
    return found


def one_load(
    running: Running,
    schedule: Schedule,
    *,
    sources: tuple[Block, ...] | None = None,
    at_end: Callable[[Load], object] | None = None,
    timeout: float = 60.0,
    **more: Any,
) -> Result:
    """A load from its start until each connection is answered or failed; `at_end` looks while they are still held."""
    with Load(order(running.standin, schedule, **more), sources=sources) as load:
        settle(load, running, timeout)
        if at_end is not None:
            at_end(load)
        load.stop()
        return load.result()


def number(ceiling: Ceiling) -> int:
    """The limit of a ceiling in its own unit, which it must have."""
    assert isinstance(ceiling.limit, int), f"{ceiling.name}: {ceiling.working}"
    return ceiling.limit


def nft(host: StandIn, *rules: str) -> None:
    """Rules for the namespace of a stand-in host, in a table of its own; `nft` comes with the test packages."""
    host.run(["nft", "; ".join(rules)])
