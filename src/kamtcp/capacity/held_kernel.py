"""Ceilings of the kernel: memory for sockets, cgroups, hash chains."""

from __future__ import annotations

from kamtcp.capacity import reference
from kamtcp.capacity.ceiling import Ceiling, Effect, Kind, Spec
from kamtcp.capacity.situation import Situation, first_absent, unseen
from kamtcp.model.absent import UNLIMITED, Absent, Unlimited, Why
from kamtcp.model.machine import counter
from kamtcp.model.origin import Figure, Origin

#: sockets with unread or unsent data at one moment, where the target doesn't say
ASSUMED_ACTIVE_SHARE = 0.1

KERNEL_MEMORY = Spec(
    "kernel-memory", "memory of the machine for sockets", Kind.HELD, Effect.STOPS, "connections",
    ("more memory",), "kernel memory", "Linux slabs TCP, sock_inode_cache, filp, dentry, eventpoll_epi; /proc/meminfo MemAvailable",
)  # fmt: skip

TCP_MEM = Spec(
    "tcp-mem", "tcp_mem, socket buffers of the whole machine", Kind.HELD, Effect.SLOWS, "connections",
    ("sysctl:net.ipv4.tcp_mem",), "tcp_mem", "Linux net/core/sock.c __sk_mem_raise_allocated(); unit is pages",
)  # fmt: skip

CGROUP_MEMORY = Spec(
    "cgroup-memory", "memory limit of the cgroup", Kind.HELD, Effect.STOPS, "connections",
    ("systemd:MemoryMax",), "cgroup memory", "Linux Documentation/admin-guide/cgroup-v2.rst memory.max; cgroup-v1/memory.rst",
)  # fmt: skip

CGROUP_PIDS = Spec(
    "cgroup-pids", "process limit of the cgroup", Kind.HELD, Effect.STOPS, "processes",
    ("systemd:TasksMax",), "pids", "Linux Documentation/admin-guide/cgroup-v2.rst pids.max",
)  # fmt: skip

HASH_CHAINS = Spec(
    "hash-chains", "established hash, four sockets a bucket", Kind.HELD, Effect.SLOWS, "connections",
    ("boot:thash_entries=",), "hash chains", "Linux net/ipv4/inet_hashtables.c; net.ipv4.tcp_ehash_entries",
)  # fmt: skip


def kernel_price(s: Situation) -> Figure:
    found = s.machine.connection_slab_bytes
    if isinstance(found, Absent) or found <= 0:
        return Figure(reference.KERNEL_CONNECTION_BYTES, "kernel bytes per idle connection", Origin.REFERENCE)
    return Figure(found, "kernel bytes per idle connection, slabs of this kernel", Origin.READ)


def active_share(s: Situation) -> Figure:
    share = s.target.active_share
    if share is None:
        return Figure(ASSUMED_ACTIVE_SHARE, "share with queued data", Origin.ASSUMED)
    return Figure(share, "share with queued data", Origin.TARGET)


def kernel_memory(s: Situation) -> Ceiling:
    """Connections until the kernel has no memory for one more socket, shared memory left aside."""
    available = s.machine.memory_available_bytes
    if isinstance(available, Absent):
        return KERNEL_MEMORY.unseen(available, goal=s.goal_held)
    price, share = kernel_price(s), active_share(s)
    opened = s.opened_figure() if s.instance else Figure(0, "open connections", Origin.READ)
    free = Figure(available, "bytes MemAvailable", Origin.READ)
    figures = [opened, free]
    pool = _untouched_pool(s)
    if isinstance(pool, Absent):
        return KERNEL_MEMORY.unseen(pool, goal=s.goal_held)
    if pool.what:
        figures.append(pool)
    each = price.value + share.value * (s.machine.page_size + reference.SKB_BYTES)
    return KERNEL_MEMORY.met(
        int(opened.value + max(0.0, free.value - pool.value) // each),
        f"{opened.value:.0f} ({opened.what}) + ({free.value:.0f} ({free.what})"
        + (f" - {pool.value:.0f} ({pool.what})" if pool.what else "")
        + f") / ({price.value:.0f} ({price.what}) + {share.value:g} ({share.what}) x"
        f" {s.machine.page_size + reference.SKB_BYTES} bytes)",
        (*figures, price, share), now=s.opened if s.instance else 0, goal=s.goal_held,
    )  # fmt: skip


def _untouched_pool(s: Situation) -> Figure | Absent:
    """Shared memory that will still be taken from what is available; all of it where nobody says how much is used."""
    if s.instance is None:
        return Figure(0, "", Origin.READ)
    shm = s.instance.shared_memory
    if not isinstance(shm, Absent):
        return Figure(max(0, shm.free), "bytes of shared memory still to be touched", Origin.READ)
    size = s.number("shm_megabytes")
    if isinstance(size, Absent):
        return shm
    return Figure(max(0, size) << 20, "bytes of shared memory, -m, taken as untouched", Origin.ASSUMED)


def tcp_mem(s: Situation) -> Ceiling:
    """Connections until queued data of all sockets reaches tcp_mem's pressure mark; idle sockets hold no page."""
    pressure = s.sysctl_at("net.ipv4.tcp_mem", 1)
    used = counter(s.namespace.sockstat, "TCP.mem")
    if isinstance(pressure, Absent) or isinstance(used, Absent):
        return TCP_MEM.unseen(unseen(pressure, used), goal=s.goal_held)
    share = active_share(s)
    opened = s.opened_figure() if s.instance else Figure(0, "open connections", Origin.READ)
    mark = Figure(pressure, "pages, tcp_mem pressure", Origin.READ)
    now = Figure(used, "pages in use", Origin.READ)
    page = Figure(1, "page per connection with queued data", Origin.REFERENCE)
    if share.value < 1e-6:  # less than one of a million connections
        return TCP_MEM.none("no connection has queued data in this target", now=used)
    return TCP_MEM.met(
        int(opened.value + max(0.0, mark.value - now.value) / share.value),
        f"{opened.value:.0f} ({opened.what}) + ({mark.value:.0f} ({mark.what}) - {now.value:.0f} ({now.what}))"
        f" / {share.value:g} ({share.what}) / 1 ({page.what})",
        (opened, mark, now, share, page), now=s.opened if s.instance else 0, goal=s.goal_held,
        note="beyond tcp_mem's maximum data is refused and closing sockets are reset",
    )  # fmt: skip


def touched(s: Situation) -> Figure:
    """Shared memory that becomes resident for one connection of the mix."""
    shares = {"tcp": s.mix.tcp, "tls": s.mix.tls, "ws": s.mix.ws, "wss": s.mix.wss}
    total = sum(share * reference.RESIDENT_BYTES[name] for name, share in shares.items())
    return Figure(total, "bytes of shared memory touched per connection", Origin.REFERENCE)


def _charged(s: Situation, version: int) -> Figure:
    """What one connection adds to the charge of a memory cgroup, shared memory left aside.

    Source: Linux net/core/sock.c sk_alloc() and net/ipv4/inet_connection_sock.c inet_csk_accept(), which charges an
    accepted socket later, but only where version 2 accounts sockets.
    """
    price = kernel_price(s)
    if version != 1:
        return price
    rest = max(0.0, price.value - reference.CGROUP_V1_UNCHARGED_BYTES)
    return Figure(
        rest, "kernel bytes per idle connection that a version 1 cgroup is charged", Origin.REFERENCE
    )


def cgroup_memory(s: Situation) -> Ceiling:
    """Connections until the cgroup's memory limit: socket objects of the kernel and pages of shared memory count."""
    cgroup = s.require().cgroup
    if isinstance(cgroup, Absent):
        return CGROUP_MEMORY.unseen(cgroup, goal=s.goal_held)
    if isinstance(cgroup.memory_limit_bytes, Unlimited):
        return CGROUP_MEMORY.none(f"no memory limit on {cgroup.path} or above it")
    if isinstance(cgroup.memory_limit_bytes, Absent) or isinstance(cgroup.memory_usage_bytes, Absent):
        return CGROUP_MEMORY.unseen(
            unseen(cgroup.memory_limit_bytes, cgroup.memory_usage_bytes), goal=s.goal_held
        )
    price, opened = _charged(s, cgroup.memory_version), s.opened_figure()
    limit = Figure(cgroup.memory_limit_bytes, f"memory limit of {cgroup.path}", Origin.READ)
    used = Figure(cgroup.memory_usage_bytes, "in use", Origin.READ)
    resident = touched(s)
    return CGROUP_MEMORY.met(
        int(opened.value + max(0.0, limit.value - used.value) // (price.value + resident.value)),
        f"{opened.value:.0f} ({opened.what}) + ({limit.value:.0f} ({limit.what}) - {used.value:.0f} ({used.what}))"
        f" / ({price.value:.0f} ({price.what}) + {resident.value:.0f} ({resident.what}))",
        (opened, limit, used, price, resident), now=s.opened, goal=s.goal_held,
        note="met: a process of Kamailio is killed, and the whole server ends",
    )  # fmt: skip


def cgroup_pids(s: Situation) -> Ceiling:
    """Processes that may still be started: bounds tcp_children, not connections."""
    cgroup = s.require().cgroup
    if isinstance(cgroup, Absent):
        return CGROUP_PIDS.unseen(cgroup)
    if isinstance(cgroup.pids_limit, Unlimited):
        return CGROUP_PIDS.none(f"no process limit on {cgroup.path} or above it")
    if (absent := first_absent(cgroup.pids_limit)) is not None:
        if absent.why is Why.MISSING:
            return CGROUP_PIDS.none(f"no pids controller on this machine ({absent.source})")
        return CGROUP_PIDS.unseen(absent)
    assert isinstance(cgroup.pids_limit, int)
    limit = Figure(cgroup.pids_limit, f"process limit of {cgroup.path}", Origin.READ)
    return CGROUP_PIDS.met(
        cgroup.pids_limit, f"{cgroup.pids_limit} ({limit.what}); connections need no process of their own",
        (limit,), at=UNLIMITED, now=cgroup.pids_now, goal=None,
    )  # fmt: skip


def hash_chains(s: Situation) -> Ceiling:
    """Connections at which a bucket of the established hash holds four sockets on average."""
    entries = s.sysctl("net.ipv4.tcp_ehash_entries")
    if isinstance(entries, Absent):
        return HASH_CHAINS.unseen(entries, goal=s.goal_held)
    buckets = Figure(
        abs(entries),
        "net.ipv4.tcp_ehash_entries" + (", shared with the host" if entries < 0 else ""),
        Origin.READ,
    )
    return HASH_CHAINS.met(
        int(4 * buckets.value), f"4 x {buckets.value:.0f} ({buckets.what})", (buckets,),
        now=s.opened if s.instance else 0, goal=s.goal_held,
    )  # fmt: skip
