"""Stop points: what check predicts against what a real Kamailio does.

Needs root and a Kamailio (installed, or unpacked: see kamtcp.rehearse.kamailio.packages_root). Measured rows are
shown after the run; `pytest tests/stops --write-stop-points` writes them to docs/stop-points.md.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Struct

from kamtcp.rehearse.kamailio import packages_root
from stop_rig import Prediction

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

    server: str = ""
    rows: list[Row] = []
    remarks: list[str] = []

    def sorted_rows(self) -> list[Row]:
        """Whatever order the tests ran in."""
        return sorted(self.rows, key=lambda row: (row.ceiling, row.case, row.held_before))


TABLE = pytest.StashKey[Table]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-stop-points", action="store_true", help=f"write what was measured to {PAGE.name}"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = Table()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    reason = (
        "" if packages_root() else "no Kamailio: run scripts/fetch_packages.py or set KAMTCP_KAMAILIO_ROOT"
    )
    if os.geteuid() != 0:
        reason = "namespaces of a stand-in host need root"
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.kamailio)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def remark(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[[str], None]:
    """Say something about this run in its reports and on the page."""

    def say(text: str) -> None:
        record_property("remark", text)
        _table(request.config).remarks.append(text)

    return say


class Compare:
    """Puts a prediction beside what was measured, into the reports and the table, and holds it to its tolerance."""

    def __init__(self, table: Table, record: Callable[[str, object], None]) -> None:
        self._table, self._record = table, record

    def __call__(
        self, case: str, prediction: Prediction, measured: int, tolerance: float, *, name: str = ""
    ) -> None:
        """`measured` is the number of connections at which it stopped; `tolerance` a part of it.

        `name` is the ceiling to compare; without it, the binding one.
        """
        ceiling = prediction.ceiling(name) if name else prediction.binding
        opened = prediction.instance.opened
        assert isinstance(opened, int)
        assert isinstance(ceiling.at, int)
        row = Row(case, opened, ceiling.name, ceiling.at, measured, tolerance)
        self._table.rows.append(row)
        self._table.server = str(prediction.instance.version)
        self._record("predicted", row.predicted)
        self._record("measured", measured)
        self._record("deviation_percent", round(100 * row.deviation, 3))
        assert abs(row.deviation) <= tolerance, (
            f"{case}, {opened} held before: {ceiling.name} predicted {ceiling.at} ({ceiling.working}), measured {measured}"
        )


@pytest.fixture
def compare(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Compare:
    return Compare(_table(request.config), record_property)


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
    cells = [HEAD, *map(_cells, table.sorted_rows())]
    widths = [max(len(line[n]) for line in cells) for n in range(len(HEAD))]
    terminalreporter.section("stop points")
    for line in cells:
        columns = [
            text.ljust(width) if number in (0, 2) else text.rjust(width)
            for number, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        terminalreporter.write_line("  ".join(columns).rstrip())
    for text in table.remarks:
        terminalreporter.write_line(f"- {text}")
    if config.getoption("--write-stop-points", default=False):
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(_page(table), encoding="utf-8")
        terminalreporter.write_line(f"written: docs/{PAGE.name}")


_ABOUT = """# Stop points: predicted and measured

Made by `pytest tests/stops --write-stop-points`; not edited by hand.

Kamailio {server} on Linux {kernel}, in namespaces of its own on loopback. Each limit was made the lowest of the
ladder, one at a time. `kamtcp check` looked at the running instance and predicted before any connection of the load
was opened, and again with about 15 % of them held; then connections were opened until no more were answered, and it
looked once more. Measured is the number of connections with a SIP answer that were held at that moment: the client,
inet_diag and `core.tcp_info` said the same. Allowed are 2 % for counts and 5 % for memory.
In the burst, measured is what the sockets took of connections that sent at one instant while the workers were stopped.
"""


def _page(table: Table) -> str:
    lines = [
        _ABOUT.format(server=table.server, kernel=".".join(platform.release().split(".")[:2])),
        "| " + " | ".join(HEAD) + " |",
        "|---|--:|---|--:|--:|--:|--:|",
        *("| " + " | ".join(_cells(row)) + " |" for row in table.sorted_rows()),
        "",
    ]
    if table.remarks:
        lines += ["What else this run showed:", "", *(f"- {text}" for text in sorted(table.remarks)), ""]
    return "\n".join(lines)
