"""WebSocket: modules and parameters without which no handshake succeeds, or dead connections stay."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.places import lines_of
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.diagnose.see import kamcmd, quoted
from kamtcp.model.absent import Absent

#: KSR_TCPAP_WS: Kamailio src/core/tcp_conn.h
WS_BIT = 1 << 3


def _config(s: Situation) -> str:
    return s.require().config_path or "kamailio.cfg"


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
        no_cure("modules are loaded at start"),
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
        places=lines_of(s, "tcp_accept_no_cl"),
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
        places=lines_of(s, "tcp_accept_protocols"),
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
        places=lines_of(s, "websocket.keepalive_processes"),
    )  # fmt: skip


RULES = (
    Rule(("CFG030",), target_without_websocket),
    Rule(("CFG028",), websocket_without_no_cl),
    Rule(("CFG029",), protocols_without_websocket),
    Rule(("TIM020",), keepalive_processes),
)
