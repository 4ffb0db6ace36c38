"""How large settings of the kernel should be."""

from __future__ import annotations

from kamtcp.capacity import held_kernel, held_network, needs, rate_queue
from kamtcp.capacity.reference import PACKETS_PER_CONNECTION
from kamtcp.capacity.situation import Situation, unseen
from kamtcp.catalogue import size_kamailio
from kamtcp.catalogue.size import Size, arrivals, at_least, no_kamailio, not_needed, wanted
from kamtcp.model.absent import Absent, Limit, Unlimited, Why
from kamtcp.model.machine import counter
from kamtcp.model.origin import Figure, Origin

#: the kernel's own defaults, below which nothing is proposed
SOMAXCONN, NR_OPEN, NETDEV_BACKLOG = 4096, 1 << 20, 1000


def somaxconn(s: Situation, now: Limit) -> Size | Absent:
    """A queue that takes the worst second while tcp main stands still."""
    return _queue(s, now)


def listen_backlog(s: Situation, now: Limit) -> Size | Absent:
    """The same for Kamailio's own parameter, where the release has it."""
    if (none := no_kamailio(s)) is not None:
        return none
    found = s.parameter("tcp_listen_backlog")
    if not isinstance(found, Absent) and found.where.startswith("compiled in"):
        return not_needed("tcp_listen_backlog", f"{found.value} is compiled in before 6.1")
    return _queue(s, now)


def _queue(s: Situation, now: Limit) -> Size | Absent:
    burst = arrivals(s)
    if isinstance(burst, Absent):
        return burst
    need = max(SOMAXCONN, needs.power_of_two(burst.value))
    note = ""
    if s.instance is not None:
        found = s.parameter("tcp_listen_backlog")
        if not isinstance(found, Absent) and found.where.startswith("compiled in"):
            note = f"this Kamailio asks for {found.value} whatever stands here"
    return at_least(
        now, need, f"power of two not below {burst.value:.0f} ({burst.what}) nor {SOMAXCONN}", (burst,), note
    )


def nr_open(s: Situation, now: Limit) -> Size | Absent:
    """Room for the RLIMIT_NOFILE that the target needs."""
    found = size_kamailio.nofile(s, 0)
    if isinstance(found, Absent):
        return found
    limit = Figure(int(found.value), "RLIMIT_NOFILE wanted", Origin.TARGET)
    need = max(NR_OPEN, needs.power_of_two(limit.value))
    return at_least(
        now, need, f"power of two not below {limit.value:.0f} ({limit.what}) nor {NR_OPEN}", (limit,)
    )


def file_max(s: Situation, now: Limit) -> Size | Absent:
    """All open files at the target, and three tenths."""
    goal, used = wanted(s), s.machine.files_allocated
    if isinstance(goal, Absent) or isinstance(used, Absent):
        return unseen(goal, used)
    opened = s.opened_figure() if s.instance else Figure(0, "open connections", Origin.READ)
    files = Figure(used, "files open now", Origin.READ)
    need = int(1.3 * (files.value + max(0.0, goal.value - opened.value)))
    return at_least(
        now, need, f"1.3 x ({files.value:.0f} ({files.what}) + {goal.value:.0f} ({goal.what}) - {opened.value:.0f}"
        f" ({opened.what}))", (files, goal, opened),
    )  # fmt: skip


def epoll_watches(s: Situation, now: Limit) -> Size | Absent:
    """A watch of tcp main, one of a worker, and one to spare for each connection."""
    goal = wanted(s)
    if isinstance(goal, Absent):
        return goal
    return at_least(
        now,
        needs.epoll_watches(int(goal.value)),
        f"{needs.WATCHES} x {goal.value:.0f} ({goal.what})",
        (goal,),
    )


def conntrack_max(s: Situation, now: Limit) -> Size | Absent:
    """Entries of held and of just closed connections, those of others, and a half."""
    goal = wanted(s)
    active, count = s.namespace.conntrack_active, s.namespace.conntrack_count
    if active is False:
        return not_needed("nf_conntrack_max", "no rule of this namespace tracks connections")
    if isinstance(goal, Absent) or isinstance(active, Absent) or isinstance(count, Absent):
        return unseen(goal, active, count)
    if now == 0:
        return Size("0", "0 is no limit", (), enough=True)
    opened = s.opened_figure() if s.instance else Figure(0, "open connections", Origin.READ)
    others = Figure(max(0.0, count - opened.value), "entries of others", Origin.READ)
    rate = Figure(s.goal_rate or 0, "closed connections a second", Origin.TARGET)
    seconds = held_network.conntrack_closed_seconds(s)
    need = needs.conntrack_entries(goal.value + others.value + rate.value * seconds.value)
    return at_least(
        now, need, f"{needs.SPARE} x ({goal.value:.0f} ({goal.what}) + {others.value:.0f} ({others.what}) + {rate.value:.0f}"
        f" ({rate.what}) x {seconds.value:.0f} ({seconds.what})), to the next 1024", (goal, others, rate, seconds),
        "or notrack rules for the SIP ports",
    )  # fmt: skip


def conntrack_buckets(s: Situation, now: Limit) -> Size | Absent:
    """At least half of the entries, in the steps that the kernel rounds to."""
    entries = conntrack_max(s, s.sysctl("net.netfilter.nf_conntrack_max"))
    if isinstance(entries, Absent):
        return entries
    top = Figure(int(entries.value), "nf_conntrack_max", Origin.TARGET)
    need = -(-int(top.value) // 2 // 512) * 512
    return at_least(now, need, f"{top.value:.0f} ({top.what}) / 2, to the next 512", (top,))


def conntrack_established(s: Situation, now: Limit) -> Size | Absent:
    """Twice the time for which Kamailio keeps an idle connection."""
    if s.namespace.conntrack_active is False:
        return not_needed("timeout", "no rule of this namespace tracks connections")
    if (none := no_kamailio(s)) is not None:
        return none
    names = ("tcp_connection_lifetime", "tls.connection_timeout")
    found = [s.figure(name) for name in names if isinstance(s.number(name), int)]
    if not found:
        return Absent(
            "tcp_connection_lifetime", Why.NOT_VISIBLE, "how long idle connections live can't be told"
        )
    longest = max(found, key=lambda each: each.value)
    return at_least(now, 2 * int(longest.value), f"2 x {longest.value:.0f} ({longest.what})", (longest,))


def tw_buckets(s: Situation, now: Limit) -> Size | Absent:
    """Closes of the worst second, for a minute and a half."""
    rate = arrivals(s)
    if isinstance(rate, Absent):
        return rate
    if isinstance(now, int) and now < 0:
        return Size(str(now), "negative is no limit", (), enough=True)
    return at_least(
        now, needs.tw_buckets(rate.value), f"{needs.TW_SECONDS} s x {rate.value:.0f} ({rate.what}, all closed by this host)",
        (rate,),
    )  # fmt: skip


def tw_reuse(s: Situation, now: Limit) -> Size | Absent:
    """1 where this host opens connections; 2 does for loopback."""
    name, _, _ = held_network.busiest(s)
    if not name:
        return not_needed("tcp_tw_reuse", "nothing outbound now, and the target names none (--outbound)")
    return Size("1", f"connections are opened to {name}", (), None if isinstance(now, Absent) else now == 1)


def port_range(s: Situation, now: Limit) -> Size | Absent:  # noqa: ARG001  (two numbers: the situation has them)
    """Twice the connections to the busiest destination, since the search is quick in one half only."""
    found, (name, present, goal) = held_network.port_range(s), held_network.busiest(s)
    if isinstance(found, Absent):
        return found
    if not name:
        return not_needed(
            "ip_local_port_range", "nothing outbound now, and the target names none (--outbound)"
        )
    want = Figure(goal or present, f"connections to {name}", Origin.TARGET if goal else Origin.READ)
    here = s.sysctl_text("net.ipv4.ip_local_port_range")
    working = f"2 x {want.value:.0f} ({want.what}) against {found.working}"
    if found.ports >= 2 * want.value:
        return Size("" if isinstance(here, Absent) else here, working, (want, *found.inputs), enough=True)
    ends = (s.sysctl_at("net.ipv4.ip_local_port_range", at) for at in (0, 1))
    low, high = needs.port_range(*(each if isinstance(each, int) else None for each in ends))
    short = 2 * want.value > high - low + 1
    return Size(
        f"{low} {high}", working, (want, *found.inputs), enough=False,
        note="not enough: add local addresses (tcp_source_ipv4), or destinations" if short
        else "reserve the listening ports inside it first",
    )  # fmt: skip


def reserved_ports(s: Situation, now: Limit) -> Size | Absent:  # noqa: ARG001  (a list: the situation has it)
    """The listening ports inside the range of outgoing connections."""
    low, high = (s.sysctl_at("net.ipv4.ip_local_port_range", at) for at in (0, 1))
    text, listeners = s.sysctl_text("net.ipv4.ip_local_reserved_ports"), s.namespace.listeners
    if (
        isinstance(low, Absent)
        or isinstance(high, Absent)
        or isinstance(text, Absent)
        or isinstance(listeners, Absent)
    ):
        return unseen(low, high, text, listeners)
    inside = sorted({each.port for each in listeners if low <= each.port <= high})
    missing = [port for port in inside if not held_network.within(text, port, port)]
    working = f"listening ports inside {low}-{high}: {', '.join(map(str, inside)) or 'none'}"
    value = ",".join(part for part in (text.strip(), *map(str, missing)) if part)
    return Size(value, working, (), enough=not missing)


def max_orphans(s: Situation, now: Limit) -> Size | Absent:
    """Room for a close of all connections at once, beside the orphans there are."""
    goal, present = wanted(s), counter(s.namespace.sockstat, "TCP.orphan")
    if isinstance(goal, Absent) or isinstance(present, Absent):
        return unseen(goal, present)
    orphans = Figure(present, "orphans now", Origin.READ)
    need = 2 * int(goal.value) + present
    return at_least(
        now, need, f"2 x {goal.value:.0f} ({goal.what}) + {present} ({orphans.what})", (goal, orphans)
    )


def tcp_mem(s: Situation, now: Limit) -> Size | Absent:  # noqa: ARG001  (three numbers: the situation has them)
    """Three numbers, the second half as much again as what the target's connections queue."""
    goal, used = wanted(s), counter(s.namespace.sockstat, "TCP.mem")
    pressure = s.sysctl_at("net.ipv4.tcp_mem", 1)
    if isinstance(goal, Absent) or isinstance(used, Absent):
        return unseen(goal, used)
    share = held_kernel.active_share(s)
    present = Figure(used, "pages in use", Origin.READ)
    need = int(-(-1.5 * share.value * goal.value // 1)) + used
    working = f"1.5 x {share.value:g} ({share.what}) x {goal.value:.0f} ({goal.what}) x 1 page + {used} ({present.what}) = {need}"
    inputs = (share, goal, present)
    here = s.sysctl_text("net.ipv4.tcp_mem")
    if not isinstance(pressure, Absent) and not isinstance(here, Absent) and pressure >= need:
        return Size(" ".join(here.split()), working, inputs, enough=True)
    memory, note = s.machine.memory_total_bytes, ""
    if isinstance(memory, int) and 1.5 * need * s.machine.page_size > memory / 4:
        note = "more than a quarter of the memory: this machine is too small for the target"
    return Size(f"{3 * need // 4} {need} {3 * need // 2}", working, inputs,
                None if isinstance(pressure, Absent) else False, note)  # fmt: skip


def netdev_backlog(s: Situation, now: Limit) -> Size | Absent:
    """Packets of the worst second's connections in the time softirq may be away, and a half."""
    rate = arrivals(s)
    if isinstance(rate, Absent):
        return rate
    pause = Figure(rate_queue.BACKLOG_SECONDS, "s without softirq", Origin.ASSUMED)
    packets = Figure(PACKETS_PER_CONNECTION, "packets for each", Origin.REFERENCE)
    need = max(NETDEV_BACKLOG, needs.packet_backlog(rate.value))
    return at_least(
        now, need, f"{needs.SPARE} x {rate.value:.0f} ({rate.what}) x {packets.value:.0f} ({packets.what}) x {pause.value:g}"
        f" ({pause.what}), in thousands, not below {NETDEV_BACKLOG}", (rate, packets, pause),
        "matters on loopback, veth and RPS only",
    )  # fmt: skip


def thash_entries(s: Situation, now: Limit) -> Size | Absent:  # noqa: ARG001  (tcp_ehash_entries tells)
    """Left alone while a bucket holds four sockets or fewer."""
    goal, buckets = wanted(s), s.sysctl("net.ipv4.tcp_ehash_entries")
    if isinstance(goal, Absent) or isinstance(buckets, Absent):
        return unseen(goal, buckets)
    present = Figure(abs(buckets), "buckets now", Origin.READ)
    working = f"{goal.value:.0f} ({goal.what}) against 4 x {present.value:.0f} ({present.what})"
    enough = 4 * present.value >= goal.value
    need = int(present.value) if enough else needs.power_of_two(goal.value)
    return Size(str(need), working, (goal, present), enough)


def min_free(s: Situation, now: Limit) -> Size | Absent:
    """One hundredth of the memory, from 64 MiB to 1 GiB."""
    memory = s.machine.memory_total_bytes
    if isinstance(memory, Absent):
        return memory
    figure = Figure(memory // 1024, "KiB of memory", Origin.READ)
    need = min(1 << 20, max(1 << 16, int(figure.value // 100)))
    return at_least(now, need, f"{figure.value:.0f} ({figure.what}) / 100, from 65536 to 1048576", (figure,))


def swappiness(s: Situation, now: Limit) -> Size | Absent:  # noqa: ARG001  (the same on every host)
    """At most 10."""
    if isinstance(now, Absent | Unlimited):
        return Size("10", "at most 10", (), None)
    return Size(str(min(now, 10)), "at most 10", (), enough=now <= 10)
