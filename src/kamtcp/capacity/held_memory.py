"""Ceilings of Kamailio's own memory: the shared pool, TLS's guard on it, the private pools."""

from __future__ import annotations

from kamtcp.capacity import prices, reference
from kamtcp.capacity.ceiling import Ceiling, Effect, Kind, Spec
from kamtcp.capacity.situation import Situation, unseen
from kamtcp.model.absent import Absent
from kamtcp.model.origin import Figure, Origin

SHM = Spec(
    "shared-memory", "shared memory", Kind.HELD, Effect.STOPS, "connections",
    ("kamailio:tcp_rd_buf_size (now, for new connections)", "kamailio:-m"), "Kamailio shared memory",
    "Kamailio src/core/tcp_main.c tcpconn_new()",
)  # fmt: skip

GUARD = Spec(
    "tls-memory-guard", "TLS low-memory guard", Kind.HELD, Effect.STOPS, "connections",
    ("kamailio:-m", "kamailio:tls low_mem_threshold1 (now)"), "TLS low-memory guard",
    "Kamailio src/modules/tls/tls_server.c tls_complete_init(): shm_available() against low_mem_threshold1",
)  # fmt: skip

PKG = Spec(
    "private-memory", "private memory, largest tcp_max_connections that starts", Kind.HELD, Effect.STOPS, "connections",
    ("kamailio:-M",), "private memory",
    "Kamailio src/core/io_wait.c init_io_wait(): fd_hash and ep_array, in tcp main and in every TCP worker",
)  # fmt: skip


def shared_memory(s: Situation) -> Ceiling:
    """Connections until the shared pool has no room for one more.

    Free is what shm.stats says now; with many fragments a little of it is too small to use.
    """
    shm, price = s.require().shared_memory, prices.of_mix(s)
    if isinstance(shm, Absent) or isinstance(price, Absent):
        return SHM.unseen(unseen(shm, price), goal=s.goal_held)
    opened = s.opened_figure()
    free = Figure(max(0, shm.free), "bytes free in shared memory", s.require().seen_as)
    return SHM.met(
        int(opened.value + free.value // price.bytes),
        f"{opened.value:.0f} ({opened.what}) + {free.value:.0f} ({free.what}) / {price.bytes:.0f} ({price.working})",
        (opened, free, *price.inputs), now=s.opened, goal=s.goal_held,
        note="met: tcpconn_new fails, the connection is closed; no counter tells",
    )  # fmt: skip


def tls_memory_guard(s: Situation) -> Ceiling:
    """Connections until free shared memory falls below low_mem_threshold1: from there no new TLS connection is taken."""
    instance = s.require()
    if not s.mix.encrypted:
        enabled = s.parameter("enable_tls")
        off = not isinstance(enabled, Absent) and enabled.value == 0
        return GUARD.none("TLS is off" if off else "no TLS in this mix of connections")
    shm, price, threshold = instance.shared_memory, prices.of_mix(s), tls_threshold(s)
    if isinstance(shm, Absent) or isinstance(price, Absent):
        return GUARD.unseen(unseen(shm, price), goal=s.goal_held)
    opened = s.opened_figure()
    free = Figure(max(0, shm.free), "bytes free in shared memory", instance.seen_as)
    room = max(0.0, free.value - threshold.value)
    # the guard is asked before a connection is taken: the one that crosses it is still served
    more = -(-room // price.bytes)
    return GUARD.met(
        int(opened.value + more),
        f"{opened.value:.0f} ({opened.what}) + ({free.value:.0f} ({free.what}) - {threshold.value:.0f}"
        f" ({threshold.what})) / {price.bytes:.0f} ({price.working})",
        (opened, free, threshold, *price.inputs), now=s.opened, goal=s.goal_held, note='rounded up, since the one that crosses it is still served; met: "ssl bug #1491 workaround: not enough memory" in the log',
    )  # fmt: skip


def guard_bytes(s: Situation) -> float:
    """Shared memory that must stay free for TLS connections to be taken; 0 without TLS in the mix."""
    return tls_threshold(s).value if s.mix.encrypted else 0.0


def tls_threshold(s: Situation) -> Figure:
    """low_mem_threshold1 in bytes: -1 stands for 512 KB times the number of processes."""
    found = s.number("tls.low_mem_threshold1")
    processes = s.require().process_count
    if isinstance(found, Absent) or found < 0:
        origin = Origin.DEFAULT if isinstance(found, Absent) else Origin.READ
        return Figure(512 * 1024 * processes, f"low_mem_threshold1: 512 KB x {processes} processes", origin)
    return s.figure("tls.low_mem_threshold1", "low_mem_threshold1")


def private_memory(s: Situation) -> Ceiling:
    """The largest tcp_max_connections with which this Kamailio starts: 36 bytes each, in tcp main and every worker.

    Beyond it the whole server exits at start; `kamailio -c` doesn't notice. It is the bound of the start alone: what
    messages need besides is left to whoever sizes -M.
    """
    total, limit = s.number("pkg_bytes"), s.number("tcp_max_connections")
    if isinstance(total, Absent) or isinstance(limit, Absent):
        return PKG.unseen(unseen(total, limit), goal=s.goal_held)
    pool = s.figure("pkg_bytes", "private pool, -M")
    hard = s.number("tcp_max_connections_hard")
    top = limit if isinstance(hard, Absent) else hard
    each = Figure(reference.PKG_BYTES_PER_DESCRIPTOR, "bytes per descriptor", Origin.REFERENCE)
    base = _pkg_base(s, each.value * (top + 5 * s.require().process_count))
    return PKG.met(
        int((pool.value - base.value) // each.value) - 5 * s.require().process_count,
        f"({pool.value:.0f} ({pool.what}) - {base.value:.0f} ({base.what}))"
        f" / {each.value:.0f} ({each.what}) - {5 * s.require().process_count} (descriptors of processes)",
        (pool, base, each), now=top, goal=s.goal_held,
    )  # fmt: skip


def pkg_base(s: Situation) -> Figure | Absent:
    """Private memory used besides the table of descriptors, in bytes."""
    limit, hard = s.number("tcp_max_connections"), s.number("tcp_max_connections_hard")
    top = limit if isinstance(hard, Absent) else hard
    if isinstance(top, Absent):
        return top
    return _pkg_base(s, reference.PKG_BYTES_PER_DESCRIPTOR * (top + 5 * s.require().process_count))


def _pkg_base(s: Situation, table: float) -> Figure:
    """Private memory used besides the table by tcp main or a worker, whichever uses more."""
    main = s.tcp_main
    candidates = [*s.workers] + ([] if isinstance(main, Absent) else [main])
    used = [p.pkg_used_bytes for p in candidates if isinstance(p.pkg_used_bytes, int)]
    if used:
        return Figure(max(0.0, max(used) - table), "bytes used besides the table", s.require().seen_as)
    return Figure(reference.PKG_BASE_BYTES, "bytes used besides the table", Origin.REFERENCE)
