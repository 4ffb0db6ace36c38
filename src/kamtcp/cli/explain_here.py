"""The value of a setting or counter here and now: of the reader's namespace, and of each Kamailio and its namespace.

What check has looked at is taken from its snapshot; the rest is read through the same Host, so that a recording
answers too, or says that it doesn't hold it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from msgspec import Struct

from kamtcp.catalogue.entry import Entry, Kind, Scope
from kamtcp.catalogue.load import entries
from kamtcp.cli.explain_parameter import parameter
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Limit, Unlimited, Why
from kamtcp.model.instance import Instance
from kamtcp.model.machine import Counters, counter
from kamtcp.model.snapshot import Snapshot
from kamtcp.observe import conntrack, limits, sockstat, sysctl
from kamtcp.observe.attempt import attempt

_WHOLE = (Scope.MACHINE, Scope.USER, Scope.PID, Scope.IPC)
#: entries without one value that could be read: a family, a write-only file, files that don't count
_NOWHERE = ("kernel.sched_*", "net.ipv4.route.flush", "limits.conf", "memory.kmem.tcp.limit_in_bytes")
_WITNESS = "net.core.netdev_max_backlog"  # in every kernel it is in the first namespace only


class Here(Struct, frozen=True):
    """One value.

    Args:
        instance: name of the Kamailio whose value (or whose namespace's) it is; "" for the reader's own place.
        where: for people: "here", "kamailio (pid 812)", "net:[4026532181] of kamailio (pid 812)".
        value: as it is printed; Absent with the reason.
        source: where it was read, where that says more ("kamailio.cfg:41"); may be empty.
    """

    instance: str
    where: str
    value: str | Absent
    source: str = ""


def values(entry: Entry, host: Host, snapshot: Snapshot) -> tuple[Here, ...]:
    """All values of one entry; none where it has none to read (socket options, what is compiled in)."""
    if entry.id in _NOWHERE or entry.kind in (Kind.SOCKET, Kind.BUILD) or entry.gone == "never was":
        return ()
    if entry.kind in (Kind.SYSCTL, Kind.COUNTER) and entry.scope is not Scope.INSTANCE:
        return _of_kernel(entry, host, snapshot)
    if entry.kind is Kind.LINK:
        return _of_links(entry, host, snapshot)
    if entry.kind is Kind.MODULE:
        path = f"/sys/module/{entry.id.replace('.', '/parameters/')}"
        return (Here("", "here", attempt(path, lambda: host.read(path, 4096).decode().strip()), path),)
    if entry.kind is Kind.BOOT:
        return (Here("", "here", attempt("/proc/cmdline", lambda: _boot(entry.id, host)), "/proc/cmdline"),)
    if entry.kind is Kind.FIREWALL:
        return _in_namespaces(snapshot, lambda netns, _: _tracking(snapshot, netns))
    return tuple(_of_instance(entry, host, each, snapshot.machine.netns) for each in snapshot.instances)


def read_all(host: Host, snapshot: Snapshot) -> None:
    """Ask for every setting and counter of the catalogue; the answers stay with the recorder that `host` is.

    The kernel's command line is left out: it may hold what nobody wants in a recording. So are Kamailio's parameters,
    for which check has read all there is.
    """
    for entry in entries().values():
        if entry.kind not in (Kind.BOOT, Kind.PARAMETER, Kind.MODPARAM, Kind.COMMAND_LINE):
            values(entry, host, snapshot)


def number(value: str | Absent) -> Limit:
    """A printed value as a number: yes and no, no limit, the first of several; Absent where it is none of these."""
    if isinstance(value, Absent):
        return value
    word = value.replace(":", " ").split()[0].lower() if value.split() else ""
    if word in ("max", "infinity", "unlimited"):
        return Unlimited()
    if word in ("yes", "on", "no", "off"):
        return int(word in ("yes", "on"))
    digits = word.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 20:
        return int(word)
    return Absent("value", Why.MALFORMED, f"{value[:40]!r} is no number")


def label(instance: Instance) -> str:
    """What to call it: the name and the pid to ask for."""
    return f"{instance.name} (pid {instance.attendant})"


def _of_kernel(entry: Entry, host: Host, snapshot: Snapshot) -> tuple[Here, ...]:
    if entry.scope in _WHOLE or entry.scope is Scope.MACHINE_SHOWN:
        return (Here("", "here", _wide(entry, host, snapshot)),)
    return _in_namespaces(snapshot, lambda netns, pid: _narrow(entry, host, snapshot, netns, pid))


def _in_namespaces(snapshot: Snapshot, read: Callable[[str, int | None], str | Absent]) -> tuple[Here, ...]:
    """The reader's namespace, then that of each Kamailio that lives in another one."""
    own = snapshot.machine.netns
    here = [Here("", "here", read(own, None))] if own in snapshot.namespaces else []
    away = [each for each in snapshot.instances if each.netns != own]
    found = [
        Here(each.name, f"{each.netns} of {label(each)}", read(each.netns, each.attendant)) for each in away
    ]
    return (*here, *found)


def _wide(entry: Entry, host: Host, snapshot: Snapshot) -> str | Absent:
    """A value of the whole machine."""
    name = entry.id
    machine = snapshot.machine
    if name.startswith("sockstat."):
        return _text(counter(snapshot.namespaces[machine.netns].sockstat, name.removeprefix("sockstat.")))
    if name.startswith("softnet_stat."):
        return _text(machine.softnet_dropped if name.endswith("dropped") else machine.softnet_time_squeeze)
    if name in machine.sysctls:
        return machine.sysctls[name]
    found = attempt(name, lambda: sysctl.read_sysctl(host, name))
    witness = machine.sysctls.get(_WITNESS)
    away = isinstance(witness, Absent) and witness.why is Why.NOT_VISIBLE
    if away and name.startswith("net.") and isinstance(found, Absent) and found.why is Why.MISSING:
        return Absent(name, Why.NOT_VISIBLE, witness.detail if isinstance(witness, Absent) else "")
    return found


def _narrow(entry: Entry, host: Host, snapshot: Snapshot, netns: str, pid: int | None) -> str | Absent:
    """A value of one namespace; `pid` is a process in it, None for the reader's own."""
    name, space = entry.id, snapshot.namespaces[netns]
    if entry.kind is Kind.COUNTER and not name.startswith("net."):
        group, _, rest = name.partition(".")
        if name == "sockstat.sockets.used":
            return attempt(name, lambda: str(sockstat.collect(_view(host, pid), pid).sockets_used))
        if group == "sockstat":
            return _text(counter(space.sockstat, rest))
        if group == "nf_conntrack":
            return attempt(name, lambda: _text(conntrack.collect(_view(host, pid), pid).get(rest)))
        return _text(counter(space.counters, name))
    if name in space.sysctls:
        return space.sysctls[name]
    return attempt(name, lambda: sysctl.read_sysctl(_view(host, pid), name))


def _view(host: Host, pid: int | None) -> Host:
    """The machine as process `pid` sees it. One that has ended is gone, which is not "no such setting"."""
    try:
        return host if pid is None else host.within(pid)
    except FileNotFoundError as error:
        raise OSError(errno.ESRCH, os.strerror(errno.ESRCH), error.filename) from None


def _tracking(snapshot: Snapshot, netns: str) -> str | Absent:
    active = snapshot.namespaces[netns].conntrack_active
    if isinstance(active, Absent):
        return active
    return "connections are tracked" if active else "nothing is tracked"


def _boot(name: str, host: Host) -> str:
    words = host.read("/proc/cmdline", 1 << 16).decode("utf-8", "replace").split()
    given = [word.partition("=")[2] for word in words if word.partition("=")[0] == name]
    return given[-1] if given else "not given"


def _of_links(entry: Entry, host: Host, snapshot: Snapshot) -> tuple[Here, ...]:
    links = snapshot.namespaces[snapshot.machine.netns].links
    if isinstance(links, Absent):
        return (Here("", "here", links),)
    if entry.id == "txqueuelen":
        return tuple(
            Here(
                "",
                each.name,
                _text(each.txqueuelen),
                "" if isinstance(each.qdisc, Absent) else f"qdisc {each.qdisc}",
            )
            for each in links
        )
    if entry.id in ("rps_cpus", "rps_flow_cnt"):
        paths = {each.name: f"/sys/class/net/{each.name}/queues/rx-0/{entry.id}" for each in links}
        return tuple(
            Here("", f"{name} rx-0", attempt(path, lambda path=path: host.read(path, 4096).decode().strip()))  # type: ignore[misc]
            for name, path in paths.items()
        )
    return (Here("", "here", Absent(entry.id, Why.NOT_ASKED, "kamtcp doesn't ask drivers")),)


def _of_instance(entry: Entry, host: Host, instance: Instance, netns: str) -> Here:
    """A value of one Kamailio: parameter, statistic, limit, unit, cgroup."""
    if entry.kind is Kind.COUNTER:
        value, source = _statistic(entry.id, instance), ""
    elif entry.kind in (Kind.UNIT, Kind.LIMIT, Kind.CGROUP):
        value, source = _limit(entry.id, host, instance)
    else:
        value, source = parameter(entry, host, instance, netns)
    return Here(instance.name, label(instance), value, source)


def _statistic(name: str, instance: Instance) -> str | Absent:
    pool = instance.shared_memory
    if name.startswith("shmem:") and not isinstance(pool, Absent):
        return str(pool.free if name == "shmem:free_size" else pool.fragments)
    found = instance.statistics
    return _text(found.get(name) if isinstance(found, Counters) else found)


def _limit(name: str, host: Host, instance: Instance) -> tuple[str | Absent, str]:
    main, unit, cgroup = instance.tcp_main, instance.unit, instance.cgroup
    if name == "LimitMEMLOCK":
        return attempt(name, lambda: _locked(host, instance.attendant)), f"/proc/{instance.attendant}/limits"
    if name in ("RLIMIT_NOFILE", "SCM_RIGHTS in flight"):
        if isinstance(main, Absent):
            return main, ""
        return _pair(main.nofile_soft, main.nofile_hard), f"tcp main, pid {main.pid}"
    if name in ("memory.max", "MemoryMax"):
        return (cgroup, "") if isinstance(cgroup, Absent) else (_text(cgroup.memory_limit_bytes), cgroup.path)
    if name in ("pids.max", "TasksMax"):
        return (cgroup, "") if isinstance(cgroup, Absent) else (_text(cgroup.pids_limit), cgroup.path)
    if name == "LimitNOFILE":
        if isinstance(unit, Absent):
            return unit, ""
        if isinstance(unit.nofile_soft, Absent) and unit.nofile_soft.why is Why.MISSING:
            return Absent(f"{unit.name}", Why.MISSING, "the unit doesn't set it"), ""
        return _pair(unit.nofile_soft, unit.nofile_hard), unit.where
    return Absent(name, Why.NOT_ASKED), ""


def _locked(host: Host, pid: int) -> str | Absent:
    found = limits.collect(host, pid).get("Max locked memory")
    return found if isinstance(found, Absent) else _pair(found.soft, found.hard)


def _pair(soft: Limit, hard: Limit) -> str | Absent:
    return soft if isinstance(soft, Absent) else f"{soft}:{hard}"


def _text(value: Limit | str) -> str | Absent:
    return value if isinstance(value, Absent) else str(value)
