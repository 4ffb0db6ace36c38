"""Local ports, seen from what Kamailio opens: a range that nothing needs, an address that shares it among all destinations."""

from __future__ import annotations

from kamtcp.capacity.held_network import port_range
from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE, Severity
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.kernel_defaults import default_of
from kamtcp.diagnose.lines import Wrong, judged, see
from kamtcp.diagnose.places import lines_of
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.diagnose.see import quoted
from kamtcp.model.absent import Absent

RANGE = "net.ipv4.ip_local_port_range"
SOURCES = ("tcp_source_ipv4", "tcp_source_ipv6")


def _needless(found: tuple[int, ...], s: Situation) -> bool | Absent:
    usual = default_of(RANGE, s) or ()
    if len(found) != 2 or any(found == tuple(map(int, each.split())) for each in usual):
        return False
    if s.target.outbound or s.target.outbound_rate:
        return False
    return s.namespace.outbound if isinstance(s.namespace.outbound, Absent) else not s.namespace.outbound


NEEDLESS = Wrong(
    "SYS039", RANGE, _needless,
    lambda _f, _s: "only connections that this host opens take a port of it, and there are none: phones that connect need no local"
    " port, one listening port takes them all",
    lambda _s: "", only_files=True,
)  # fmt: skip


def needless(s: Situation, ladder: Ladder) -> Said:
    """A range that was set, where nothing connects out."""
    return judged(s, NEEDLESS)


def shared_source(s: Situation, ladder: Ladder) -> Said:
    """An outbound source address: bind() takes each port once, whatever the destination."""
    sources = [s.require().parameters[name] for name in SOURCES if name in s.require().parameters]
    if not sources:
        yield from lacking(*(fact for fact in map(s.parameter, SOURCES)))
        return
    found, outbound = port_range(s), s.namespace.outbound
    if isinstance(found, Absent) or isinstance(outbound, Absent):
        yield from lacking(found, outbound)
        return
    wanted = max(sum(s.target.outbound.values()), sum(each.connections for each in outbound))
    if not wanted:
        return
    short = wanted > found.ports
    yield finding(
        BY_CODE["SYS040"],
        f"{sources[0].where} sets an address to connect from, and Kamailio binds to it before it connects: each port then serves one"
        f" connection in all, not one for each destination: {found.ports:,} for all of them together, {wanted:,} are"
        f" {'wanted' if short else 'in sight'}",
        f"{see(s, RANGE)}; grep -n tcp_source {quoted(s.require().config_path or 'kamailio.cfg')}",
        no_cure("the address is chosen at start"),
        Cure("without tcp_source_ipv4 where routes choose the address as well (ip route … src ADDRESS); takes a restart", risk=cost(s, ladder)),
        severity=Severity.HIGH if short else None,
        places=lines_of(s, *SOURCES),
    )  # fmt: skip


RULES = (
    Rule(("SYS039",), needless, needs_instance=False),
    Rule(("SYS040",), shared_source),
)
