"""Under which limits a Kamailio would be started on this host, by which version, and with which OpenSSL.

Reads   kamailio.service with its drop-ins; /proc/self/limits where there is no such unit; /usr/sbin/kamailio; tls.so
Source  man systemd-system.conf(5) DefaultLimitNOFILE; Kamailio src/main.c increase_open_fds()
Cost    searching the binary (4 MB) takes 10 ms
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.host.door import Host
from kamtcp.kamailio.cmdline import CommandLine
from kamtcp.kamailio.config import Config
from kamtcp.model.absent import UNLIMITED, Absent, Limit, Why
from kamtcp.model.instance import Cgroup, Role, Unit
from kamtcp.model.snapshot import Snapshot
from kamtcp.observe import limits as process_limits
from kamtcp.observe import units
from kamtcp.observe.attempt import attempt
from kamtcp.observe.processes import parse_stat
from kamtcp.survey import evidence, unit_arguments

UNIT = "kamailio.service"
BINARIES = ("/usr/sbin/kamailio", "/usr/local/sbin/kamailio")
_MODULE_PATHS = (
    "/usr/lib/x86_64-linux-gnu/kamailio/modules", "/usr/lib/aarch64-linux-gnu/kamailio/modules",
    "/usr/lib64/kamailio/modules", "/usr/lib/kamailio/modules", "/usr/local/lib64/kamailio/modules",
    "/usr/local/lib/kamailio/modules",
)  # fmt: skip
#: what systemd gives a service whose unit says nothing, unless system.conf does
SYSTEMD_NOFILE = (1024, 524_288)
#: 15 % of the lowest number of processes that kernels are set to
SYSTEMD_TASKS = 4915
CAP_SYS_RESOURCE = 24


class StartLimits(Struct, frozen=True):
    """Limits of a start.

    Args:
        soft, hard: RLIMIT_NOFILE in force after Kamailio has applied open_files_limit. memlock: bytes.
        capabilities: as a bit mask, as far as they bear on the limits.
        why: whose limits these are, for people. cgroup: that it would be started in.
    """

    soft: Limit
    hard: Limit
    memlock: Limit
    capabilities: int | Absent
    unit: Unit | Absent
    why: str
    cgroup: Cgroup | Absent


def surroundings(host: Host) -> None:
    """Ask for all that is looked at here, so that a recording can answer it."""
    attempt("/proc/self/limits", lambda: host.read("/proc/self/limits"))
    _own_cgroup(host)
    unit_arguments.collect(host, UNIT)
    for path in BINARIES:
        attempt(path, lambda path=path: host.search(path, evidence.VERSION))  # type: ignore[misc]


def collect(host: Host, snapshot: Snapshot, config: Config, line: CommandLine) -> StartLimits:
    """As the unit would start it where there is one, else as the shell that runs kamtcp."""
    unit = attempt(UNIT, lambda: units.collect(host, UNIT))
    found = _of_unit(unit) or _of_shell(host, snapshot, config, line, unit)
    wanted = config.params.get("open_files_limit")
    raised = wanted.value if wanted is not None and type(wanted.value) is int else 0
    soft, hard, privileged = found.soft, found.hard, _privileged(found)
    if (
        isinstance(soft, int)
        and raised > soft
        and (privileged or not isinstance(hard, int) or raised <= hard)
    ):
        soft = raised
        hard = max(hard, raised) if isinstance(hard, int) else hard
    return StartLimits(soft, hard, found.memlock, found.capabilities, found.unit, found.why, found.cgroup)


def _privileged(found: StartLimits) -> bool:
    return isinstance(found.capabilities, int) and bool(found.capabilities >> CAP_SYS_RESOURCE & 1)


def _of_unit(unit: units.Unit | Absent) -> StartLimits | None:
    if isinstance(unit, Absent) or not unit.path or unit.masked:
        return None
    nofile, tasks = unit.limit_nofile, unit.tasks_max
    unset = Absent(f"LimitNOFILE of {UNIT}", Why.MISSING, "not set")
    where = "" if nofile is None else f"{nofile.file}:{nofile.line}"
    of_unit = Unit(
        name=UNIT, nofile_soft=unset if nofile is None else nofile.soft,
        nofile_hard=unset if nofile is None else nofile.hard, where=where,
        tasks_max=Absent(f"TasksMax of {UNIT}", Why.MISSING, "not set") if tasks is None else tasks.value,
    )  # fmt: skip
    soft, hard = SYSTEMD_NOFILE if nofile is None else (nofile.soft, nofile.hard)
    said = f"LimitNOFILE in {where}" if nofile is not None else "which sets no LimitNOFILE: systemd's default"
    # a unit with a user drops what root may
    everything = unit.user is None or unit.user.text in ("root", "0")
    memlock = (
        Absent("RLIMIT_MEMLOCK", Why.NOT_ASKED, "not started")
        if unit.limit_memlock is None
        else unit.limit_memlock.soft
    )
    return StartLimits(soft, hard, memlock, 1 << CAP_SYS_RESOURCE if everything else 0, of_unit,
                       f"by {UNIT}, {said}", _cgroup_of(unit),
    )  # fmt: skip


def _of_shell(
    host: Host, snapshot: Snapshot, config: Config, line: CommandLine, unit: units.Unit | Absent
) -> StartLimits:
    """Of kamtcp itself, since whatever starts Kamailio from here hands them on; else of a Kamailio that runs."""
    own = attempt("/proc/self/limits", lambda: process_limits.parse(host.read("/proc/self/limits")))
    capabilities = snapshot.machine.capabilities
    if line.user or "user" in config.params:  # it changes to that user after it has raised the limit
        capabilities &= 1 << CAP_SYS_RESOURCE
    none = _no_unit(unit)
    if not isinstance(own, Absent):
        nofile, memlock = own.get(process_limits.OPEN_FILES), own.get(process_limits.LOCKED_MEMORY)
        return StartLimits(
            nofile if isinstance(nofile, Absent) else nofile.soft,
            nofile if isinstance(nofile, Absent) else nofile.hard,
            memlock if isinstance(memlock, Absent) else memlock.soft,
            capabilities, none, f"from the shell that runs kamtcp, with its limits ({none})", _own_cgroup(host),
        )  # fmt: skip
    mains = [
        each for instance in snapshot.instances for each in instance.processes if each.role is Role.TCP_MAIN
    ]
    if len(mains) != 1:
        return StartLimits(
            own, own, own, capabilities, none, f"under limits that could not be seen ({none})", own
        )
    main = mains[0]
    cgroup = next(each.cgroup for each in snapshot.instances if main in each.processes)
    return StartLimits(main.nofile_soft, main.nofile_hard, own, main.capabilities, none,
                       f"as the one that runs (pid {main.pid}), with its limits ({none})", cgroup)  # fmt: skip


def _no_unit(unit: units.Unit | Absent) -> Absent:
    """Why no unit is taken to start it."""
    if isinstance(unit, Absent):
        return unit
    if unit.masked:
        return Absent(UNIT, Why.MISSING, "masked")
    unseen = [each for each in unit.problems if each.why is not Why.MISSING]
    return Absent(UNIT, unseen[0].why if unseen else Why.MISSING)


def _own_cgroup(host: Host) -> Cgroup | Absent:
    """That of kamtcp itself."""
    own = attempt("/proc/self/stat", lambda: parse_stat(host.read("/proc/self/stat", 4096)))
    return own if isinstance(own, Absent) else evidence.cgroups(host, own.pid)


def _cgroup_of(unit: units.Unit) -> Cgroup:
    """What the unit sets; slices above it are not looked at."""
    memory: Limit = UNLIMITED
    if unit.memory_max is not None:
        share = Absent(f"MemoryMax of {UNIT}", Why.NOT_ASKED, "a share of the machine's memory")
        memory = share if unit.memory_max.percent else unit.memory_max.value
    tasks: Limit = SYSTEMD_TASKS
    if unit.tasks_max is not None and not unit.tasks_max.percent:
        tasks = unit.tasks_max.value
    return Cgroup(f"{UNIT}, as it would be", memory, 0, tasks, 0)


def version(host: Host, snapshot: Snapshot) -> tuple[str | Absent, str]:
    """Version of the Kamailio that would be started, and how it was found."""
    for path in BINARIES:
        found = attempt(path, lambda path=path: host.search(path, evidence.VERSION))  # type: ignore[misc]
        if isinstance(found, bytes) and found:
            return evidence.known_version(path, found.split()[1].decode("ascii", "replace")), f"in {path}"
    running = {each.version for each in snapshot.instances if isinstance(each.version, str)}
    if len(running) == 1:
        return running.pop(), "that of the running one"
    return Absent(BINARIES[0], Why.NOT_VISIBLE, "no version of Kamailio could be told"), "not known"


def openssl(host: Host, config: Config, modules: tuple[str, ...]) -> int | Absent:
    """Major version of the libssl that its tls module asks for; 0 where it loads none."""
    if "tls" not in modules:
        return 0
    given = config.params.get("loadpath")
    own = tuple(str(given.value).split(":")) if given is not None else ()
    for folder in (*own, *_MODULE_PATHS):
        path = f"{folder.rstrip('/')}/tls.so"
        found = attempt(path, lambda path=path: host.search(path, rb"libssl\.so\.\d{1,3}"))  # type: ignore[misc]
        if isinstance(found, bytes) and found:
            return int(found.rpartition(b".")[2])
    return Absent("tls.so", Why.NOT_VISIBLE, "in none of the usual directories of modules")
