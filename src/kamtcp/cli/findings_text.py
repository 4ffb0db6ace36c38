"""Findings as text: evidence, a line to see for oneself, two cures."""

from __future__ import annotations

from collections.abc import Sequence

from kamtcp.cli.wrap import Screen, wrapped
from kamtcp.diagnose.codes import Severity
from kamtcp.diagnose.finding import Cure, Finding
from kamtcp.diagnose.verdict import Verdict

_INDENT = " " * 8
#: characters of a risk, such as what a restart costs, that is told once and then referred to
_LONG = 80


def lines(verdict: Verdict, screen: Screen) -> list[str]:
    """All findings, worst first; then those that the operator accepts, as loud as the others."""
    found = tuple(each for each in verdict.findings if not each.accepted)
    accepted = [each for each in verdict.findings if each.accepted]
    told: dict[str, str] = {}
    if found:
        out = of(found, screen, "findings", told)
    else:
        other = " but accepted ones" if accepted else ""
        seen = " in what could be seen" if verdict.blind else ""
        out = [screen.style(f" findings: none{other}{seen}", "bold")]
    if accepted:
        heading = wrapped(
            f"accepted findings, which don't count ({_counts(accepted)})", screen.width, "   ", " "
        )
        out += ["", *(screen.style(each, "bold") for each in heading)]
    for finding in accepted:
        out += _finding(finding, screen, told)
    return [*out, ""]


def of(found: Sequence[Finding], screen: Screen, title: str, told: dict[str, str] | None = None) -> list[str]:
    """These findings, under a title that counts them; `told` as `_finding` has it."""
    out = [screen.style(f" {title} ({_counts(found)})", "bold")]
    told = {} if told is None else told
    for finding in found:
        out += _finding(finding, screen, told)
    return out


def _counts(found: Sequence[Finding]) -> str:
    counts = [(severity, sum(each.severity is severity for each in found)) for severity in Severity]
    return ", ".join(f"{count} {severity.value}" for severity, count in counts if count)


def _finding(finding: Finding, screen: Screen, told: dict[str, str]) -> list[str]:
    """One finding; `told` has the long risks that were printed, and the code of the finding that said it first."""
    colour = {"fatal": "red", "high": "red", "medium": "yellow"}.get(finding.severity.value, "dim")
    head = f" {finding.code} {finding.name}"
    level = finding.severity.value
    out = [screen.style(head + level.rjust(max(len(level) + 2, screen.width - len(head))), colour)]
    out += [screen.style(each, "yellow") for each in _acceptance(finding, screen)]
    out += wrapped(finding.evidence, screen.width, _INDENT)
    out.append(f"{_INDENT}see: {finding.see}")
    for label, cure in (("now:      ", finding.now), ("for good: ", finding.for_good)):
        first = told.setdefault(cure.risk, finding.code) if len(cure.risk) > _LONG else finding.code
        out += _cure(label, cure, cure.risk if first == finding.code else f"as for {first}", screen)
    return out


def _acceptance(finding: Finding, screen: Screen) -> list[str]:
    """Why it doesn't count, or that it does so again."""
    accepted = finding.acceptance
    if accepted is None:
        return []
    if accepted.in_force:
        until = f"until {accepted.until}" if accepted.until else "for good"
        said = f"ACCEPTED {until}: {accepted.reason} ({accepted.where})"
    else:
        said = f"acceptance EXPIRED on {accepted.until}: {accepted.reason} ({accepted.where})"
    return wrapped(said, screen.width, _INDENT)


def _cure(label: str, cure: Cure, risk: str, screen: Screen) -> list[str]:
    text = cure.text if cure.possible or cure.text.startswith("not possible") else f"none: {cure.text}"
    deeper = _INDENT + " " * len(label)
    out = wrapped(text, screen.width, deeper, _INDENT + label)
    if cure.line:
        out.append(f"{deeper}{cure.line}")  # whole: it is meant to be run as printed
    if risk:
        out += wrapped(f"risk: {risk}", screen.width, deeper)
    return out
