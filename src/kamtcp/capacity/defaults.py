"""What a Kamailio with its compiled and packaged defaults would add to the ceilings of a machine without one."""

from __future__ import annotations

from kamtcp.capacity import held_descriptors, held_limits, held_memory, rate_queue, reference
from kamtcp.capacity.ceiling import Ceiling
from kamtcp.capacity.situation import Situation
from kamtcp.model.absent import Absent
from kamtcp.model.origin import Figure, Origin

MIB = 1 << 20
#: Kamailio src/core/tcp_init.h; Debian's kamailio.service passes -m 64 -M 8 and sets no LimitNOFILE
MAX_CONNECTIONS, SHM_MEGABYTES, PKG_MEGABYTES, WORKERS, PROCESSES, BACKLOG = 2048, 64, 8, 8, 25, 1024
#: systemd's DefaultLimitNOFILE, soft
SYSTEMD_NOFILE = 1024


def _default(value: float, what: str) -> Figure:
    return Figure(value, what, Origin.DEFAULT)


def ceilings(s: Situation) -> tuple[Ceiling, ...]:
    """Ceilings of the stock Debian package, lowest first; the machine's own settings are the ones in force here."""
    found = [_descriptors(s), _max_connections(s), _shared_memory(s), _private_memory(s), *_queues(s)]
    return tuple(sorted(found, key=lambda each: each.limit if isinstance(each.limit, int) else 0))


def _descriptors(s: Situation) -> Ceiling:
    soft = _default(SYSTEMD_NOFILE, "systemd's soft limit, the unit sets none")
    other = Figure(PROCESSES + 15, f"other descriptors with {PROCESSES} processes", Origin.REFERENCE)
    return held_descriptors.TCP_MAIN.met(
        int(soft.value - other.value), f"{soft.value:.0f} ({soft.what}) - {other.value:.0f} ({other.what})",
        (soft, other), now=0, goal=s.goal_held,
    )  # fmt: skip


def _max_connections(s: Situation) -> Ceiling:
    limit = _default(MAX_CONNECTIONS, "compiled default")
    return held_limits.MAX_CONNECTIONS.met(
        MAX_CONNECTIONS, f"{MAX_CONNECTIONS} ({limit.what})", (limit,), now=0, goal=s.goal_held
    )


def _shared_memory(s: Situation) -> Ceiling:
    pool = _default(SHM_MEGABYTES * MIB, f"-m {SHM_MEGABYTES}")
    base = Figure(2_810_000, "used after start by the stock configuration", Origin.REFERENCE)
    price = Figure(928 + 16384 + 104, "bytes per plain connection of 5.6", Origin.REFERENCE)
    return held_memory.SHM.met(
        int((pool.value - base.value) // price.value),
        f"({pool.value:.0f} ({pool.what}) - {base.value:.0f} ({base.what})) / {price.value:.0f} ({price.what})",
        (pool, base, price), now=0, goal=s.goal_held,
    )  # fmt: skip


def _private_memory(s: Situation) -> Ceiling:
    pool = _default(PKG_MEGABYTES * MIB, f"-M {PKG_MEGABYTES}")
    base = Figure(1_200_000, "used besides the table, and left for messages", Origin.REFERENCE)
    each = Figure(reference.PKG_BYTES_PER_DESCRIPTOR, "bytes per descriptor", Origin.REFERENCE)
    return held_memory.PKG.met(
        int((pool.value - base.value) // each.value) - 5 * PROCESSES,
        f"({pool.value:.0f} ({pool.what}) - {base.value:.0f} ({base.what})) / {each.value:.0f} ({each.what})"
        f" - {5 * PROCESSES} (descriptors of processes)",
        (pool, base, each), now=MAX_CONNECTIONS, goal=s.goal_held,
    )  # fmt: skip


def _queues(s: Situation) -> tuple[Ceiling, ...]:
    somaxconn, fits = s.sysctl("net.core.somaxconn"), s.machine.handoff_messages
    backlog = _default(BACKLOG, "backlog compiled in before 6.1")
    found: list[Ceiling] = []
    if isinstance(somaxconn, Absent):
        found.append(rate_queue.ACCEPT_QUEUE.unseen(somaxconn, goal=s.goal_rate))
    else:
        cap = Figure(somaxconn, "net.core.somaxconn", Origin.READ)
        found.append(rate_queue.ACCEPT_QUEUE.met(
            min(BACKLOG, somaxconn) + 1, f"min({BACKLOG} ({backlog.what}), {somaxconn} ({cap.what})) + 1",
            (backlog, cap), now=0, goal=s.goal_rate,
        ))  # fmt: skip
    if isinstance(fits, Absent):
        found.append(rate_queue.HANDOFF.unseen(fits, goal=s.goal_rate))
    else:
        each = Figure(fits, "descriptors that one socket takes", Origin.PROBED)
        workers = _default(WORKERS, "workers")
        found.append(rate_queue.HANDOFF.met(
            WORKERS * fits, f"{WORKERS} ({workers.what}) x {fits} ({each.what})", (workers, each), now=0, goal=s.goal_rate,
        ))  # fmt: skip
    return tuple(found)
