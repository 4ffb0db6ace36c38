"""The suite `truth`: each ceiling made binding, one at a time; what was predicted beside what was found.

    make truth                       all rows that can run here, up to 25 minutes; writes docs/truth.md
    pytest tests/truth               the quick rows, and whether the machinery works
    --truth                          all rows; those measured before with the very same code are not repeated
    --again                          repeat them
    --disposable-host                this machine may be changed for seconds (as KAMTCP_DISPOSABLE_HOST=1)
    --write-truth                    write docs/truth.md from all rows measured so far

Needs root, and a Kamailio as `make packages` unpacks it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kamtcp.rehearse.kamailio import packages_root

sys.path.insert(0, str(Path(__file__).parent))

from truth_page import HEAD, cells, page, why
from truth_row import Result
from truth_rows import ROWS, WITHOUT_ROW
from truth_state import CHECKOUT, State

PAGE = CHECKOUT / "docs" / "truth.md"
RESULTS = pytest.StashKey[dict[str, Result]]()
STATE = pytest.StashKey[State]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("truth")
    group.addoption("--truth", action="store_true", help="measure every row of the table of truth")
    group.addoption("--again", action="store_true", help="rows measured before, too")
    group.addoption(
        "--disposable-host", action="store_true", help="values of this machine may be changed for seconds"
    )
    group.addoption("--write-truth", action="store_true", help=f"write docs/{PAGE.name}")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--disposable-host", default=False):
        os.environ["KAMTCP_DISPOSABLE_HOST"] = "1"
    elif os.environ.get("CI") == "true":
        os.environ.setdefault("KAMTCP_DISPOSABLE_HOST", "1")
    config.stash[RESULTS] = {}
    config.stash[STATE] = State(server=kamailio_version())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    rows = {row.name: row for row in ROWS}
    gone = []
    for item in items:
        if (
            here not in item.path.parents
            or not hasattr(item, "callspec")
            or "row" not in item.callspec.params
        ):
            continue
        row = rows[item.callspec.params["row"].name]
        item.add_marker(pytest.mark.truth)
        item.add_marker(pytest.mark.kamailio)
        if os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="namespaces of a stand-in host need root"))
        elif not packages_root():
            item.add_marker(pytest.mark.skip(reason="no Kamailio: run scripts/fetch_packages.py"))
        if not config.getoption("--truth", default=False) and not row.quick:
            gone.append(item)
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]


def kamailio_version() -> str:
    """Of the Kamailio under test, "" if there is none."""
    root = packages_root()
    if root is None:
        return ""
    done = subprocess.run(
        [os.path.join(root, "usr/sbin/kamailio"), "-v"], capture_output=True, check=False,
        env={**os.environ, "LD_LIBRARY_PATH": f"{root}/usr/lib/x86_64-linux-gnu"},
    )  # fmt: skip
    words = done.stdout.decode(errors="replace").split()
    return words[2] if len(words) > 2 else "of unknown version"


@pytest.fixture
def state(request: pytest.FixtureRequest) -> State | None:
    """Where rows are kept; None where every row is to be measured now (quick rows among all other tests)."""
    return request.config.stash[STATE] if request.config.getoption("--truth", default=False) else None


@pytest.fixture
def again(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--again", default=False))


@pytest.fixture
def results(request: pytest.FixtureRequest) -> dict[str, Result]:
    return request.config.stash[RESULTS]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash.get(RESULTS, {})
    rows = [row for row in ROWS if row.name in found]
    if rows:
        terminalreporter.section("truth")
        measured = [row for row in rows if found[row.name].outcome is not None]
        table = [HEAD[:-1], *(cells(row, found[row.name])[:-1] for row in measured)]
        widths = [max(len(line[n]) for line in table) for n in range(len(table[0]))]
        for line in table:
            columns = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
            terminalreporter.write_line("  ".join(columns).rstrip())
        for row in rows:
            if found[row.name].outcome is None:
                terminalreporter.write_line(
                    f"{row.case}: {row.ceiling}: not proven here: {why(found[row.name])}"
                )
    if config.getoption("--write-truth", default=False):
        known = config.stash[STATE]
        everything = {row.name: result for row in ROWS if (result := found.get(row.name) or known.get(row))}
        PAGE.write_text(page(ROWS, everything, kamailio_version(), WITHOUT_ROW), encoding="utf-8")
        terminalreporter.write_line(f"written: docs/{PAGE.name}")
