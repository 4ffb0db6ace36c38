"""Stop points: what check predicts against what a real Kamailio does.

Needs root and a Kamailio (installed, or unpacked: see kamtcp.rehearse.kamailio.packages_root). Measured rows are
shown after the run; `pytest tests/stops --write-stop-points` writes them to docs/stop-points.md.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct

from kamtcp.rehearse.kamailio import packages_root

sys.path.insert(0, str(Path(__file__).parent))

PAGE = Path(__file__).parent.parent.parent / "docs" / "stop-points.md"


class Row(Struct, frozen=True):
    """One prediction and what came of it."""

    case: str
    held_before: int
    ceiling: str
    predicted: int
    measured: int
    tolerance: float  # part of `measured`

    @property
    def deviation(self) -> float:
        """(predicted - measured) / measured."""
        return (self.predicted - self.measured) / self.measured


class Table(Struct):
    """What the tests of this run measured."""

    rows: list[Row] = []
    remarks: list[str] = []


TABLE = pytest.StashKey[Table]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-stop-points", action="store_true", help=f"write what was measured to {PAGE.name}")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = Table()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    reason = "" if packages_root() else "no Kamailio: run scripts/fetch_packages.py or set KAMTCP_KAMAILIO_ROOT"
    if os.geteuid() != 0:
        reason = "namespaces of a stand-in host need root"
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.kamailio)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def remark(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Say something about this run in its reports and on the page."""

    def say(text: str) -> None:
        record_property("remark", text)
        _table(request.config).remarks.append(text)

    return say


@pytest.fixture
def compare(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[[str, int, str, int, int, float], None]:
    """Put a prediction beside what was measured, into the reports and the table, and hold it to its tolerance."""

    def hold(case: str, held_before: int, ceiling: str, predicted: int, measured: int, tolerance: float) -> None:
        row = Row(case, held_before, ceiling, predicted, measured, tolerance)
        _table(request.config).rows.append(row)
        record_property("predicted", predicted)
        record_property("measured", measured)
        record_property("deviation_percent", round(100 * row.deviation, 3))
        assert abs(row.deviation) <= tolerance, (
            f"{case}, {held_before} held before: {ceiling} predicted {predicted}, measured {measured}"
        )

    return hold


def _table(config: pytest.Config) -> Table:
    return config.stash.setdefault(TABLE, Table())


HEAD = ("case", "held before", "binding ceiling", "predicted", "measured", "deviation", "allowed")


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.case,
        f"{row.held_before:,}",
        row.ceiling,
        f"{row.predicted:,}",
        f"{row.measured:,}",
        f"{100 * row.deviation:+.2f} %",
        f"{100 * row.tolerance:.0f} %",
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    table = _table(config)
    if not table.rows and not table.remarks:
        return
    cells = [HEAD, *map(_cells, table.rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(HEAD))]
    terminalreporter.section("stop points")
    for line in cells:
        columns = (text.ljust(w) if n in (0, 2) else text.rjust(w) for n, (text, w) in enumerate(zip(line, widths, strict=True)))
        terminalreporter.write_line("  ".join(columns).rstrip())
    for text in table.remarks:
        terminalreporter.write_line(f"- {text}")
    if config.getoption("--write-stop-points", default=False):
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(_page(table), encoding="utf-8")
        terminalreporter.write_line(f"written: docs/{PAGE.name}")


def _page(table: Table) -> str:
    lines = [
        "# Stop points: predicted and measured",
        "",
        "Made by `pytest tests/stops --write-stop-points`; not edited by hand.",
        "",
        f"Kamailio 5.6.3 (Debian 12 packages) on Linux {platform.release()}, in namespaces of its own on loopback."
        " Each limit was made the lowest of the ladder, one at a time. `kamtcp check` looked at the running instance and"
        " predicted before any connection of the load was opened, and once more with about 15 % of them held; then"
        " connections were opened until no more were answered. Measured is the number of connections with a SIP"
        " answer that were held at that moment: the client, inet_diag and `core.tcp_info` said the same. Allowed are"
        " 2 % for counts and 5 % for memory.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|---|--:|---|--:|--:|--:|--:|",
        *("| " + " | ".join(_cells(row)) + " |" for row in table.rows),
        "",
    ]
    if table.remarks:
        lines += ["What else this run showed:", "", *(f"- {text}" for text in table.remarks), ""]
    return "\n".join(lines)
