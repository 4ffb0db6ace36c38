"""Lines of sysctl files whose value the kernel refuses: what was there before stays, and only the boot's log says so.

Source  Linux net/ipv4/sysctl_net_ipv4.c, kernel/sysctl.c, fs/file_table.c: proc_dointvec_minmax() and its like give EINVAL;
        the ranges were tried out on Linux 6.18
"""

from __future__ import annotations

from collections.abc import Iterator

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Finding, finding, no_cure
from kamtcp.diagnose.lines import line_of, numbers, see, take_out
from kamtcp.diagnose.rule import Rule, Said
from kamtcp.model.absent import Absent
from kamtcp.model.settings import Assignment

RANGE = "net.ipv4.ip_local_port_range"
FIRST_FREE = "net.ipv4.ip_unprivileged_port_start"
#: lowest and highest that every kernel with the setting takes
ACCEPTED: dict[str, tuple[int, int]] = {
    "fs.nr_open": (64, 2147483584),
    "kernel.pid_max": (301, 4194304),
    "net.core.rmem_default": (2304, 2147483647),
    "net.core.rmem_max": (2304, 2147483647),
    "net.core.somaxconn": (0, 2147483647),
    "net.core.wmem_default": (4608, 2147483647),
    "net.core.wmem_max": (4608, 2147483647),
    "net.ipv4.tcp_abort_on_overflow": (0, 255),
    "net.ipv4.tcp_ecn": (0, 5),
    "net.ipv4.tcp_fin_timeout": (-2147483648, 8589934),
    "net.ipv4.tcp_keepalive_intvl": (0, 8589934),
    "net.ipv4.tcp_keepalive_probes": (0, 255),
    "net.ipv4.tcp_keepalive_time": (0, 8589934),
    "net.ipv4.tcp_orphan_retries": (0, 255),
    "net.ipv4.tcp_retries2": (0, 255),
    "net.ipv4.tcp_syn_retries": (1, 127),
    "net.ipv4.tcp_synack_retries": (0, 255),
    "net.ipv4.tcp_syncookies": (0, 255),
    "net.ipv4.tcp_timestamps": (0, 255),
    "net.ipv4.tcp_tw_reuse": (0, 2),
    "vm.overcommit_memory": (0, 2),
    "vm.swappiness": (0, 200),
}


def refused(s: Situation, ladder: Ladder) -> Said:
    """Lines outside the range of their setting, and port ranges that are none."""
    for name in (*ACCEPTED, RANGE):
        line = line_of(s, name)
        if line is None or line.value is None:
            continue
        found = numbers(line.value)
        live = s.sysctl_text(name)
        if not isinstance(live, Absent) and numbers(live) == found:
            continue  # this kernel took it
        for why in _ports(s, found) if name == RANGE else _outside(name, found):
            if isinstance(why, Absent):
                yield why
                continue
            shown = "not seen" if isinstance(live, Absent) else " ".join(live.split())
            yield _finding(s, line, why, shown)


def _finding(s: Situation, line: Assignment, why: str, shown: str) -> Finding:
    return finding(
        BY_CODE["SYS038"], f"{line.where} sets {line.name}={' '.join((line.value or '').split())}: {why}; {shown} stays in force",
        see(s, line.name, line), no_cure("what was there before is in force"), take_out(line, "none: it does nothing"), places=(line.where,),
    )  # fmt: skip


def _outside(name: str, found: tuple[int, ...]) -> Iterator[str]:
    low, high = ACCEPTED[name]
    if not found:
        yield "no number, which the kernel refuses"
    elif not low <= found[0] <= high:
        yield f"the kernel refuses what is not from {low:,} to {high:,}"


def _ports(s: Situation, found: tuple[int, ...]) -> Iterator[str | Absent]:
    if len(found) != 2 or found[0] > found[1] or found[1] > 65535:
        yield "two ports are wanted, the lower one first, up to 65535, and the kernel refuses anything else"
        return
    first = s.sysctl(FIRST_FREE)
    if isinstance(first, Absent):
        if found[0] < 1024:
            yield first
    elif found[0] < first:
        yield f"it begins below {FIRST_FREE}={first:,}, which the kernel refuses"


RULES = (Rule(("SYS038",), refused, needs_instance=False),)
