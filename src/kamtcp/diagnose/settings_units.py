"""systemd's limits on open files: lines that undo each other, that the kernel cuts, that are not in force."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.cures import lasting_descriptors
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.lines import keep, line_of, numbers, quoted, see, set_now
from kamtcp.diagnose.places import lines_of
from kamtcp.diagnose.prlimit import CAP_SYS_RESOURCE, raise_descriptors
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.diagnose.see import line_for
from kamtcp.model.absent import Absent, Limit, Unlimited, Why
from kamtcp.model.instance import Unit

NR_OPEN = "fs.nr_open"
CAP_SYS_ADMIN = 21


def _shown(limit: Limit) -> str:
    return f"{limit:,}" if isinstance(limit, int) else str(limit)


def _show(unit: Unit) -> str:
    return f"systemctl show {quoted(unit.name)} -p LimitNOFILE -p LimitNOFILESoft; systemctl cat {quoted(unit.name)}"


def nr_open_below(s: Situation, ladder: Ladder) -> Said:
    """LimitNOFILE above what the kernel lets anybody set."""
    unit, highest = s.require().unit, s.sysctl(NR_OPEN)
    if isinstance(unit, Absent) or isinstance(highest, Absent):
        yield from lacking(unit, highest)
        return
    most = max((each for each in (unit.nofile_soft, unit.nofile_hard) if isinstance(each, int)), default=0)
    line = line_of(s, NR_OPEN)
    filed = numbers(line.value)[:1] if line is not None and line.value is not None else ()
    then = bool(filed) and filed[0] < most <= highest
    if most <= highest and not then:
        return
    which = f"{NR_OPEN}={filed[0]:,} of the next boot" if then else f"{NR_OPEN}={highest:,}"
    yield finding(
        BY_CODE["FDS009"],
        f"{unit.where} sets LimitNOFILE to {most:,}, and {which}{f' ({line.where})' if line else ''} is as far as any"
        " limit can be raised: the unit gets less than it says, without a word",
        f"{see(s, NR_OPEN, line)}; {_show(unit)}",
        no_cure("it is not in force now")
        if then
        else set_now(s, NR_OPEN, str(most), "none known; the unit has it from its next start on"),
        keep(s, NR_OPEN, str(most), line),
        places=(unit.where, *((line.where,) if line else ())),
    )  # fmt: skip


def limit_overridden(s: Situation, ladder: Ladder) -> Said:
    """Several lines LimitNOFILE: which one counts."""
    unit = s.require().unit
    if isinstance(unit, Absent):
        yield unit
        return
    lines = unit.nofile_lines
    if len({value for _, value in lines}) < 2:
        return
    yield finding(
        BY_CODE["FDS020"],
        f"LimitNOFILE of {unit.name} is set {len(lines)} times; applied in this order, the last one counts: "
        + ", ".join(f"{where} ({value or 'back to the default'})" for where, value in lines)
        + " (drop-ins go by file name, whatever the directory)",
        _show(unit), no_cure("the last line is in force, or will be at the next start"),
        Cure(f"one line; the one that counts is {lines[-1][0]}"), places=tuple(where for where, _ in lines),
    )  # fmt: skip


def limit_not_live(s: Situation, ladder: Ladder) -> Said:
    """The unit says more than the running process has, or another hard limit."""
    unit, main, highest = s.require().unit, s.tcp_main, s.sysctl(NR_OPEN)
    if isinstance(unit, Absent) or isinstance(main, Absent):
        yield from lacking(unit, main)
        return
    soft, hard = unit.nofile_soft, unit.nofile_hard
    if isinstance(soft, Absent) or isinstance(hard, Absent):
        yield from lacking(soft, hard)
        return
    if isinstance(main.nofile_soft, Absent) or isinstance(main.nofile_hard, Absent):
        yield from lacking(main.nofile_soft, main.nofile_hard)
        return
    if isinstance(highest, Absent):
        yield highest
        return
    lower = _number(main.nofile_soft) < min(
        _number(soft), highest
    )  # a higher one open_files_limit or prlimit made
    other = min(_number(main.nofile_hard), highest) != min(_number(hard), highest)
    if not lower and not other:
        return
    need = soft if isinstance(soft, int) else highest
    yield finding(
        BY_CODE["FDS021"],
        f"{unit.where} sets LimitNOFILE={_shown(soft)}:{_shown(hard)}, in force in tcp main (pid {main.pid}) is"
        f" {_shown(main.nofile_soft)}:{_shown(main.nofile_hard)}: the line was written after the start, or systemd has not read it",
        f"grep 'open files' /proc/{main.pid}/limits; {_show(unit)}",
        raise_descriptors(s, need) if lower else no_cure("more is in force than the line says"),
        Cure(f"systemctl daemon-reload, then a restart of {unit.name} when connections are few", "systemctl daemon-reload", cost(s, ladder)),
        places=(unit.where,),
    )  # fmt: skip


def _number(limit: int | Unlimited) -> int:
    return limit if isinstance(limit, int) else 1 << 63


def without_effect(s: Situation, ladder: Ladder) -> Said:
    """open_files_limit below the soft limit that is there already: Kamailio only raises."""
    wanted, main = s.number("open_files_limit"), s.tcp_main
    if isinstance(wanted, Absent) or isinstance(main, Absent) or isinstance(main.nofile_soft, Absent):
        yield from lacking(wanted, main, None if isinstance(main, Absent) else main.nofile_soft)
        return
    if wanted <= 0 or wanted >= _number(main.nofile_soft):
        return
    unit = s.require().unit
    by = unit.where if not isinstance(unit, Absent) and unit.where else "whatever started it"
    yield finding(
        BY_CODE["FDS022"],
        f"open_files_limit={wanted:,} ({s.require().parameters['open_files_limit'].where}) has no effect: {_shown(main.nofile_soft)}"
        f" is in force from {by}, and Kamailio only raises the limit",
        line_for("tcp-main-descriptors", s), no_cure("nothing is wrong: the higher one is in force"),
        Cure("one of the two lines; LimitNOFILE is the one that also holds before kamailio.cfg is read"),
        places=lines_of(s, "open_files_limit"),
    )  # fmt: skip


def default_not_for_unit(s: Situation, ladder: Ladder) -> Said:
    """DefaultLimitNOFILE set, and the unit goes its own way."""
    unit, lines = s.require().unit, s.machine.boot_files.manager
    yield from [each for each in s.machine.boot_files.problems if "system.conf" in each.source][:1]
    if not lines:
        return
    if isinstance(unit, Absent):
        yield unit
        return
    last = lines[-1]
    soft, hard = unit.nofile_soft, unit.nofile_hard
    if isinstance(soft, Absent) or isinstance(hard, Absent) or (soft, hard) == (last.soft, last.hard):
        return
    yield finding(
        BY_CODE["FDS023"],
        f"{last.where} sets DefaultLimitNOFILE={_shown(last.soft)}:{_shown(last.hard)}, which doesn't reach {unit.name}: it sets"
        f" {_shown(soft)}:{_shown(hard)} itself ({unit.where})",
        f"systemctl show -p DefaultLimitNOFILE; {_show(unit)}", no_cure("nothing is wrong as long as the unit's limit is enough"),
        Cure("none needed; change the unit's line, not the default, for Kamailio"), places=(last.where, unit.where),
    )  # fmt: skip


def in_flight(s: Situation, ladder: Ladder) -> Said:
    """Several Kamailios of one user: what is on its way to the workers of all is held against the limit of each."""
    main, each, elsewhere = s.tcp_main, s.machine.handoff_messages, s.require().in_flight_elsewhere
    if (
        isinstance(main, Absent)
        or isinstance(main.nofile_soft, Absent)
        or isinstance(main.capabilities, Absent)
    ):
        yield from lacking(main)
        if not isinstance(main, Absent):
            yield from lacking(main.nofile_soft, main.capabilities)
        return
    if isinstance(each, Absent) or isinstance(elsewhere, Absent):
        yield from (fact for fact in lacking(each, elsewhere) if fact.why is not Why.NOT_ASKED)
        return
    free = main.capabilities >> CAP_SYS_RESOURCE & 1 or main.capabilities >> CAP_SYS_ADMIN & 1
    soft = _number(main.nofile_soft)
    own = min(len(s.workers) * each, soft)
    if free or own + elsewhere <= soft:
        return
    need = own + elsewhere + 64
    yield finding(
        BY_CODE["FDS024"],
        f"in a burst up to {own:,} descriptors are on their way to its {len(s.workers)} workers and up to {elsewhere:,} to those of"
        f" other Kamailios of the same user; the kernel lets that user have {_shown(main.nofile_soft)} in flight (RLIMIT_NOFILE of tcp"
        f" main, pid {main.pid}): beyond it a connection isn't queued but closed (ETOOMANYREFS)",
        f"grep 'open files' /proc/{main.pid}/limits; {line_for('hand-off', s)}; ps -u $(stat -c %u /proc/{main.pid}) -o pid,args",
        raise_descriptors(s, need), lasting_descriptors(need, s, ladder),
    )  # fmt: skip


RULES = (
    Rule(("FDS009",), nr_open_below),
    Rule(("FDS020",), limit_overridden),
    Rule(("FDS021",), limit_not_live),
    Rule(("FDS022",), without_effect),
    Rule(("FDS023",), default_not_for_unit),
    Rule(("FDS024",), in_flight),
)
