"""What are the kernel's settings?

Reads   /proc/sys/…, one small read(2) a name
Source  Linux fs/proc/proc_sysctl.c; scopes: net/core/sysctl_net_core.c, net/ipv4/sysctl_net_ipv4.c
Needs   no privilege for most; what is 0600 comes back as denied
Cost    about 10 µs a name

A name belongs to a network namespace or to the whole machine. The first must be read *inside* the namespace of
the server. The second exist in the initial namespace only; there they are in force for everybody.
"""

from __future__ import annotations

from collections.abc import Mapping

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import attempt
from kamtcp.observe.kernel_text import integer, text

Sysctls = Mapping[str, str | Absent]

# One value per network namespace; a new namespace starts from the compiled default.
NETNS_NAMES: tuple[str, ...] = (
    "net.core.optmem_max",
    "net.core.somaxconn",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_nonlocal_bind",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_challenge_ack_limit",
    "net.ipv4.tcp_child_ehash_entries",
    "net.ipv4.tcp_ecn",
    "net.ipv4.tcp_ehash_entries",
    "net.ipv4.tcp_fastopen",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_limit_output_bytes",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_max_tw_buckets",
    "net.ipv4.tcp_migrate_req",
    "net.ipv4.tcp_mtu_probing",
    "net.ipv4.tcp_no_metrics_save",
    "net.ipv4.tcp_notsent_lowat",
    "net.ipv4.tcp_orphan_retries",
    "net.ipv4.tcp_retries2",
    "net.ipv4.tcp_rfc1337",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_rto_max_ms",
    "net.ipv4.tcp_sack",
    "net.ipv4.tcp_slow_start_after_idle",
    "net.ipv4.tcp_syn_linear_timeouts",
    "net.ipv4.tcp_syn_retries",
    "net.ipv4.tcp_synack_retries",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_tw_recycle",  # gone since 4.12; where it is there, it must be 0
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_tw_reuse_delay",
    "net.ipv4.tcp_window_scaling",
    "net.ipv4.tcp_wmem",
    "net.netfilter.nf_conntrack_acct",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_events",
    "net.netfilter.nf_conntrack_tcp_be_liberal",
    "net.netfilter.nf_conntrack_tcp_loose",
    "net.netfilter.nf_conntrack_tcp_timeout_close",
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "net.netfilter.nf_conntrack_tcp_timeout_fin_wait",
    "net.netfilter.nf_conntrack_tcp_timeout_last_ack",
    "net.netfilter.nf_conntrack_tcp_timeout_syn_recv",
    "net.netfilter.nf_conntrack_tcp_timeout_syn_sent",
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
    "net.unix.max_dgram_qlen",
)

# One value for all namespaces, which a child namespace may read but not write (on some kernels: not even read).
GLOBAL_READ_ONLY_NAMES: tuple[str, ...] = (
    "net.core.rmem_default",
    "net.core.rmem_max",
    "net.core.wmem_default",
    "net.core.wmem_max",
    "net.netfilter.nf_conntrack_buckets",
    "net.netfilter.nf_conntrack_max",  # compared with the count of each namespace by itself
)

# One value for all namespaces, whose file is missing in a child namespace.
GLOBAL_NET_NAMES: tuple[str, ...] = (
    "net.core.busy_poll",
    "net.core.default_qdisc",
    "net.core.dev_weight",
    "net.core.mem_pcpu_rsv",
    "net.core.netdev_budget",
    "net.core.netdev_budget_usecs",
    "net.core.netdev_max_backlog",
    "net.core.rps_sock_flow_entries",
    "net.ipv4.neigh.default.gc_thresh1",
    "net.ipv4.neigh.default.gc_thresh2",
    "net.ipv4.neigh.default.gc_thresh3",
    "net.ipv4.tcp_max_orphans",
    "net.ipv4.tcp_mem",
    "net.ipv6.neigh.default.gc_thresh3",
)

# One value for the machine (kernel.pid_max: per pid namespace since 6.14).
HOST_NAMES: tuple[str, ...] = (
    "fs.epoll.max_user_instances",  # lived in 2.6.28 only; asked for so that its absence can be shown
    "fs.epoll.max_user_watches",
    "fs.file-max",
    "fs.nr_open",
    "kernel.pid_max",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.threads-max",
    "vm.max_map_count",
    "vm.min_free_kbytes",
    "vm.nr_hugepages",
    "vm.overcommit_memory",
    "vm.swappiness",
)

GLOBAL_NAMES: tuple[str, ...] = GLOBAL_READ_ONLY_NAMES + GLOBAL_NET_NAMES + HOST_NAMES

# The kernel allocates a buffer as large as the read asks for, and refuses 4 MiB with ENOMEM.
# Only a list of ports can be long.
_READ_BYTES = 4096
_LONG_READ_BYTES = 512 * 1024
_LONG = frozenset({"net.ipv4.ip_local_reserved_ports"})

# In every kernel this file is in the initial namespace only, so it tells where the reader stands.
_WITNESS = "net.core.netdev_max_backlog"


def path_of(name: str) -> str:
    """The file of a sysctl: "net.core.somaxconn" is /proc/sys/net/core/somaxconn.

    Names of interfaces with dots in them are not provided for.
    """
    return "/proc/sys/" + name.replace(".", "/")


def parse(data: bytes) -> str:
    """The value as `sysctl -n` prints it: one line, tabs kept, no newline at the end.

    Raises:
        ParseError: not one line of plain ASCII.
    """
    line = data[:-1] if data[-1:] == b"\n" else data
    if not line.isascii() or any(byte < 32 and byte != 9 for byte in line):
        raise ParseError("/proc/sys", "one line of ASCII", text(data))
    return line.decode("ascii")


def read_sysctl(host: Host, name: str) -> str:
    """One value, as text.

    Raises:
        OSError: as the kernel gave it; ENOENT where this kernel or namespace has no such name.
        ParseError: not one line of plain ASCII.
    """
    return parse(host.read(path_of(name), _LONG_READ_BYTES if name in _LONG else _READ_BYTES))


def as_int(name: str, value: str) -> int:
    """A value that is one number.

    Raises:
        ParseError: it is not.
    """
    return integer(name, _ascii(value.strip()))


def as_ints(name: str, value: str) -> tuple[int, ...]:
    """A value that is a row of numbers: tcp_mem, tcp_rmem (3 each), ip_local_port_range (2).

    Raises:
        ParseError: a part is no number, or there is none at all.
    """
    parts = value.split()
    if not parts:
        raise ParseError(name, "numbers", value)
    return tuple(integer(name, _ascii(part)) for part in parts)


def number(sysctls: Sysctls, name: str) -> int | Absent:
    """`as_int` of a collected value; absent where it is absent, or malformed."""
    value = sysctls.get(name, Absent(name, Why.NOT_ASKED))
    return value if isinstance(value, Absent) else attempt(name, lambda: as_int(name, value))


def numbers(sysctls: Sysctls, name: str) -> tuple[int, ...] | Absent:
    """`as_ints` of a collected value; absent where it is absent, or malformed."""
    value = sysctls.get(name, Absent(name, Why.NOT_ASKED))
    return value if isinstance(value, Absent) else attempt(name, lambda: as_ints(name, value))


def collect(host: Host, inside: Host | None = None) -> Sysctls:
    """All settings that kamtcp reads.

    Args:
        host: the machine as the reader sees it, best in the initial network namespace.
        inside: the machine as the server sees it (`host.within(pid)`); None where that is the same.

    Returns:
        Name to text, or to the reason why there is none. A name that this kernel keeps for the whole machine is
        taken from `host` where `inside` lacks it. Where `host` itself stands in a child namespace, names that
        exist in the initial one only are "not visible", not "missing".
    """
    found: dict[str, str | Absent] = {}
    for name in GLOBAL_NAMES:
        found[name] = attempt(name, lambda name=name: read_sysctl(host, name))  # type: ignore[misc]
    for name in NETNS_NAMES:
        value = attempt(name, lambda name=name: read_sysctl(inside or host, name))  # type: ignore[misc]
        if inside is not None and _missing(value):
            # older kernels had one value for all: it is in force in the server's namespace too
            value = attempt(name, lambda name=name: read_sysctl(host, name))  # type: ignore[misc]
        found[name] = value
    return where_it_stands(found)


def _ascii(word: str) -> bytes:
    return word.encode("ascii", "backslashreplace")


def _missing(value: str | Absent) -> bool:
    return isinstance(value, Absent) and value.why is Why.MISSING


def where_it_stands(found: dict[str, str | Absent]) -> dict[str, str | Absent]:
    """Say "not visible" for what may well exist in the initial namespace, if the reader isn't in that.

    Args:
        found: values of all GLOBAL_NAMES at least; changed in place.
    """
    if not _missing(found[_WITNESS]):
        return found
    for name in (*GLOBAL_READ_ONLY_NAMES, *GLOBAL_NET_NAMES):
        if _missing(found[name]):
            found[name] = Absent(name, Why.NOT_VISIBLE, "the reader is in a child network namespace")
    return found
