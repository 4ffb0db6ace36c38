"""Kamailio parameters that contradict each other, or what it is wanted to hold."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.cures import of as cures_of
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.places import lines_of
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.diagnose.see import kamcmd, line_for, quoted
from kamtcp.model.absent import Absent

#: a message on TCP is below 64 KB wherever it also has to fit a UDP datagram
LARGE_READ_BUFFER = 65_536
AT_START = "listeners are opened and modules loaded at start"


def _config(s: Situation) -> str:
    return s.require().config_path or "kamailio.cfg"


def target_without_tls(s: Situation, ladder: Ladder) -> Said:
    """TLS is wanted, and nothing here speaks it."""
    instance, wanted = s.require(), s.target.tls + s.target.wss
    if not wanted or not s.target_stated:
        return
    if isinstance(instance.modules, Absent) or isinstance(instance.tls_ports, Absent):
        yield from lacking(instance.modules, instance.tls_ports)
        return
    module = "tls" in instance.modules
    if module and instance.tls_ports:
        return
    why = (
        "no listener of this Kamailio speaks TLS" if module else "this Kamailio has not loaded the tls module"
    )
    yield finding(
        BY_CODE["TLS003"],
        f"the target asks {wanted:,} TLS connections, and {why}: none of them can be made",
        f"{kamcmd(s)} core.sockets_list; {kamcmd(s)} core.modules; grep -nE 'enable_tls|listen' {quoted(_config(s))}",
        no_cure(AT_START),
        Cure(f"enable_tls=yes, listen=tls:ADDRESS:5061 and the tls module in {_config(s)}, or a target without TLS if"
             " something in front of it takes TLS off; takes a restart", risk=cost(s, ladder)),
    )  # fmt: skip


def tls_above_tcp(s: Situation, ladder: Ladder) -> Said:
    """tls_max_connections promises more than all connections together may be."""
    tcp, tls, filed = (
        s.number("tcp_max_connections"),
        s.number("tls_max_connections"),
        s.parameter("tls_max_connections_file"),
    )
    ports = s.require().tls_ports
    if isinstance(tcp, Absent) or isinstance(tls, Absent) or isinstance(ports, Absent):
        yield from lacking(tcp, tls, ports)
        return
    by_default = not isinstance(filed, Absent) and filed.where == "compiled default"
    if not ports or tls <= tcp or by_default:
        return
    yield finding(
        BY_CODE["CFG027"],
        f"tls_max_connections={tls:,} is above tcp_max_connections={tcp:,}, which counts TLS too: the smaller one is met first",
        f"{kamcmd(s)} core.tcp_info",
        no_cure("both are bounded by what they were at start"),
        Cure(f"tcp_max_connections={tls} or more in {_config(s)}, with descriptors and memory for it; takes a restart", risk=cost(s, ladder)),
        places=lines_of(s, "tls_max_connections", "tcp_max_connections"),
    )  # fmt: skip


def unique_leaks(s: Situation, ladder: Ladder) -> Said:
    """tcp_accept_unique=1: a refused duplicate stays counted."""
    found = s.number("tcp_accept_unique")
    if isinstance(found, Absent) or not found:
        yield from lacking(found)
        return
    yield finding(
        BY_CODE["CFG026"],
        f"tcp_accept_unique={found} ({s.require().parameters['tcp_accept_unique'].where}): a duplicate that is refused stays in the"
        " count of open connections, so that tcp_max_connections is met with ever fewer of them (all versions up to 6.1.4)",
        f"{kamcmd(s)} core.tcp_info; ls /proc/{s.tcp_main.pid if not isinstance(s.tcp_main, Absent) else 'PID'}/fd | wc -l",
        no_cure("not settable at run time"),
        Cure(f"tcp_accept_unique=0 in {_config(s)}; takes a restart, which also puts the count right", risk=cost(s, ladder)),
        places=lines_of(s, "tcp_accept_unique"),
    )  # fmt: skip


def memory_below_promise(s: Situation, ladder: Ladder) -> Said:
    """Without a target, tcp_max_connections is the promise: shared memory must hold it."""
    if s.target_stated and s.target.connections:
        return  # judged by the target
    limit = s.number("tcp_max_connections")
    ceilings = [each for each in ladder.held if each.name in ("shared-memory", "tls-memory-guard")]
    if isinstance(limit, Absent):
        yield limit
        return
    yield from lacking(*(each.limit for each in ceilings))
    short = [each for each in ceilings if isinstance(each.limit, int) and each.limit < limit]
    if not short:
        return
    first = min(short, key=lambda each: each.limit if isinstance(each.limit, int) else 0)
    from msgspec.structs import replace

    now, good = cures_of(replace(first, goal=limit), s, ladder)
    yield finding(
        BY_CODE["MEM008"],
        f"tcp_max_connections={limit:,}, and shared memory holds {first.limit:,}: {first.working}; the rest is accepted and closed",
        line_for(first.name, s), now, good,
        places=lines_of(s, "tcp_max_connections"),
    )  # fmt: skip


def read_buffer_large(s: Situation, ladder: Ladder) -> Said:
    """A read buffer that costs each connection more than its message ever will."""
    size = s.number("tcp_rd_buf_size")
    if isinstance(size, Absent) or size <= LARGE_READ_BUFFER:
        yield from lacking(size)
        return
    where = s.require().parameters["tcp_rd_buf_size"].where
    yield finding(
        BY_CODE["MEM009"],
        f"tcp_rd_buf_size={size:,} ({where}) is allocated whole and in one piece for every connection: 10,000 take"
        f" {size * 10_000 / 1e9:.1f} GB, and beside TLS's small pieces such large ones are not found while much memory is free"
        " (github.com/kamailio/kamailio/issues/2942)",
        f"{kamcmd(s)} cfg.get tcp rd_buf_size; {kamcmd(s)} shm.stats",
        Cure("16,384 for new connections", f"{kamcmd(s)} cfg.set_now_int tcp rd_buf_size 16384",
             "a SIP message above 16,384 bytes closes its connection; ends with the next restart"),
        Cure(f"tcp_rd_buf_size=16384 in {_config(s)}, or what the largest message takes"),
        places=lines_of(s, "tcp_rd_buf_size"),
    )  # fmt: skip


def keepalive_forced(s: Situation, ladder: Ladder) -> Said:
    """tcp_keepalive=no beside a time of keepalive, which switches it on."""
    off, times = s.parameter("tcp_keepalive_file"), ("tcp_keepidle", "tcp_keepintvl", "tcp_keepcnt")
    if isinstance(off, Absent) or off.value != 0:
        yield from lacking(off)
        return
    filed = [(name, s.require().parameters.get(f"{name}_file")) for name in times]
    on = [
        (name, each)
        for name, each in filed
        if each is not None and isinstance(each.value, int) and each.value > 0
    ]
    if on:
        name, each = on[0]
        yield finding(
            BY_CODE["CFG031"],
            f"{off.where} sets tcp_keepalive=no, which has no effect: {name}={each.value} ({each.where}) switches it on",
            f"{kamcmd(s)} cfg.get tcp keepalive; ss -tno state established | head",
            no_cure("keepalive is on, which is well"), Cure("one of the two lines, whichever is meant"),
            places=(off.where,),
        )  # fmt: skip


def defer_accept(s: Situation, ladder: Ladder) -> Said:
    """tcp_defer_accept: silent clients wait as half-open connections."""
    seconds = s.number("tcp_defer_accept")
    if isinstance(seconds, Absent) or seconds <= 0:
        yield from lacking(seconds)
        return
    yield finding(
        BY_CODE["ACC007"],
        f"tcp_defer_accept={seconds} ({s.require().parameters['tcp_defer_accept'].where}): a client that connects and is"
        " silent for now (a spare connection, a health check) stays half-open in the SYN queue, which is as short as the backlog,"
        " and takes the place of clients that speak",
        f"{kamcmd(s)} cfg.get tcp defer_accept; ss -tn state syn-recv | wc -l; nstat -az TcpExtTCPDeferAcceptDrop",
        no_cure("configured on the listeners at start"),
        Cure(f"tcp_defer_accept=0 in {_config(s)}; takes a restart", risk=cost(s, ladder)),
        places=lines_of(s, "tcp_defer_accept"),
    )  # fmt: skip


RULES = (
    Rule(("CFG031",), keepalive_forced),
    Rule(("ACC007",), defer_accept),
    Rule(("TLS003",), target_without_tls),
    Rule(("CFG027",), tls_above_tcp),
    Rule(("CFG026",), unique_leaks),
    Rule(("MEM008",), memory_below_promise),
    Rule(("MEM009",), read_buffer_large),
)
