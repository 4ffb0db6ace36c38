"""Every finding code, registered once. A code is never reused; its name says the defect.

FDS descriptors · MEM memory · ACC accepting · TLS · TIM timers · CFG configuration · SYS kernel and network
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Severity(Enum):
    """How bad, worst first."""

    FATAL = "fatal"  # the server stops serving, doesn't start, or crashes
    HIGH = "high"  # it will hurt under the load it is meant for
    MEDIUM = "medium"
    INFO = "info"


RANK = {severity: rank for rank, severity in enumerate(Severity)}


class Code(Struct, frozen=True):
    """One kind of finding.

    Args:
        meaning: one sentence: what is wrong and what it does.
        source: where the rule was read or measured.
    """

    code: str
    name: str
    severity: Severity
    meaning: str
    source: str


_F, _H, _M, _I = Severity.FATAL, Severity.HIGH, Severity.MEDIUM, Severity.INFO

ALL: tuple[Code, ...] = (
    Code("FDS001", "descriptors-below-max-connections", _F, "tcp main may open fewer files than tcp_max_connections promises: at the limit accept() spins and floods the log.", "Kamailio src/core/tcp_main.c handle_new_connect(); measured on 5.6.3"),
    Code("FDS002", "worker-descriptors-below-max-connections", _H, "A worker may open fewer files than tcp main: in a busy phase it can't take connections over and they are lost.", "Kamailio src/core/tcp_read.c handle_io()"),
    Code("FDS003", "open-files-limit-above-hard", _F, "open_files_limit is above the hard limit of a service without privilege: its next start is aborted.", "Kamailio src/main.c increase_open_fds()"),
    Code("FDS004", "descriptor-number-beyond-table", _F, "A descriptor number of tcp main is near or beyond its table: memory behind the table is overwritten, tcp main spins.", "Kamailio src/core/io_wait.h io_watch_add(); kamailio issue 2796"),
    Code("FDS010", "tcp-main-descriptors-below-target", _H, "RLIMIT_NOFILE of tcp main is met below the target.", "see ceiling tcp-main-descriptors"),
    Code("FDS011", "descriptor-table-below-target", _H, "tcp main's descriptor table is full below the target.", "see ceiling descriptor-table"),
    Code("FDS012", "worker-descriptors-below-target", _H, "The workers run out of descriptors in the worst second of the target.", "see ceiling worker-descriptors"),
    Code("FDS013", "nr-open-below-target", _H, "fs.nr_open keeps every RLIMIT_NOFILE below the target.", "see ceiling nr-open"),
    Code("FDS014", "file-max-below-target", _H, "fs.file-max is met below the target.", "see ceiling file-max"),
    Code("FDS015", "epoll-watches-below-target", _H, "fs.epoll.max_user_watches is met below the target.", "see ceiling epoll-watches"),
    Code("MEM001", "private-memory-too-small", _F, "The next start fails: -M doesn't hold the descriptor tables for tcp_max_connections.", "Kamailio src/core/io_wait.c init_io_wait()"),
    Code("MEM010", "shared-memory-below-target", _H, "Shared memory is used up below the target.", "see ceiling shared-memory"),
    Code("MEM011", "private-memory-below-target", _H, "No tcp_max_connections as high as the target starts with this -M.", "see ceiling private-memory"),
    Code("MEM012", "kernel-memory-below-target", _H, "The machine has no memory for the target's sockets.", "see ceiling kernel-memory"),
    Code("MEM013", "tcp-mem-below-target", _M, "Queued data of the target passes tcp_mem's pressure mark.", "see ceiling tcp-mem"),
    Code("MEM014", "cgroup-memory-below-target", _H, "The cgroup's memory limit is met below the target.", "see ceiling cgroup-memory"),
    Code("CFG010", "tcp-max-connections-below-target", _H, "tcp_max_connections is below the target.", "see ceiling tcp-max-connections"),
    Code("CFG011", "per-source-limit-below-target", _H, "tcp_accept_iplimit is below the connections that one address brings.", "see ceiling per-source-limit"),
    Code("CFG001", "per-source-limit-zero-rejects-all", _F, "tcp_accept_iplimit=0 rejects every connection on 5.7.3 to 5.7.7; it means off from 5.8.0 only.", "Kamailio src/core/tcp_main.c handle_new_connect(), tag 5.7.3"),
    Code("CFG002", "per-source-scan-on-crowded-host", _H, "The per-source limit walks all connections under the global lock on every accept.", "kamailio issue 3759; measured on 6.1.4"),
    Code("CFG003", "proxy-header-wait-too-long", _H, "tcp_accept_haproxy makes tcp main wait for each silent client, one after the other.", "Kamailio src/core/tcp_main.c tcpconn_read_haproxy()"),
    Code("CFG004", "threads-uncounted-in-table", _H, "tcp_main_threads=1 uses descriptors that the table's size leaves out: the last connections get no answer.", "Kamailio src/core/tcp_mtops.c; measured on 6.1.4"),
    Code("CFG005", "message-timeout-zero-closes-all", _H, "tcp_msg_data_timeout=0 doesn't switch it off: silent connections are closed at the next tick.", "Kamailio src/core/tcp_main.c tcp_timer_check_connections()"),
    Code("CFG006", "poll-method-select", _H, "select can't watch descriptor numbers above 1023.", "select(2); Kamailio src/core/io_wait.c"),
    Code("TLS001", "openssl-3-unsafe", _F, "TLS with OpenSSL 3 on a Kamailio without tls_threads_mode: parallel handshakes abort the server.", "kamailio issues 3791, 3635; measured on 5.6.3"),
    Code("TLS002", "little-memory-above-guard", _H, "Free shared memory is less than twice low_mem_threshold1: soon no new TLS connection is taken.", "Kamailio src/modules/tls/tls_server.c; kamailio issue 4777"),
    Code("TLS010", "tls-max-connections-below-target", _H, "tls_max_connections is below the target.", "see ceiling tls-max-connections"),
    Code("TLS011", "tls-memory-guard-below-target", _H, "TLS's low-memory guard refuses new connections below the target.", "see ceiling tls-memory-guard"),
    Code("TLS012", "tls-handshakes-below-target", _M, "The cores can't make as many TLS handshakes a second as the target brings.", "see ceiling tls-handshakes"),
    Code("ACC010", "accept-queue-below-target", _M, "The accept queue is shorter than what the target's worst second brings.", "see ceiling accept-queue"),
    Code("ACC011", "hand-off-below-target", _M, "The worker sockets hold fewer connections than the target's worst second brings: up to 5 s of silence, then losses.", "see ceiling hand-off"),
    Code("ACC012", "syn-queue-below-target", _I, "The SYN queue is shorter than what the target brings during one round trip.", "see ceiling syn-queue"),
    Code("ACC013", "accept-rate-below-target", _M, "One core of tcp main can't accept as many connections a second as the target brings.", "see ceiling accept-rate"),
    Code("ACC014", "per-source-scan-below-target", _H, "The per-source scan makes accepting slower than the target.", "see ceiling per-source-scan"),
    Code("SYS001", "tcp-tw-recycle-set", _H, "tcp_tw_recycle is set: gone since Linux 4.12, and before that it dropped clients behind NAT.", "Linux commit 4396e46187ca"),
    Code("SYS010", "conntrack-table-below-target", _H, "The conntrack table is full below the target.", "see ceiling conntrack-table"),
    Code("SYS011", "orphans-below-target", _I, "A mass close of the target's connections passes tcp_max_orphans.", "see ceiling orphans"),
    Code("SYS012", "ephemeral-ports-below-target", _H, "Local ports towards one destination run out below the target.", "see ceiling ephemeral-ports"),
    Code("SYS013", "ephemeral-ports-half-below-target", _M, "More than half of the local ports towards one destination: each connect() becomes slow.", "see ceiling ephemeral-ports-half"),
    Code("SYS014", "hash-chains-below-target", _I, "The established hash has more than four sockets a bucket at the target.", "see ceiling hash-chains"),
    Code("SYS015", "time-wait-buckets-below-target", _I, "More closes a second than tcp_max_tw_buckets remembers.", "see ceiling time-wait-buckets"),
    Code("SYS016", "conntrack-churn-below-target", _H, "Entries of closed flows fill the conntrack table at the target's rate.", "see ceiling conntrack-churn"),
    Code("SYS017", "packet-backlog-below-target", _M, "netdev_max_backlog overflows at the target's rate, on loopback, veth or RPS.", "see ceiling packet-backlog"),
    Code("SYS018", "ephemeral-ports-rate-below-target", _H, "Ports in TIME-WAIT leave too few for the target's outbound rate.", "see ceiling ephemeral-ports-rate"),
)  # fmt: skip

BY_CODE = {each.code: each for each in ALL}
BY_NAME = {each.name: each for each in ALL}


def below_target(ceiling: str) -> Code:
    """The code of "this ceiling lies below the target"."""
    return BY_NAME[f"{ceiling}-below-target"]
