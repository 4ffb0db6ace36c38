"""Symptoms of memory that ran out: shared pool, TLS's guard on it, private pools, the kernel's for TCP, the cgroup's."""

from __future__ import annotations

from kamtcp.capacity import prices
from kamtcp.capacity.change import Change
from kamtcp.capacity.held_memory import tls_threshold
from kamtcp.capacity.ladder import Ladder
from kamtcp.diagnose.rule import lacking
from kamtcp.diagnose.symptom import Signs, Symptom
from kamtcp.model.absent import Absent
from kamtcp.model.machine import counter

_SHM = (
    "shm-exhausted",
    "shm-no-fragment",
    "connection-not-created",
    "connection-allocation",
    "websocket-allocation",
)
#: connections that a pool with free memory would still hold: where allocations fail all the same, it is in pieces
_IN_PIECES = 20
_AT_LIMIT = 0.98


def shared_out(change: Change, ladder: Ladder) -> Signs:
    """The shared pool has no room for one more connection: it is accepted and closed."""
    yield from _shared(change, ladder, in_pieces=False)


def shared_in_pieces(change: Change, ladder: Ladder) -> Signs:
    """Allocations fail although much is free: the pool is in pieces that are too small."""
    yield from _shared(change, ladder, in_pieces=True)


def _shared(change: Change, ladder: Ladder, *, in_pieces: bool) -> Signs:
    """Both log the same; what is free tells one from the other."""
    if change.instance is None:
        return
    shm, logged, price = change.instance.shared_memory, change.logged(*_SHM), prices.of_mix(change.after)
    if isinstance(shm, Absent) or isinstance(price, Absent):
        yield from lacking(shm, price)
        return
    failing = isinstance(logged, int) and logged > 0
    holds = shm.free / price.bytes
    empty = holds < 1
    if in_pieces:
        yield from lacking(logged)
        if not failing or holds < _IN_PIECES:
            return
    elif not empty and not (failing and holds < _IN_PIECES):
        return
    lines = f"; {logged:,} new lines in the log: allocations fail" if failing else ""
    evidence = (
        f"{shm.free:,} of {shm.total:,} bytes of shared memory are free, in {shm.fragments:,} pieces: room for"
        f" {holds:,.0f} connections of {price.bytes:,.0f} bytes{lines}"
    )
    yield evidence


def tls_guard(change: Change, ladder: Ladder) -> Signs:
    """Free shared memory is below low_mem_threshold1: no new TLS connection is taken."""
    if change.instance is None:
        return
    shm, logged = change.instance.shared_memory, change.logged("tls-low-memory")
    if isinstance(logged, Absent) or not logged:
        yield from lacking(logged)
        return
    free = "" if isinstance(shm, Absent) else f"; {shm.free:,} bytes of shared memory are free"
    threshold = tls_threshold(change.after)
    yield (
f"{logged:,} new lines in the log: TLS refuses connections below {threshold.value:,.0f} free bytes"
        f" ({threshold.what}){free}"
)  # fmt: skip


def private_out(change: Change, ladder: Ladder) -> Signs:
    """A process has used up its private pool."""
    logged = change.logged("pkg-exhausted")
    if isinstance(logged, Absent):
        yield logged
    elif logged:
        evidence = f"{logged:,} new lines in the log: a process is out of private memory (-M)"
        yield evidence


def kernel_pressure(change: Change, ladder: Ladder) -> Signs:
    """tcp_mem: above its pressure mark buffers shrink, above its maximum data is dropped and sockets are reset."""
    entered = change.grew("TcpExt.TCPMemoryPressures")
    used = counter(change.after.namespace.sockstat, "TCP.mem")
    mark = change.after.sysctl_at("net.ipv4.tcp_mem", 1)
    above = isinstance(used, int) and isinstance(mark, int) and used >= mark
    if above or (isinstance(entered, int) and entered):
        times = (
            f", entered {entered:,} times since the look before"
            if isinstance(entered, int) and entered
            else ""
        )
        evidence = f"TCP uses {used} pages, tcp_mem's pressure mark is {mark}{times}"
        yield evidence
        return
    yield from lacking(used, mark)


def cgroup_full(change: Change, ladder: Ladder) -> Signs:
    """The cgroup's memory limit: the kernel fails socket allocations or kills a process."""
    if change.instance is None or isinstance(change.instance.cgroup, Absent):
        yield from lacking(change.instance and change.instance.cgroup)
        return
    group = change.instance.cgroup
    limit, used = group.memory_limit_bytes, group.memory_usage_bytes
    if isinstance(limit, int) and isinstance(used, int) and used >= _AT_LIMIT * limit:
        evidence = f"{used:,} of {limit:,} bytes of the memory of {group.path} are in use"
        yield evidence
        return
    yield from lacking(limit, used if isinstance(limit, int) else None)


SYMPTOMS = (
    Symptom("MEM054", "cgroup-memory", cgroup_full, silences=("ACC050", "ACC051")),
    Symptom("TLS051", "tls-memory-guard", tls_guard, silences=("MEM050", "MEM051")),
    Symptom("MEM051", "shared-memory", shared_in_pieces),
    Symptom("MEM050", "shared-memory", shared_out),
    Symptom("MEM052", "private-memory", private_out),
    Symptom("MEM053", "tcp-mem", kernel_pressure),
)
