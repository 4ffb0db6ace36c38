"""Timers that don't fit each other: phones that can't be reached until they speak up, dead ones that stay counted."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.outcomes import CUT, DEAD, Outcome, lifetime, packets
from kamtcp.capacity.situation import Situation
from kamtcp.capacity.timer import KAMAILIO, named
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.lines import line_of, see, set_now
from kamtcp.diagnose.places import change, lines_of
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said
from kamtcp.diagnose.see import kamcmd
from kamtcp.model.absent import Absent, Why

TWO_HOURS = 7200
ESTABLISHED = "net.netfilter.nf_conntrack_tcp_timeout_established"
_STATE = "ss -tnoi state established | head"


def _of(ladder: Ladder, case: str) -> tuple[Outcome, ...]:
    return tuple(each for each in ladder.outcomes if each.case == case)


def forgets_first(s: Situation, ladder: Ladder) -> Said:
    """A declared idle timeout shorter than every packet of an idle connection, and than its lifetime."""
    if not s.target.middle:
        return
    cut = []
    for each in _of(ladder, CUT):
        if isinstance(each.seconds, Absent) and each.seconds.source != "registration_seconds":
            yield each.seconds
        elif each.who in s.target.middle:
            cut.append(each)
    if not cut:
        return
    name = cut[0].who
    seconds = s.target.middle[name]
    until = f"up to {cut[0].latest:,.0f} s, " if cut[0].latest else ""
    note = "" if s.target.registration_seconds else " (registration_seconds is not in the target)"
    yield finding(
        BY_CODE["TIM005"],
        f"{name} forgets a connection after {seconds:,} s without a packet, and nothing sends one or closes it sooner:"
        f" idle phones on {', '.join(each.transport for each in cut)} are registered but unreachable {until}until they"
        f" register again{note}",
        _STATE,
        no_cure("listeners are configured once, at start"),
        Cure(f"tcp_keepidle={max(1, seconds // 2)} {change(s, 'tcp_keepidle_file')}; takes a restart", risk=cost(s, ladder)),
        places=lines_of(s, "tcp_keepidle_file"),
    )  # fmt: skip


def closed_before_registration(s: Situation, ladder: Ladder) -> Said:
    """A lifetime shorter than what phones register for, and no ping in between."""
    wanted = s.target.registration_seconds
    if not wanted:
        return
    cut = []
    for each in _of(ladder, CUT):
        if isinstance(each.seconds, Absent):
            yield each.seconds
        elif each.who == KAMAILIO and each.latest:
            cut.append(each)
    if not cut:
        return
    secure = all(each.transport in ("TLS", "WSS") for each in cut)
    name = "tls.connection_timeout" if secure else "tcp_connection_lifetime"
    value = s.number(name)
    rpc = "tls connection_timeout" if secure else "tcp connection_lifetime"
    yield finding(
        BY_CODE["TIM006"],
        f"{name}={value}, and phones register for {wanted:,} s without a ping in between: Kamailio closes idle ones on"
        f" {', '.join(each.transport for each in cut)}, and one that doesn't connect again by itself can't be reached"
        f" for up to {max(each.latest or 0 for each in cut):,.0f} s",
        f"{kamcmd(s)} {'tls.options' if secure else 'core.tcp_options'}",
        Cure("a longer lifetime, for connections from their next message on",
             f"{kamcmd(s)} cfg.set_now_int {rpc} {wanted + 5}", "gone at the next restart; dead phones stay counted longer"),
        Cure(f"{name}={wanted + 5} {change(s, name)}; takes a restart", risk=cost(s, ladder)),
        places=lines_of(s, name),
    )  # fmt: skip


def dead_stay_counted(s: Situation, ladder: Ladder) -> Said:
    """Keepalive off, and a lifetime of hours."""
    probe = named(ladder.timers, "tcp-keepalive")
    if isinstance(probe.seconds, Absent):
        yield probe.seconds
        return
    if probe.seconds is not None:
        return
    long = []
    for each in _of(ladder, DEAD):
        if isinstance(each.seconds, Absent) and (each.latest is None or each.latest > TWO_HOURS):
            yield each.seconds
        elif not isinstance(each.seconds, Absent) and (each.latest is None or each.latest > TWO_HOURS):
            long.append(each)
    if not long:
        return
    last = long[0].latest
    until = "for ever" if last is None else f"for {last / 3600:.1f} hours"
    yield finding(
        BY_CODE["TIM007"],
        f"connections are not probed ({probe.working}): a phone on {', '.join(each.transport for each in long)} that vanished"
        f" is counted {until}",
        _STATE,
        no_cure("listeners are configured once, at start"),
        Cure(f"tcp_keepalive=yes with tcp_keepidle=600, tcp_keepintvl=30, tcp_keepcnt=4 {change(s, 'tcp_keepalive_file')};"
             " takes a restart", risk=cost(s, ladder)),
        places=lines_of(s, "tcp_keepalive_file"),
    )  # fmt: skip


def conntrack_forgets_first(s: Situation, ladder: Ladder) -> Said:
    """Connection tracking that takes nothing up again, with a timeout that idle connections outlive."""
    timer, loose = named(ladder.timers, "conntrack"), s.sysctl("net.netfilter.nf_conntrack_tcp_loose")
    if isinstance(timer.seconds, Absent):
        yield timer.seconds
        return
    if timer.seconds is None or loose == 1:
        return
    if isinstance(loose, Absent):
        if loose.why is not Why.MISSING:
            yield loose
        return
    cut = []
    for transport in dict.fromkeys(each.transport for each in ladder.outcomes):
        sooner = (lifetime(transport, ladder.timers), *packets(transport, ladder.timers))
        if all(each.end is None or each.end > timer.seconds for each in sooner):
            cut.append(transport)
            yield from (each.seconds for each in sooner if isinstance(each.seconds, Absent))
    if cut:
        line = line_of(s, ESTABLISHED)
        yield finding(
            BY_CODE["TIM009"],
            f"this host's firewall forgets a connection after {timer.seconds:,.0f} s without a packet, and with"
            f" nf_conntrack_tcp_loose=0 it takes none up again: idle phones on {', '.join(cut)} can't be reached then",
            see(s, ESTABLISHED, line),
            set_now(s, "net.netfilter.nf_conntrack_tcp_loose", "1", "packets in the midst of a connection make an entry"),
            Cure(f"{ESTABLISHED} above the lifetime of connections, in /etc/sysctl.d"),
            places=(line.where,) if line else (),
        )  # fmt: skip


RULES = (
    Rule(("TIM005",), forgets_first),
    Rule(("TIM006",), closed_before_registration),
    Rule(("TIM007",), dead_stay_counted),
    Rule(("TIM009",), conntrack_forgets_first),
)
