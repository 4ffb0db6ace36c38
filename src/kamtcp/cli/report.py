"""A verdict as text: the answer in the first line, then its working, then what is wrong, then what was not seen."""

from __future__ import annotations

from kamtcp.capacity.ceiling import Ceiling, Effect, Kind
from kamtcp.capacity.ladder import slows_first, stops
from kamtcp.cli import bars, before_start_text, findings_text, timers_text
from kamtcp.cli.wrap import Screen, wrapped
from kamtcp.diagnose.verdict import Verdict
from kamtcp.model.absent import Absent, Unlimited
from kamtcp.model.instance import Role
from kamtcp.model.origin import Origin

NUMBER, BAR = 11, 14


def text(verdict: Verdict, where: str, screen: Screen, *, save_hint: str = "") -> str:
    """The whole report of one instance.

    Args:
        verdict: what was judged.
        where: where the target comes from, "" for none.
        screen: how to write it.
        save_hint: the line that keeps a target, offered where there is none.
    """
    lines = [*_identity(verdict, screen), "", *_sentence(verdict, where, screen, save_hint), ""]
    lines += _part(verdict, verdict.ladder.held, "held connections", screen, goal=verdict.situation.goal_held)
    lines += _part(verdict, verdict.ladder.rates, "new connections", screen, goal=verdict.situation.goal_rate)
    lines += _defaults(verdict, screen)
    lines += timers_text.lines(verdict, screen)
    lines += findings_text.lines(verdict, screen)
    lines += _unseen(verdict, screen)
    return "\n".join(lines) + "\n"


def _identity(verdict: Verdict, screen: Screen) -> list[str]:
    machine, instance = verdict.situation.machine, verdict.situation.instance
    kernel = f"kernel {machine.release}, {machine.cpus} CPUs"
    if instance is None:
        seen = "no Kamailio could be seen" if verdict.blind else "no Kamailio is running"
        return wrapped(f"{machine.node}: {seen}; {kernel}", screen.width, "  ", "")
    if instance.foreseen is not None:
        return wrapped(before_start_text.identity(verdict, instance), screen.width, "  ", "")
    version = "version unknown" if isinstance(instance.version, Absent) else instance.version
    name = "" if instance.name == "kamailio" else f"{instance.name}, "
    main = instance.tcp_main
    pids = f"pid {instance.attendant}" + ("" if isinstance(main, Absent) else f", tcp main {main.pid}")
    count = len(instance.of_role(Role.TCP_WORKER))
    workers = f"{count} TCP workers" if count else "TCP workers not told apart"
    away = "" if instance.netns == machine.netns else f", in {instance.netns}"
    line = (
        f"{machine.node}: kamailio {version} ({name}{pids}), {instance.process_count} processes,"
        f" {workers}{away}; {kernel}"
    )
    return wrapped(line, screen.width, "  ", "")


def _sentence(verdict: Verdict, where: str, screen: Screen, save_hint: str) -> list[str]:
    """The answer: what stops first, at how many, and whether the target is met."""
    line = headline(verdict)
    if verdict.start is not None:
        line = f"{before_start_text.answer(verdict)} {line.replace('Stops', 'Would stop', 1)}"
    lines = [screen.style(each, "bold") for each in wrapped(line, screen.width, "  ", "")]
    lines += wrapped(headline_of_rates(verdict), screen.width, "  ", "")
    s = verdict.situation
    if s.instance is not None:
        lines += wrapped(f"Counted for {_mix(verdict)}.", screen.width, "  ", "")
        if s.instance.foreseen is not None:
            lines += before_start_text.assumptions(s.instance, screen)
    if not where:
        seen = s.target.connections or 0
        judged = f" Judged by the highest use seen, {seen:,} connections." if seen else ""
        lines += wrapped(f"No target.{judged}", screen.width, "  ", "")
        if save_hint:
            lines += wrapped(f"To keep one: {save_hint}", screen.width, "  ", "")
        return lines
    lines += [screen.style(each, "bold") for each in wrapped(_target(verdict, where), screen.width, "  ", "")]
    return lines


def headline(verdict: Verdict) -> str:
    """The first line, from ceilings that stop alone."""
    order = stops(verdict.ladder)
    who = "Stops" if verdict.situation.instance is not None else "The kernel alone stops"
    if not order:
        return "No ceiling that stops connections could be computed."
    first = order[0]
    at = "at the latest at" if verdict.blind else "at"
    line = f"{who} {at} {first.at:,} connections: {first.title}."
    if verdict.blind:
        some = "1 ceiling" if len(verdict.blind) == 1 else f"{len(verdict.blind)} ceilings"
        line += f" {some} could not be seen and may lie below."
    if len(order) > 1:
        line += f" Next: {order[1].at:,}, {order[1].title}."
    return line


def headline_of_rates(verdict: Verdict) -> str:
    """The second line: how many new ones, at one instant and a second; "" where no such ceiling was computed."""
    rates = slows_first(verdict.ladder)
    instants = [each for each in rates if each.kind is Kind.INSTANT]
    # a figure that rests on an assumption is on the ladder, but not in the answer
    steady = [each for each in rates if each.kind is Kind.RATE and each.origin is not Origin.ASSUMED]
    parts = [
        f"{each[0].at:,} {unit} ({each[0].title})"
        for each, unit in ((instants, "at one instant"), (steady, "a second"))
        if each
    ]
    return f"New connections: {', '.join(parts)}." if parts else ""


def _mix(verdict: Verdict) -> str:
    mix = verdict.situation.mix
    shares = (("TCP", mix.tcp), ("TLS", mix.tls), ("WS", mix.ws), ("WSS", mix.wss))
    named = ", ".join(f"{share:.0%} {name}" for name, share in shares if share > 0)
    return f"{named} ({mix.why})"


def _target(verdict: Verdict, where: str) -> str:
    target = verdict.situation.target
    wanted = []
    if target.connections:
        wanted.append(f"{target.connections:,} connections")
    if target.rate:
        wanted.append(f"{target.rate:,.10g} new a second")
    if target.storm:
        wanted.append(f"a storm of {target.storm:,} in {target.storm_seconds:g} s")
    wanted += [f"{count:,} to {name}" for name, count in target.outbound.items()]
    wanted += [f"{rate:,.10g} a second to {name}" for name, rate in target.outbound_rate.items()]
    if verdict.target_met is False:
        verdict_text = "NOT MET"
    elif verdict.blind:
        verdict_text = "met by all that could be seen, but not all could"
    else:
        verdict_text = "met"
    return f"Target ({where}): {', '.join(wanted)}: {verdict_text}."


def _goal(verdict: Verdict) -> str:
    """What the number that ceilings are held against is called."""
    return "target" if verdict.situation.target_stated else "highest seen"


def _part(
    verdict: Verdict, ceilings: tuple[Ceiling, ...], title: str, screen: Screen, *, goal: int | None
) -> list[str]:
    finite = [each for each in ceilings if isinstance(each.limit, int)]
    free = [each for each in ceilings if isinstance(each.limit, Unlimited)]
    if not finite and not free:
        return []
    opened = verdict.situation.opened if verdict.situation.instance is not None else None
    now = f"now {opened:,}" if isinstance(opened, int) and title.startswith("held") else ""
    wanted = "" if goal is None else f"{_goal(verdict)} {goal:,}"
    right = "   ".join(part for part in (now, wanted) if part)
    heading = f" {title}"
    lines = [screen.style((heading + right.rjust(screen.width - len(heading))).rstrip(), "bold")]
    for ceiling in finite:
        if isinstance(ceiling.at, int):
            lines += _ceiling(ceiling, screen, _goal(verdict))
    partly = [ceiling for ceiling in finite if not isinstance(ceiling.at, int)]
    if partly:
        lines += ["   met by some connections only, not by this mix:"]
        for ceiling in partly:
            lines += _ceiling(ceiling, screen, _goal(verdict))
    if free:
        lines += wrapped("no limit here: " + "; ".join(f"{each.title}: {each.working}" for each in free),
                         screen.width, "   ", "   ")  # fmt: skip
    return [*lines, ""]


def _defaults(verdict: Verdict, screen: Screen) -> list[str]:
    if not verdict.ladder.defaults:
        return []
    lines = [screen.style(" a Kamailio with the defaults of Debian's package would add", "bold")]
    for ceiling in verdict.ladder.defaults:
        if isinstance(ceiling.limit, int):
            lines += _ceiling(ceiling, screen, _goal(verdict))
        else:
            lines += wrapped(f"{ceiling.title}: {ceiling.working}", screen.width, "     ", "   ")
    return [*lines, ""]


def _ceiling(ceiling: Ceiling, screen: Screen, goal: str) -> list[str]:
    marks = bars.UNICODE if screen.unicode else bars.ASCII
    now = ceiling.now if isinstance(ceiling.now, int) else 0
    limit = ceiling.limit if isinstance(ceiling.limit, int) else 0
    drawn = bars.bar(now, limit, ceiling.goal, BAR, marks)
    missed = f" BELOW {goal.upper()}" if ceiling.met is False else ""
    effect = "" if ceiling.effect is Effect.STOPS else f" [{ceiling.effect.value}]"
    unit = "" if ceiling.unit in ("connections", "new connections per second") else f" {ceiling.unit}"
    tail = f"{ceiling.title}{effect}{missed}"
    if unit and unit.strip() not in ceiling.title:
        tail += f" ({unit.strip()})"
    head = f"{limit:>{NUMBER},}  {drawn}  "
    indent = " " * len(head)
    lines = wrapped(tail, screen.width, indent, head)
    if ceiling.met is False:
        lines = [screen.style(each, "red") for each in lines]
    elsewhere = ""
    if isinstance(ceiling.at, int) and ceiling.at != ceiling.limit:
        elsewhere = f"; met at {ceiling.at:,} connections of this mix"
    detail = wrapped(
        f"= {ceiling.working}{elsewhere}; {ceiling.origin.value}", screen.width, " " * NUMBER + "  "
    )
    more = [f"raised by {', '.join(ceiling.raised_by)}"] if ceiling.raised_by else []
    more += [ceiling.note] if ceiling.note else []
    detail += wrapped("; ".join(more), screen.width, " " * NUMBER + "  ")
    return lines + [screen.style(each, "dim") for each in detail]


def _unseen(verdict: Verdict, screen: Screen) -> list[str]:
    lines: list[str] = []
    if verdict.ladder.unseen or verdict.unseen:
        denied = any("EACCES" in str(each) for each in verdict.unseen)
        lines.append(screen.style(" not seen" + (" (root sees more)" if denied else ""), "bold"))
    names = {each.name for each in verdict.blind}
    for ceiling in verdict.ladder.unseen:
        blind = "; could lie below" if ceiling.name in names else ""
        lines += wrapped(f"{ceiling.title}: {ceiling.limit}{blind}", screen.width, "     ", "   ")
    said = {str(ceiling.limit) for ceiling in verdict.ladder.unseen}
    for absent in verdict.unseen:
        if str(absent) not in said:
            lines += wrapped(str(absent), screen.width, "     ", "   ")
    return [*lines, ""] if lines else []
