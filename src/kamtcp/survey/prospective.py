"""A Kamailio that is not started yet: an instance made of its configuration, its arguments and this host.

What only a running process shows is absent, "not started"; what a start would make of file, arguments and limits is
filled in and marked as foreseen. Nothing is run.

Reads   the configuration and its includes, on the machine of the reader; everything else of the host that is judged:
        kamailio.service, /proc/self/limits, the version in /usr/sbin/kamailio, the OpenSSL that tls.so asks for
Source  Kamailio src/main.c main(), increase_open_fds(); man systemd.exec(5), systemd-system.conf(5)
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable

from kamtcp.host.door import Host
from kamtcp.kamailio import effective, footprint, versions
from kamtcp.kamailio.config import Config
from kamtcp.kamailio.rpc import Rpc
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Foreseen, Instance, Parameter, Process, Role, SharedMemory
from kamtcp.model.machine import ListenQueue
from kamtcp.model.origin import Origin
from kamtcp.model.snapshot import Snapshot
from kamtcp.survey import answers, parameters, start_config, start_limits, taken_ports

MIB = 1 << 20
NOT_STARTED = "not started"
#: more workers than any host runs; what a file says beyond it is not counted out one by one
_MOST_WORKERS = 4096


def collect(start: start_config.Start, own: Host, host: Host, snapshot: Snapshot, *, away: bool) -> Instance:
    """The instance that a start would make.

    Args:
        start: file and arguments.
        own: where the file is: the reader's machine.
        host: the host that is judged, live or recorded.
        snapshot: of that host.
        away: whether these are two.

    Raises:
        UsageError: the file can't be read. ConfigError: Kamailio would refuse it.
    """
    version, found_in = start_limits.version(host, snapshot)
    known = None if isinstance(version, Absent) else versions.parse_version(version)
    config, script = start_config.read(start, own, known)
    line = start.line
    rpc = _Silent()
    found = parameters.collect(rpc, line, config, version)
    workers = _number(effective.tcp_children(line, config).value) + _own_workers(config)
    count = footprint.processes(line, config, workers)
    private = footprint.private_memory(line, config, script, known)
    shared = footprint.shared_memory(config, count)
    limits = start_limits.collect(host, snapshot, config, line)
    off = line.disable_tcp or _is_on(config, "disable_tcp")
    modules = tuple(each.name for each in config.modules)
    total = _number(effective.shm_megabytes(line, config).value) * MIB
    free = max(0, total - shared.likely)
    return Instance(
        name=posixpath.basename(start.path).removesuffix(".cfg") or "kamailio",
        attendant=0,
        netns=snapshot.machine.netns,
        command_line=("kamailio",),
        config_path=start.path,
        config_read=True,
        config_changed_since_start=False,
        rpc=_absent("Kamailio RPC"),
        rpc_tried=(),
        version=version,
        version_origin=Origin.READ,
        modules=modules,
        processes=() if off else _processes(min(workers, _MOST_WORKERS), limits, found, private, count),
        process_count=count,
        opened=0,
        opened_origin=Origin.READ,
        opened_tls=0,
        websocket=0,
        write_queued_bytes=0,
        uptime_seconds=_absent("uptime"),
        shared_memory=SharedMemory(total, free, shared.likely, shared.likely, shared.likely, 0),
        parameters=found,
        statistics=_absent("counters of Kamailio"),
        listeners=() if off else _listeners(config, found, snapshot),
        other_descriptors=_absent("descriptors of tcp main"),
        tls_ports=answers.tls_ports(rpc, config),
        handoff_sndbufs=_absent("sockets to the workers"),
        openssl=start_limits.openssl(host, config, modules),
        clients_per_source=_absent("peer addresses"),
        unit=limits.unit,
        cgroup=limits.cgroup,
        log=_absent("log"),
        log_source="",
        unsure=(*config.unsure, *(str(each) for each in config.problems)),
        memlock_soft=limits.memlock,
        foreseen=Foreseen(
            config=start.path, options=start.arguments.strip(), whose=start.whose, away=away, descriptors=limits.why,
            private_low=private.low, private_high=private.high, shared_low=shared.low, shared_high=shared.high,
            version=found_in,
            taken=() if off else taken_ports.of_others(config, snapshot),
        ),
    )  # fmt: skip


class _Silent(Rpc):
    """There is nobody to ask yet."""

    def __init__(self) -> None:
        self.endpoint, self.passed_over = _absent("Kamailio RPC"), ()

    def fact(self, parse: Callable[..., object], method: str, *args: int | str) -> Absent:  # noqa: ARG002
        return _absent(" ".join((method, *map(str, args))))


def _absent(source: str) -> Absent:
    return Absent(source, Why.NOT_ASKED, NOT_STARTED)


def _processes(
    workers: int,
    limits: start_limits.StartLimits,
    found: dict[str, Parameter],
    private: footprint.Range,
    count: int,
) -> tuple[Process, ...]:
    """Tcp main and the workers, with the private memory that they will use."""
    limit = found.get("tcp_max_connections")
    table = 36 * ((limit.value if limit is not None and isinstance(limit.value, int) else 0) + 5 * count)
    megabytes = found.get("pkg_bytes")

    def one(role: Role) -> Process:
        return Process(
            pid=0, inner_pid=0, role=role, description=NOT_STARTED, uid=_absent("user"), gid=_absent("group"),
            capabilities=limits.capabilities, nofile_soft=limits.soft, nofile_hard=limits.hard,
            descriptors=_absent("descriptors"), highest_descriptor=_absent("highest descriptor of tcp main"),
            cpu_ticks=_absent("CPU time"), pkg_used_bytes=private.likely + max(0, table),
            pkg_total_bytes=megabytes.value if megabytes is not None and isinstance(megabytes.value, int) else _absent("-M"),
        )  # fmt: skip

    return (*(one(Role.TCP_WORKER) for _ in range(workers)), one(Role.TCP_MAIN))


def _listeners(
    config: Config, found: dict[str, Parameter], snapshot: Snapshot
) -> tuple[ListenQueue, ...] | Absent:
    """The listening sockets of the file, with the backlog that the kernel would leave them now."""
    somaxconn = snapshot.namespaces[snapshot.machine.netns].sysctls.get("net.core.somaxconn")
    if not isinstance(somaxconn, str) or not somaxconn.strip().isdecimal():
        return somaxconn if isinstance(somaxconn, Absent) else _absent("net.core.somaxconn")
    wanted = found.get("tcp_listen_backlog")
    backlog = min(
        wanted.value if wanted is not None and isinstance(wanted.value, int) else 1024, int(somaxconn)
    )
    drops = _absent("drops of a listener")
    sockets = [
        ListenQueue(address, each.port or (5061 if each.protocol == "tls" else 5060), 0, backlog, drops, 0)
        for each in config.listens
        if each.protocol in ("tcp", "tls", "")
        for address in each.addresses
    ]
    if not config.listens:  # every address of this host
        sockets = [ListenQueue("*", 5060, 0, backlog, drops, 0)]
    return tuple(sockets)


def _own_workers(config: Config) -> int:
    return sum(each.workers for each in config.listens if each.protocol in ("tcp", "tls", ""))


def _is_on(config: Config, name: str) -> bool:
    found = config.params.get(name)
    return found is not None and found.value in (True, 1)


def _number(value: int | Absent) -> int:
    return value if isinstance(value, int) else 0
