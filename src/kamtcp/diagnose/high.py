"""Rules that will hurt under the load this tool is for."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.places import lines_of, set_by
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.diagnose.see import kamcmd, line_for, quoted
from kamtcp.model.absent import Absent

CROWDED = 5000
LONG_WAIT_MS = 200


def per_source_scan(s: Situation, ladder: Ladder) -> Said:
    """More than 5,000 connections, held or wanted, with the per-source limit on."""
    limit = s.number("tcp_accept_iplimit")
    if isinstance(limit, Absent) or limit <= 0:
        yield from lacking(limit)
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


def proxy_wait(s: Situation, ladder: Ladder) -> Said:
    """tcp_accept_haproxy with a long tcp_wait_data."""
    proxy, wait = s.number("tcp_accept_haproxy"), s.number("tcp_wait_data")
    if proxy == 0:
        return
    if isinstance(proxy, Absent) or isinstance(wait, Absent) or wait <= LONG_WAIT_MS:
        yield from lacking(proxy, wait)
        return
    yield finding(
        BY_CODE["CFG003"],
        f"tcp_accept_haproxy=yes and tcp_wait_data={wait} ms: each client that sends nothing stops all TCP so long",
        f"{kamcmd(s)} cfg.get tcp wait_data_ms",
        Cure("a shorter wait, at once", f"{kamcmd(s)} cfg.set_now_int tcp wait_data_ms 100", "a slow proxy may miss it"),
        Cure("tcp_wait_data=100 in the configuration"),
    )  # fmt: skip


def threads_uncounted(s: Situation, ladder: Ladder) -> Said:
    """tcp_main_threads=1 and a target within 2 x processes of tcp_max_connections."""
    threads, limit = s.number("tcp_main_threads"), s.number("tcp_max_connections")
    if isinstance(threads, Absent) or threads != 1 or isinstance(limit, Absent):
        yield from lacking(threads, limit if threads == 1 else None)
        return
    opened = 0 if isinstance(s.opened, Absent) else s.opened
    spare = 2 * s.require().process_count
    held = max(opened, s.target.connections or 0)
    if held > limit - spare:
        yield finding(
            BY_CODE["CFG004"],
            f"{held:,} connections are within {spare} of tcp_max_connections={limit:,} with tcp_main_threads=1",
            line_for("descriptor-table", s),
            Cure("stay below the end of the table", f"{kamcmd(s)} cfg.set_now_int tcp max_connections {max(1, limit - spare)}"),
            Cure(f"tcp_max_connections={held + spare + 100}; takes a restart", risk=cost(s, ladder)),
        )  # fmt: skip


def little_memory_above_guard(s: Situation, ladder: Ladder) -> Said:
    """Free shared memory below twice the TLS guard, where TLS is spoken."""
    instance = s.require()
    if (
        isinstance(instance.shared_memory, Absent)
        or isinstance(instance.tls_ports, Absent)
        or not instance.tls_ports
    ):
        yield from lacking(instance.tls_ports, instance.shared_memory if instance.tls_ports else None)
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


def message_timeout_zero(s: Situation, ladder: Ladder) -> Said:
    """tcp_msg_data_timeout=0 with the check timer on."""
    data, timer = s.number("tcp_msg_data_timeout"), s.number("tcp_check_timer")
    if isinstance(data, Absent) or data != 0 or (not isinstance(timer, Absent) and timer == 0):
        yield from lacking(data)
        return
    yield finding(
        BY_CODE["CFG005"],
        f"tcp_msg_data_timeout=0 ({set_by(s, 'tcp_msg_data_timeout') or 'RPC'}) closes connections that have sent nothing yet at the next tick",
        f"grep -n tcp_msg_data_timeout {quoted(s.require().config_path)}",
        no_cure("not settable at run time"),
        Cure("tcp_check_timer=0 switches the check off; takes a restart", risk=cost(s, ladder)),
        places=lines_of(s, "tcp_msg_data_timeout"),
    )  # fmt: skip


def poll_select(s: Situation, ladder: Ladder) -> Said:
    """tcp_poll_method=select."""
    found = s.parameter("tcp_poll_method")
    if isinstance(found, Absent) or str(found.value) != "select":
        yield from lacking(found)
        return
    yield finding(
        BY_CODE["CFG006"],
        f"tcp_poll_method=select ({found.where}): descriptor numbers above 1023 break it",
        f"tr '\\0' ' ' </proc/{s.require().attendant}/cmdline; grep -n poll_method {quoted(s.require().config_path)}",
        no_cure("chosen at start"),
        Cure("leave it out: Linux gets epoll_lt; takes a restart", risk=cost(s, ladder)),
        places=lines_of(s, "tcp_poll_method"),
    )  # fmt: skip


RULES = (
    Rule(("CFG002",), per_source_scan),
    Rule(("CFG003",), proxy_wait),
    Rule(("CFG004",), threads_uncounted),
    Rule(("TLS002",), little_memory_above_guard),
    Rule(("CFG005",), message_timeout_zero),
    Rule(("CFG006",), poll_select),
)
