"""The settings that a plan may change: present value, the ceilings each answers, and what it moves together with.

How large a value should be is said by the catalogue's sizing functions alone.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from kamtcp.capacity.situation import Situation
from kamtcp.catalogue.entry import Direction
from kamtcp.model.absent import Absent, Limit, Unlimited, Why


def _sysctl(name: str) -> Callable[[Situation], Limit]:
    return lambda s: s.sysctl(name)


def _parameter(name: str) -> Callable[[Situation], Limit]:
    return lambda s: s.number(name)


def _start_limit(name: str) -> Callable[[Situation], Limit]:
    """What the tables were sized for; a value lowered at run time since is another matter."""

    def now(s: Situation) -> Limit:
        soft, hard = s.number(name), s.number(f"{name}_hard")
        return max(soft, hard) if isinstance(soft, int) and isinstance(hard, int) else soft

    return now


def _nofile(s: Situation) -> Limit:
    """The lowest soft limit of tcp main and its workers."""
    main = s.tcp_main
    if isinstance(main, Absent):
        return main
    limits = [each.nofile_soft for each in (main, *s.workers)]
    absent = next((each for each in limits if isinstance(each, Absent)), None)
    if absent is not None:
        return absent
    finite = [each for each in limits if isinstance(each, int)]
    return min(finite) if finite else Unlimited()


def _shared(s: Situation) -> Limit:
    pool = s.require().shared_memory
    return pool if isinstance(pool, Absent) else pool.total >> 20


def _private(s: Situation) -> Limit:
    found = s.number("pkg_bytes")
    return found if isinstance(found, Absent) else found >> 20


def _children(s: Situation) -> Limit:
    return len(s.workers) or Absent("tcp workers", Why.NOT_VISIBLE, "no process of this role could be told")


def _backlog(s: Situation) -> Limit:
    return s.number("tcp_listen_backlog")


def _cgroup(field: str) -> Callable[[Situation], Limit]:
    def now(s: Situation) -> Limit:
        cgroup = s.require().cgroup
        if isinstance(cgroup, Absent):
            return cgroup
        return cgroup.pids_limit if field == "pids" else cgroup.memory_limit_bytes

    return now


class Row(Struct, frozen=True):
    """One setting.

    Args:
        name: its entry of the catalogue. sizing: of catalogue.sizing.
        answers: ceilings that make it due when they are below the target.
        along: settings that make it due when the plan changes them.
        now: its present value.
        direction: of the change.
        text: whether the present value is more than one number.
    """

    name: str
    sizing: str
    answers: tuple[str, ...]
    now: Callable[[Situation], Limit]
    along: tuple[str, ...] = ()
    direction: Direction = Direction.AT_LEAST
    text: bool = False
    of_kamailio: bool = False


def _kernel(
    name: str, sizing: str, *answers: str, along: tuple[str, ...] = (), text: bool = False,
    direction: Direction = Direction.AT_LEAST,
) -> Row:  # fmt: skip
    return Row(name, sizing, answers, _sysctl(name), along, direction, text)


def _kamailio(
    name: str, sizing: str, now: Callable[[Situation], Limit], *answers: str, along: tuple[str, ...] = ()
) -> Row:
    return Row(name, sizing, answers, now, along, of_kamailio=True)


#: in the order of the steps: the kernel first, since what starts later is measured by it
ROWS: tuple[Row, ...] = (
    _kernel("fs.nr_open", "nr_open", "nr-open", along=("RLIMIT_NOFILE",)),
    _kernel("fs.file-max", "file_max", "file-max"),
    _kernel("fs.epoll.max_user_watches", "epoll_watches", "epoll-watches"),
    _kernel("net.core.somaxconn", "somaxconn", "accept-queue", along=("tcp_listen_backlog",)),
    _kernel("net.core.netdev_max_backlog", "netdev_max_backlog", "packet-backlog"),
    _kernel("net.ipv4.tcp_mem", "tcp_mem", "tcp-mem", text=True),
    _kernel("net.ipv4.tcp_max_orphans", "max_orphans", "orphans"),
    _kernel("net.ipv4.tcp_max_tw_buckets", "tw_buckets", "time-wait-buckets"),
    _kernel("net.netfilter.nf_conntrack_max", "conntrack_max", "conntrack-table", "conntrack-churn"),
    _kernel("net.ipv4.ip_local_reserved_ports", "reserved_ports", along=("net.ipv4.ip_local_port_range",), text=True),
    _kernel("net.ipv4.ip_local_port_range", "port_range", "ephemeral-ports", "ephemeral-ports-half", text=True,
            direction=Direction.EXACTLY),
    _kamailio("MemoryMax", "memory_max", _cgroup("memory"), "cgroup-memory"),
    _kamailio("TasksMax", "tasks_max", _cgroup("pids"), "cgroup-pids", along=("tcp_children",)),
    _kamailio("tcp_max_connections", "tcp_max_connections", _start_limit("tcp_max_connections"),
              "tcp-max-connections", "descriptor-table"),
    _kamailio("tls_max_connections", "tls_max_connections", _start_limit("tls_max_connections"), "tls-max-connections"),
    _kamailio("tcp_children", "tcp_children", _children, "hand-off"),
    _kamailio("tcp_listen_backlog", "listen_backlog", _backlog, "accept-queue"),
    _kamailio("RLIMIT_NOFILE", "nofile", _nofile, "tcp-main-descriptors", "worker-descriptors",
              along=("tcp_max_connections",)),
    _kamailio("-m", "shm", _shared, "shared-memory", "tls-memory-guard"),
    _kamailio("-M", "pkg", _private, "private-memory", along=("tcp_max_connections", "tcp_children")),
)  # fmt: skip
