"""The arguments that kamailio.service starts Kamailio with.

Reads   ExecStart, Environment and EnvironmentFile of the unit with its drop-ins, and the files that these name
Source  man systemd.service(5) COMMAND LINES, systemd.exec(5) EnvironmentFile; Debian's kamailio.service
"""

from __future__ import annotations

import re
import shlex
from fnmatch import fnmatchcase

from kamtcp.host.door import Host
from kamtcp.model.absent import Absent
from kamtcp.observe import units
from kamtcp.observe.attempt import attempt

_VARIABLE = re.compile(r"\$\{(\w+)\}")
#: what a start of another file brings itself: configuration, pid file
_OWN = ("-f", "-P")
_MOST = 1 << 18


def collect(host: Host, unit: str) -> str | None:
    """Arguments as a shell would take them, without -f and -P; None where no unit tells."""
    found = attempt(unit, lambda: units.collect(host, unit))
    if isinstance(found, Absent) or not found.path or found.masked or not found.exec_start:
        return None
    variables = {name: each.text for name, each in found.environment.items()}
    for line in found.environment_files:
        for path in _paths(host, line.text.strip().removeprefix("-")):
            variables.update(_file(host, path))
    try:
        words = shlex.split(found.exec_start[-1].text)[1:]
    except ValueError:
        return None
    given: list[str] = []
    for word in words:
        if word.startswith("$") and word[1:].replace("_", "a").isalnum():
            given += variables.get(word[1:], "").split()
        else:
            given.append(_VARIABLE.sub(lambda name: variables.get(name.group(1), ""), word))
    return shlex.join(_without_own(given))


def _paths(host: Host, pattern: str) -> tuple[str, ...]:
    """The files that one EnvironmentFile line names; a glob may name several."""
    folder, _, name = pattern.rpartition("/")
    if not set("*?[") & set(name):
        return (pattern,)
    names = attempt(folder, lambda: host.listdir(folder))
    return (
        ()
        if isinstance(names, Absent)
        else tuple(f"{folder}/{each}" for each in names if fnmatchcase(each, name))
    )


def _file(host: Host, path: str) -> dict[str, str]:
    data = attempt(path, lambda: host.read(path, _MOST))
    found: dict[str, str] = {}
    for line in "" if isinstance(data, Absent) else data.decode("utf-8", "replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.isidentifier():
            found[name] = value.strip().strip("\"'")
    return found


def _without_own(words: list[str]) -> list[str]:
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in _OWN:
            next(rest, None)
        elif not word.startswith(_OWN):
            kept.append(word)
    return kept
