"""What is to be said of lines that do no harm: the kernel's own value, or a switch that matters little here."""

from __future__ import annotations

from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.kernel_defaults import default_of
from kamtcp.diagnose.lines import numbers
from kamtcp.model.absent import Absent
from kamtcp.model.settings import Assignment

SAME = "what this kernel has by itself"
#: name -> what it really does
NOTES: dict[str, str] = {
    "net.core.optmem_max": "room for control data of a message, not for connections",
    "net.core.netdev_budget": "packets a softirq round may take; worth it only where /proc/net/softnet_stat shows time_squeeze",
    "net.ipv4.tcp_autocorking": "joins small writes; SIP messages are written whole",
    "net.ipv4.tcp_congestion_control": "for long transfers; SIP messages fit the first window",
    "net.core.default_qdisc": "for new devices; connections are not bounded by it",
    "net.ipv4.tcp_ecn": "marks instead of drops where routers do so; connections are not bounded by it",
    "net.ipv4.tcp_fastopen": "Kamailio doesn't ask for it",
    "net.ipv4.tcp_max_orphans": "bounds closed sockets with unsent data, on the whole machine",
    "net.ipv4.tcp_moderate_rcvbuf": "off, receive windows stay at tcp_rmem's default",
    "net.ipv4.tcp_mtu_probing": "helps TLS handshakes through routers that swallow large packets",
    "net.ipv4.tcp_no_metrics_save": "no memory of each client's round trip: fine on a public edge",
    "net.ipv4.tcp_orphan_retries": "how long closed sockets with unsent data are kept",
    "net.ipv4.tcp_retries2": "how long unacknowledged data is repeated (see the timer chain)",
    "net.ipv4.tcp_rfc1337": "an RST doesn't end TIME-WAIT",
    "net.ipv4.tcp_slow_start_after_idle": "matters for messages above 14 KB only",
    "net.ipv4.tcp_syn_retries": "how long connect() tries",
    "net.ipv4.tcp_synack_retries": "how long a half-open connection is kept",
    "net.ipv4.udp_mem": "for UDP only",
    "net.ipv4.udp_rmem_min": "for UDP only",
    "net.ipv4.udp_wmem_min": "for UDP only",
    "vm.swappiness": "whether idle memory is swapped out; Kamailio's shared memory is touched all the time",
}


def note(line: Assignment, s: Situation) -> str:
    """One clause on a line that is no defect; "" where there is nothing to say."""
    if line.value is None:
        return ""
    value = " ".join(line.value.split())
    usual = default_of(line.name, s)
    if usual is not None and any(
        value == each or (numbers(value) and numbers(value) == numbers(each)) for each in usual
    ):
        live = s.sysctl_text(line.name)
        if isinstance(live, Absent) or " ".join(live.split()) == value:
            return SAME
    return NOTES.get(line.name, "")
