"""What do login sessions get? Read only to be able to say that services don't get it.

Reads   /etc/security/limits.conf, /etc/security/limits.d/*.conf
Source  man limits.conf(5), pam_limits(8); Linux-PAM modules/pam_limits/pam_limits.c parse_config_file()
Needs   no privilege

systemd starts services without PAM (unless PAMName= is set): LimitNOFILE= of the unit counts there, and
`ulimit -n` or limits.conf don't.
"""

from __future__ import annotations

from collections.abc import Iterator

from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.model.settings import PamLimit
from kamtcp.observe.confdirs import contents, listed

FILE = "/etc/security/limits.conf"
DIRECTORY = "/etc/security/limits.d"
ITEMS = ("nofile", "memlock")
KINDS = ("soft", "hard", "-")


def parse(data: bytes, file: str) -> tuple[PamLimit, ...]:
    """The lines on open files and locked memory; lines that are none are passed over, as pam_limits does."""
    return tuple(_lines(data, file))


def _lines(data: bytes, file: str) -> Iterator[PamLimit]:
    for number, raw in enumerate(data.decode("utf-8", "replace").split("\n"), start=1):
        words = raw.partition("#")[0].split()
        if len(words) == 4 and words[1].lower() in KINDS and words[2].lower() in ITEMS:
            yield PamLimit(words[0], words[1].lower(), words[2].lower(), words[3], file, number)


def collect(host: Host) -> tuple[tuple[PamLimit, ...], tuple[Absent, ...]]:
    """All lines in the order in which they are applied, and what could not be read."""
    found = listed(host, (DIRECTORY,))
    problems = list(found.problems)
    lines: list[PamLimit] = []
    for path in (FILE, *found.paths):
        data = contents(host, path)
        if not isinstance(data, Absent):
            lines.extend(parse(data, path))
        elif data.why is not Why.MISSING:
            problems.append(data)
    return tuple(lines), tuple(problems)
