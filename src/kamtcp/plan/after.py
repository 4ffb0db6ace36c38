"""The facts as they would be once a setting has its new value and Kamailio is started again. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from kamtcp.capacity.needs import MIB
from kamtcp.capacity.reference import PKG_BYTES_PER_DESCRIPTOR
from kamtcp.capacity.situation import Situation
from kamtcp.model.absent import Absent, Limit
from kamtcp.model.instance import Cgroup, Instance, Parameter, Process, Role
from kamtcp.model.machine import ListenQueue
from kamtcp.model.origin import Origin

WHERE = "kamtcp plan"
#: descriptors of tcp main for each worker more: its end of a socketpair, and of the one to the attendant
PER_WORKER = 2


def with_value(s: Situation, name: str, value: str) -> Situation:
    """The situation with one setting changed; `name` as the catalogue has it."""
    if name in ("tcp_max_connections", "tls_max_connections"):
        return _of_instance(s, _limit(s.require(), name, int(value)))
    if name == "tcp_children":
        return _of_instance(s, _workers(s, int(value)))
    if name == "RLIMIT_NOFILE":
        return _of_instance(s, _descriptors(s.require(), int(value)))
    if name == "-m":
        return _of_instance(s, _shared(s.require(), int(value)))
    if name == "-M":
        return _private(s, int(value))
    if name == "tcp_listen_backlog":
        return _queues(_of_instance(s, _parameters(s.require(), {name: int(value)})))
    if name in ("TasksMax", "MemoryMax"):
        return _of_instance(s, _cgroup(s.require(), name, int(value)))
    return _queues(_sysctl(s, name, value))


def _of_instance(s: Situation, instance: Instance) -> Situation:
    return replace(s, instance=instance)


def _parameters(instance: Instance, values: dict[str, int]) -> Instance:
    changed = {name: Parameter(value, Origin.TARGET, WHERE) for name, value in values.items()}
    return replace(instance, parameters={**instance.parameters, **changed})


def _limit(instance: Instance, name: str, value: int) -> Instance:
    """Table and count together; the table of tcp main and of each worker grows with tcp_max_connections."""
    old = instance.parameters.get(f"{name}_hard") or instance.parameters.get(name)
    before = old.value if old is not None and isinstance(old.value, int) else value
    found = _parameters(instance, {name: value, f"{name}_hard": value, f"{name}_file": value})
    if name != "tcp_max_connections":
        return found
    grown = PKG_BYTES_PER_DESCRIPTOR * max(0, value - before)
    return replace(found, processes=tuple(
        replace(each, pkg_used_bytes=each.pkg_used_bytes + grown)
        if each.role in (Role.TCP_MAIN, Role.TCP_WORKER) and isinstance(each.pkg_used_bytes, int) else each
        for each in found.processes
    ))  # fmt: skip


def _descriptors(instance: Instance, value: int) -> Instance:
    family = (Role.TCP_MAIN, Role.TCP_WORKER)
    return replace(instance, processes=tuple(
        replace(each, nofile_soft=_raised(each.nofile_soft, value), nofile_hard=_raised(each.nofile_hard, value))
        if each.role in family else each for each in instance.processes
    ))  # fmt: skip


def _raised(limit: Limit, value: int) -> Limit:
    return max(limit, value) if isinstance(limit, int) else limit


def _shared(instance: Instance, megabytes: int) -> Instance:
    pool = instance.shared_memory
    if isinstance(pool, Absent):
        return instance
    more = megabytes * MIB - pool.total
    changed = replace(instance, shared_memory=replace(pool, total=megabytes * MIB, free=pool.free + more))
    return _parameters(changed, {"shm_megabytes": megabytes})


def _private(s: Situation, megabytes: int) -> Situation:
    """Each process may take its whole pool: what -M adds to all of them comes off what is available."""
    instance, before = s.require(), s.number("pkg_bytes")
    more = 0 if isinstance(before, Absent) else max(0, megabytes * MIB - before) * instance.process_count
    grown = replace(_parameters(instance, {"pkg_bytes": megabytes * MIB}), processes=tuple(
        replace(each, pkg_total_bytes=megabytes * MIB) for each in instance.processes
    ))  # fmt: skip
    return _less_memory(_of_instance(s, grown), more)


def _less_memory(s: Situation, taken: int) -> Situation:
    available = s.machine.memory_available_bytes
    if isinstance(available, Absent) or not taken:
        return s
    return replace(s, machine=replace(s.machine, memory_available_bytes=max(0, available - taken)))


def _workers(s: Situation, count: int) -> Instance:
    """More workers: processes like those there are, each with a socket of its own."""
    instance, present = s.require(), s.workers
    more = max(0, count - len(present))
    if not present or not more:
        return instance
    one = replace(present[-1], pid=0, inner_pid=0)
    found = _parameters(instance, {"tcp_children": count})
    buffers, cgroup, other = found.handoff_sndbufs, found.cgroup, found.other_descriptors
    if not isinstance(buffers, Absent) and buffers:
        buffers = (*buffers, *(min(buffers) for _ in range(more)))
    if isinstance(cgroup, Cgroup) and isinstance(cgroup.pids_now, int):
        cgroup = replace(cgroup, pids_now=cgroup.pids_now + more)
    return replace(
        found, processes=(*(_main(each, more) for each in found.processes), *(one for _ in range(more))),
        process_count=found.process_count + more, handoff_sndbufs=buffers, cgroup=cgroup,
        other_descriptors=other if isinstance(other, Absent) else other + PER_WORKER * more,
    )  # fmt: skip


def _main(process: Process, more: int) -> Process:
    if process.role is not Role.TCP_MAIN or isinstance(process.descriptors, Absent):
        return process
    return replace(process, descriptors=process.descriptors + PER_WORKER * more)


def _cgroup(instance: Instance, name: str, value: int) -> Instance:
    cgroup = instance.cgroup
    if isinstance(cgroup, Absent):
        return instance
    changed = (
        replace(cgroup, pids_limit=value) if name == "TasksMax" else replace(cgroup, memory_limit_bytes=value)
    )
    return replace(instance, cgroup=changed)


def _sysctl(s: Situation, name: str, value: str) -> Situation:
    """Wherever the facts have it: in the namespace, on the machine, or both."""
    machine, space = s.machine, s.namespace
    if name in space.sysctls:
        space = replace(space, sysctls={**space.sysctls, name: value})
    if name in machine.sysctls or name not in space.sysctls:
        machine = replace(machine, sysctls={**machine.sysctls, name: value})
    if name == "fs.file-max":
        machine = replace(machine, files_max=int(value))
    return replace(s, machine=machine, namespace=space)


def _queues(s: Situation) -> Situation:
    """Listeners opened anew: the smaller of somaxconn and what Kamailio asks for, never shorter than now."""
    instance = s.instance
    if instance is None or isinstance(instance.listeners, Absent):
        return s
    cap, asked = s.sysctl("net.core.somaxconn"), s.number("tcp_listen_backlog")
    if isinstance(cap, Absent) or isinstance(asked, Absent):
        return s
    return _of_instance(s, replace(instance, listeners=tuple(
        _longer(each, min(cap, asked)) for each in instance.listeners
    )))  # fmt: skip


def _longer(listener: ListenQueue, backlog: int) -> ListenQueue:
    return replace(listener, backlog=max(listener.backlog, backlog))
