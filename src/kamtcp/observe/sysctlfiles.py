"""What do files set at boot, and which line wins?

Reads   /etc/sysctl.d, /run/sysctl.d, /usr/local/lib/sysctl.d, /usr/lib/sysctl.d, /lib/sysctl.d, /etc/sysctl.conf;
        the present value of each name that stands in them
Source  man sysctl.d(5), sysctl.conf(5); systemd src/sysctl/sysctl.c parse_file(), sysctl_normalize();
        procps src/sysctl.c parse_setting_line(), PreloadSystem()
Needs   no privilege
Cost    about 30 us a file or name: 1 ms on a stock host

systemd reads sysctl.d only. /etc/sysctl.conf counts there where a link in sysctl.d leads to it (99-sysctl.conf of
Debian up to 12 and of the Red Hat family). `sysctl --system` of procps, which runs where systemd doesn't, reads it
last of all. A setting of a module that is loaded later (nf_conntrack_*) is lost either way.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.model.settings import Assignment, SettingFiles, Stray
from kamtcp.observe.attempt import attempt
from kamtcp.observe.confdirs import contents, listed
from kamtcp.observe.sysctl import read_sysctl

DIRECTORIES = (
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
)
LAST = "/etc/sysctl.conf"
#: sd_booted(3): this directory is there if and only if systemd is process 1
SYSTEMD = "/run/systemd/system"
#: what bears on connections begins so; the present values of other names are nobody's business here
ASKED = ("net.", "fs.", "vm.", "kernel.sched_", "kernel.shm", "kernel.sem", "kernel.msg", "kernel.pid_max", "kernel.threads-max")  # fmt: skip
MOST_NAMES = 500
#: keys of the kernel: neither their lines nor their present values are for a report
SECRETS = ("_key", "_secret", "secret")
HIDDEN = "(not shown)"

Line = Assignment | Stray


class Parsed(Struct, frozen=True):
    """One file: its assignments, and the lines that are none."""

    assignments: tuple[Assignment, ...]
    stray: tuple[Stray, ...]


def parse(data: bytes, file: str) -> Parsed:
    """Read one file. Nothing is raised: a line that makes no sense is kept as stray, as both readers pass over it.

    Args:
        data: the whole file.
        file: its path, for the places of the lines.
    """
    found = tuple(_lines(data, file))
    return Parsed(
        tuple(each for each in found if isinstance(each, Assignment)),
        tuple(each for each in found if isinstance(each, Stray)),
    )


def normal(key: str) -> str | None:
    """A name as it is written, with dots between its parts; None where it can't be one.

    The first separator decides: after a slash slashes separate and dots are letters, after a dot it is the other way.
    """
    key = key.strip().strip("/")
    first = next((letter for letter in key if letter in "./"), ".")
    if first == "/":
        key = key.translate({ord("."): "/", ord("/"): "."})
    parts = [part for part in key.split(".") if part]
    # a part of dots alone would lead out of /proc/sys
    if not parts or any(not part.strip("/") or not _is_name(part) for part in parts):
        return None
    return ".".join(parts)


def _is_name(part: str) -> bool:
    return all(letter.isascii() and (letter.isalnum() or letter in "_-/:@*?[]!+") for letter in part)


def _lines(data: bytes, file: str) -> Iterator[Line]:
    for number, raw in enumerate(data.decode("utf-8", "replace").split("\n"), start=1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        excepted = key.startswith("-")
        name = normal(key[1:] if excepted else key)
        if name is None or (not equals and not excepted):
            yield Stray(line[:200], file, number)
        else:
            shown = HIDDEN if name.endswith(SECRETS) else value.strip()
            yield Assignment(name, shown if equals else None, file, number, excepted and bool(equals))


def collect(host: Host) -> SettingFiles:
    """All files that are read when this machine boots, as its own tools would read them."""
    systemd = attempt(SYSTEMD, lambda: host.stat(SYSTEMD))
    found = listed(host, DIRECTORIES)
    problems = list(found.problems)
    if isinstance(systemd, Absent) and systemd.why is not Why.MISSING:
        problems.append(systemd)
    by_systemd = not isinstance(systemd, Absent)
    links = {path for path in found.paths if _leads_to_last(host, path)}
    last_file = contents(host, LAST)
    paths = list(found.paths)
    if not by_systemd and not isinstance(last_file, Absent):
        # read through the link and then by its own name: what it says the second time counts
        paths = [*(path for path in paths if path not in links), LAST]
    # a line read through the link stands in the file that the link leads to: that one is to be edited
    parsed = [_read(host, path, LAST if path in links else path, problems) for path in paths]
    unread: tuple[Assignment, ...] = ()
    if isinstance(last_file, bytes) and by_systemd and not links:
        unread = parse(last_file, LAST).assignments
    elif isinstance(last_file, Absent) and last_file.why is not Why.MISSING:
        problems.append(last_file)
    assignments = tuple(line for each in parsed for line in each.assignments)
    return SettingFiles(
        reader="systemd-sysctl" if by_systemd else "sysctl --system",
        files=tuple(paths),
        masked=tuple(
            pair for pair in found.masked if pair[0] != pair[1].removeprefix("/usr")
        ),  # one directory
        assignments=assignments,
        unread=unread,
        stray=tuple(line for each in parsed for line in each.stray),
        live=_live(host, (*assignments, *unread)),
        problems=tuple(problems),
    )


def _read(host: Host, path: str, file: str, problems: list[Absent]) -> Parsed:
    data = contents(host, path)
    if not isinstance(data, Absent):
        return parse(data, file)
    if data.why is not Why.MISSING:  # a link to nowhere
        problems.append(data)
    return Parsed((), ())


def _leads_to_last(host: Host, path: str) -> bool:
    """Whether a file of sysctl.d is a link to /etc/sysctl.conf."""
    if not path.startswith("/etc/"):
        return False
    target = attempt(path, lambda: host.readlink(path))
    return not isinstance(target, Absent) and target in (
        LAST,
        "../sysctl.conf",
        "/etc/sysctl.d/../sysctl.conf",
    )


def _live(host: Host, assignments: tuple[Assignment, ...]) -> dict[str, str | Absent]:
    names = dict.fromkeys(each.name for each in assignments if not each.is_glob and _asked(each.name))
    return {name: attempt(name, lambda name=name: _value(host, name)) for name in list(names)[:MOST_NAMES]}  # type: ignore[misc]


def _asked(name: str) -> bool:
    return name.startswith(ASKED) and not name.endswith(SECRETS)


def _value(host: Host, name: str) -> str:
    if "/" in name:  # a part with a dot in it
        name = name.translate({ord("."): "/", ord("/"): "."})
        from kamtcp.observe.sysctl import parse as value_of

        return value_of(host.read(f"/proc/sys/{name}", 4096))
    return read_sysctl(host, name)
