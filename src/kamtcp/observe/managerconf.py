"""What do units get that set no LimitNOFILE? DefaultLimitNOFILE= of systemd's own configuration.

Reads   /etc/systemd/system.conf (or the one of /run, /usr/lib), system.conf.d/*.conf beside them
Source  man systemd-system.conf(5); systemd src/shared/conf-parser.c config_parse_standard_file_with_dropins()
Needs   no privilege
"""

from __future__ import annotations

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.model.settings import ManagerLimit
from kamtcp.observe.confdirs import contents, listed
from kamtcp.observe.unitfiles import directives
from kamtcp.observe.units import resource

NAME = "DefaultLimitNOFILE"
DIRECTORIES = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")


def parse(data: bytes, file: str) -> tuple[ManagerLimit, ...]:
    """The lines that set it, in order; a value that systemd would ignore is passed over."""
    found: list[ManagerLimit] = []
    for line in directives(file, data):
        if line.section != "Manager" or line.name != NAME:
            continue
        if not line.text:
            found.clear()  # an empty value takes back what was said before
            continue
        try:
            limit = resource(line)
        except ParseError:
            continue
        found.append(ManagerLimit(limit.soft, limit.hard, file, line.line))
    return tuple(found)


def collect(host: Host) -> tuple[tuple[ManagerLimit, ...], tuple[Absent, ...]]:
    """All lines in the order in which they are applied, and what could not be read."""
    problems: list[Absent] = []
    lines: list[ManagerLimit] = []
    for directory in DIRECTORIES:  # of several main files only the first counts
        data = contents(host, f"{directory}/system.conf")
        if isinstance(data, Absent):
            problems += [data] if data.why is not Why.MISSING else []
            continue
        lines += parse(data, f"{directory}/system.conf")
        break
    found = listed(host, [f"{directory}/system.conf.d" for directory in DIRECTORIES])
    problems += found.problems
    for path in found.paths:
        data = contents(host, path)
        if not isinstance(data, Absent):
            lines += parse(data, path)
        elif data.why is not Why.MISSING:
            problems.append(data)
    return tuple(lines), tuple(problems)
