"""The table of truth as text: docs/truth.md, and the lines at the end of a run."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

from truth_row import Result, Row, Server

HEAD = ("case", "ceiling", "predicted", "measured", "error", "allowed", "unit", "how")

ABOUT = """# Ground truth: every ceiling, predicted and met

Made by `make truth`; not edited by hand.

Kamailio {version} on Linux {kernel}. Each limit was made the one that gives first, one at a time, in namespaces of its
own. `kamtcp check` looked at the running instance and predicted; then the load made it happen, with kamtcp's own probe
off. Error is (predicted − measured) ÷ measured. Allowed: 2 % for counts, 5 % for memory, 20 % for rates and times.
Where a ceiling's effect is not `stops`, measured is where the counter or the latency predicted began to move.
"""

SECTIONS = (
    (Server.KAMAILIO, "With a real Kamailio"),
    (Server.STAND_IN, "With a stand-in for Kamailio, or none: limits that are the kernel's alone"),
    (Server.RECORDED, "From recorded files: nothing was measured here"),
)


def page(rows: Sequence[Row], results: Mapping[str, Result], version: str, others: Mapping[str, str]) -> str:
    """The whole page.

    Args:
        rows: in their order. results: of those that were run, by name.
        others: ceilings and timers without a row, and why.
    """
    kernel = ".".join(platform.release().split(".")[:2])
    lines = [ABOUT.format(version=version, kernel=kernel)]
    for server, title in SECTIONS:
        mine = [row for row in rows if row.server is server and _measured(results.get(row.name))]
        if mine:
            lines += [f"## {title}", "", _line(HEAD), "|---|---|--:|--:|--:|--:|---|---|"]
            lines += [_line(cells(row, results[row.name])) for row in mine]
            lines.append("")
    seen = [(row, results[row.name]) for row in rows if _measured(results.get(row.name))]
    if any(result.outcome is not None and result.outcome.seen for _, result in seen):
        lines += ["## What else was seen", ""]
        lines += [
            f"- {row.case}: {found.outcome.seen}"
            for row, found in seen
            if found.outcome and found.outcome.seen
        ]
        lines.append("")
    missing = [
        (row.case, row.ceiling, why(results.get(row.name)))
        for row in rows
        if not _measured(results.get(row.name))
    ]
    missing += [("", name, reason) for name, reason in others.items()]
    if missing:
        lines += ["## Not proven here", "", "| case | ceiling | why |", "|---|---|---|"]
        lines += [_line(each) for each in missing]
        lines.append("")
    return "\n".join(lines)


def cells(row: Row, result: Result) -> tuple[str, ...]:
    """The columns of one measured row."""
    found = result.outcome
    assert found is not None
    missed = "" if abs(found.error) <= row.allowed and not result.failed else " **missed**"
    return (
        row.case,
        row.ceiling,
        _number(found.predicted),
        _number(found.measured),
        f"{100 * found.error:+.2f} %{missed}",
        f"{100 * row.allowed:.0f} %",
        found.unit,
        found.how,
    )


def why(result: Result | None) -> str:
    """Why a row has no number."""
    if result is None:
        return "not run"
    return result.not_proven or f"failed: {result.failed}"


def _measured(result: Result | None) -> bool:
    return result is not None and result.outcome is not None


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.2f}"


def _line(parts: Sequence[str]) -> str:
    return "| " + " | ".join(part.replace("|", "\\|").replace("\n", " ") for part in parts) + " |"
