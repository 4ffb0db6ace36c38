"""How each ceiling is raised: now, without a restart or a lost connection, and for good.

Lines are printed to be run as they stand; each is possible with the privilege that the reader has,
or the cure says that it isn't.
"""

from __future__ import annotations

from collections.abc import Callable

from kamtcp.capacity import needs, prices
from kamtcp.capacity.ceiling import Ceiling
from kamtcp.capacity.held_memory import guard_bytes, pkg_base
from kamtcp.capacity.held_network import conntrack_closed_seconds
from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose import restart
from kamtcp.diagnose.finding import Cure, no_cure
from kamtcp.diagnose.places import change
from kamtcp.diagnose.prlimit import raise_descriptors
from kamtcp.diagnose.see import kamcmd
from kamtcp.model.absent import Absent

Cures = tuple[Cure, Cure]


def of(ceiling: Ceiling, s: Situation, ladder: Ladder) -> Cures:
    """Both cures of one ceiling for the target it is below of."""
    goal = ceiling.goal or 0
    maker = _MAKERS.get(ceiling.name)
    if maker is not None:
        return maker(goal, s, ladder)
    return no_cure("no cure without a restart is known"), Cure("raise " + " or ".join(ceiling.raised_by))


def unknown(ceiling: str) -> Cure:
    """For a ceiling that is not on this ladder."""
    return no_cure(f"the ceiling {ceiling} could not be computed here")


def _with_restart(text: str, s: Situation, ladder: Ladder) -> Cure:
    return Cure(f"{text}; takes a restart", risk=restart.cost(s, ladder))


def _parameter(name: str, rpc: str) -> Callable[[int, Situation, Ladder], Cures]:
    def cures(goal: int, s: Situation, ladder: Ladder) -> Cures:
        hard, soft = s.number(f"{name}_hard"), s.number(name)
        good = _with_restart(f"{name}={needs.with_spare(goal)} {change(s, name)}", s, ladder)
        if isinstance(hard, int) and isinstance(soft, int) and soft < hard:
            line = f"{kamcmd(s)} cfg.set_now_int tcp {rpc} {hard}"
            return Cure(f"it was lowered at run time; back to the {hard:,} of the start", line), good
        return no_cure("a running server only lowers it: the table was sized at start"), good

    return cures


def _descriptors(goal: int, s: Situation, ladder: Ladder) -> Cures:
    need = needs.descriptors(needs.with_spare(goal), s.require().process_count)
    return raise_descriptors(s, need), lasting_descriptors(need, s, ladder)


def _worker_descriptors(goal: int, s: Situation, ladder: Ladder) -> Cures:
    """Each worker takes its share of the goal."""
    need = needs.descriptors(needs.with_spare(-(-goal // max(1, len(s.workers)))), 0)
    return raise_descriptors(s, need), lasting_descriptors(need, s, ladder)


def lasting_descriptors(need: int, s: Situation, ladder: Ladder) -> Cure:
    """LimitNOFILE in a drop-in where systemd started it, else open_files_limit: enough for every finding at once,
    since each of them names the same setting, and the last one written would win.
    """
    instance = s.require()
    main = s.tcp_main
    limit = s.number("tcp_max_connections")
    most = max(0 if isinstance(limit, Absent) else limit, needs.with_spare(s.goal_held or 0))
    need = max(need, needs.descriptors(most, instance.process_count))
    hard = 524288 if isinstance(main, Absent) or not isinstance(main.nofile_hard, int) else main.nofile_hard
    if not isinstance(instance.unit, Absent):
        text = f"LimitNOFILE={need}:{max(need, hard)} in a drop-in of {instance.unit.name}"
        return _with_restart(text, s, ladder)
    if need > hard:
        # above the hard limit, open_files_limit would abort the start of a Kamailio without privilege (FDS003)
        return _with_restart(f"a hard limit of {need:,} or more from whatever starts it (it is {hard:,}), and"
                             f" open_files_limit={need} {change(s, 'open_files_limit')}", s, ladder)  # fmt: skip
    return _with_restart(
        f"open_files_limit={need} {change(s, 'open_files_limit')}, or the limit of whatever starts it",
        s,
        ladder,
    )


def _shared_memory(goal: int, s: Situation, ladder: Ladder) -> Cures:
    price = prices.of_mix(s)
    shm = s.require().shared_memory
    if isinstance(price, Absent) or isinstance(shm, Absent):
        return no_cure("the price of a connection could not be told"), _with_restart("a larger -m", s, ladder)
    opened = 0 if isinstance(s.opened, Absent) else s.opened
    megabytes = needs.shm_megabytes(
        shm.total, shm.free, needs.with_spare(goal) - opened, price.bytes, guard_bytes(s)
    )
    good = _with_restart(f"-m {megabytes} (SHM_MEMORY={megabytes} in /etc/default/kamailio)", s, ladder)
    buffer = s.number("tcp_rd_buf_size")
    if isinstance(buffer, int) and buffer > 4096 and s.mix.encrypted == 0:
        holds = int(opened + shm.free // (price.bytes - buffer + 4096))
        return Cure(
            f"smaller read buffers for new connections: holds {holds:,}", f"{kamcmd(s)} cfg.set_now_int tcp rd_buf_size 4096",
            "a SIP message above 4,096 bytes closes its connection; ends with the next restart",
        ), good  # fmt: skip
    return no_cure("shared memory can't grow while Kamailio runs"), good


def _private_memory(goal: int, s: Situation, ladder: Ladder) -> Cures:
    base = pkg_base(s)
    megabytes = needs.pkg_megabytes(
        needs.with_spare(goal), s.require().process_count, 0 if isinstance(base, Absent) else base.value
    )
    good = _with_restart(f"-M {megabytes} (PKG_MEMORY={megabytes} in /etc/default/kamailio)", s, ladder)
    return no_cure("private memory can't grow while Kamailio runs"), good


def _sysctl(
    name: str, value: Callable[[int, Situation], str], *, netns: bool
) -> Callable[[int, Situation, Ladder], Cures]:
    def cures(goal: int, s: Situation, _: Ladder) -> Cures:
        setting = f"{name}={value(goal, s)}"
        enter = ""
        if netns and s.instance is not None and s.namespace.id != s.machine.netns:
            enter = f"nsenter -t {s.instance.attendant} -n "
        quoted = f"'{setting}'" if " " in setting else setting
        return (
            Cure(f"{setting}, at once", f"{enter}sysctl -w {quoted}"),
            Cure(
                f"{setting} in /etc/sysctl.d/60-kamtcp.conf"
                + (" and at every start of this namespace" if enter else "")
            ),
        )

    return cures


def _restart_only(
    text: Callable[[int, Situation], str], why: str
) -> Callable[[int, Situation, Ladder], Cures]:
    def cures(goal: int, s: Situation, ladder: Ladder) -> Cures:
        return no_cure(why), _with_restart(text(goal, s), s, ladder)

    return cures


def _workers_for(goal: int, s: Situation) -> str:
    each = s.machine.handoff_messages
    per = each if isinstance(each, int) and each else 278
    return f"tcp_children={needs.workers(goal, per)} {change(s, 'tcp_children')}, or wmem_default raised before Kamailio starts"


def _double(name: str) -> Callable[[int, Situation], str]:
    def value(goal: int, s: Situation) -> str:
        current = s.sysctl(name)
        return str(max(2 * goal, 0 if isinstance(current, Absent) else current))

    return value


def _conntrack(goal: int, s: Situation) -> str:
    """Room for what is held and for closed flows that stay, with a half to spare; `goal` is either of the two."""
    held, rate = s.target.connections or 0, max(s.worst_second or 0, s.target.rate or 0)
    opened = 0 if s.instance is None or isinstance(s.opened, Absent) else s.opened
    need = max(held, opened) + rate * conntrack_closed_seconds(s).value
    return str(needs.conntrack_entries(max(need, goal)))


def _backlog(goal: int, s: Situation) -> str:
    """Packets that arrive in the pause that the ceiling allows for, with a half to spare."""
    return str(needs.packet_backlog(goal))


def _ports(goal: int, s: Situation) -> str:
    """Never a narrower range than the present one."""
    low, high = (s.sysctl_at("net.ipv4.ip_local_port_range", index) for index in (0, 1))
    wide = needs.port_range(low if isinstance(low, int) else None, high if isinstance(high, int) else None)
    return f"{wide[0]} {wide[1]}"


_MAKERS: dict[str, Callable[[int, Situation, Ladder], Cures]] = {
    "tcp-max-connections": _parameter("tcp_max_connections", "max_connections"),
    "tls-max-connections": _parameter("tls_max_connections", "max_tls_connections"),
    "descriptor-table": _parameter("tcp_max_connections", "max_connections"),
    "tcp-main-descriptors": _descriptors,
    "worker-descriptors": _worker_descriptors,
    "shared-memory": _shared_memory,
    "tls-memory-guard": _shared_memory,
    "private-memory": _private_memory,
    "conntrack-table": _sysctl("net.netfilter.nf_conntrack_max", _conntrack, netns=False),
    "conntrack-churn": _sysctl("net.netfilter.nf_conntrack_max", _conntrack, netns=False),
    "orphans": _sysctl("net.ipv4.tcp_max_orphans", _double("net.ipv4.tcp_max_orphans"), netns=False),
    "file-max": _sysctl("fs.file-max", _double("fs.file-max"), netns=False),
    "nr-open": _sysctl("fs.nr_open", _double("fs.nr_open"), netns=False),
    "epoll-watches": _sysctl("fs.epoll.max_user_watches", lambda goal, _: str(needs.epoll_watches(goal)), netns=False),
    "time-wait-buckets": _sysctl("net.ipv4.tcp_max_tw_buckets", lambda goal, _: str(needs.tw_buckets(goal)), netns=True),
    "ephemeral-ports": _sysctl("net.ipv4.ip_local_port_range", _ports, netns=True),
    "ephemeral-ports-half": _sysctl("net.ipv4.ip_local_port_range", _ports, netns=True),
    "ephemeral-ports-rate": _sysctl("net.ipv4.tcp_tw_reuse", lambda _g, _s: "1", netns=True),
    "packet-backlog": _sysctl("net.core.netdev_max_backlog", _backlog, netns=False),
    "hand-off": _restart_only(_workers_for, "the sockets to the workers are sized at start"),
    "accept-queue": _restart_only(
        lambda goal, _s: f"net.core.somaxconn and tcp_listen_backlog (6.1 and later; 1,024 compiled in before) above {goal:,}",
        "a listening socket keeps its queue",
    ),
    "cgroup-memory": _restart_only(lambda _goal, _s: "MemoryMax of the unit raised", "systemctl set-property would be a lasting change"),
}  # fmt: skip
