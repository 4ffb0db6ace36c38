"""All ceilings, one row each. A new ceiling is one entry here; the reference table is made from it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from kamtcp.capacity import (
    held_descriptors,
    held_kernel,
    held_limits,
    held_memory,
    held_network,
    rate_closing,
    rate_cpu,
    rate_queue,
)
from kamtcp.capacity.ceiling import Ceiling, Spec
from kamtcp.capacity.situation import Situation


class Entry(Struct, frozen=True):
    """One ceiling: its row, its arithmetic, and whether it speaks of a Kamailio."""

    spec: Spec
    compute: Callable[[Situation], Ceiling]
    needs_instance: bool


ALL: tuple[Entry, ...] = (
    Entry(held_limits.MAX_CONNECTIONS, held_limits.tcp_max_connections, True),
    Entry(held_limits.MAX_TLS, held_limits.tls_max_connections, True),
    Entry(held_limits.PER_SOURCE, held_limits.per_source_limit, True),
    Entry(held_descriptors.TCP_MAIN, held_descriptors.tcp_main_descriptors, True),
    Entry(held_descriptors.TABLE, held_descriptors.descriptor_table, True),
    Entry(held_descriptors.NR_OPEN, held_descriptors.nr_open, True),
    Entry(held_descriptors.FILE_MAX, held_descriptors.file_max, False),
    Entry(held_descriptors.EPOLL, held_descriptors.epoll_watches, False),
    Entry(held_memory.SHM, held_memory.shared_memory, True),
    Entry(held_memory.GUARD, held_memory.tls_memory_guard, True),
    Entry(held_memory.PKG, held_memory.private_memory, True),
    Entry(held_kernel.KERNEL_MEMORY, held_kernel.kernel_memory, False),
    Entry(held_kernel.TCP_MEM, held_kernel.tcp_mem, False),
    Entry(held_kernel.CGROUP_MEMORY, held_kernel.cgroup_memory, True),
    Entry(held_kernel.CGROUP_PIDS, held_kernel.cgroup_pids, True),
    Entry(held_kernel.HASH_CHAINS, held_kernel.hash_chains, False),
    Entry(held_network.CONNTRACK, held_network.conntrack_table, False),
    Entry(held_network.ORPHANS, held_network.orphans, False),
    Entry(held_network.PORTS, held_network.ephemeral_ports, False),
    Entry(held_network.CLIFF, held_network.ephemeral_ports_half, False),
    Entry(held_descriptors.WORKERS, held_descriptors.worker_descriptors, True),
    Entry(rate_queue.ACCEPT_QUEUE, rate_queue.accept_queue, True),
    Entry(rate_queue.HANDOFF, rate_queue.hand_off, True),
    Entry(rate_queue.SYN_QUEUE, rate_queue.syn_queue, True),
    Entry(rate_queue.SOFTIRQ, rate_queue.packet_backlog, False),
    Entry(rate_cpu.ACCEPT, rate_cpu.accept_rate, True),
    Entry(rate_cpu.SCAN, rate_cpu.per_source_scan, True),
    Entry(rate_cpu.HANDSHAKES, rate_cpu.tls_handshakes, True),
    Entry(rate_closing.TIME_WAIT, rate_closing.time_wait_buckets, False),
    Entry(rate_closing.CHURN, rate_closing.conntrack_churn, False),
    Entry(rate_closing.PORTS_RATE, rate_closing.ephemeral_ports_rate, False),
)

BY_NAME = {entry.spec.name: entry for entry in ALL}
