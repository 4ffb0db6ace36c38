"""Facts of one running Kamailio, as judged by capacity and diagnose."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from kamtcp.model.absent import Absent, Limit, Why
from kamtcp.model.machine import Counters, ListenQueue
from kamtcp.model.origin import Origin


class Role(Enum):
    """What a process of Kamailio does; see Kamailio's core.psx."""

    ATTENDANT = "attendant"
    TCP_MAIN = "tcp main"
    TCP_WORKER = "tcp worker"
    CTL = "ctl"
    OTHER = "other"


class Process(Struct, frozen=True):
    """One process of the instance.

    Args:
        pid: as the reader sees it. inner_pid: in its own pid namespace, as RPC replies print it.
        description: core.psx text, "" without RPC.
        nofile_soft, nofile_hard: RLIMIT_NOFILE in force in this process.
        descriptors: open now. highest_descriptor: largest number open now (tcp main only; costs a listing).
        cpu_ticks: user and system, in clock ticks since it started.
        bounding: CapBnd: what it, and whoever it was before it changed its user, could ever be allowed.
        pkg_used_bytes, pkg_total_bytes: private memory pool, as the process last reported it.
    """

    pid: int
    inner_pid: int
    role: Role
    description: str
    uid: int | Absent
    gid: int | Absent
    capabilities: int | Absent
    nofile_soft: Limit
    nofile_hard: Limit
    descriptors: int | Absent
    highest_descriptor: int | Absent
    cpu_ticks: int | Absent
    pkg_used_bytes: int | Absent
    pkg_total_bytes: int | Absent
    bounding: int | Absent = Absent("CapBnd", Why.NOT_ASKED)

    @property
    def label(self) -> str:
        """What to call it in a sentence."""
        return f"pid {self.pid}" if self.pid else "the process to be started"


class Parameter(Struct, frozen=True):
    """One Kamailio parameter in force.

    Args:
        value: number, or text as written.
        origin: READ over RPC or from a file; DEFAULT where nothing says otherwise.
        where: "core.tcp_info", "kamailio.cfg:41", "command line -m", "compiled default".
        set_by: of a value that RPC tells: the line or option that set it at start; "" if none does.
    """

    value: int | str
    origin: Origin
    where: str
    set_by: str = ""


class Foreseen(Struct, frozen=True):
    """What a Kamailio that is not started yet is judged by, in place of what a running one shows.

    Args:
        config: its file. options: its arguments. whose: unit that they were taken from, "" for the operator.
        away: the file is of another machine than the one that is judged.
        descriptors: whose limit of open files is assumed, for people.
        private_low, private_high: bytes of private memory used besides the table of descriptors, between which it lies.
        shared_low, shared_high: bytes of shared memory in use after start.
        version: how its version was found, for people.
        taken: listeners whose port another program holds, one clause each.
    """

    config: str
    options: str
    away: bool
    descriptors: str
    private_low: int
    private_high: int
    shared_low: int
    shared_high: int
    version: str
    taken: tuple[str, ...] = ()
    whose: str = ""


class ListenerOptions(Struct, frozen=True, tag="listener_options"):
    """Socket options of a listening socket of tcp main: accepted connections start with them.

    Args:
        port: of the listener that was asked.
        keepalive: SO_KEEPALIVE. keepidle, keepintvl, keepcnt: in force, its own or the kernel's; seconds, seconds, probes.
        user_timeout_ms: TCP_USER_TIMEOUT, 0 for none.
        linger2: TCP_LINGER2 in force, its own or tcp_fin_timeout; seconds, negative for none.
    """

    port: int
    keepalive: bool
    keepidle: int
    keepintvl: int
    keepcnt: int
    user_timeout_ms: int
    linger2: int


class SharedMemory(Struct, frozen=True, tag="shm"):
    """shm.stats, in bytes; fragments is a count. A negative free (exhausted pool) reads as 0."""

    total: int
    free: int
    used: int
    real_used: int
    max_used: int
    fragments: int


class Unit(Struct, frozen=True, tag="unit"):
    """The systemd unit that started the instance, as far as it bears on limits.

    Args:
        nofile_soft, nofile_hard: LimitNOFILE; Absent(MISSING) when the unit doesn't set it.
        where: file and line that set it, "" when none does.
        nofile_lines: all lines that set LimitNOFILE, in the order in which they are applied: FILE:LINE and value.
        user: User= of the unit, "" where it starts as root.
    """

    name: str
    nofile_soft: Limit
    nofile_hard: Limit
    where: str
    tasks_max: Limit
    nofile_lines: tuple[tuple[str, str], ...] = ()
    user: str = ""


class Cgroup(Struct, frozen=True, tag="cgroup"):
    """The tightest limits on the way from the instance's cgroup to the root.

    Args:
        memory_version: 1 or 2, of the hierarchy that bounds memory: they charge sockets differently.
    """

    path: str
    memory_limit_bytes: Limit
    memory_usage_bytes: int | Absent
    pids_limit: Limit
    pids_now: int | Absent
    memory_version: int = 2


class LogLine(Struct, frozen=True):
    """A known line of Kamailio's log: how often it stands in the tail that was read, and the last one."""

    key: str
    count: int
    last: str


class Instance(Struct, frozen=True):
    """One Kamailio: its processes, limits, memory, parameters and listeners.

    Args:
        name: what to call it: the file name of its configuration without ".cfg", with its pid where two share one.
        attendant: pid of the main process, as the reader sees it.
        netns: id of its network namespace, a key of Snapshot.namespaces.
        rpc: the endpoint that answered, as text; Absent with all refusals when none did.
        rpc_tried: what each other endpoint said.
        version: "5.6.3"; how it was found is in version_origin.
        opened, opened_tls: core.tcp_info opened_connections, opened_tls_connections.
        websocket: ws_current_connections (WS and WSS together).
        parameters: tcp, tls, websocket and memory parameters in force, by configuration name.
        process_count: P, processes in core.psx, else counted in /proc.
        listeners: listening sockets of tcp main.
        other_descriptors: of tcp main's descriptors with low numbers, those that are no connection.
        tls_ports: those of them that speak TLS.
        handoff_sndbufs: send buffer of each socketpair from tcp main to a worker, in bytes.
        openssl: major version of the mapped libssl, 0 when none is mapped.
        listener_options: of one of its listeners, as the socket itself says.
        memlock_soft: RLIMIT_MEMLOCK of the attendant, bytes; looked at only where mlock_pages is on.
        clients_per_source: most connections that one peer address holds; counted only where a cap exists.
        away: namespaces and root of its own that a line has to enter: "-m" (mount), "-r" (another root); "" for none.
        in_flight_elsewhere: descriptors that other Kamailios of its user may have on their way to workers: the kernel counts
            them per user.
        foreseen: of one that is not started: its processes, limits, memory and listeners are as they would be.
    """

    name: str
    attendant: int
    netns: str
    command_line: tuple[str, ...] | Absent
    config_path: str
    config_read: bool | Absent
    config_changed_since_start: bool | Absent
    rpc: str | Absent
    rpc_tried: tuple[Absent, ...]
    version: str | Absent
    version_origin: Origin
    modules: tuple[str, ...] | Absent
    processes: tuple[Process, ...]
    process_count: int
    opened: int | Absent
    opened_origin: Origin
    opened_tls: int | Absent
    websocket: int | Absent
    write_queued_bytes: int | Absent
    uptime_seconds: int | Absent
    shared_memory: SharedMemory | Absent
    parameters: dict[str, Parameter]
    statistics: Counters | Absent
    listeners: tuple[ListenQueue, ...] | Absent
    other_descriptors: int | Absent
    tls_ports: tuple[int, ...] | Absent
    handoff_sndbufs: tuple[int, ...] | Absent
    openssl: int | Absent
    clients_per_source: int | Absent
    unit: Unit | Absent
    cgroup: Cgroup | Absent
    log: tuple[LogLine, ...] | Absent
    log_source: str
    unsure: tuple[str, ...]
    listener_options: ListenerOptions | Absent = Absent("listener", Why.NOT_ASKED)
    memlock_soft: Limit = Absent("RLIMIT_MEMLOCK", Why.NOT_ASKED)
    away: str = ""
    in_flight_elsewhere: int | Absent = Absent("other Kamailios of the same user", Why.NOT_ASKED)
    foreseen: Foreseen | None = None

    @property
    def seen_as(self) -> Origin:
        """Where facts of its processes come from: they were read, or are assumed because it is not started."""
        return Origin.READ if self.foreseen is None else Origin.ASSUMED

    def of_role(self, role: Role) -> tuple[Process, ...]:
        """Processes of one role, in the order of core.psx."""
        return tuple(process for process in self.processes if process.role is role)

    @property
    def tcp_main(self) -> Process | Absent:
        """The process that owns every connection."""
        found = self.of_role(Role.TCP_MAIN)
        return (
            found[0]
            if found
            else Absent("tcp main", Why.NOT_VISIBLE, "no process of this role could be told")
        )
