"""A shell line that shows a setting or counter without kamtcp. PID and DEVICE stand for what the reader fills in."""

from __future__ import annotations

from kamtcp.catalogue.entry import Entry, Kind, Scope

_LINES = {
    "listen backlog": "ss -ltn",
    "SO_REUSEPORT": "ss -ltnp",
    "TCP_DEFER_ACCEPT": "ss -tn state syn-recv",
    "TCP_USER_TIMEOUT": "ss -tnoi state established",
    "IP_BIND_ADDRESS_NO_PORT": "ss -tn state established",
    "IP_LOCAL_PORT_RANGE": "ss -tn state established",
    "TCP_TIMEWAIT_LEN": "ss -tno state time-wait",
    "RLIMIT_NOFILE": "grep 'open files' /proc/PID/limits",
    "SCM_RIGHTS in flight": "grep 'open files' /proc/PID/limits",
    "limits.conf": "grep -v '^#' /etc/security/limits.conf /etc/security/limits.d/*",
    "LimitMEMLOCK": "grep 'locked memory' /proc/PID/limits",
    "-m": "kamcmd shm.stats",
    "-M": "kamcmd pkg.stats",
    "-x": "tr '\\0' ' ' < /proc/PID/cmdline",
    "tcp_children": "kamcmd core.tcp_info",
    "tcp_max_connections": "kamcmd core.tcp_info",
    "tls_max_connections": "kamcmd core.tcp_info",
    "txqueuelen": "ip link; tc -s qdisc",
    "ring size": "ethtool -g DEVICE; ethtool -S DEVICE",
    "IRQ affinity": "ethtool -l DEVICE; cat /proc/softirqs",
    "rps_cpus": "grep . /sys/class/net/*/queues/rx-*/rps_cpus",
    "rps_flow_cnt": "grep . /sys/class/net/*/queues/rx-*/rps_flow_cnt",
    "nf_conntrack.hashsize": "cat /sys/module/nf_conntrack/parameters/hashsize",
    "thash_entries": "cat /proc/cmdline; sysctl net.ipv4.tcp_ehash_entries",
    "notrack": "nft list ruleset | grep notrack; iptables -t raw -S",
    "kernel.sched_*": "ls /sys/kernel/debug/sched",
}


def line(entry: Entry) -> str:
    """The line, "" where there is nothing to look at."""
    found = _LINES.get(entry.id)
    if found is not None:
        return found
    name = entry.id
    if entry.kind is Kind.SYSCTL or (entry.kind is Kind.COUNTER and name.startswith(("net.", "fs."))):
        return f"sysctl {name}"
    if entry.kind is Kind.COUNTER:
        return _counter(entry)
    if entry.kind is Kind.UNIT:
        return f"systemctl show kamailio -p {name}"
    if entry.kind is Kind.CGROUP:
        return "cat /proc/PID/cgroup; systemd-cgtop"
    if entry.kind is Kind.MODPARAM:
        return "kamcmd tls.options" if name.startswith("tls.") else f"kamcmd cfg.get websocket; {_grep(name)}"
    if entry.kind is Kind.PARAMETER and not entry.is_gone:
        return f"kamcmd core.tcp_options; {_grep(name)}" if name.startswith("tcp_") else _grep(name)
    return ""


def _counter(entry: Entry) -> str:
    group, _, name = entry.id.partition(".")
    if entry.scope is Scope.INSTANCE:
        return "kamcmd shm.stats" if entry.id.startswith("shmem:") else f"kamcmd stats.fetch {entry.id}"
    files = {"sockstat": "sockstat", "softnet_stat": "softnet_stat", "nf_conntrack": "stat/nf_conntrack"}
    return f"cat /proc/net/{files[group]}" if group in files else f"nstat -az {group}{name}"


def _grep(name: str) -> str:
    return f"grep -n {name.rpartition('.')[2]} /etc/kamailio/kamailio.cfg"
