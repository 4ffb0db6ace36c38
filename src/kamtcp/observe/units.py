"""What systemd grants the unit that a process runs in: limits, user, capabilities, how it is started.

Tells which line of which file to change, and what a drop-in already says. The limits in force are those of
/proc/PID/limits: a unit changed after the start shows here at once and there only after a restart.

Reads   /proc/PID/cgroup; unit files and drop-ins below /etc, /run, /usr/lib, /lib
Source  systemd.unit(5), systemd.exec(5), systemd.resource-control(5)
Needs   no privilege
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from kamtcp.errors import KamtcpError, ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import UNLIMITED, Absent, Unlimited, Why
from kamtcp.observe.attempt import absent_of
from kamtcp.observe.unitfiles import (
    DIRECTORIES,
    Directive,
    directives,
    drop_in_names,
    names_of,
    ordered,
    words,
)

_SUFFIXES = {
    "": 1,
    "B": 1,
    "K": 1 << 10,
    "M": 1 << 20,
    "G": 1 << 30,
    "T": 1 << 40,
    "P": 1 << 50,
    "E": 1 << 60,
}
_LISTS = ("ExecStart", "EnvironmentFile", "Environment", "AmbientCapabilities")
_SINGLE = ("User", "Group", "LimitNOFILE", "LimitMEMLOCK", "TasksMax", "MemoryMax")


class Resource(Struct, frozen=True):
    """A limit as a unit sets it: numbers (descriptors, bytes), or unlimited."""

    soft: int | Unlimited
    hard: int | Unlimited
    file: str
    line: int


class Amount(Struct, frozen=True):
    """One bound as a unit sets it; `percent` where it is a share (of memory, of the kernel's pid limit)."""

    value: int | Unlimited
    file: str
    line: int
    percent: bool = False


class Unit(Struct, frozen=True):
    """The parts of a unit that bear on connections. None: no file sets it, so the default of the manager holds.

    Args:
        path: main file; "" where none was found.
        files: all files applied, in order.
        masked: the main file is empty or leads to /dev/null: the unit can't be started.
        limit_nofile: descriptors. limit_memlock: bytes.
        tasks_max: processes and threads. memory_max: bytes.
        exec_start, environment_files: all that are left after resets.
        environment: name -> the line that sets it last; `text` is the value alone.
        ambient_capabilities: each line that adds (or, with "~", takes away).
        problems: files that could not be read, values that systemd ignores.
        nofile_lines: all lines LimitNOFILE=, in the order in which they are applied; the last one counts.
    """

    path: str
    files: tuple[str, ...]
    masked: bool = False
    limit_nofile: Resource | None = None
    limit_memlock: Resource | None = None
    tasks_max: Amount | None = None
    memory_max: Amount | None = None
    user: Directive | None = None
    group: Directive | None = None
    exec_start: tuple[Directive, ...] = ()
    environment_files: tuple[Directive, ...] = ()
    environment: dict[str, Directive] = {}
    ambient_capabilities: tuple[Directive, ...] = ()
    problems: tuple[Absent, ...] = ()
    nofile_lines: tuple[Directive, ...] = ()


def unit_of_cgroup(text: bytes) -> str | None:
    """The system service a process belongs to, or None: user session, scope, container, or no systemd.

    Args:
        text: /proc/PID/cgroup; cgroup v2 ("0::/…"), v1 ("1:name=systemd:/…") or both.
    """
    paths: dict[str, str] = {}
    for line in text.decode("utf-8", "replace").splitlines():
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if colon and (controllers == "name=systemd" or (number == "0" and not controllers)):
            paths[controllers] = path
    for path in (paths.get("name=systemd", ""), paths.get("", "")):
        unit = _unit_of_path(path)
        if unit:
            return unit
    return None


def parse_unit(files: Sequence[tuple[str, bytes]], problems: Sequence[Absent] = ()) -> Unit:
    """Merge a unit's files and drop-ins as systemd does.

    Args:
        files: path and contents, in any order; see `unitfiles.ordered`.
        problems: of reading them, kept in the result.
    """
    path, applied = ordered(files)
    lists: dict[str, list[Directive]] = {name: [] for name in _LISTS}
    single: dict[str, Directive] = {}
    found: dict[str, Resource | Amount] = {}
    wrong = list(problems)
    nofile_lines: list[Directive] = []
    for file, data in applied:
        for directive in directives(file, data):
            if directive.section != "Service":
                continue
            name = directive.name
            if name == "LimitNOFILE":
                nofile_lines.append(directive)
            if name in lists:
                lists[name] = [*lists[name], directive] if directive.text else []
            elif name in _SINGLE:
                try:
                    _take(directive, single, found)
                except ParseError as error:
                    wrong.append(
                        Absent(f"{file}:{directive.line}", Why.MALFORMED, f"{error}; systemd ignores it")
                    )
    nofile, memlock = found.get("LimitNOFILE"), found.get("LimitMEMLOCK")
    tasks, memory = found.get("TasksMax"), found.get("MemoryMax")
    return Unit(
        path=path,
        files=tuple(file for file, _ in applied),
        masked=any(file == path and not data.strip() for file, data in applied),
        limit_nofile=nofile if isinstance(nofile, Resource) else None,
        limit_memlock=memlock if isinstance(memlock, Resource) else None,
        tasks_max=tasks if isinstance(tasks, Amount) else None,
        memory_max=memory if isinstance(memory, Amount) else None,
        user=single.get("User"),
        group=single.get("Group"),
        exec_start=tuple(lists["ExecStart"]),
        environment_files=tuple(lists["EnvironmentFile"]),
        environment=_environment(lists["Environment"]),
        ambient_capabilities=tuple(lists["AmbientCapabilities"]),
        problems=tuple(wrong),
        nofile_lines=tuple(nofile_lines),
    )


def collect(host: Host, unit: str) -> Unit:
    """Read a unit with its drop-ins from all directories systemd looks in.

    Args:
        host: the machine.
        unit: "kamailio.service", or an instance like "kamailio@edge.service".
    """
    files: list[tuple[str, bytes]] = []
    problems: list[Absent] = []
    if "/" in unit or "." not in unit:
        return parse_unit(files, [Absent(unit, Why.MALFORMED, "not the name of a unit")])
    for directory in DIRECTORIES:
        for name in names_of(unit):
            _read(host, f"{directory}/{name}", files, problems)
        for name in drop_in_names(unit):
            for entry in _list(host, f"{directory}/{name}.d", problems):
                if entry.endswith(".conf"):
                    _read(host, f"{directory}/{name}.d/{entry}", files, problems)
    if all(path.rpartition("/")[0].endswith(".d") for path, _ in files):
        problems.append(Absent(unit, Why.MISSING, "no unit file in systemd's directories"))
    return parse_unit(files, problems)


def _unit_of_path(path: str) -> str | None:
    parts = [part for part in path.split("/") if part not in ("", "..")]
    while parts and parts[0].endswith(".slice"):
        parts.pop(0)
    if not parts or not parts[0].endswith(".service"):
        return None
    unit, below = parts[0].removeprefix("_"), parts[1:]
    # a manager or a container inside the service: the process is one of *its* units
    if unit.startswith("user@") or any(
        part == "payload" or part.endswith((".service", ".scope", ".slice")) for part in below
    ):
        return None
    return unit


def _take(directive: Directive, single: dict[str, Directive], found: dict[str, Resource | Amount]) -> None:
    name = directive.name
    if not directive.text:
        single.pop(name, None)
        found.pop(name, None)
    elif name.startswith("Limit"):
        found[name] = resource(directive)
    elif name in ("TasksMax", "MemoryMax"):
        found[name] = _amount(directive)
    else:
        single[name] = directive


def resource(directive: Directive) -> Resource:
    """A limit as systemd.exec(5) writes it: BOTH, or SOFT:HARD.

    Raises:
        ParseError: it is none; systemd ignores the line.
    """
    soft, colon, hard = directive.text.partition(":")
    low = _bound(directive, soft)
    high = _bound(directive, hard) if colon else low
    over = isinstance(low, Unlimited) and not isinstance(high, Unlimited)
    if over or (isinstance(low, int) and isinstance(high, int) and low > high):
        raise ParseError(directive.name, "a soft limit not above the hard one", directive.text)
    return Resource(low, high, directive.file, directive.line)


def _amount(directive: Directive) -> Amount:
    number, percent, rest = directive.text.partition("%")
    if percent and not rest and number.isascii() and number.isdigit() and len(number) < 6:
        return Amount(int(number), directive.file, directive.line, percent=True)
    return Amount(_bound(directive, directive.text), directive.file, directive.line)


def _bound(directive: Directive, text: str) -> int | Unlimited:
    text = text.strip()
    if text == "infinity":
        return UNLIMITED
    digits = text.rstrip("BKMGTPE")
    suffix = text[len(digits) :]
    number = digits.strip()
    sized = directive.name in ("LimitMEMLOCK", "MemoryMax")
    if not (number.isascii() and number.isdigit() and len(number) < 20) or (suffix and not sized):
        raise ParseError(directive.name, "a number or infinity", directive.text)
    if suffix not in _SUFFIXES:
        raise ParseError(directive.name, "a size with one of B, K, M, G, T, P, E", directive.text)
    return int(number) * _SUFFIXES[suffix]


def _environment(lines: Sequence[Directive]) -> dict[str, Directive]:
    environment: dict[str, Directive] = {}
    for line in lines:
        for word in words(line.text):
            name, equals, value = word.partition("=")
            if equals and name:
                environment[name] = Directive(line.section, name, value, line.file, line.line)
    return environment


def _read(host: Host, path: str, files: list[tuple[str, bytes]], problems: list[Absent]) -> None:
    try:
        files.append((path, host.read(path)))
    except OSError as error:
        _note(path, absent_of(path, error), problems)
    except KamtcpError as error:
        _note(path, Absent(path, Why.NOT_RECORDED, str(error)), problems)


def _list(host: Host, path: str, problems: list[Absent]) -> tuple[str, ...]:
    try:
        return host.listdir(path)
    except OSError as error:
        _note(path, absent_of(path, error), problems)
    except KamtcpError as error:
        _note(path, Absent(path, Why.NOT_RECORDED, str(error)), problems)
    return ()


def _note(path: str, absent: Absent, problems: list[Absent]) -> None:
    # most of the places systemd looks in are empty on any host
    if absent.why is not Why.MISSING and len(problems) < 50:
        problems.append(Absent(path, absent.why, absent.detail))
