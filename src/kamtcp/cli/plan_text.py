"""A plan as text: the answer first, then the ladder before and after, then the steps."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder, stops
from kamtcp.cli.wrap import Screen, wrapped
from kamtcp.diagnose.verdict import Verdict
from kamtcp.plan.outcome import Plan, binding
from kamtcp.plan.steps import Step

_SHOWN = 4


def text(verdict: Verdict, found: Plan, screen: Screen) -> str:
    """The whole plan of one instance."""
    s = verdict.situation
    who = s.machine.node + ("" if s.instance is None else f": {s.instance.name} (pid {s.instance.attendant})")
    lines = wrapped(f"{who}. {_answer(found, s.goal_held)}", screen.width, "  ", "")
    lines += ["", *_ladders(found, screen), ""]
    if not found.steps:
        lines.append("No step: nothing that this plan can change is below the target.")
    for number, step in enumerate(found.steps, 1):
        lines += _step(number, step, screen)
    for title, rows in (
        (
            "not this host's to change",
            [f"{each.name}: {each.now} -> {each.then}; {each.why}" for each in found.elsewhere],
        ),
        (
            "stays below the target",
            [f"{each.title}: {_at(each.at)}of {each.goal:,}; {each.why}" for each in found.short],
        ),
        ("not seen, could lie below", list(found.unseen)),
    ):
        if rows:
            lines += ["", f" {title}"]
            lines += [line for row in rows for line in wrapped(row, screen.width, "     ", "   ")]
    return "\n".join(lines) + "\n"


def _at(at: int | None) -> str:
    return "" if at is None else f"{at:,} "


def _answer(found: Plan, goal: int | None) -> str:
    count = len(found.steps)
    plural = "1 step" if count == 1 else f"{count} steps"
    wanted = f"{goal:,} connections" if goal else "the target"
    if found.met:
        return f"{plural.capitalize()}, and it holds {wanted}." if count else f"It holds {wanted} as it is."
    if found.met is None:
        return f"{plural.capitalize()}; whether it then holds {wanted} could not be seen."
    reach = f" It can hold about {found.reach:,}." if found.reach else ""
    more = f" {found.hosts:,} hosts of this kind would." if found.hosts and found.hosts > 1 else ""
    return f"This host can't meet the target ({wanted}) with the {plural} below.{reach}{more}"


def _ladders(found: Plan, screen: Screen) -> list[str]:
    lines = []
    for name, ladder in (("before", found.solution.ladder_before), ("after", found.solution.ladder_after)):
        first = binding(ladder)
        said = "no ceiling could be computed" if first is None else _rungs(ladder)
        lines += wrapped(said, screen.width, "          ", f" {name:<6}   ")
    return lines


def _rungs(ladder: Ladder) -> str:
    return "; ".join(f"{each.at:,} {each.title}" for each in stops(ladder)[:_SHOWN])


def _step(number: int, step: Step, screen: Screen) -> list[str]:
    place = f" ({step.place})" if step.place else ""
    head = f"{step.name}: {step.now or 'not set'} -> {step.then}, {step.direction}; {step.layer.value}{place}"
    lines = [screen.style(each, "bold") for each in wrapped(head, screen.width, "     ", f" {number:>2}. ")]
    for name, said in (
        ("why", step.why),
        ("when", step.when),
        ("costs", step.memory),
        ("risk", step.risk),
        ("undo", step.undo),
    ):
        lines += wrapped(said, screen.width, "            ", f"     {name:<5}  ")
    return lines
