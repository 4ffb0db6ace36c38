"""What do files say about connection tracking's modules?

Reads   modprobe.d in /etc, /run, /usr/local/lib, /usr/lib, /lib
Source  man modprobe.d(5); kmod libkmod/libkmod-config.c
Needs   no privilege

Options count when the module is loaded; for one that is built in or loaded already they say nothing. "blacklist"
only keeps a module from being loaded by an alias: one that others need, or that a rule asks for, is loaded all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.model.settings import ModuleLine
from kamtcp.observe.confdirs import contents, listed

DIRECTORIES = (
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
)
COMMANDS = ("options", "blacklist", "install")
#: ip_conntrack is what nf_conntrack was called before 2.6.20; recipes still name it
MODULES = (
    "nf_conntrack",
    "ip_conntrack",
    "nf_conntrack_ipv4",
    "nf_conntrack_sip",
    "nf_nat",
    "ip_tables",
    "nf_tables",
)


def parse(data: bytes, file: str) -> tuple[ModuleLine, ...]:
    """The lines on connection tracking; a backslash at the end of a line joins the next to it."""
    return tuple(_lines(data, file))


def _lines(data: bytes, file: str) -> Iterator[ModuleLine]:
    begun, start = "", 0
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), start=1):
        if not begun:
            start = number
        if line.endswith("\\"):
            begun += line[:-1] + " "
            continue
        words, begun = (begun + line).split(), ""
        if len(words) < 2 or words[0].startswith("#") or words[0] not in COMMANDS:
            continue
        module = words[1].replace("-", "_")
        if module in MODULES:
            yield ModuleLine(words[0], module, " ".join(words[2:]), file, start)


def collect(host: Host) -> tuple[tuple[ModuleLine, ...], tuple[Absent, ...]]:
    """All such lines in order, and what could not be read."""
    found = listed(host, DIRECTORIES)
    problems = list(found.problems)
    lines: list[ModuleLine] = []
    for path in found.paths:
        data = contents(host, path)
        if not isinstance(data, Absent):
            lines.extend(parse(data, path))
        elif data.why is not Why.MISSING:
            problems.append(data)
    return tuple(lines), tuple(problems)
