"""A healthy host with a healthy Kamailio, and a few keyword changes that make it ill.

`situation(nofile=…)` style tests read as the one thing that differs:

    situation(main={"nofile_soft": 1024})                  tcp main's own limit
    situation(parameters={"tcp_max_connections": 2048})    a Kamailio parameter; None takes it away
    situation(sysctls={"fs.nr_open": "1024"})              a sysctl, as the kernel prints it
    situation(target={"connections": 20_000})              what the operator wants
    situation(files_max=UNLIMITED, opened=17)              any other fact of machine, namespace or instance
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import fields, replace

from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.verdict import Verdict, judge, mix_of
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Cgroup, Instance, Parameter, Process, Role, SharedMemory
from kamtcp.model.machine import Counters, Link, ListenQueue, Machine, Namespace
from kamtcp.model.origin import Origin
from kamtcp.model.settings import Assignment, SettingFiles
from kamtcp.model.snapshot import SCHEMA, Snapshot
from kamtcp.model.target import Mix, Target

NETNS = "net:[4026531833]"
AWAY = "net:[4026532181]"
ROOT = (1 << 41) - 1
RPC, FILE = "core.tcp_options", "/etc/kamailio/kamailio.cfg:41"

DENIED = Absent("/proc/somewhere", Why.DENIED, "EACCES Permission denied")
NO_UNIT = Absent("systemd unit", Why.MISSING, "it was not started by systemd")

MACHINE_SYSCTLS = {
    "fs.file-max": "1677721",
    "fs.nr_open": "1048576",
    "fs.epoll.max_user_watches": "2000000",
    "kernel.pid_max": "4194304",
    "kernel.threads-max": "127000",
    "vm.overcommit_memory": "0",
}
NETNS_SYSCTLS: dict[str, str | Absent] = {
    "net.ipv4.tcp_mem": "100000\t200000\t400000",
    "net.ipv4.tcp_max_orphans": "131072",
    "net.ipv4.tcp_max_tw_buckets": "131072",
    "net.ipv4.tcp_ehash_entries": "262144",
    "net.ipv4.ip_local_port_range": "32768\t60999",
    "net.ipv4.ip_local_reserved_ports": "",
    "net.ipv4.tcp_tw_reuse": "2",
    "net.ipv4.tcp_sack": "1",
    "net.ipv4.tcp_window_scaling": "1",
    "net.ipv4.ip_unprivileged_port_start": "1024",
    "net.ipv4.tcp_tw_recycle": Absent("net.ipv4.tcp_tw_recycle", Why.MISSING),
    "net.ipv4.tcp_syncookies": "1",
    "net.ipv4.tcp_timestamps": "1",
    "net.ipv4.tcp_fin_timeout": "60",
    "net.ipv4.tcp_abort_on_overflow": "0",
    "net.ipv4.tcp_max_syn_backlog": "2048",
    "net.ipv4.tcp_rmem": "4096\t131072\t33554432",
    "net.ipv4.tcp_wmem": "4096\t16384\t4194304",
    "net.core.rmem_default": "212992",
    "net.core.wmem_default": "212992",
    "net.ipv4.tcp_retries2": "15",
    "net.ipv4.tcp_orphan_retries": "0",
    "net.ipv4.tcp_rto_max_ms": "120000",
    "net.ipv4.tcp_syn_retries": "6",
    "net.ipv4.tcp_syn_linear_timeouts": "4",
    "net.ipv4.tcp_synack_retries": "5",
    "net.netfilter.nf_conntrack_tcp_loose": "1",
    "net.ipv4.tcp_keepalive_time": "600",
    "net.ipv4.tcp_keepalive_intvl": "75",
    "net.ipv4.tcp_keepalive_probes": "9",
    "net.core.netdev_max_backlog": "30000",
    "net.core.somaxconn": "4096",
    "net.netfilter.nf_conntrack_max": "262144",
    "net.netfilter.nf_conntrack_buckets": "262144",
    "net.netfilter.nf_conntrack_tcp_timeout_established": "432000",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait": "120",
}
#: the one thing that somebody set, and the file that keeps it
SETTINGS = SettingFiles(
    files=("/etc/sysctl.d/60-kamtcp.conf",),
    assignments=(Assignment("net.ipv4.tcp_keepalive_time", "600", "/etc/sysctl.d/60-kamtcp.conf", 1),),
    live={"net.ipv4.tcp_keepalive_time": "600"},
)
#: value, origin, where: what a 6.1 with TLS and WebSocket reports
PARAMETERS: dict[str, tuple[int | str, Origin, str]] = {
    "tcp_max_connections": (100_000, Origin.READ, RPC),
    "tcp_max_connections_hard": (100_000, Origin.READ, "core.tcp_info"),
    "tcp_max_connections_file": (100_000, Origin.READ, FILE),
    "tls_max_connections": (50_000, Origin.READ, RPC),
    "tls_max_connections_hard": (50_000, Origin.READ, "core.tcp_info"),
    "tcp_accept_iplimit": (0, Origin.READ, FILE),
    "tcp_accept_haproxy": (0, Origin.DEFAULT, "compiled default"),
    "tcp_wait_data": (5000, Origin.READ, "cfg.get tcp"),
    "tcp_msg_data_timeout": (20, Origin.DEFAULT, "compiled default"),
    "tcp_msg_read_timeout": (20, Origin.DEFAULT, "compiled default"),
    "tcp_check_timer": (10, Origin.DEFAULT, "compiled default"),
    "tcp_main_threads": (0, Origin.DEFAULT, "compiled default"),
    "tcp_rd_buf_size": (16384, Origin.READ, "cfg.get tcp"),
    "tcp_connection_lifetime": (3605, Origin.READ, RPC),
    "tcp_connection_bytes": (928, Origin.REFERENCE, "struct tcp_connection as in 5.6.3"),
    "tcp_send_timeout": (10, Origin.READ, RPC),
    "tcp_connect_timeout": (10, Origin.READ, RPC),
    "tcp_linger2": (0, Origin.READ, RPC),
    "tcp_keepalive": (1, Origin.READ, RPC),
    "enable_tls": (1, Origin.READ, FILE),
    "tls_threads_mode": (2, Origin.READ, FILE),
    "tls.low_mem_threshold1": (-1, Origin.READ, "tls.options"),
    "tls.connection_timeout": (3605, Origin.READ, FILE),
    "websocket.keepalive_mechanism": (1, Origin.DEFAULT, "compiled default"),
    "websocket.keepalive_timeout": (180, Origin.DEFAULT, "compiled default"),
    "websocket.keepalive_interval": (1, Origin.DEFAULT, "compiled default"),
    "pkg_bytes": (16 << 20, Origin.READ, "command line -M"),
}
WORKERS = (821, 822, 823, 824)
OTHERS = (813, 814, 815, 816, 817, 818, 819, 820)


def process(pid: int, role: Role, **changes: Any) -> Process:
    """One process of the healthy instance; `changes` are fields of Process."""
    main = role is Role.TCP_MAIN
    basis = Process(
        pid=pid, inner_pid=pid, role=role, description=role.value, uid=990, gid=990, capabilities=0,
        nofile_soft=524_288, nofile_hard=524_288, descriptors=430 if main else 22,
        highest_descriptor=429 if main else Absent("fd", Why.NOT_ASKED), cpu_ticks=100,
        pkg_used_bytes=4_200_000, pkg_total_bytes=16 << 20,
    )  # fmt: skip
    return replace(basis, **changes)


def instance(
    *, main: dict[str, Any] | None = None, workers: dict[str, Any] | None = None,
    parameters: dict[str, Any] | None = None, **changes: Any,
) -> Instance:  # fmt: skip
    """The healthy Kamailio: pid 812, four workers, tcp main 831, 14 processes, 400 connections open."""
    processes = (
        process(812, Role.ATTENDANT),
        *(process(pid, Role.OTHER) for pid in OTHERS),
        *(process(pid, Role.TCP_WORKER, **(workers or {})) for pid in WORKERS),
        process(831, Role.TCP_MAIN, **(main or {})),
    )
    basis = Instance(
        name="kamailio", attendant=812, netns=NETNS, command_line=("/usr/sbin/kamailio",),
        config_path="/etc/kamailio/kamailio.cfg", config_read=True, config_changed_since_start=False,
        rpc="binrpc unix stream /run/kamailio/kamailio_ctl", rpc_tried=(), version="6.1.4", version_origin=Origin.READ,
        modules=("tm", "sl", "ctl", "tls", "websocket"), processes=processes, process_count=14, opened=400,
        opened_origin=Origin.READ, opened_tls=0, websocket=0, write_queued_bytes=0, uptime_seconds=86_400,
        shared_memory=SharedMemory(4 << 30, 4_000_000_000, 200_000_000, 294_967_296, 300_000_000, 10),
        parameters=_parameters(parameters or {}), statistics=Counters({}),
        listeners=(listener(5060), listener(5061)), other_descriptors=30, tls_ports=(5061,),
        handoff_sndbufs=(212_992, 212_992, 212_992, 212_992), openssl=3,
        clients_per_source=Absent("peer addresses", Why.NOT_ASKED), unit=NO_UNIT, cgroup=Cgroup(
            "/system.slice/kamailio.service", 8 << 30, 1 << 30, 4915, 14),
        log=(), log_source="/var/log/kamailio.log", unsure=(),
    )  # fmt: skip
    return replace(basis, **changes)


def _parameters(changes: dict[str, Any]) -> dict[str, Parameter]:
    found = {name: Parameter(*each) for name, each in PARAMETERS.items()}
    for name, value in changes.items():
        if value is None:
            found.pop(name, None)
        else:
            found[name] = value if isinstance(value, Parameter) else Parameter(value, Origin.READ, FILE)
    return found


def listener(port: int, backlog: int = 1024, queued: int = 0, address: str = "0.0.0.0") -> ListenQueue:
    return ListenQueue(address, port, queued, backlog, 0, 1000 + port)


def machine(*, sysctls: dict[str, Any] | None = None, **changes: Any) -> Machine:
    """The healthy machine: 4 CPUs, 16 GiB, read by root with every capability."""
    basis = Machine(
        node="sip1", release="6.18.0", architecture="x86_64", cpus=4, page_size=4096, clock_ticks=100,
        realtime=1_800_000_000.0, boottime=1000.0, uid=0, gid=0, capabilities=ROOT, netns=NETNS,
        memory_total_bytes=16 << 30, memory_available_bytes=12_000_000_000,
        sysctls={**MACHINE_SYSCTLS, **(sysctls or {})}, files_allocated=5000, files_max=1_000_000,
        connection_slab_bytes=4000, handoff_messages=278, handoff_sndbuf=212_992, softnet_dropped=0,
        softnet_time_squeeze=0, settings=SETTINGS,
    )  # fmt: skip
    return replace(basis, **changes)


def namespace(
    *, sysctls: dict[str, Any] | None = None, sockstat: dict[str, int] | None = None, **changes: Any
) -> Namespace:
    """The healthy namespace: conntrack on with 1,000 entries, nothing outbound."""
    basis = Namespace(
        id=NETNS, sysctls={**NETNS_SYSCTLS, **(sysctls or {})},
        counters=Counters({"Tcp.CurrEstab": 400}),
        sockstat=Counters({"TCP.inuse": 402, "TCP.orphan": 0, "TCP.tw": 600, "TCP.alloc": 402, "TCP.mem": 100,
                           **(sockstat or {})}),
        listeners=(listener(5060), listener(5061)), states=Counters({}), established=400, outbound=(),
        links=(Link("eth0", 0, 0, 1000, "fq_codel"),), conntrack_active=True, conntrack_count=1000,
    )  # fmt: skip
    return replace(basis, **changes)


_OF = {
    kind: {field.name for field in fields(kind)} - {"sysctls", "parameters", "netns"}
    for kind in (Instance, Namespace, Machine)
}


def situation(
    *,
    target: dict[str, Any] | Target | None = None,
    mix: Mix | None = None,
    prices: dict[str, float] | None = None,
    sysctls: dict[str, Any] | None = None,
    sockstat: dict[str, int] | None = None,
    parameters: dict[str, Any] | None = None,
    main: dict[str, Any] | None = None,
    workers: dict[str, Any] | None = None,
    kamailio: bool = True,
    away: bool = False,
    stated: bool = True,
    **facts: Any,
) -> Situation:
    """The healthy situation with a few changes; `kamailio=False` leaves the instance out.

    `facts` go where their name belongs; a name that both instance and namespace have is the instance's.
    `away`: the instance lives in a network namespace of its own. `stated=False`: the target is the highest use seen.
    """
    parts: dict[Any, dict[str, Any]] = {Instance: {}, Namespace: {}, Machine: {}}
    for name, value in facts.items():
        kind = next((kind for kind, names in _OF.items() if name in names), None)
        assert kind is not None, f"no fact is called {name}"
        parts[kind][name] = value
    wide = {name: value for name, value in (sysctls or {}).items() if name in MACHINE_SYSCTLS}
    own = {name: value for name, value in (sysctls or {}).items() if name not in MACHINE_SYSCTLS}
    if away:
        parts[Namespace]["id"] = parts[Instance]["netns"] = AWAY
    one = instance(main=main, workers=workers, parameters=parameters, **parts[Instance]) if kamailio else None
    wanted = target if isinstance(target, Target) else Target(**(target or {}))
    return Situation(
        machine(sysctls=wide, **parts[Machine]), namespace(sysctls=own, sockstat=sockstat, **parts[Namespace]), one,
        wanted, mix or mix_of(wanted, one), prices or {}, stated,
    )  # fmt: skip


def snapshot(*many: Situation) -> Snapshot:
    """A snapshot that holds the instances of these situations (the machine of the first)."""
    return Snapshot(
        SCHEMA, many[0].machine, {each.namespace.id: each.namespace for each in many},
        tuple(each.instance for each in many if each.instance is not None), (),
    )  # fmt: skip


def verdict(**changes: Any) -> Verdict:
    """The healthy situation with changes, judged."""
    s = situation(**changes)
    return judge(snapshot(s), s.instance, s.target, s.measured_prices, stated=s.target_stated)
