"""Kamailio parameters that contradict each other, or what it is wanted to hold."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.cures import of as cures_of
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.diagnose.see import kamcmd, line_for, quoted
from kamtcp.model.absent import Absent

#: KSR_TCPAP_WS: Kamailio src/core/tcp_conn.h
WS_BIT = 1 << 3
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


def target_without_websocket(s: Situation, ladder: Ladder) -> Said:
    """WebSockets are wanted, and the module isn't there."""
    instance, wanted = s.require(), s.target.ws + s.target.wss
    if not wanted or not s.target_stated:
        return
    if isinstance(instance.modules, Absent):
        yield instance.modules
        return
    if "websocket" in instance.modules:
        return
    yield finding(
        BY_CODE["CFG030"],
        f"the target asks {wanted:,} WebSockets, and this Kamailio has not loaded the websocket module: no handshake is answered",
        f"{kamcmd(s)} core.modules; grep -n websocket {quoted(_config(s))}",
        no_cure(AT_START),
        Cure(f"the modules xhttp and websocket, tcp_accept_no_cl=yes and event_route[xhttp:request] in {_config(s)}; takes a"
             " restart", risk=cost(s, ladder)),
    )  # fmt: skip


def websocket_without_no_cl(s: Situation, ladder: Ladder) -> Said:
    """An HTTP request of a handshake has no Content-Length, and is refused without tcp_accept_no_cl."""
    modules, accepted = s.require().modules, s.number("tcp_accept_no_cl")
    if isinstance(modules, Absent) or isinstance(accepted, Absent):
        yield from lacking(modules, accepted)
        return
    if "websocket" not in modules or accepted:
        return
    yield finding(
        BY_CODE["CFG028"],
        "the websocket module is loaded and tcp_accept_no_cl=no: a handshake has no Content-Length, so each is taken for a broken"
        " message and its connection closed",
        f"{kamcmd(s)} cfg.get tcp accept_no_cl; grep -n tcp_accept_no_cl {quoted(_config(s))}",
        Cure("accept it, at once", f"{kamcmd(s)} cfg.set_now_int tcp accept_no_cl 1", "none known; ends with the next restart"),
        Cure(f"tcp_accept_no_cl=yes in {_config(s)}"),
    )  # fmt: skip


def protocols_without_websocket(s: Situation, ladder: Ladder) -> Said:
    """tcp_accept_protocols leaves WebSocket out, and the module is loaded."""
    modules, found = s.require().modules, s.parameter("tcp_accept_protocols")
    if isinstance(modules, Absent) or isinstance(found, Absent):
        yield from lacking(modules, found)
        return
    if isinstance(found.value, int):
        allowed = bool(found.value & WS_BIT)
    else:
        allowed = (
            "ws" in str(found.value).replace(",", " ").replace(";", " ").lower().split()
            or found.value == "none"
        )
    if allowed or "websocket" not in modules:
        return
    yield finding(
        BY_CODE["CFG029"],
        f"tcp_accept_protocols={found.value} ({found.where}) leaves ws out, and the websocket module is loaded: its frames are refused",
        f"grep -n tcp_accept_prot {quoted(_config(s))}; {kamcmd(s)} core.modules",
        no_cure("not settable at run time"),
        Cure("ws and http among tcp_accept_protocols, or the line taken out (all but HEP and PROXY are allowed then); takes a"
             " restart", risk=cost(s, ladder)),
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
    )  # fmt: skip


def keepalive_processes(s: Situation, ladder: Ladder) -> Said:
    """More than one keepalive process of websocket: part of the connections is never asked."""
    modules, count = s.require().modules, s.number("websocket.keepalive_processes")
    if isinstance(modules, Absent) or isinstance(count, Absent):
        yield from lacking(modules, count)
        return
    if "websocket" not in modules or count <= 1 or s.number("websocket.keepalive_mechanism") == 0:
        return
    yield finding(
        BY_CODE["TIM020"],
        f"websocket's keepalive_processes={count} ({s.require().parameters['websocket.keepalive_processes'].where}): each process"
        f" stops after the first 1/{count} of the list, so that most WebSockets are never pinged and dead ones stay",
        f"grep -n keepalive_processes {quoted(_config(s))}; {kamcmd(s)} stats.fetchn websocket:",
        no_cure("not settable at run time"),
        Cure('modparam("websocket", "keepalive_processes", 1); takes a restart', risk=cost(s, ladder)),
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
    )  # fmt: skip


RULES = (
    Rule(("TLS003",), target_without_tls),
    Rule(("CFG030",), target_without_websocket),
    Rule(("CFG028",), websocket_without_no_cl),
    Rule(("CFG029",), protocols_without_websocket),
    Rule(("CFG027",), tls_above_tcp),
    Rule(("CFG026",), unique_leaks),
    Rule(("TIM020",), keepalive_processes),
    Rule(("MEM008",), memory_below_promise),
    Rule(("MEM009",), read_buffer_large),
)
