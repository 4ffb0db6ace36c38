"""The low end of tcp main's descriptor table: everything it opened before the first connection.

Descriptors are handed out lowest first, so listeners, sockets to its children, log and epoll have the low
numbers and connections the rest. Looking at the low end only keeps the cost the same at any number of
connections, and it tells what is no connection even while connections come and go.
"""

from __future__ import annotations

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import ListenerOptions, Process, Role
from kamtcp.model.machine import ListenQueue, Namespace
from kamtcp.observe import descriptors, kernel_text, unix_diag
from kamtcp.observe.attempt import attempt

#: tables of sockets below /proc/PID/net, and the column with the inode, counted from 0
_SOCKET_TABLES = (("udp", 9), ("udp6", 9), ("raw", 9), ("raw6", 9), ("sctp/eps", 7))


class MainTable:
    """Low descriptors of tcp main, looked at once.

    Args:
        host: where /proc is read.
        inside: the machine as the instance sees it.
        own: processes of the instance.
        namespace: its network namespace.
    """

    def __init__(self, host: Host, inside: Host, own: tuple[Process, ...], namespace: Namespace) -> None:
        self.host = host
        mains = [each for each in own if each.role is Role.TCP_MAIN]
        self.workers = sum(1 for each in own if each.role is Role.TCP_WORKER)
        self.namespace = namespace
        self.pid = mains[0].pid if mains else 0
        self.low: dict[int, descriptors.Descriptor] | Absent = (
            low_descriptors(host, self.pid, 5 * len(own) + 64)
            if mains
            else Absent("tcp main", Why.NOT_VISIBLE, "no process of this role could be told")
        )
        found = attempt("unix_diag", lambda: unix_diag.collect(inside))
        self.unix = found if isinstance(found, Absent) else {each.inode: each for each in found}
        self.other_sockets: frozenset[int] | Absent = _other_inodes(host, self.pid) if mains else frozenset()

    @property
    def inodes(self) -> frozenset[int]:
        """Inodes of the sockets among them."""
        if isinstance(self.low, Absent):
            return frozenset()
        return frozenset(each.inode for each in self.low.values() if each.kind is descriptors.Kind.SOCKET)

    def listeners(self) -> tuple[ListenQueue, ...] | Absent:
        """Listening TCP sockets that tcp main holds."""
        if isinstance(self.namespace.listeners, Absent):
            return self.namespace.listeners
        if isinstance(self.low, Absent):
            return self.low
        return tuple(each for each in self.namespace.listeners if each.inode in self.inodes)

    def other_descriptors(self) -> int | Absent:
        """How many of them are no connection: files, pipes, epoll, UNIX, UDP, raw and SCTP sockets, listeners."""
        if isinstance(self.low, Absent):
            return self.low
        if isinstance(self.unix, Absent):
            return self.unix
        listening = self.namespace.listeners
        if isinstance(listening, Absent):
            return listening
        if isinstance(self.other_sockets, Absent):
            return self.other_sockets
        known = {each.inode for each in listening} | self.unix.keys() | self.other_sockets
        return sum(
            1 for each in self.low.values() if each.kind is not descriptors.Kind.SOCKET or each.inode in known
        )

    def listener_options(self) -> ListenerOptions | Absent:
        """Socket options of its first listener; Kamailio configures all alike."""
        own = self.listeners()
        if isinstance(own, Absent):
            return own
        if isinstance(self.low, Absent):
            return self.low
        by_inode = {each.inode: number for number, each in self.low.items()}
        if not own:
            return Absent("listener", Why.MISSING, "it has no TCP listener")
        name, port = f"listener-options {self.pid} {by_inode[own[0].inode]}", own[0].port
        source = f"socket options of the listener on port {port}"
        return attempt(source, lambda: _options(self.host.probe(name), port))

    def handoff_sndbufs(self) -> tuple[int, ...] | Absent:
        """Send buffers of its UNIX stream pairs: how much each worker's queue takes was fixed when it started."""
        if isinstance(self.low, Absent):
            return self.low
        if isinstance(self.unix, Absent):
            return self.unix
        held = (self.unix[inode] for inode in self.inodes if inode in self.unix)
        sizes = [
            each.sndbuf
            for each in held
            if each.type == unix_diag.Type.STREAM and each.peer and isinstance(each.sndbuf, int)
        ]
        if not sizes or not self.workers:
            return Absent("unix_diag", Why.MISSING, "no socket of tcp main to a worker shows its buffer")
        return tuple(sorted(sizes))


def _options(data: bytes, port: int) -> ListenerOptions:
    """The answer of the probe.

    Raises:
        ParseError: not six numbers.
    """
    words = data.split()
    if len(words) != 6:
        raise ParseError("socket options", "six numbers", kernel_text.text(data))
    on, idle, interval, count, longest, linger = (
        kernel_text.integer("socket options", each) for each in words
    )
    return ListenerOptions(port, on != 0, idle, interval, count, longest, linger)


def low_descriptors(host: Host, pid: int, below: int) -> dict[int, descriptors.Descriptor] | Absent:
    """What the descriptors with numbers below `below` lead to."""
    found: dict[int, descriptors.Descriptor] = {}
    for number in range(below):
        target = _target(host, pid, number)
        if not isinstance(target, Absent):
            found[number] = target
        elif target.why is not Why.MISSING:
            return target
    return found or Absent(f"/proc/{pid}/fd", Why.DENIED, "its descriptors can't be told")


def _target(host: Host, pid: int, number: int) -> descriptors.Descriptor | Absent:
    return attempt(f"/proc/{pid}/fd/{number}", lambda: descriptors.target(host, pid, number))


def _other_inodes(host: Host, pid: int) -> frozenset[int] | Absent:
    """Inodes of sockets in the namespace of `pid` that are neither TCP nor UNIX.

    Raw ones are among them because a Kamailio that runs as root holds one to send UDP with.
    Source: Kamailio src/core/raw_sock.c raw_udp4_send_sock; Linux net/ipv4/udp.c, raw.c, net/sctp/proc.c.
    """
    found = set()
    for name, column in _SOCKET_TABLES:
        source = f"/proc/{pid}/net/{name}"
        data = attempt(source, lambda source=source: host.read(source))  # type: ignore[misc]
        if isinstance(data, Absent):
            if data.why not in (Why.MISSING, Why.NOT_RECORDED):
                return data
            continue  # this kernel has no such sockets, or an older kamtcp didn't look
        for line in data.splitlines()[1:]:
            columns = line.split()
            if len(columns) > column and columns[column].isdigit() and len(columns[column]) < 21:
                found.add(int(columns[column]))
    return frozenset(found)
