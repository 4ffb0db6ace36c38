"""How large parameters of Kamailio, and the limits it runs under, should be."""

from __future__ import annotations

from kamtcp.capacity import held_kernel, held_memory, needs, prices
from kamtcp.capacity.reference import version_tuple
from kamtcp.capacity.situation import Situation, unseen
from kamtcp.catalogue.size import Size, arrivals, at_least, no_kamailio, not_needed, wanted
from kamtcp.model.absent import Absent, Limit, Unlimited, Why
from kamtcp.model.origin import Figure, Origin

#: smallest read buffer that common SIP messages fit into
SMALL_BUFFER = 4096
#: WebSocket connections from which a look-up of each, every second, is felt
MANY_WEBSOCKETS = 10_000


def tcp_max_connections(s: Situation, now: Limit) -> Size | Absent:
    """The target and a tenth; with threads in tcp main two more for each process, which its table leaves out."""
    found = _connections(s)
    if isinstance(found, Absent):
        return found
    if s.number("tcp_main_threads") != 1:
        return at_least(now, int(found.value), found.what, (found,))
    threads = Figure(2 * s.require().process_count, "2 x processes, for tcp_main_threads=1", Origin.READ)
    need = int(found.value + threads.value)
    return at_least(
        now,
        need,
        f"{found.value:.0f} ({found.what}) + {threads.value:.0f} ({threads.what})",
        (found, threads),
    )


def _connections(s: Situation) -> Figure | Absent:
    """tcp_max_connections as it should be, before what threads need."""
    if (none := no_kamailio(s)) is not None:
        return none
    goal = wanted(s)
    if isinstance(goal, Absent):
        return goal
    return Figure(needs.with_spare(int(goal.value)), f"{goal.value:.0f} wanted and a tenth", Origin.TARGET)


def tls_max_connections(s: Situation, now: Limit) -> Size | Absent:
    """TLS and WSS of the target and a tenth."""
    if (none := no_kamailio(s)) is not None:
        return none
    goal = s.target.tls + s.target.wss
    if not goal:
        return Absent("target", Why.NOT_ASKED, "it names no TLS connections: --tls N, --wss N")
    figure = Figure(goal, "TLS and WSS connections wanted", Origin.TARGET)
    return at_least(now, needs.with_spare(goal), f"{goal} ({figure.what}) and a tenth", (figure,))


def accept_iplimit(s: Situation, now: Limit) -> Size | Absent:
    """Off where 0 means off; on 5.7.3 to 5.7.7, where 0 refuses everybody, more than there can be."""
    if (none := no_kamailio(s)) is not None:
        return none
    version = s.require().version
    if isinstance(version, Absent):
        return version
    release = version_tuple(version)
    if release < (5, 7, 3):
        return not_needed("tcp_accept_iplimit", f"{version} has no limit per address")
    if release >= (5, 8):
        enough = None if isinstance(now, Absent) else isinstance(now, int) and now <= 0
        return Size("0", f"0 switches it off in {version}", (), enough)
    limit = s.number("tcp_max_connections")
    if isinstance(limit, Absent):
        return limit
    figure = s.figure("tcp_max_connections")
    return at_least(
        now, limit + 1, f"{limit} ({figure.what}) + 1", (figure,), f"0 refuses everybody in {version}"
    )


def rd_buf_size(s: Situation, now: Limit) -> Size | Absent:
    """As it is while the target fits in shared memory; else 4096, the cheapest way to hold more plain connections."""
    if (none := no_kamailio(s)) is not None:
        return none
    ceiling = held_memory.shared_memory(s)
    if isinstance(ceiling.limit, Absent):
        return ceiling.limit
    if not isinstance(now, int):
        return (
            now
            if isinstance(now, Absent)
            else Absent("tcp_rd_buf_size", Why.MALFORMED, "not a number of bytes")
        )
    small = Figure(SMALL_BUFFER, "bytes, which common SIP messages fit into", Origin.ASSUMED)
    plain = s.mix.encrypted == 0 and s.mix.ws == 0
    if ceiling.met is False and plain and now > SMALL_BUFFER:
        return Size(str(SMALL_BUFFER), f"{SMALL_BUFFER} ({small.what})", (small,), enough=False,
                    note="a larger message closes its connection; a larger -m is the cure without that")  # fmt: skip
    return Size(str(now), "the target's connections fit with it" if ceiling.met else "not what decides here",
                (), enough=True)  # fmt: skip


def connection_lifetime(s: Situation, now: Limit) -> Size | Absent:
    """Longer than a live phone is silent: the shorter of its pings and its registrations, and five seconds."""
    gaps = [each for each in (s.target.keepalive_seconds, s.target.registration_seconds) if each]
    if not gaps:
        return Absent("target", Why.NOT_ASKED, "registration_seconds or keepalive_seconds in the target file")
    gap = Figure(min(gaps), "s between two messages of a live phone", Origin.TARGET)
    return at_least(now, int(gap.value) + 5, f"{gap.value:.0f} ({gap.what}) + 5", (gap,))


def tcp_children(s: Situation, now: Limit) -> Size | Absent:
    """Workers whose sockets together take the arrivals of the worst second."""
    each = _handed_over(s)
    burst = arrivals(s)
    if isinstance(each, Absent) or isinstance(burst, Absent):
        return unseen(each, burst)
    need = needs.workers(int(burst.value), each.value)
    return at_least(
        now, need, f"{burst.value:.0f} ({burst.what}) / {each.value:.0f} ({each.what})", (burst, each),
        "more where messages wait for a database: messages a second x seconds each takes",
    )  # fmt: skip


def _handed_over(s: Situation) -> Figure | Absent:
    """Connections that the socket to one worker takes."""
    if (none := no_kamailio(s)) is not None:
        return none
    messages, sndbuf = s.machine.handoff_messages, s.machine.handoff_sndbuf
    if isinstance(messages, Absent) or isinstance(sndbuf, Absent):
        return unseen(messages, sndbuf)
    own = s.require().handoff_sndbufs
    buffer = min(own) if not isinstance(own, Absent) and own else sndbuf
    return Figure(
        max(1, round(messages * buffer / max(1, sndbuf))),
        "connections that one worker's socket takes",
        Origin.PROBED,
    )


def wmem_default(s: Situation, now: Limit) -> Size | Absent:
    """A send buffer for each worker's socket that takes its part of the worst second."""
    if (none := no_kamailio(s)) is not None:
        return none
    messages, sndbuf, burst = s.machine.handoff_messages, s.machine.handoff_sndbuf, arrivals(s)
    if isinstance(messages, Absent) or isinstance(sndbuf, Absent) or isinstance(burst, Absent):
        return unseen(messages, sndbuf, burst)
    workers = Figure(max(1, len(s.workers)), "workers", Origin.READ)
    # whole messages fit: one more than an even share, so that rounding loses none
    each = Figure(sndbuf / max(1, messages), "bytes for one descriptor", Origin.PROBED)
    share = -(-int(burst.value) // int(workers.value)) + 1
    need = -(-int(share * each.value) // 4096) * 4096
    return at_least(
        now, need, f"{burst.value:.0f} ({burst.what}) / {workers.value:.0f} ({workers.what}) x {each.value:.0f}"
        f" ({each.what}), to the page", (burst, workers, each), "or more tcp_children; before Kamailio starts",
    )  # fmt: skip


def shm(s: Situation, now: Limit) -> Size | Absent:
    """-m: what is used now, and the price of each connection that comes on top."""
    goal = _connections(s)
    if isinstance(goal, Absent):
        return goal
    pool, price = s.require().shared_memory, prices.of_mix(s)
    if isinstance(pool, Absent) or isinstance(price, Absent):
        return unseen(pool, price)
    opened, guard = s.opened_figure(), held_memory.guard_bytes(s)
    free = Figure(pool.free, "bytes free now", Origin.READ)
    total = Figure(pool.total, "bytes in all", Origin.READ)
    need = needs.shm_megabytes(pool.total, pool.free, int(goal.value - opened.value), price.bytes, guard)
    kept = f" + {guard:.0f} (bytes that TLS wants left)" if guard else ""
    return at_least(
        now, need, f"({total.value:.0f} ({total.what}) - {free.value:.0f} ({free.what}) + ({goal.value:.0f} ({goal.what})"
        f" - {opened.value:.0f} ({opened.what})) x {price.bytes:.0f} (bytes each){kept}) / 2^20, not below what it has",
        (total, free, goal, opened, *price.inputs),
    )  # fmt: skip


def pkg(s: Situation, now: Limit) -> Size | Absent:
    """-M: the table of descriptors, what else is used, and a quarter."""
    goal = _connections(s)
    if isinstance(goal, Absent):
        return goal
    base, processes = held_memory.pkg_base(s), s.require().process_count
    other = Figure(0, "", Origin.REFERENCE) if isinstance(base, Absent) else base
    need = needs.pkg_megabytes(int(goal.value), processes, other.value)
    used = max(other.value, 2 * needs.MIB)
    return at_least(
        now, need, f"1.25 x (36 bytes x ({goal.value:.0f} ({goal.what}) + 5 x {processes} processes) + {used:.0f}"
        " (bytes of other use)) / 2^20", (goal, other) if other.what else (goal,),
    )  # fmt: skip


def nofile(s: Situation, now: Limit) -> Size | Absent:
    """RLIMIT_NOFILE of tcp main, and of the workers, which inherit the same."""
    goal = _connections(s)
    if isinstance(goal, Absent):
        return goal
    processes, threads = s.require().process_count, s.number("tcp_main_threads") == 1
    need = needs.descriptors(int(goal.value), processes, threads=threads)
    return at_least(
        now, need, f"{goal.value:.0f} (tcp_max_connections: {goal.what}) + {9 if threads else 5} x {processes} processes"
        f" + {needs.DESCRIPTOR_SPARE}", (goal,),
    )  # fmt: skip


def tasks_max(s: Situation, now: Limit) -> Size | Absent:
    """Processes with the workers that the target needs, and half as many again."""
    if (none := no_kamailio(s)) is not None:
        return none
    present = Figure(s.require().process_count, "processes now", Origin.READ)
    workers = tcp_children(s, len(s.workers))
    more = 0 if isinstance(workers, Absent) else max(0, int(workers.value) - len(s.workers))
    need = -(-3 * (int(present.value) + more) // 2)
    added = f" + {more} more workers" if more else ""
    return at_least(now, need, f"1.5 x ({present.value:.0f} ({present.what}){added})", (present,))


def memlock(s: Situation, now: Limit) -> Size | Absent:
    """No limit where Kamailio locks its memory; nothing else asks for it."""
    if (none := no_kamailio(s)) is not None:
        return none
    locked = s.number("mlock_pages")
    if isinstance(locked, Absent) or not locked:
        return not_needed("LimitMEMLOCK", "mlock_pages is not on")
    enough = None if isinstance(now, Absent) else not isinstance(now, int)
    return Size("infinity", "mlock_pages is on: all of -m and -M is locked", (), enough)


def memory_max(s: Situation, now: Limit) -> Size | Absent:
    """What the cgroup uses, the target's further connections in kernel and shared memory, and a fifth."""
    goal = wanted(s)
    if (none := no_kamailio(s)) is not None or isinstance(goal, Absent):
        return none or unseen(goal)
    if isinstance(now, Unlimited):
        return Size(str(now), "no limit", (), enough=True)
    cgroup = s.require().cgroup
    if isinstance(cgroup, Absent):
        return cgroup
    if isinstance(cgroup.memory_usage_bytes, Absent):
        return cgroup.memory_usage_bytes
    used = Figure(cgroup.memory_usage_bytes, f"bytes that {cgroup.path} uses", Origin.READ)
    opened, kernel = s.opened_figure(), held_kernel.kernel_price(s)
    resident = held_kernel.touched(s)
    need = int(1.2 * (used.value + max(0.0, goal.value - opened.value) * (kernel.value + resident.value)))
    return at_least(
        now, need, f"1.2 x ({used.value:.0f} ({used.what}) + ({goal.value:.0f} ({goal.what}) - {opened.value:.0f}"
        f" ({opened.what})) x ({kernel.value:.0f} ({kernel.what}) + {resident.value:.0f} ({resident.what})))",
        (used, goal, opened, kernel, resident),
    )  # fmt: skip


def websocket_interval(s: Situation, now: Limit) -> Size | Absent:
    """Half a minute with many WebSocket connections, since each run looks every one of them up."""
    count = s.target.ws + s.target.wss
    figure = Figure(count, "WebSocket connections wanted", Origin.TARGET)
    if count <= MANY_WEBSOCKETS:
        return not_needed(
            "interval", f"{count:,} WebSocket connections wanted; it costs from {MANY_WEBSOCKETS:,} on"
        )
    return at_least(now, 30, f"{count} ({figure.what}), one look-up each", (figure,))


def threads_mode(s: Situation, now: Limit) -> Size | Absent:
    """2 with OpenSSL 3 where the release has it."""
    if (none := no_kamailio(s)) is not None:
        return none
    version = s.require().version
    if not isinstance(version, Absent) and version_tuple(version) < (5, 7, 5):
        return not_needed(
            "tls_threads_mode", f"{version} doesn't have it; with OpenSSL 3 there is no cure but a newer one"
        )
    if s.require().openssl != 3:
        return not_needed("tls_threads_mode", "no OpenSSL 3 is mapped")
    enough = None if isinstance(now, Absent) else isinstance(now, int) and now > 0
    return Size(str(now) if enough else "2", "OpenSSL 3 is mapped", (), enough)
