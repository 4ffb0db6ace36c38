"""Facts of the machine and of its network namespaces, as judged by capacity and diagnose."""

from __future__ import annotations

from msgspec import Struct

from kamtcp.model.absent import Absent, Limit, Why
from kamtcp.model.settings import BootFiles, SettingFiles


class Counters(Struct, frozen=True, tag="counters"):
    """Named numbers of one source ("TcpExt.ListenOverflows", "TCP.orphan", "CLOSE-WAIT")."""

    values: dict[str, int]

    def get(self, name: str) -> int | Absent:
        """One of them; Absent(MISSING) where this kernel or Kamailio has no such name."""
        value = self.values.get(name)
        return Absent(name, Why.MISSING) if value is None else value


def counter(counters: Counters | Absent, name: str) -> int | Absent:
    """One number of a source that may itself be absent."""
    return counters if isinstance(counters, Absent) else counters.get(name)


class Machine(Struct, frozen=True):
    """One machine, seen by one reader at one moment.

    Args:
        node, release, architecture: uname(2). cpus: online. page_size: bytes. clock_ticks: per second.
        realtime: seconds since the epoch when it was read. boottime: seconds since boot.
        uid, gid, capabilities: of the reader; CapEff as a bit mask.
        memory_total_bytes, memory_available_bytes: /proc/meminfo MemTotal, MemAvailable.
        sysctls: values that exist once per machine, by name, as text.
        files_allocated, files_max: /proc/sys/fs/file-nr, first and third number.
        connection_slab_bytes: kernel memory of one accepted idle connection, epoll included, from the slab
            geometry of this kernel.
        handoff_messages, handoff_sndbuf: how many descriptors one socketpair takes (probe), and its SO_SNDBUF.
        softnet_dropped, softnet_time_squeeze: sums over CPUs since boot.
        settings: what files set at boot. boot_files: other files that are taken for settings.
    """

    node: str
    release: str
    architecture: str
    cpus: int
    page_size: int
    clock_ticks: int
    realtime: float
    boottime: float
    uid: int
    gid: int
    capabilities: int
    netns: str
    memory_total_bytes: int | Absent
    memory_available_bytes: int | Absent
    sysctls: dict[str, str | Absent]
    files_allocated: int | Absent
    files_max: Limit
    connection_slab_bytes: int | Absent
    handoff_messages: int | Absent
    handoff_sndbuf: int | Absent
    softnet_dropped: int | Absent
    softnet_time_squeeze: int | Absent
    settings: SettingFiles = SettingFiles()
    boot_files: BootFiles = BootFiles()


class ListenQueue(Struct, frozen=True):
    """One listening TCP socket.

    Args:
        address, port: local end as text ("0.0.0.0", "::").
        queued: connections in the accept queue now (ss Recv-Q).
        backlog: bound of that queue in force, after somaxconn cut it (ss Send-Q); it holds one more.
        drops: SYNs and final ACKs this listener dropped since it was created.
        inode: of the socket; leads to its owner.
    """

    address: str
    port: int
    queued: int
    backlog: int
    drops: int | Absent
    inode: int


class PeerUse(Struct, frozen=True):
    """Outbound connections to one destination, from the local address that holds most of them."""

    address: str
    port: int
    connections: int
    source: str


class Link(Struct, frozen=True):
    """A network device: drops since it came up, queue length and queueing discipline."""

    name: str
    receive_dropped: int | Absent
    receive_fifo: int | Absent
    txqueuelen: int | Absent
    qdisc: str | Absent


class Namespace(Struct, frozen=True):
    """One network namespace.

    Args:
        id: "net:[4026531833]", or "" where it can't be told.
        sysctls: values of this namespace by name, as text.
        counters: "Tcp.CurrEstab", "TcpExt.ListenOverflows", … since the namespace was made.
        sockstat: "TCP.inuse", "TCP.orphan", "TCP.mem", … (orphan, alloc, mem are machine-wide).
        states: sockets by state but ESTABLISHED and LISTEN, by ss's names ("TIME-WAIT").
        established: Tcp.CurrEstab less CLOSE-WAIT.
        outbound: busiest destinations first; connections whose local port is no listening port.
        conntrack_active: whether rules of this namespace track connections at all.
    """

    id: str
    sysctls: dict[str, str | Absent]
    counters: Counters | Absent
    sockstat: Counters | Absent
    listeners: tuple[ListenQueue, ...] | Absent
    states: Counters | Absent
    established: int | Absent
    outbound: tuple[PeerUse, ...] | Absent
    links: tuple[Link, ...] | Absent
    conntrack_active: bool | Absent
    conntrack_count: int | Absent
