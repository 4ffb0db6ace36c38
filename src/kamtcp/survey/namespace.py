"""Facts of one network namespace, read inside it."""

from __future__ import annotations

from msgspec.structs import replace

from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.model.machine import Counters, Link, ListenQueue, Namespace, PeerUse
from kamtcp.observe import conntrack, links, snmp, sockets, sockstat, sysctl
from kamtcp.observe.attempt import attempt

#: destinations kept of those that this namespace connects to, busiest first
DESTINATIONS = 20


def collect(view: Host, netns: str, pid: int | None) -> Namespace:
    """Read one namespace.

    Args:
        view: the machine as a process in that namespace sees it.
        netns: its id.
        pid: a process in it, for /proc/PID/net; None where it is the reader's own.
    """
    counters = _counters(view, pid)
    listening = attempt("inet_diag LISTEN", lambda: sockets.listeners(view))
    listeners = listening if isinstance(listening, Absent) else tuple(map(_queue, listening))
    ports = () if isinstance(listeners, Absent) else tuple(sorted({each.port for each in listeners}))
    states = _states(view, counters)
    outbound = attempt("inet_diag", lambda: sockets.outbound(view, ports, keep=DESTINATIONS))
    stat = attempt("/proc/net/stat/nf_conntrack", lambda: conntrack.collect(view, pid))
    names = (*sysctl.NETNS_NAMES, *sysctl.GLOBAL_READ_ONLY_NAMES)
    settings = {name: _sysctl(view, name) for name in names}
    count = _number(settings.get("net.netfilter.nf_conntrack_count"))
    devices = attempt("netlink RTM_GETLINK", lambda: links.collect(view, pid))
    return Namespace(
        id=netns,
        sysctls=settings,
        counters=counters,
        sockstat=_sockstat(view, pid),
        listeners=listeners,
        states=states if isinstance(states, Absent) else Counters(states.by_state),
        established=states if isinstance(states, Absent) else states.established,
        outbound=outbound if isinstance(outbound, Absent) else tuple(
            PeerUse(each.address, each.port, each.ports, each.source) for each in outbound.top
        ),
        links=devices if isinstance(devices, Absent) else tuple(map(_link, devices)),
        conntrack_active=conntrack.active(count, stat),
        conntrack_count=count,
    )  # fmt: skip


def _sysctl(view: Host, name: str) -> str | Absent:
    return attempt(name, lambda: sysctl.read_sysctl(view, name))


def _number(text: str | Absent | None) -> int | Absent:
    if text is None:
        return Absent("net.netfilter.nf_conntrack_count", Why.NOT_ASKED)
    if isinstance(text, Absent):
        return text
    return attempt("net.netfilter.nf_conntrack_count", lambda: sysctl.as_int("nf_conntrack_count", text))


def _counters(view: Host, pid: int | None) -> Counters | Absent:
    found = attempt("/proc/net/snmp", lambda: snmp.collect(view, pid))
    if isinstance(found, Absent):
        return found
    if isinstance(found.snmp, Absent):
        return found.snmp
    rest = {} if isinstance(found.netstat, Absent) else found.netstat.values
    return Counters({**found.snmp.values, **rest})


def _states(view: Host, counters: Counters | Absent) -> sockets.States | Absent:
    if isinstance(counters, Absent):
        return counters
    established = counters.get("Tcp.CurrEstab")
    if isinstance(established, Absent):
        return established
    found = attempt("inet_diag", lambda: sockets.states(view, established, close_wait_counted=None))
    if isinstance(found, Absent) or not isinstance(found.established, Absent):
        return found
    # whether the kernel counts CLOSE-WAIT in CurrEstab matters only where there are such sockets
    counted = attempt("probe close-wait-counted", lambda: view.probe("close-wait-counted") == b"1")
    if isinstance(counted, Absent):
        return found
    waiting = found.by_state.get("CLOSE_WAIT", 0) if counted else 0
    return replace(found, established=max(0, established - waiting))


def _sockstat(view: Host, pid: int | None) -> Counters | Absent:
    found = attempt("/proc/net/sockstat", lambda: sockstat.collect(view, pid))
    if isinstance(found, Absent):
        return found
    return Counters({
        "TCP.inuse": found.tcp_inuse, "TCP.orphan": found.tcp_orphan, "TCP.tw": found.tcp_tw,
        "TCP.alloc": found.tcp_alloc, "TCP.mem": found.tcp_mem_pages,
    })  # fmt: skip


def _queue(found: sockets.Listener) -> ListenQueue:
    return ListenQueue(found.address, found.port, found.rqueue, found.wqueue, found.drops, found.inode)


def _link(device: links.Device) -> Link:
    counters = device.counters
    return Link(
        name=device.link.name,
        receive_dropped=counters if isinstance(counters, Absent) else counters.rx_drop,
        receive_fifo=counters if isinstance(counters, Absent) else counters.rx_fifo,
        txqueuelen=device.link.tx_queue_len,
        qdisc=device.link.qdisc,
    )
