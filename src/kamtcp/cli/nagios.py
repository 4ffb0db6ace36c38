"""Verdicts as one plug-in line: KAMTCP STATE - text | perfdata, with exit codes 0 to 3 of that convention.

Source  the Monitoring Plugins' development guidelines: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN
"""

from __future__ import annotations

from kamtcp.capacity.ceiling import Kind
from kamtcp.cli.before_start_text import answer
from kamtcp.cli.report import headline
from kamtcp.diagnose.accepting import Acceptances
from kamtcp.diagnose.codes import Severity
from kamtcp.diagnose.verdict import Verdict

STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def line(
    rows: tuple[tuple[Verdict, str], ...], fail_on: Severity, acceptances: Acceptances | None = None
) -> tuple[str, int]:
    """The line and the exit code: fatal findings are critical, others at or above `fail_on` a warning.

    Accepted ones are counted apart; an accept.toml that can't be used is unknown where nothing worse is.
    """
    fatal = [f for verdict, _ in rows for f in verdict.at_or_above(Severity.FATAL)]
    bad = [f for verdict, _ in rows for f in verdict.at_or_above(fail_on)]
    blind = [each for verdict, _ in rows for each in verdict.blind]
    wrong = acceptances.problems if acceptances is not None else ()
    close = any(verdict.start is not None and verdict.start.starts is None for verdict, _ in rows)
    refused = any(verdict.start is not None and verdict.start.starts is False for verdict, _ in rows)
    state = 2 if fatal or refused else 1 if bad else 3 if blind or wrong or close else 0
    codes = " ".join(sorted({each.code for each in (*fatal, *bad)}))
    text = "; ".join(_one(verdict) for verdict, _ in rows)
    if state == 3 and blind:
        text += " could not see: " + ", ".join(sorted({each.name for each in blind}))
    accepted = sum(each.accepted for verdict, _ in rows for each in verdict.findings)
    if accepted:
        text += f", {accepted} accepted"
    if wrong:
        text += ", could not use: " + ", ".join(each.source for each in wrong[:3]).replace("|", "/")
    perf = " ".join(item for verdict, _ in rows for item in _perfdata(verdict))
    return " ".join(f"KAMTCP {STATES[state]} - {f'{codes}: ' if codes else ''}{text} | {perf}".split()), state


def unknown(text: str) -> tuple[str, int]:
    """The line and the exit code where nothing could be judged: wrong usage, no such recording, own error."""
    return f"KAMTCP {STATES[3]} - {' '.join(text.split()).replace('|', '/')}", 3


def _one(verdict: Verdict) -> str:
    name = verdict.situation.instance.name if verdict.situation.instance else verdict.situation.machine.node
    before = answer(verdict)
    return f"{name}: {f'{before} ' if before else ''}{headline(verdict).split('. ')[0].rstrip('.')}".replace(
        "|", "/"
    )


def _perfdata(verdict: Verdict) -> list[str]:
    prefix = verdict.situation.instance.name if verdict.situation.instance else "host"
    prefix = "".join("_" if each in "'=|" or not each.isprintable() else each for each in prefix)
    return [
        f"'{prefix} {each.name}'={each.now};;{each.limit};0"
        for each in verdict.ladder.held
        if each.kind is Kind.HELD and isinstance(each.limit, int) and isinstance(each.now, int)
    ]
