"""A shell line for each ceiling that shows its numbers without kamtcp."""

from __future__ import annotations

from kamtcp.capacity.situation import Situation
from kamtcp.model.absent import Absent

_DEFAULT_SOCKETS = ("/run/kamailio/kamailio_ctl", "/var/run/kamailio/kamailio_ctl")

_LINES = {
    "tcp-max-connections": "{kamcmd} core.tcp_info",
    "tls-max-connections": "{kamcmd} core.tcp_info",
    "per-source-limit": "{enter}ss -Htn state established | awk '{{print $4}}' | sed 's/:[0-9]*$//' | sort | uniq -c | sort -rn | head",
    "tcp-main-descriptors": "grep 'open files' /proc/{main}/limits; ls /proc/{main}/fd | wc -l; {kamcmd} core.tcp_info",
    "descriptor-table": "ls /proc/{main}/fd | sort -n | tail -1; {kamcmd} core.tcp_info",
    "worker-descriptors": "for p in {workers}; do grep 'open files' /proc/$p/limits; ls /proc/$p/fd | wc -l; done",
    "nr-open": "sysctl fs.nr_open",
    "file-max": "sysctl fs.file-nr",
    "epoll-watches": "sysctl fs.epoll.max_user_watches",
    "shared-memory": "{kamcmd} shm.stats; {kamcmd} cfg.get tcp rd_buf_size",
    "tls-memory-guard": "{kamcmd} shm.stats; {kamcmd} cfg.get tls low_mem_threshold1",
    "private-memory": "{kamcmd} pkg.stats",
    "kernel-memory": "grep MemAvailable /proc/meminfo; grep -E '^(TCP|sock_inode_cache|filp|dentry) ' /proc/slabinfo",
    "tcp-mem": "sysctl net.ipv4.tcp_mem; grep TCP: /proc/net/sockstat",
    "cgroup-memory": "systemd-cgls; cat /proc/{main}/cgroup",
    "cgroup-pids": "cat /proc/{main}/cgroup",
    "hash-chains": "{enter}sysctl net.ipv4.tcp_ehash_entries",
    "conntrack-table": "{enter}sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
    "conntrack-churn": "{enter}sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max",
    "orphans": "sysctl net.ipv4.tcp_max_orphans; grep orphan /proc/net/sockstat",
    "ephemeral-ports": "{enter}sysctl net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports",
    "ephemeral-ports-half": "{enter}sysctl net.ipv4.ip_local_port_range net.ipv4.ip_local_reserved_ports",
    "ephemeral-ports-rate": "{enter}sysctl net.ipv4.ip_local_port_range net.ipv4.tcp_tw_reuse",
    "accept-queue": "{enter}ss -ltn",
    "hand-off": "sysctl net.core.wmem_default; {kamcmd} core.tcp_info | grep readers",
    "syn-queue": "{enter}ss -ltn; {enter}sysctl net.ipv4.tcp_syncookies",
    "packet-backlog": "sysctl net.core.netdev_max_backlog; cat /proc/net/softnet_stat",
    "accept-rate": "top -H -p {main}",
    "per-source-scan": "top -H -p {main}",
    "tls-handshakes": "openssl speed -seconds 1 ecdsap256",
    "time-wait-buckets": "{enter}sysctl net.ipv4.tcp_max_tw_buckets; {enter}grep TCP: /proc/net/sockstat",
}


def line_for(ceiling: str, s: Situation) -> str:
    """The line, with the pids and the namespace of this instance."""
    return text_for(_LINES[ceiling], s)


def text_for(line: str, s: Situation) -> str:
    """A line with {enter}, {main}, {workers}, {kamcmd} filled in for this instance."""
    instance = s.instance
    main = "PID" if instance is None or isinstance(s.tcp_main, Absent) else str(s.tcp_main.pid)
    away = instance is not None and s.namespace.id != s.machine.netns
    enter = f"nsenter -t {instance.attendant} -n " if away and instance is not None else ""
    workers = " ".join(str(worker.pid) for worker in s.workers) if instance is not None else ""
    return line.format(main=main, enter=enter, workers=workers, kamcmd=kamcmd(s))


def kamcmd(s: Situation) -> str:
    """How to call kamcmd so that this instance answers, and no other one on the host.

    Source: kamcmd(8) -s; its default is unixs:/run/kamailio/kamailio_ctl (utils/kamcmd/kamcmd.c), of its own mount root.
    """
    instance = s.instance
    if instance is None:
        return "kamcmd"
    flags = ["-m", "-n"] if s.namespace.id != s.machine.netns else []
    flags += [each for each in instance.away.split() if each not in flags]
    enter = f"nsenter -t {instance.attendant} {' '.join(flags)} " if flags else ""
    how, _, where = str(instance.rpc).replace("//", "/").rpartition(" ")
    scheme = {"binrpc unix stream": "unixs", "binrpc tcp": "tcp"}.get(how, "")
    if isinstance(instance.rpc, Absent) or not scheme or where in _DEFAULT_SOCKETS:
        return f"{enter}kamcmd"
    return f"{enter}kamcmd -s {quoted(f'{scheme}:{where}')}"


def quoted(path: str) -> str:
    """A path as one word of a shell line on one screen line: whoever starts a process chooses what it is called."""
    from shlex import quote

    if path.isprintable():
        return quote(path)
    data = path.encode("utf-8", "surrogateescape")
    return "$'" + "".join(chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in data) + "'"
