"""Facts of one running Kamailio."""

from __future__ import annotations

import posixpath

from msgspec import Struct
from msgspec.structs import replace

from kamtcp.host.door import Host
from kamtcp.host.nowhere import Nowhere
from kamtcp.kamailio import cmdline, identity, levels
from kamtcp.kamailio.cmdline import CommandLine
from kamtcp.kamailio.config import Config, depends_on_version, read_config
from kamtcp.kamailio.versions import parse_version
from kamtcp.model.absent import Absent, Limit, Why
from kamtcp.model.instance import Instance, Parameter, Role
from kamtcp.model.machine import ListenQueue, Namespace
from kamtcp.model.origin import Origin
from kamtcp.observe import limits
from kamtcp.observe.attempt import attempt
from kamtcp.observe.processes import parse_status
from kamtcp.survey import answers, endpoints, evidence, parameters, processes
from kamtcp.survey.config_file import opened
from kamtcp.survey.find import Family
from kamtcp.survey.main_table import MainTable


class View(Struct, frozen=True):
    """The machine as one instance sees it.

    Args:
        inside: a Host within its namespaces; the reader's own where they can't be entered.
        netns: id of its network namespace; the reader's own where it can't be told.
        pid: its attendant, for /proc/PID/net.
        obstacle: why its namespaces could not be entered; None where they could.
    """

    inside: Host
    netns: str
    pid: int
    obstacle: Absent | None

    @staticmethod
    def of(host: Host, family: Family, own_netns: str) -> View:
        """Enter the namespaces of an instance, or say why not."""
        pid = family.attendant
        link = attempt(f"/proc/{pid}/ns/net", lambda: host.readlink(f"/proc/{pid}/ns/net"))
        inside = attempt(f"namespaces of pid {pid}", lambda: host.within(pid))
        if isinstance(inside, Absent):
            obstacle = inside
            if isinstance(link, str) and link != own_netns:
                return View(Nowhere(obstacle), link, pid, obstacle)
            assumed = Absent(
                obstacle.source, obstacle.why, "taken to be the reader's own; " + obstacle.detail
            )
            return View(host, own_netns, pid, assumed)
        return View(inside, own_netns if isinstance(link, Absent) else link, pid, None)


def collect(host: Host, view: View, family: Family, namespace: Namespace) -> Instance:
    """Everything about one instance that is judged."""
    pid, inside = family.attendant, view.inside
    line = attempt(f"/proc/{pid}/cmdline", lambda: cmdline.parse(host.read(f"/proc/{pid}/cmdline")))
    path = _config_path(host, pid, line)
    config = _config(host, view, line, path)
    inner = _inner_pid(host, pid)
    rpc = answers.Own(inside, endpoints.candidates(host, inside, pid, line, config), inner)
    if isinstance(rpc.version, Absent):
        version = evidence.version_in_binary(host, pid)
    else:
        version = evidence.known_version("core.version", rpc.version.version)
    info = rpc.fact(levels.tcp_info, "core.tcp_info")
    described = rpc.fact(identity.processes, "core.psx")
    own = processes.collect(host, family, described, rpc.fact(levels.pkg, "pkg.stats"), _inodes(namespace))
    table = MainTable(host, inside, own, namespace)
    listeners = table.listeners()
    opened, opened_origin = _opened(info, namespace, listeners)
    modules = answers.modules(rpc, config)
    own_parameters = parameters.collect(rpc, line, config, version)
    log, log_source = evidence.log(host, inside, pid)
    return Instance(
        name="kamailio",
        attendant=pid,
        netns=view.netns,
        command_line=line if isinstance(line, Absent) else (line.program,),
        config_path=path,
        config_read=config if isinstance(config, Absent) else True,
        config_changed_since_start=_changed(host, inside, config, family),
        rpc=rpc.endpoint if isinstance(rpc.endpoint, Absent) else f"{rpc.endpoint.transport.value} {rpc.endpoint.address}",
        rpc_tried=rpc.passed_over,
        version=version,
        version_origin=Origin.READ,
        modules=modules,
        processes=own,
        process_count=len(own) if isinstance(described, Absent) else len(described),
        opened=opened,
        opened_origin=opened_origin,
        opened_tls=info if isinstance(info, Absent) else info.opened_tls_connections,
        websocket=answers.websocket(rpc, modules),
        write_queued_bytes=info if isinstance(info, Absent) else info.write_queued_bytes,
        uptime_seconds=evidence.uptime(host, family),
        shared_memory=answers.shared_memory(rpc),
        parameters=own_parameters,
        statistics=answers.statistics(rpc),
        listeners=listeners,
        other_descriptors=table.other_descriptors(),
        tls_ports=answers.tls_ports(rpc, config),
        handoff_sndbufs=table.handoff_sndbufs(),
        openssl=evidence.openssl(host, pid),
        clients_per_source=_clients_per_source(inside, own_parameters, listeners),
        unit=evidence.unit(host, pid),
        cgroup=evidence.cgroups(host, pid),
        log=log,
        log_source=log_source,
        unsure=() if isinstance(config, Absent) else (*config.unsure, *map(str, config.problems)),
        listener_options=table.listener_options(),
        memlock_soft=_memlock(host, pid, own_parameters),
        away=_away(host, pid),
    )  # fmt: skip


def _memlock(host: Host, pid: int, parameters: dict[str, Parameter]) -> Limit:
    """RLIMIT_MEMLOCK of the attendant, which locks the memory for all; asked only where it is to be locked."""
    wanted = parameters.get("mlock_pages")
    source = f"{limits.LOCKED_MEMORY} of pid {pid}"
    if wanted is None or not wanted.value:
        return Absent(source, Why.NOT_ASKED, "mlock_pages is off")
    found = attempt(source, lambda: limits.collect(host, pid))
    if isinstance(found, Absent):
        return found
    bound = found.get(limits.LOCKED_MEMORY)
    return bound if isinstance(bound, Absent) else bound.soft


def _away(host: Host, pid: int) -> str:
    """What nsenter has to enter for a path to mean the same as it does to the instance; "" where that can't be told."""
    own, mounts = (
        attempt(path, lambda path=path: host.readlink(path))  # type: ignore[misc]
        for path in ("/proc/self/ns/mnt", f"/proc/{pid}/ns/mnt")
    )
    root = attempt(f"/proc/{pid}/root", lambda: host.readlink(f"/proc/{pid}/root"))
    flags = ["-m"] if isinstance(own, str) and isinstance(mounts, str) and own != mounts else []
    flags += ["-r"] if isinstance(root, str) and root != "/" else []
    return " ".join(flags)


def with_in_flight(instances: tuple[Instance, ...], messages: int | Absent) -> tuple[Instance, ...]:
    """Each with the descriptors that the others of its user may have in flight.

    Args:
        instances: all Kamailios of the machine.
        messages: that one socket to a worker holds.
    """
    users = {each.attendant: _user(each) for each in instances}
    return tuple(
        replace(
            each,
            in_flight_elsewhere=_sum(
                users[each.attendant],
                [
                    other
                    for other in instances
                    if other is not each and users[other.attendant] == users[each.attendant]
                ],
                messages,
            ),
        )
        for each in instances
    )


def _sum(user: int | Absent, others: list[Instance], messages: int | Absent) -> int | Absent:
    """A connection is on its way to one worker at a time, so there are no more than tcp main may open files."""
    if isinstance(user, Absent):
        return user
    total = 0
    for other in others:
        main = other.tcp_main
        if isinstance(messages, Absent):
            return messages
        if isinstance(main, Absent):
            return main
        held = len(other.of_role(Role.TCP_WORKER)) * messages
        total += min(held, main.nofile_soft) if isinstance(main.nofile_soft, int) else held
    return total


def _user(instance: Instance) -> int | Absent:
    main = instance.tcp_main
    return main if isinstance(main, Absent) else main.uid


def with_distinct_names(instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
    """Names that tell several instances apart: the configuration's file name, else the pid.

    One alone is named in the same way: targets are kept by name, and must not get lost or mixed up when a
    second one starts.
    """
    stems = [posixpath.basename(each.config_path).removesuffix(".cfg") or "kamailio" for each in instances]
    return tuple(
        replace(each, name=stem if stems.count(stem) == 1 else f"{stem}-{each.attendant}")
        for each, stem in zip(instances, stems, strict=True)
    )


def _inner_pid(host: Host, pid: int) -> int:
    """The attendant's pid in its own pid namespace, as RPC replies print it."""
    status = attempt(f"/proc/{pid}/status", lambda: parse_status(host.read(f"/proc/{pid}/status", 16384)))
    if isinstance(status, Absent) or isinstance(status.ns_pids, Absent):
        return pid
    return status.ns_pids[-1]


def _config_path(host: Host, pid: int, line: CommandLine | Absent) -> str:
    path = cmdline.DEFAULT_CONFIG if isinstance(line, Absent) else line.config_path
    if path.startswith("/"):
        return path
    directory = attempt(f"/proc/{pid}/cwd", lambda: host.readlink(f"/proc/{pid}/cwd"))
    return posixpath.join("/" if isinstance(directory, Absent) else directory, path)


def _config(host: Host, view: View, line: CommandLine | Absent, path: str) -> Config | Absent:
    """The configuration. Only where it depends on the version is that looked for in the binary, which is 4 MB."""
    if isinstance(line, Absent):
        return line
    pid, inside = view.pid, view.inside
    environment = attempt(f"/proc/{pid}/environ", lambda: host.read(f"/proc/{pid}/environ"))
    dependent: list[str] = []

    def open_file(name: str) -> bytes:
        data = opened(inside, name)
        if depends_on_version(data):
            dependent.append(name)
        return data

    def read(version: tuple[int, ...] | None) -> Config | Absent:
        return attempt(path, lambda: read_config(
            open_file, path, line.defines,
            environ=None if isinstance(environment, Absent) else _environ(environment),
            version=version, substitutions=line.substitutions, modules=line.modules,
            directory=posixpath.dirname(path),
        ))  # fmt: skip

    config = read(None)
    if dependent:
        version = evidence.version_in_binary(host, pid)
        if not isinstance(version, Absent):
            config = read(parse_version(version).numbers)
    return config


def configuration(host: Host, pid: int, own_netns: str) -> Config | Absent:
    """The configuration of a running instance, read again: for what a snapshot doesn't keep of it."""
    line = attempt(f"/proc/{pid}/cmdline", lambda: cmdline.parse(host.read(f"/proc/{pid}/cmdline")))
    return _config(host, View.of(host, Family(pid, ()), own_netns), line, _config_path(host, pid, line))


def _environ(data: bytes) -> dict[str, str]:
    pairs = (item.partition("=") for item in data.decode("utf-8", "replace").split("\0") if "=" in item)
    return {name: value for name, _, value in pairs}


def _changed(host: Host, inside: Host, config: Config | Absent, family: Family) -> bool | Absent:
    """Whether a file of the configuration is newer than the process: it may not be what is in force."""
    if isinstance(config, Absent):
        return config
    started = evidence.started(host, family)
    if isinstance(started, Absent):
        return started
    times = [_mtime(inside, name) for name in (config.path, *config.includes)]
    return any(isinstance(each, float) and each > started + 1 for each in times)


def _mtime(inside: Host, path: str) -> float | Absent:
    return attempt(path, lambda: inside.stat(path).mtime)


def _inodes(namespace: Namespace) -> tuple[int, ...]:
    return (
        () if isinstance(namespace.listeners, Absent) else tuple(each.inode for each in namespace.listeners)
    )


def _opened(
    info: levels.TcpInfo | Absent, namespace: Namespace, listeners: tuple[ListenQueue, ...] | Absent
) -> tuple[int | Absent, Origin]:
    """Open connections: what Kamailio counts, else what the kernel shows if nobody else is in the namespace."""
    if not isinstance(info, Absent):
        return info.opened_connections, Origin.READ
    everything = namespace.listeners
    if (
        isinstance(listeners, Absent)
        or isinstance(everything, Absent)
        or isinstance(namespace.established, Absent)
    ):
        return Absent("core.tcp_info", info.why, info.detail), Origin.READ
    if len(listeners) == len(everything) and not namespace.outbound:
        return namespace.established, Origin.READ
    return Absent(
        "core.tcp_info", info.why, "and the kernel's count holds other programs' connections"
    ), Origin.READ


def _clients_per_source(
    inside: Host, found: dict[str, Parameter], listeners: tuple[ListenQueue, ...] | Absent
) -> int | Absent:
    """Connections of the busiest peer address. A full census, so only where a cap per source is in force."""
    cap = found.get("tcp_accept_iplimit")
    if cap is None or not isinstance(cap.value, int) or cap.value <= 0:
        return Absent("peer addresses", Why.NOT_ASKED, "counted only where a cap per source is in force")
    if isinstance(listeners, Absent):
        return listeners
    from kamtcp.observe import census

    sockets = attempt("inet_diag", lambda: census.collect(inside))
    if isinstance(sockets, Absent):
        return sockets
    peers = sockets.peers(sockets.inbound({each.port for each in listeners}), keep=1)
    return peers.top[0][1] if peers.top else 0
