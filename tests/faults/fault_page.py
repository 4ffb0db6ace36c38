"""docs/faults.md, from what came of every case."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping

from fault_case import Case, Row

ABOUT = """# kamtcp load under faults

Made by `make faults`; not edited by hand. Linux {kernel}; Kamailio 5.6.3, or the built-in responder, in namespaces of its own.

Each fault was brought about under a load. Counted: connections by cause, with its details. Named: symptoms that the
report shows. After each, offered = served + failures, no process of the load ran, and none of its sockets was open.

| fault | offered | served | counted | named | held at the end | lost | ended by | exit code |
|---|--:|--:|---|---|--:|--:|---|--:|
"""


def page(cases: Iterable[Case], rows: Mapping[str, Row]) -> str:
    """The whole page; a case that was not played says so."""
    text = ABOUT.format(kernel=".".join(platform.release().split(".")[:2]))
    return text + "".join(f"| {' | '.join(_cells(case, rows.get(case.name)))} |\n" for case in cases)


def _cells(case: Case, row: Row | None) -> tuple[str, ...]:
    if row is None:
        return (case.fault, *("-",) * 6, "not played", "-")
    counted = ", ".join(_counted(cause, count, row.details) for cause, count in row.failures.items())
    return (
        case.fault, f"{row.offered:,}", f"{row.served:,}", counted or "-", ", ".join(row.named) or "-",
        f"{row.held:,}", f"{row.lost:,}", row.ended or "-", str(row.code),
    )  # fmt: skip


def _counted(cause: str, count: int, details: Mapping[str, Mapping[str, int]]) -> str:
    kinds = ", ".join(details.get(cause, {}))
    return f"{cause} {count:,}" + (f" ({kinds})" if kinds else "")
