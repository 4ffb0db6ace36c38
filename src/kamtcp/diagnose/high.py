"""Rules that will hurt under the load this tool is for."""

from __future__ import annotations

from collections.abc import Iterator

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, Finding, finding, no_cure
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.see import line_for, quoted
from kamtcp.model.absent import Absent

CROWDED = 5000
LONG_WAIT_MS = 200


def per_source_scan(s: Situation, ladder: Ladder) -> Iterator[Finding]:
    """More than 5,000 connections, held or wanted, with the per-source limit on."""
    limit = s.number("tcp_accept_iplimit")
    if isinstance(limit, Absent) or limit <= 0:
        return
    opened = 0 if isinstance(s.opened, Absent) else s.opened
    held = max(opened, s.target.connections or 0)
    if held > CROWDED:
        cost_us = next((each.working for each in ladder.rates if each.name == "per-source-scan"), "")
        yield finding(
            BY_CODE["CFG002"],
            f"tcp_accept_iplimit={limit:,} with {held:,} connections: {cost_us}",
            line_for("per-source-scan", s),
            no_cure("not settable at run time"),
            Cure("tcp_accept_iplimit=0 from 5.8.0 on (on 5.7.x 0 rejects everyone: upgrade); limit sources in a firewall"
                 " instead; takes a restart", risk=cost(s, ladder)),
        )  # fmt: skip


def proxy_wait(s: Situation, ladder: Ladder) -> Iterator[Finding]:
    """tcp_accept_haproxy with a long tcp_wait_data."""
    proxy, wait = s.number("tcp_accept_haproxy"), s.number("tcp_wait_data")
    if isinstance(proxy, Absent) or isinstance(wait, Absent) or not proxy or wait <= LONG_WAIT_MS:
        return
    yield finding(
        BY_CODE["CFG003"],
        f"tcp_accept_haproxy=yes and tcp_wait_data={wait} ms: each client that sends nothing stops all TCP so long",
        "kamcmd cfg.get tcp wait_data_ms",
        Cure("a shorter wait, at once", "kamcmd cfg.set_now_int tcp wait_data_ms 100", "a slow proxy may miss it"),
        Cure("tcp_wait_data=100 in the configuration"),
    )  # fmt: skip


def threads_uncounted(s: Situation, ladder: Ladder) -> Iterator[Finding]:
    """tcp_main_threads=1 and a target within 2 x processes of tcp_max_connections."""
    threads, limit = s.number("tcp_main_threads"), s.number("tcp_max_connections")
    if isinstance(threads, Absent) or threads != 1 or isinstance(limit, Absent):
        return
    opened = 0 if isinstance(s.opened, Absent) else s.opened
    spare = 2 * s.require().process_count
    held = max(opened, s.target.connections or 0)
    if held > limit - spare:
        yield finding(
            BY_CODE["CFG004"],
            f"{held:,} connections are within {spare} of tcp_max_connections={limit:,} with tcp_main_threads=1",
            line_for("descriptor-table", s),
            Cure("stay below the end of the table", f"kamcmd cfg.set_now_int tcp max_connections {max(1, limit - spare)}"),
            Cure(f"tcp_max_connections={held + spare + 100}; takes a restart", risk=cost(s, ladder)),
        )  # fmt: skip


def little_memory_above_guard(s: Situation, ladder: Ladder) -> Iterator[Finding]:
    """Free shared memory below twice the TLS guard, where TLS is spoken."""
    instance = s.require()
    if (
        isinstance(instance.shared_memory, Absent)
        or isinstance(instance.tls_ports, Absent)
        or not instance.tls_ports
    ):
        return
    found = s.number("tls.low_mem_threshold1")
    threshold = found if isinstance(found, int) and found >= 0 else 512 * 1024 * instance.process_count
    free = instance.shared_memory.free
    if free < 2 * threshold:
        yield finding(
            BY_CODE["TLS002"],
            f"{free:,} bytes of shared memory free, low_mem_threshold1 is {threshold:,}: below that no TLS connection is taken",
            line_for("tls-memory-guard", s),
            no_cure("shared memory can't grow while Kamailio runs"),
            Cure(f"-m {2 * instance.shared_memory.total >> 20}; takes a restart", risk=cost(s, ladder)),
        )  # fmt: skip


def message_timeout_zero(s: Situation, ladder: Ladder) -> Iterator[Finding]:
    """tcp_msg_data_timeout=0 with the check timer on."""
    data, timer = s.number("tcp_msg_data_timeout"), s.number("tcp_check_timer")
    if isinstance(data, Absent) or data != 0 or (not isinstance(timer, Absent) and timer == 0):
        return
    yield finding(
        BY_CODE["CFG005"],
        "tcp_msg_data_timeout=0 closes connections that have sent nothing yet at the next tick",
        f"grep -n tcp_msg_data_timeout {quoted(s.require().config_path)}",
        no_cure("not settable at run time"),
        Cure("tcp_check_timer=0 switches the check off; takes a restart", risk=cost(s, ladder)),
    )  # fmt: skip


def poll_select(s: Situation, ladder: Ladder) -> Iterator[Finding]:
    """tcp_poll_method=select."""
    found = s.parameter("tcp_poll_method")
    if isinstance(found, Absent) or str(found.value) != "select":
        return
    yield finding(
        BY_CODE["CFG006"],
        f"tcp_poll_method=select ({found.where}): descriptor numbers above 1023 break it",
        f"tr '\\0' ' ' </proc/{s.require().attendant}/cmdline; grep -n poll_method {quoted(s.require().config_path)}",
        no_cure("chosen at start"),
        Cure("leave it out: Linux gets epoll_lt; takes a restart", risk=cost(s, ladder)),
    )  # fmt: skip


def tw_recycle(s: Situation, ladder: Ladder) -> Iterator[Finding]:
    """tcp_tw_recycle switched on, where the kernel still has it, or written in a file that is read at boot."""
    live = s.sysctl("net.ipv4.tcp_tw_recycle")
    files = [name for name in s.machine.sysctl_files if "tcp_tw_recycle" in s.machine.sysctl_files[name]]
    if not files and (isinstance(live, Absent) or live == 0):
        return
    on = isinstance(live, int) and live != 0
    where = ", ".join(sorted(files))
    yield finding(
        BY_CODE["SYS001"],
        "tcp_tw_recycle is on: clients behind NAT are dropped" if on else
        f"tcp_tw_recycle in {where}: this kernel has no such setting, and sysctl reports an error for it",
        "sysctl net.ipv4.tcp_tw_recycle; grep -rn tcp_tw_recycle /etc/sysctl.conf /etc/sysctl.d",
        Cure("off, at once", "sysctl -w net.ipv4.tcp_tw_recycle=0") if on else no_cure("nothing is in force"),
        Cure(f"remove the line from {where or 'the file that sets it'}"),
    )  # fmt: skip


RULES = (
    per_source_scan,
    proxy_wait,
    threads_uncounted,
    little_memory_above_guard,
    message_timeout_zero,
    poll_select,
    tw_recycle,
)
