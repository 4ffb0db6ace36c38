"""What was solved -> ordered steps, each with its reason, when it counts, what it costs, its risk and its undo."""

from __future__ import annotations

import re
from enum import Enum

from msgspec import Struct

from kamtcp.capacity.needs import MIB
from kamtcp.capacity.situation import Situation
from kamtcp.catalogue.entry import Effect, Entry
from kamtcp.catalogue.load import entries
from kamtcp.diagnose import restart
from kamtcp.diagnose.lines import LAST_FILE, OWN_FILE, at_home, enter, line_of, numbers, per_namespace, quoted
from kamtcp.diagnose.places import set_by
from kamtcp.diagnose.prlimit import raise_descriptors
from kamtcp.model.absent import Absent
from kamtcp.model.instance import Unit
from kamtcp.plan.solve import Change, Solution

FRAGMENT = "/etc/kamailio/kamtcp.cfg"
DEFAULTS = "/etc/default/kamailio"
_VARIABLES = {"-m": "SHM_MEMORY", "-M": "PKG_MEMORY"}
_UNIT_NAME = re.compile(r"[A-Za-z0-9:_.@\\-]{1,255}\.service", re.ASCII)
NO_MEMORY = "none"


class Layer(Enum):
    """Where a step makes its change."""

    SYSCTL = "sysctl, running kernel"
    SYSCTL_FILE = "sysctl.d file"
    PROCESS = "limits of running processes"
    UNIT = "systemd drop-in"
    FRAGMENT = "Kamailio fragment"
    INCLUDE = "Kamailio's main file"
    DEFAULTS = "defaults file"
    STARTER = "whatever starts Kamailio"
    RESTART = "restart"


class Step(Struct, frozen=True):
    """One change.

    Args:
        layer: where it is made. name: of the setting as that place writes it. place: file, processes or "".
        now, then: values; "" where the place has none yet.
        direction: "at least", "exactly" or "at most".
        answers: ceilings below the target that ask for it, and settings of the plan that need it.
        why: the reason with its arithmetic. when: it takes effect. memory: what it costs. risk. undo: the way back.
        line: a shell line that does it, "" where it is written into a file of kamtcp's own, or is the operator's to do.
    """

    layer: Layer
    name: str
    place: str
    now: str
    then: str
    direction: str
    answers: tuple[str, ...]
    why: str
    when: str
    memory: str
    risk: str
    undo: str
    line: str = ""


def steps(found: Solution) -> tuple[Step, ...]:
    """All steps, the running kernel first and the restart last."""
    s = found.before
    made = [step for change in found.changes for step in _of(change, s, found.after)]
    order = list(Layer)
    if any(each.layer is Layer.FRAGMENT for each in made):
        made.append(_include(s, tuple(each.name for each in made if each.layer is Layer.FRAGMENT)))
    ranked = sorted(made, key=lambda each: order.index(each.layer))
    starts = [each for each in ranked if _needs_start(each)]
    return (*ranked, *([_restart(found, starts)] if starts and s.instance is not None else []))


def _needs_start(step: Step) -> bool:
    return step.layer in (Layer.UNIT, Layer.FRAGMENT, Layer.DEFAULTS, Layer.STARTER) or (
        step.layer is Layer.SYSCTL and step.name == "net.core.somaxconn"
    )


def why(change: Change) -> str:
    """The reason: which ceiling, or which other setting, and how the value was found."""
    asked = [f"ceiling {name} is below the target" for name in change.answers]
    asked += [f"{name} changes" for name in change.along]
    note = f"; {change.size.note}" if change.size.note else ""
    return f"{', '.join(asked)}: {change.size.working}{note}"


def _of(change: Change, s: Situation, after: Situation) -> tuple[Step, ...]:
    name = change.row.name
    if not change.row.of_kamailio:
        return _sysctl(change, s)
    if name == "RLIMIT_NOFILE":
        return _descriptors(change, s)
    if name in _VARIABLES:
        return (_memory(change, s, after),)
    if name in ("TasksMax", "MemoryMax"):
        return (_directive(change, s, name, change.now, change.then),)
    return (_parameter(change, s),)


def _step(
    change: Change, layer: Layer, place: str, undo: str, *, name: str = "", now: str | None = None, then: str = "",
    when: str = "", memory: str = "", risk: str = "", line: str = "",
) -> Step:  # fmt: skip
    entry = entries()[change.row.name]
    return Step(
        layer, name or change.row.name, place, change.now if now is None else now, then or change.then,
        change.row.direction.value, (*change.answers, *change.along), why(change), when or _when(entry),
        memory or entry.cost or NO_MEMORY, risk or entry.risk_up or "none known", undo, line,
    )  # fmt: skip


def _when(entry: Entry) -> str:
    effect = entry.takes_effect
    return effect.value if effect is not Effect.NONE else "at once"


def _sysctl(change: Change, s: Situation) -> tuple[Step, ...]:
    name = change.row.name
    set_it = f"{enter(s, name)}sysctl -w "
    live = _step(
        change, Layer.SYSCTL, "" if at_home(s) or not per_namespace(s, name) else s.namespace.id,
        f"{set_it}{quoted(f'{name}={change.now}')}", line=f"{set_it}{quoted(f'{name}={change.then}')}",
    )  # fmt: skip
    if not at_home(s) and per_namespace(s, name):
        return (_step(
            change, Layer.SYSCTL, s.namespace.id, live.undo, line=live.line,
            when=f"{live.when}; gone with this network namespace: set it where the namespace is made too",
        ),)  # fmt: skip
    line = line_of(s, name)
    filed = numbers(line.value) if line is not None and line.value is not None else ()
    then = numbers(change.then)
    if filed and len(filed) == len(then) and all(a >= b for a, b in zip(filed, then, strict=True)):
        return (live,)
    later = line is not None and not line.is_glob and _base(line.file) > _base(OWN_FILE)
    file = LAST_FILE if later else OWN_FILE
    kept = "" if line is None else (line.value or "")
    return live, _step(
        change, Layer.SYSCTL_FILE, file, f"take the line out of {file}", now=kept, when="at the next boot",
        memory=NO_MEMORY, risk=f"it goes before {line.where}" if line is not None else "none: nothing changes before the next boot",
    )  # fmt: skip


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _descriptors(change: Change, s: Situation) -> tuple[Step, ...]:
    need, made = int(change.then), []
    instance = s.require()
    if instance.foreseen is None:
        cure = raise_descriptors(s, need)
        if cure.possible:
            made.append(_step(
                change, Layer.PROCESS, "tcp main and every worker", f"prlimit --nofile={change.now}: of each, once they hold less",
                when=f"at once: {cure.text}", risk=cure.risk, line=cure.line,
            ))  # fmt: skip
    hard = _hard(s, need)
    if _unit(s) is not None:
        unit = instance.unit
        assert isinstance(unit, Unit)
        soft = max(need, unit.nofile_soft) if isinstance(unit.nofile_soft, int) else need
        now = "" if isinstance(unit.nofile_soft, Absent) else f"{unit.nofile_soft}:{unit.nofile_hard}"
        made.append(_directive(change, s, "LimitNOFILE", now, f"{soft}:{hard}"))
    elif _within_hard(s, need):
        present = s.number("open_files_limit")
        made.append(
            _parameter(change, s, "open_files_limit", "" if isinstance(present, Absent) else str(present))
        )
    else:
        made.append(_directive(change, s, "LimitNOFILE", change.now, f"{need}:{hard}"))
    return tuple(made)


def _hard(s: Situation, need: int) -> int | str:
    """Never below any hard limit in force, of the processes or of the unit."""
    instance = s.require()
    limits = [each.nofile_hard for each in instance.processes]
    if isinstance(instance.unit, Unit):
        limits.append(instance.unit.nofile_hard)
    known = [each for each in limits if isinstance(each, int)]
    if any(not isinstance(each, int | Absent) for each in limits):
        return "infinity"
    return max(need, *known) if known else need


def _within_hard(s: Situation, need: int) -> bool:
    """Whether each process that is seen may raise itself so far: above its hard limit the server would not start."""
    limits = [each.nofile_hard for each in s.require().processes]
    return not any(isinstance(each, Absent) or (isinstance(each, int) and each < need) for each in limits)


def _unit(s: Situation) -> str | None:
    """Name of the unit, where it may be part of a path."""
    unit = s.require().unit
    return unit.name if isinstance(unit, Unit) and _UNIT_NAME.fullmatch(unit.name) else None


def _directive(change: Change, s: Situation, name: str, now: str, then: str) -> Step:
    """A directive of the unit; where systemd didn't start it, a limit that whoever did has to give."""
    unit = _unit(s)
    if unit is None:
        return _step(change, Layer.STARTER, "", f"give it {now or 'what it had'} again", name=name, now=now, then=then,
                     when="at the next start of Kamailio")  # fmt: skip
    place = f"/etc/systemd/system/{unit}.d/60-kamtcp.conf"
    return _step(
        change, Layer.UNIT, place, f"take {name}= out of {place}; systemctl daemon-reload", name=name, now=now, then=then,
        when="after systemctl daemon-reload, when the unit is started again",
    )  # fmt: skip


def _parameter(change: Change, s: Situation, name: str = "", now: str | None = None) -> Step:
    """A line of the fragment; what the main file or an option sets already is named, since the later one wins."""
    name = name or change.row.name
    entry, place = entries()[name], set_by(s, name)
    risk = entry.risk_up or "none known"
    if place:
        risk += f"; {place} sets it too: the include has to come after that, and an option wins over both"
    return _step(
        change, Layer.FRAGMENT, FRAGMENT, f"take the line out of {FRAGMENT} and start Kamailio again", name=name, now=now,
        when=_when(entry), memory=entry.cost or NO_MEMORY, risk=risk,
    )  # fmt: skip


def _include(s: Situation, names: tuple[str, ...]) -> Step:
    """The one line that the main file needs; where it goes is the operator's to find until kamtcp computes it."""
    main = s.require().config_path or "kamailio.cfg"
    return Step(
        Layer.INCLUDE, "include_file", main, "", f'"{FRAGMENT}"', "exactly", names,
        f"{FRAGMENT} is read only where the main file includes it: after the last line that sets {', '.join(names)}, and before"
        " the first loadmodule; skip it if it is there", "at the next start of Kamailio", NO_MEMORY,
        "a later line of the main file wins over it; without the file Kamailio doesn't start (kamailio -c shows it)",
        "take the line out before the file goes",
    )  # fmt: skip


def _memory(change: Change, s: Situation, after: Situation) -> Step:
    name = change.row.name
    now = int(change.now) if change.now.isdigit() else 0
    more = (int(change.then) - now) * (1 if name == "-m" else after.require().process_count)
    cost = f"{more} MB more ({more * MIB} bytes), taken as it is touched"
    if _unit(s) is None:
        return _step(
            change, Layer.STARTER, "", f"start it with {name} {change.now} again", name=name, memory=cost
        )
    variable = _VARIABLES[name]
    return _step(change, Layer.DEFAULTS, DEFAULTS, f"{variable}={change.now} in {DEFAULTS}, and start Kamailio again",
                 name=variable, memory=cost)  # fmt: skip


def _restart(found: Solution, starts: list[Step]) -> Step:
    s = found.before
    names = tuple(dict.fromkeys(each.name for each in starts))
    return Step(
        Layer.RESTART, "Kamailio", "", "running", "started again", "exactly", names,
        f"{', '.join(names)} count from the next start on", "when you restart it: kamtcp never does", NO_MEMORY,
        restart.cost(s, found.ladder_before), "none is needed: its clients connect again by themselves",
    )  # fmt: skip
