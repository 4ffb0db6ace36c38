"""Findings as text: evidence, a line to see for oneself, two cures."""

from __future__ import annotations

from kamtcp.cli.wrap import Screen, wrapped
from kamtcp.diagnose.codes import Severity
from kamtcp.diagnose.finding import Cure, Finding
from kamtcp.diagnose.verdict import Verdict

_INDENT = " " * 8


def lines(verdict: Verdict, screen: Screen) -> list[str]:
    """All findings, worst first."""
    found = verdict.findings
    if not found:
        seen = " in what could be seen" if verdict.blind else ""
        return [screen.style(f" findings: none{seen}", "bold"), ""]
    return [*of(found, screen, "findings"), ""]


def of(found: tuple[Finding, ...], screen: Screen, title: str) -> list[str]:
    """These findings, under a title that counts them."""
    counts = [(severity, sum(each.severity is severity for each in found)) for severity in Severity]
    summary = ", ".join(f"{count} {severity.value}" for severity, count in counts if count)
    out = [screen.style(f" {title} ({summary})", "bold")]
    for finding in found:
        out += _finding(finding, screen)
    return out


def _finding(finding: Finding, screen: Screen) -> list[str]:
    colour = {"fatal": "red", "high": "red", "medium": "yellow"}.get(finding.severity.value, "dim")
    head = f" {finding.code} {finding.name}"
    level = finding.severity.value
    out = [screen.style(head + level.rjust(max(len(level) + 2, screen.width - len(head))), colour)]
    out += wrapped(finding.evidence, screen.width, _INDENT)
    out.append(f"{_INDENT}see: {finding.see}")
    out += _cure("now:      ", finding.now, screen)
    out += _cure("for good: ", finding.for_good, screen)
    return out


def _cure(label: str, cure: Cure, screen: Screen) -> list[str]:
    text = cure.text if cure.possible or cure.text.startswith("not possible") else f"none: {cure.text}"
    deeper = _INDENT + " " * len(label)
    out = wrapped(text, screen.width, deeper, _INDENT + label)
    if cure.line:
        out.append(f"{deeper}{cure.line}")  # whole: it is meant to be run as printed
    if cure.risk:
        out += wrapped(f"risk: {cure.risk}", screen.width, deeper)
    return out
