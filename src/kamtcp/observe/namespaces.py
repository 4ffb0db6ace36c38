"""In which namespaces does a process live?

Reads   links in /proc/PID/ns
Source  Linux fs/proc/namespaces.c; man namespaces(7)
Needs   to be the same user, or root with CAP_SYS_PTRACE
Cost    0.02 ms a process
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent
from kamtcp.observe.attempt import attempt


class Namespaces(Struct, frozen=True, tag=True):
    """Inode numbers of the namespaces of a process: equal numbers on one machine are one namespace."""

    net: int | Absent
    mnt: int | Absent
    pid: int | Absent
    user: int | Absent
    cgroup: int | Absent


def parse_link(target: str) -> int:
    """The number in "net:[4026531833]".

    Raises:
        ParseError: another form.
    """
    kind, _, rest = target.partition(":[")
    number = rest.removesuffix("]")
    if not (kind and rest.endswith("]") and number.isascii() and number.isdigit()) or len(number) > 20:
        raise ParseError("/proc/PID/ns", "KIND:[INODE]", target)
    return int(number)


def collect(host: Host, pid: int) -> Namespaces:
    """Namespaces of one process; each fails by itself."""

    def one(kind: str) -> int | Absent:
        path = f"/proc/{pid}/ns/{kind}"
        return attempt(path, lambda: parse_link(host.readlink(path)))

    return Namespaces(net=one("net"), mnt=one("mnt"), pid=one("pid"), user=one("user"), cgroup=one("cgroup"))
