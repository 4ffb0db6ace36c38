"""What a kernel has where nobody sets anything: to tell what was set by hand, and which lines change nothing.

Only values that are compiled in, or follow from the size of the hash table, are here; those that follow from the
size of memory (tcp_mem, file-max, …) are not. Several values where the default changed: any of them is a default.

Source  Linux net/ipv4/tcp_ipv4.c tcp_sk_init(), tcp.c tcp_init(), net/core/net_namespace.c, net/core/sock.c,
        net/netfilter/nf_conntrack_proto_tcp.c; Documentation/networking/ip-sysctl.rst
"""

from __future__ import annotations

from kamtcp.capacity.situation import Situation
from kamtcp.model.absent import Absent

_CONSTANT: dict[str, tuple[str, ...]] = {
    "net.core.somaxconn": ("4096", "128"),
    "net.core.optmem_max": ("131072", "20480"),
    "net.core.rmem_default": ("212992",),
    "net.core.wmem_default": ("212992",),
    "net.core.rmem_max": ("212992", "4194304"),
    "net.core.wmem_max": ("212992", "4194304"),
    "net.core.netdev_budget": ("300",),
    "net.core.dev_weight": ("64",),
    "net.core.busy_poll": ("0",),
    "net.core.rps_sock_flow_entries": ("0",),
    "net.ipv4.ip_local_port_range": ("32768 60999", "32768 61000"),
    "net.ipv4.ip_local_reserved_ports": ("",),
    "net.ipv4.ip_nonlocal_bind": ("0",),
    "net.ipv4.ip_unprivileged_port_start": ("1024",),
    "net.ipv4.tcp_abort_on_overflow": ("0",),
    "net.ipv4.tcp_ecn": ("2",),
    "net.ipv4.tcp_fastopen": ("1",),
    "net.ipv4.tcp_fin_timeout": ("60",),
    "net.ipv4.tcp_keepalive_intvl": ("75",),
    "net.ipv4.tcp_keepalive_probes": ("9",),
    "net.ipv4.tcp_keepalive_time": ("7200",),
    "net.ipv4.tcp_migrate_req": ("0",),
    "net.ipv4.tcp_moderate_rcvbuf": ("1",),
    "net.ipv4.tcp_mtu_probing": ("0",),
    "net.ipv4.tcp_no_metrics_save": ("0",),
    "net.ipv4.tcp_notsent_lowat": ("4294967295", "-1"),
    "net.ipv4.tcp_orphan_retries": ("0",),
    "net.ipv4.tcp_retries1": ("3",),
    "net.ipv4.tcp_retries2": ("15",),
    "net.ipv4.tcp_rfc1337": ("0",),
    "net.ipv4.tcp_rto_max_ms": ("120000",),
    "net.ipv4.tcp_sack": ("1",),
    "net.ipv4.tcp_slow_start_after_idle": ("1",),
    "net.ipv4.tcp_syn_retries": ("6",),
    "net.ipv4.tcp_synack_retries": ("5",),
    "net.ipv4.tcp_syncookies": ("1",),
    "net.ipv4.tcp_timestamps": ("1",),
    "net.ipv4.tcp_tw_reuse": ("2", "0"),
    "net.ipv4.tcp_tw_reuse_delay": ("1000",),
    "net.ipv4.tcp_window_scaling": ("1",),
    "net.netfilter.nf_conntrack_acct": ("0",),
    "net.netfilter.nf_conntrack_tcp_be_liberal": ("0",),
    "net.netfilter.nf_conntrack_tcp_loose": ("1",),
    "net.netfilter.nf_conntrack_tcp_timeout_established": ("432000",),
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait": ("120",),
    "net.netfilter.nf_conntrack_tcp_timeout_fin_wait": ("120",),
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait": ("60",),
}
#: from 1 GiB of memory on
_ROOMY: dict[str, tuple[str, ...]] = {
    "net.ipv4.tcp_rmem": ("4096 131072 33554432", "4096 131072 6291456", "4096 87380 6291456"),
    "net.ipv4.tcp_wmem": ("4096 16384 4194304",),
}
_OF_HASH = ("net.ipv4.tcp_max_tw_buckets", "net.ipv4.tcp_max_orphans", "net.ipv4.tcp_max_syn_backlog")
NAMES = (*_CONSTANT, *_ROOMY, *_OF_HASH)


def default_of(name: str, s: Situation) -> tuple[str, ...] | None:
    """Values that a kernel may have by itself, words parted by one space; None where that can't be told."""
    if name in _CONSTANT:
        return _CONSTANT[name]
    if name in _ROOMY:
        memory = s.machine.memory_total_bytes
        return _ROOMY[name] if isinstance(memory, int) and memory >= 1 << 30 else None
    if name in _OF_HASH:
        found = s.sysctl("net.ipv4.tcp_ehash_entries")
        if isinstance(found, Absent):  # before 6.1: an estimate is no ground to say that somebody set it
            return None
        buckets = abs(found)
        return (str(max(128, buckets // 128) if name.endswith("syn_backlog") else buckets // 2),)
    return None


def hash_buckets(s: Situation) -> int | Absent:
    """Size of the established hash in use here; before Linux 6.1, which doesn't tell, from the size of memory."""
    found = s.sysctl("net.ipv4.tcp_ehash_entries")
    if isinstance(found, int) and 0 < abs(found) < 1 << 40:
        return abs(found)  # negative where the table is shared with the initial namespace
    memory = s.machine.memory_total_bytes
    if isinstance(memory, Absent):
        return memory
    return min(524288, 1 << max(0, (memory >> 17) - 1).bit_length())
