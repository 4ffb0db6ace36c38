"""What is to be said of lines that do no harm: the kernel's own value, or a switch that matters little here.

Every line of the administrator gets a word: what no rule objects to, and what no connection depends on, as well.
"""

from __future__ import annotations

from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.kernel_defaults import default_of
from kamtcp.diagnose.lines import numbers
from kamtcp.model.absent import Absent
from kamtcp.model.settings import Assignment, fits

SAME = "what this kernel has by itself"
#: name -> what it really does
NOTES: dict[str, str] = {
    "fs.aio-max-nr": "asynchronous input and output of files; sockets don't use it",
    "fs.inotify.max_user_watches": "for programs that watch files",
    "net.core.bpf_jit_enable": "compiles packet filters; connections are not bounded by it",
    "net.core.busy_poll": "spins for packets instead of sleeping: one core burns for microseconds that SIP doesn't need",
    "net.core.busy_read": "spins for packets instead of sleeping: one core burns for microseconds that SIP doesn't need",
    "net.core.default_qdisc": "for new devices; connections are not bounded by it",
    "net.core.dev_weight": "packets a poll of loopback or veth takes; drivers have their own",
    "net.core.netdev_budget": "packets a softirq round may take; worth it only where /proc/net/softnet_stat shows time_squeeze",
    "net.core.netdev_budget_usecs": "time a softirq round may take; worth it only where /proc/net/softnet_stat shows time_squeeze",
    "net.core.optmem_max": "room for control data of a message, not for connections",
    "net.ipv4.ip_forward": "for routers",
    "net.ipv4.tcp_autocorking": "joins small writes; SIP messages are written whole",
    "net.ipv4.tcp_base_mss": "where tcp_mtu_probing starts",
    "net.ipv4.tcp_challenge_ack_limit": "bounds answers to forged segments; off since Linux 6.0",
    "net.ipv4.tcp_congestion_control": "for long transfers (bbr too); SIP messages fit the first window, and no phone connects sooner",
    "net.ipv4.tcp_dsack": "reports segments that came twice",
    "net.ipv4.tcp_early_retrans": "how soon the last segment is repeated",
    "net.ipv4.tcp_ecn": "marks instead of drops where routers do so; connections are not bounded by it",
    "net.ipv4.tcp_fastopen": "Kamailio doesn't ask for it",
    "net.ipv4.tcp_frto": "tells a late answer from a lost one",
    "net.ipv4.tcp_limit_output_bytes": "bytes of one connection in the device's queue; SIP messages are smaller",
    "net.ipv4.tcp_max_orphans": "bounds closed sockets with unsent data, on the whole machine",
    "net.ipv4.tcp_moderate_rcvbuf": "off, receive windows stay at tcp_rmem's default",
    "net.ipv4.tcp_mtu_probing": "helps TLS handshakes through routers that swallow large packets",
    "net.ipv4.tcp_no_metrics_save": "no memory of each client's round trip: fine on a public edge",
    "net.ipv4.tcp_notsent_lowat": "bounds what a program may write ahead to a slow reader; Kamailio has tcp_conn_wq_max for that",
    "net.ipv4.tcp_orphan_retries": "how long closed sockets with unsent data are kept",
    "net.ipv4.tcp_reordering": "how much disorder is no loss",
    "net.ipv4.tcp_retries1": "when the route is asked for anew",
    "net.ipv4.tcp_retries2": "how long unacknowledged data is repeated (see the timer chain)",
    "net.ipv4.tcp_rfc1337": "an RST doesn't end TIME-WAIT",
    "net.ipv4.tcp_slow_start_after_idle": "matters for messages above 14 KB only",
    "net.ipv4.tcp_stdurg": "how urgent data is counted; SIP sends none",
    "net.ipv4.tcp_syn_retries": "how long connect() tries",
    "net.ipv4.tcp_synack_retries": "how long a half-open connection is kept",
    "net.ipv4.tcp_thin_linear_timeouts": "repeats sooner on connections with little data",
    "net.ipv4.udp_mem": "for UDP only",
    "net.ipv4.udp_rmem_min": "for UDP only",
    "net.ipv4.udp_wmem_min": "for UDP only",
    "vm.max_map_count": "memory mappings of one process; a connection needs none",
    "vm.min_free_kbytes": "memory kept back for packets that come in; too much of it starves programs",
    "vm.overcommit_ratio": "counts with vm.overcommit_memory=2 only",
    "vm.swappiness": "whether idle memory is swapped out; Kamailio's shared memory is touched all the time",
    "vm.vfs_cache_pressure": "how long the kernel keeps names of files in memory",
}
#: the same of settings that matter where they are wrong, which rules of their own tell
FINE: dict[str, str] = {
    "fs.file-max": "open files of all programs together, and root's don't count; what stops Kamailio is RLIMIT_NOFILE of its processes",
    "kernel.pid_max": "processes and threads of the machine; connections need none",
    "kernel.threads-max": "threads of the machine; connections need none",
    "net.core.netdev_max_backlog": "the queue of loopback, veth, tunnels and RPS; packets of network cards don't pass it",
    "net.core.rps_sock_flow_entries": "for steering packets to cores by software; of use only with rps_flow_cnt beside it",
    "net.ipv4.ip_nonlocal_bind": "lets a standby listen on an address that it doesn't have yet",
    "net.ipv4.tcp_fin_timeout": "how long a closed socket waits for the FIN of a peer that is gone; TIME-WAIT stays 60 s",
    "net.ipv4.tcp_keepalive_intvl": "between probes, of sockets with keepalive that set no time of their own (tcp_keepintvl)",
    "net.ipv4.tcp_keepalive_probes": "probes until a peer counts as dead, of sockets that set no number of their own (tcp_keepcnt)",
    "net.ipv4.tcp_max_tw_buckets": "bounds TIME-WAIT, 256 bytes each; clients that come back don't need it higher, ports don't come free sooner by it",
    "net.ipv4.tcp_rmem": "caps of the receive window, no allocation: an idle connection uses nothing of it, so a smaller default saves nothing",
    "net.ipv4.tcp_tw_reuse": "for connect() only: an outbound connection may take over a TIME-WAIT of a second's age",
    "net.ipv4.tcp_wmem": "caps of the send buffer, no allocation: an idle connection uses nothing of it",
    "net.netfilter.nf_conntrack_buckets": "buckets of the conntrack table's hash; of use where rules track at all",
    "net.netfilter.nf_conntrack_max": "bounds tracked flows, closed ones included; of use where rules track at all",
    "net.unix.max_dgram_qlen": "messages that wait at a unix datagram socket (syslog, RPC)",
    "vm.overcommit_memory": "whether memory may be promised that isn't there",
}
#: name or glob -> what it is about, where no single name is known
FAMILIES: tuple[tuple[str, str], ...] = (
    (
        "net.ipv4.conf.*.rp_filter",
        "drops packets whose sender is reached by another way (IPReversePathFilter counts them); 2 is mild, 1 breaks multi-homing",
    ),
    ("net.ipv4.conf.*.*", "about addresses, redirects and routes of an interface"),
    ("net.ipv6.conf.*.*", "about addresses, redirects and routes of an interface"),
    (
        "net.ipv*.neigh.*.*",
        "about neighbours on the same link; clients behind a router need one entry together",
    ),
    ("net.ipv4.icmp_*", "about ICMP"),
    ("net.ipv4.igmp_*", "about multicast"),
    ("net.ipv4.ipfrag_*", "about fragments, which TCP has none of"),
    ("net.netfilter.nf_conntrack_*", "about tracked flows; of use where rules track at all"),
    ("net.bridge.*", "about bridges"),
)
ELSEWHERE = {
    "kernel.": "about processes and the machine", "vm.": "about memory in general", "fs.": "about files",
    "dev.": "about devices", "user.": "about namespaces", "net.ipv6.": "about IPv6's own ways",
}  # fmt: skip
NO_RULE = "no rule here objects to this value"
UNKNOWN = "nothing is known by which connections depend on it"


def note(line: Assignment, s: Situation) -> str:
    """One clause on a line that is no defect."""
    if line.value is None:
        return "kept from globs"
    value = " ".join(line.value.split())
    usual = default_of(line.name, s)
    if usual is not None and any(
        value == each or (numbers(value) and numbers(value) == numbers(each)) for each in usual
    ):
        live = s.sysctl_text(line.name)
        if isinstance(live, Absent) or " ".join(live.split()) == value:
            return SAME
    if line.name in NOTES or line.name in FINE:
        return NOTES.get(line.name) or FINE[line.name]
    family = next((text for pattern, text in FAMILIES if fits(pattern, line.name)), None)
    if family is not None:
        return family
    if usual is not None or line.name in s.namespace.sysctls or line.name in s.machine.sysctls:
        return NO_RULE
    start = next((text for start, text in ELSEWHERE.items() if line.name.startswith(start)), None)
    return f"{start}; connections don't depend on it" if start is not None else UNKNOWN
