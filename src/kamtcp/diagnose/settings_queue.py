"""The accept queue: somaxconn and the backlog that Kamailio asks for move together, or not at all."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.kernel_defaults import default_of
from kamtcp.diagnose.lines import enter, keep, line_of, numbers, see, set_now
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.model.absent import Absent

SOMAXCONN = "net.core.somaxconn"
#: compiled in before 6.1: Kamailio src/core/tcp_main.c TCP_LISTEN_BACKLOG
BACKLOG = 1024


def _wanted(s: Situation) -> tuple[int, str] | Absent:
    found = s.parameter("tcp_listen_backlog")
    if isinstance(found, Absent):
        return found
    return (found.value, found.where) if isinstance(found.value, int) else (BACKLOG, found.where)


def below_backlog(s: Situation, ladder: Ladder) -> Said:
    """Somaxconn cuts what Kamailio asks for."""
    live, wanted = s.sysctl(SOMAXCONN), _wanted(s)
    if isinstance(live, Absent) or isinstance(wanted, Absent):
        yield from lacking(live, wanted)
        return
    backlog, where = wanted
    if live < backlog:
        line = line_of(s, SOMAXCONN)
        yield finding(
            BY_CODE["ACC001"],
            f"{SOMAXCONN}={live:,}{f' ({line.where})' if line else ''} cuts the backlog of {backlog:,} ({where}): bursts above"
            f" {live + 1:,} connections are dropped",
            f"{see(s, SOMAXCONN, line)}; {enter(s, SOMAXCONN)}ss -ltn",
            set_now(s, SOMAXCONN, str(max(4096, backlog)), "none known; open listeners keep their queue until a restart"),
            keep(s, SOMAXCONN, str(max(4096, backlog)), line),
            places=(line.where,) if line else (),
        )  # fmt: skip


def raised_alone(s: Situation, ladder: Ladder) -> Said:
    """Somaxconn raised above what Kamailio asks for."""
    live, wanted, line = s.sysctl(SOMAXCONN), _wanted(s), line_of(s, SOMAXCONN)
    if isinstance(wanted, Absent):
        yield wanted
        return
    filed = numbers(line.value)[:1] if line is not None and line.value is not None else ()
    values = [value for value in ((live,) if isinstance(live, int) else ()) + filed if value > wanted[0]]
    by_hand = line is not None or str(live) not in (default_of(SOMAXCONN, s) or ())
    if isinstance(live, Absent) and line is None:
        yield live
        return
    if not values or not by_hand:
        return
    backlog, where = wanted
    said = f"{line.where} sets {SOMAXCONN}={line.value}" if line is not None else f"{SOMAXCONN}={live}"
    yield finding(
        BY_CODE["ACC002"],
        f"{said}, but Kamailio asks for a backlog of {backlog:,} ({where}), and the smaller of the two counts",
        f"{see(s, SOMAXCONN, line)}; {enter(s, SOMAXCONN)}ss -ltn",
        no_cure("a listening socket keeps the backlog it was opened with"),
        Cure(
            "tcp_listen_backlog (6.1 and later) as high, then a restart; before 6.1 it is compiled in, and the line can go",
            risk=cost(s, ladder),
        ),
        places=(line.where,) if line else (),
    )  # fmt: skip


def opened_before(s: Situation, ladder: Ladder) -> Said:
    """Listeners whose queue is shorter than what they would get now."""
    live, wanted, listeners = s.sysctl(SOMAXCONN), _wanted(s), s.require().listeners
    if isinstance(live, Absent) or isinstance(wanted, Absent) or isinstance(listeners, Absent):
        yield from lacking(live, wanted, listeners)
        return
    now = min(live, wanted[0])
    short = [each for each in listeners if each.backlog < now]
    if short:
        ports = ", ".join(f"{each.address}:{each.port}" for each in short[:4])
        yield finding(
            BY_CODE["ACC003"],
            f"{ports} still {'have' if len(short) > 1 else 'has'} a backlog of {min(each.backlog for each in short):,}; opened now"
            f" it would be {now:,} = min({SOMAXCONN} {live:,}, {wanted[0]:,} ({wanted[1]}))",
            f"{enter(s, SOMAXCONN)}ss -ltn",
            no_cure("a listening socket keeps the backlog it was opened with"),
            Cure("restart Kamailio when connections are few", risk=cost(s, ladder)),
        )  # fmt: skip


RULES = (
    Rule(("ACC001",), below_backlog),
    Rule(("ACC002",), raised_alone),
    Rule(("ACC003",), opened_before),
)
