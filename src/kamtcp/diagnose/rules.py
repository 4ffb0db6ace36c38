"""All rules on one situation: what is wrong, worst first, and which rules could not judge."""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose import (
    fatal,
    high,
    known_bad,
    settings_conntrack,
    settings_contradiction,
    settings_files,
    settings_gone,
    settings_host,
    settings_kamailio,
    settings_limits,
    settings_lines,
    settings_memory,
    settings_outbound,
    settings_ports,
    settings_queue,
    settings_refused,
    settings_runtime,
    settings_tcp,
    settings_timers,
    settings_units,
    settings_websocket,
    starting,
)
from kamtcp.diagnose.below import below
from kamtcp.diagnose.codes import RANK
from kamtcp.diagnose.finding import Finding
from kamtcp.diagnose.rule import Rule
from kamtcp.diagnose.settings_lines import ABOUT_FILES, NOT_LIVE
from kamtcp.model.absent import Absent, Why

ALL: tuple[Rule, ...] = (
    *fatal.RULES,
    *high.RULES,
    *known_bad.RULES,
    *settings_limits.RULES,
    *settings_units.RULES,
    *settings_memory.RULES,
    *settings_queue.RULES,
    *settings_tcp.RULES,
    *settings_host.RULES,
    *settings_ports.RULES,
    *settings_outbound.RULES,
    *settings_conntrack.RULES,
    *settings_kamailio.RULES,
    *settings_contradiction.RULES,
    *settings_websocket.RULES,
    *settings_runtime.RULES,
    *settings_timers.RULES,
    *settings_gone.RULES,
    *settings_refused.RULES,
    *settings_files.RULES,
    *settings_lines.RULES,
    *starting.RULES,
)


class Judgement(Struct, frozen=True):
    """What the rules say.

    Args:
        findings: by severity, then by code. The same facts give the same findings.
        unjudged: facts that rules lacked, each with the codes that could not be judged without it. A rule that
            found something all the same is not among them.
    """

    findings: tuple[Finding, ...]
    unjudged: tuple[Absent, ...]


def judge(s: Situation, ladder: Ladder) -> Judgement:
    """Everything that is wrong, and what could not be judged."""
    found: list[Finding] = list(below(s, ladder))
    lacking: dict[Absent, list[str]] = {}
    for rule in ALL:
        if rule.needs_instance and s.instance is None:
            continue
        said = tuple(rule.judge(s, ladder))
        found.extend(each for each in said if isinstance(each, Finding))
        told = {each.code for each in said if isinstance(each, Finding)}
        open_codes = [code for code in rule.codes if code not in told]
        for each in said:
            if isinstance(each, Absent) and open_codes:
                lacking.setdefault(each, []).extend(open_codes)
    found = settings_lines.joined(_told_once(found))
    return Judgement(
        tuple(sorted(found, key=lambda each: (RANK[each.severity], each.code))),
        not_judged(lacking),
    )


def not_judged(lacking: dict[Absent, list[str]]) -> tuple[Absent, ...]:
    """The facts that rules lacked, each with the codes that could not be judged without it.

    What is known not to be there needs no judgement.
    """
    return tuple(
        _unjudged(absent, codes) for absent, codes in lacking.items() if absent.why is not Why.MISSING
    )


def _told_once(found: list[Finding]) -> list[Finding]:
    """Without "this line is not in force" for lines that are wrong or of no use anyway."""
    told = {place for each in found if each.code not in ABOUT_FILES for place in each.places}
    return [each for each in found if each.code != NOT_LIVE or not set(each.places) <= told]


def _unjudged(absent: Absent, codes: list[str]) -> Absent:
    named = "not judged: " + ", ".join(sorted(set(codes)))
    return Absent(absent.source, absent.why, f"{absent.detail}; {named}" if absent.detail else named)


def findings(s: Situation, ladder: Ladder) -> tuple[Finding, ...]:
    """Everything that is wrong: by severity, then by code."""
    return judge(s, ladder).findings
