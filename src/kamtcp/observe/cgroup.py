"""Does a control group bound the memory or the number of tasks of a process, and how much is left?

Reads   /proc/PID/cgroup, /proc/self/mountinfo, and below each mount of a hierarchy
        v2: memory.max, memory.current, pids.max, pids.current
        v1: memory.limit_in_bytes, memory.usage_in_bytes, memory.use_hierarchy, pids.max, pids.current
Source  Linux kernel/cgroup/cgroup.c proc_cgroup_show(), Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst
Needs   no privilege as a rule
Cost    0.1 ms a process

Every ancestor bounds its descendants, so all levels up to the top of what is mounted are read.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import KamtcpError, ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import UNLIMITED, Absent, Limit, Unlimited, Why
from kamtcp.observe.attempt import attempt
from kamtcp.observe.kernel_text import natural, rows, text

_MEMBERSHIP = "/proc/PID/cgroup"
_MOUNTINFO = "/proc/self/mountinfo"
_MOST_LEVELS = 64
# v1 prints LONG_MAX rounded down to a page where there is no limit; pages are at most 64 KiB here
_NO_LIMIT_FROM = 2**63 - 2**20


class Membership(Struct, frozen=True):
    """One line of /proc/PID/cgroup.

    Args:
        hierarchy: 0 is version 2. controllers: of version 1; "name=systemd" for a hierarchy without any.
        path: from the root of the reader's cgroup namespace; starts with "/.." if it lies outside.
    """

    hierarchy: int
    controllers: tuple[str, ...]
    path: str


class Mount(Struct, frozen=True):
    """A mounted hierarchy.

    Args:
        root: which group of the hierarchy stands at the mount point. point: where.
        version: 1 or 2. controllers: of version 1, from the options.
    """

    root: str
    point: str
    version: int
    controllers: tuple[str, ...]


class Level(Struct, frozen=True, tag=True):
    """One group.

    Args:
        path: its directory.
        limit: bytes of memory, or tasks; absent, "missing", where the group has no such limit to set
            (the root, or the controller isn't switched on there).
        usage: the same unit, of the group and all below it; for memory page cache is in it.
    """

    path: str
    limit: Limit
    usage: int | Absent


class Resource(Struct, frozen=True, tag=True):
    """Bounds of one resource, the process's own group first, the outermost visible last."""

    version: int
    levels: tuple[Level, ...]

    def tightest(self) -> Level | Unlimited | Absent:
        """The group that will be full first: the least limit − usage.

        Returns:
            Unlimited where no group has a limit; absent where a limit, or the usage of a limited group, could not
            be read (a missing limit is none).
        """
        best: Level | Unlimited = UNLIMITED
        least = 0
        for level in self.levels:
            if isinstance(level.limit, Absent) and level.limit.why is not Why.MISSING:
                return level.limit
            if not isinstance(level.limit, int):
                continue
            if isinstance(level.usage, Absent):
                return level.usage
            left = level.limit - level.usage
            if isinstance(best, Unlimited) or left < least:
                best, least = level, left
        return best

    @property
    def limit(self) -> Limit:
        """The lowest limit of all levels, which is the one in force for a single process."""
        unseen = [
            x.limit for x in self.levels if isinstance(x.limit, Absent) and x.limit.why is not Why.MISSING
        ]
        found = [x.limit for x in self.levels if isinstance(x.limit, int)]
        return unseen[0] if unseen else min(found, default=UNLIMITED)


class Cgroups(Struct, frozen=True, tag=True):
    """Bounds of one process by control groups; "missing" where nothing is mounted that could bound it."""

    memory: Resource | Absent
    pids: Resource | Absent


def parse_membership(data: bytes) -> tuple[Membership, ...]:
    """Parse /proc/PID/cgroup: "4:memory:/path" or "0::/path" a line.

    Raises:
        ParseError: a line of another form.
    """
    found = []
    for at, line in enumerate(rows(data), start=1):
        parts = line.split(b":", 2)
        if len(parts) != 3 or not parts[2].startswith(b"/"):
            raise ParseError(_MEMBERSHIP, "NUMBER:CONTROLLERS:/PATH", text(line), at)
        names = tuple(text(name) for name in parts[1].split(b",") if name)
        found.append(Membership(natural(_MEMBERSHIP, parts[0], at), names, text(parts[2])))
    return tuple(found)


def parse_mountinfo(data: bytes) -> tuple[Mount, ...]:
    """The mounts of control groups in /proc/self/mountinfo, in its order.

    Raises:
        ParseError: a line without its fields.
    """
    found = []
    for at, line in enumerate(rows(data), start=1):
        before, dash, after = line.partition(b" - ")
        left, right = before.split(b" "), after.split(b" ")
        if not dash or len(left) < 6 or len(right) < 3:
            raise ParseError(_MOUNTINFO, "6 fields, ` - `, and 3 fields", text(line), at)
        if right[0] in (b"cgroup", b"cgroup2"):
            options = tuple(text(option) for option in right[2].split(b","))
            version = 2 if right[0] == b"cgroup2" else 1
            found.append(
                Mount(_unescaped(left[3]), _unescaped(left[4]), version, options if version == 1 else ())
            )
    return tuple(found)


def parse_limit(data: bytes) -> int | Unlimited:
    """Parse a limit file of either version: a number, or "max", or v1's huge number for none.

    Raises:
        ParseError: neither.
    """
    word = data.strip()
    if word == b"max":
        return UNLIMITED
    value = natural("cgroup limit", word)
    return UNLIMITED if value >= _NO_LIMIT_FROM else value


def directories(
    membership: tuple[Membership, ...], mounts: tuple[Mount, ...], controller: str
) -> tuple[int, tuple[str, ...]] | Absent:
    """Where the groups that bound a process stand: (version, directories, its own first).

    A controller is bound to one hierarchy: to a version 1 hierarchy that lists it, else to version 2.
    """
    one = next((m for m in membership if controller in m.controllers), None)
    mine = one or next((m for m in membership if m.hierarchy == 0), None)
    if mine is None:
        return Absent(_MEMBERSHIP, Why.MISSING, f"no hierarchy for {controller}")
    version = 1 if one else 2
    fitting = [m for m in mounts if m.version == version and (version == 2 or controller in m.controllers)]
    if not fitting:
        return Absent(_MOUNTINFO, Why.NOT_VISIBLE, f"the hierarchy of {controller} is not mounted")
    for mount in fitting:
        root = mount.root.rstrip("/")
        if mine.path == mount.root or mine.path.startswith(root + "/"):
            below = [part for part in mine.path[len(root) :].split("/") if part]
            if ".." in below or len(below) > _MOST_LEVELS:
                continue
            point = mount.point.rstrip("/")
            return version, tuple("/".join([point, *below[:depth]]) for depth in range(len(below), -1, -1))
    return Absent(_MEMBERSHIP, Why.NOT_VISIBLE, f"{mine.path} lies outside of what is mounted")


def collect(host: Host, pid: int) -> Cgroups:
    """Bounds of one process.

    Raises:
        OSError, ParseError: the membership or the mounts could not be read; a single limit fails by itself.
    """
    membership = parse_membership(host.read(f"/proc/{pid}/cgroup"))
    mounts = parse_mountinfo(host.read(_MOUNTINFO))

    def resource(controller: str, limit: dict[int, str], usage: dict[int, str]) -> Resource | Absent:
        found = directories(membership, mounts, controller)
        if isinstance(found, Absent):
            return found
        version, paths = found
        levels: list[Level] = []
        for path in paths:
            if version == 1 and controller == "memory" and levels and not _hierarchical(host, path):
                break
            levels.append(_level(host, path, limit[version], usage[version]))
        return Resource(version, tuple(levels))

    return Cgroups(
        memory=resource(
            "memory",
            {1: "memory.limit_in_bytes", 2: "memory.max"},
            {1: "memory.usage_in_bytes", 2: "memory.current"},
        ),
        pids=resource("pids", {1: "pids.max", 2: "pids.max"}, {1: "pids.current", 2: "pids.current"}),
    )


def _level(host: Host, path: str, limit: str, usage: str) -> Level:
    return Level(
        path,
        attempt(f"{path}/{limit}", lambda: parse_limit(host.read(f"{path}/{limit}", 4096))),
        attempt(
            f"{path}/{usage}", lambda: natural(f"{path}/{usage}", host.read(f"{path}/{usage}", 4096).strip())
        ),
    )


def _hierarchical(host: Host, path: str) -> bool:
    """Whether this v1 memory group counts what its children use; always since 5.11."""
    try:
        return host.read(f"{path}/memory.use_hierarchy", 4096).strip() != b"0"
    except (OSError, KamtcpError):
        return True


def _unescaped(field: bytes) -> str:
    """Blank, tab, newline and backslash stand as octal in mountinfo."""
    for octal, plain in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(octal, plain)
    return text(field)
