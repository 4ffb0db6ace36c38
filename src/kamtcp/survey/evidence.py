"""What the machine shows of an instance from outside: binary, libraries, unit, cgroup, log, age."""

from __future__ import annotations

from kamtcp.host.door import Host
from kamtcp.kamailio import loglines
from kamtcp.kamailio.versions import parse_version
from kamtcp.model.absent import UNLIMITED, Absent, Limit, Unlimited, Why
from kamtcp.model.instance import Cgroup, LogLine, Unit
from kamtcp.observe import boot, cgroup, logs, units
from kamtcp.observe.attempt import attempt
from kamtcp.survey.find import Family

VERSION = rb"kamailio (\d+\.\d+\.\d+[^ \0]*) \("


def version_in_binary(host: Host, pid: int) -> str | Absent:
    """The version compiled into the running binary, for when RPC is silent."""
    source = f"/proc/{pid}/exe"
    found = attempt(source, lambda: host.search(source, VERSION))
    if isinstance(found, Absent):
        return found
    if not found:
        return Absent(source, Why.MISSING, "no version text of Kamailio in it")
    return known_version(source, b" ".join(found.split()[1:2]).decode("ascii", "replace"))


def known_version(source: str, text: str) -> str | Absent:
    """The text of a version, if it is one."""
    found = attempt(source, lambda: parse_version(text))
    return found if isinstance(found, Absent) else text


def openssl(host: Host, pid: int) -> int | Absent:
    """Major version of the mapped libssl; 0 when none is mapped."""
    source = f"/proc/{pid}/maps"
    data = attempt(source, lambda: host.read(source, 8 << 20))
    if isinstance(data, Absent):
        return data
    _, found, rest = data.partition(b"libssl.so.")
    if not found:
        return 0
    digits = rest[: len(rest) - len(rest.lstrip(b"0123456789"))]
    return int(digits) if 0 < len(digits) < 6 else Absent(source, Why.MALFORMED, "libssl without a version")


def started(host: Host, family: Family) -> float | Absent:
    """When the attendant was started, seconds since the epoch."""
    times = attempt("/proc/stat", lambda: boot.collect(host))
    if isinstance(times, Absent):
        return times
    if isinstance(times.booted_at, Absent):
        return times.booted_at
    ticks = next(each.starttime_ticks for each in family.members if each.pid == family.attendant)
    return times.booted_at + ticks / host.reader().clock_ticks


def uptime(host: Host, family: Family) -> int | Absent:
    """Age of the attendant, seconds."""
    reader = host.reader()
    ticks = next(each.starttime_ticks for each in family.members if each.pid == family.attendant)
    return max(0, int(reader.boottime - ticks / reader.clock_ticks))


def unit(host: Host, pid: int) -> Unit | Absent:
    """The systemd unit, with its drop-ins merged; MISSING where systemd didn't start it."""
    source = f"/proc/{pid}/cgroup"
    text = attempt(source, lambda: host.read(source, 65536))
    if isinstance(text, Absent):
        return text
    name = attempt(source, lambda: units.unit_of_cgroup(text))
    if isinstance(name, Absent):
        return name
    if name is None:
        return Absent("systemd unit", Why.MISSING, "it was not started by systemd")
    found = attempt(name, lambda: units.collect(host, name))
    if isinstance(found, Absent):
        return found
    unset = Absent(f"LimitNOFILE of {name}", Why.MISSING, "not set")
    limit = found.limit_nofile
    tasks = found.tasks_max
    return Unit(
        name=name,
        nofile_soft=unset if limit is None else limit.soft,
        nofile_hard=unset if limit is None else limit.hard,
        where="" if limit is None else f"{limit.file}:{limit.line}",
        tasks_max=Absent(f"TasksMax of {name}", Why.MISSING, "not set") if tasks is None else tasks.value,
        nofile_lines=tuple((f"{each.file}:{each.line}", each.text) for each in found.nofile_lines),
        user="" if found.user is None else found.user.text,
    )


def cgroups(host: Host, pid: int) -> Cgroup | Absent:
    """The tightest limits above the instance."""
    found = attempt(f"/proc/{pid}/cgroup", lambda: cgroup.collect(host, pid))
    if isinstance(found, Absent):
        return found
    memory_path, memory, used = _tightest(found.memory)
    pids_path, pids, now = _tightest(found.pids)
    version = 2 if isinstance(found.memory, Absent) else found.memory.version
    return Cgroup(memory_path or pids_path or "its cgroup", memory, used, pids, now, version)


def _tightest(resource: cgroup.Resource | Absent) -> tuple[str, Limit, int | Absent]:
    if isinstance(resource, Absent):
        if resource.why is Why.MISSING:  # nothing is mounted that could bound it
            return "", UNLIMITED, resource
        return "", resource, resource
    level = resource.tightest()
    if isinstance(level, Absent | Unlimited):
        return "", level, Absent("cgroup", Why.NOT_ASKED)
    return level.path, level.limit, level.usage


def log(host: Host, inside: Host, pid: int) -> tuple[tuple[LogLine, ...] | Absent, str]:
    """Known lines in the end of its log, and where that is."""
    found = logs.find(host, pid, inside)
    if isinstance(found, Absent):
        return found, ""
    data = attempt(found.path, lambda: inside.tail(found.path, logs.TAIL_BYTES))
    if isinstance(data, Absent):
        return data, found.path
    counted = loglines.count(data)
    return tuple(LogLine(key, each.times, each.last) for key, each in sorted(counted.items())), found.path
