"""The suite `faults`: `kamtcp load` while something goes wrong.

    make faults                 every fault, up to 25 minutes; writes docs/faults.md
    pytest tests/faults         the quick ones
    --faults                    every one; those that passed before with the very same code are not repeated
    --anew                      repeat them
    --write-faults              write docs/faults.md from all that were played

Needs root; a Kamailio and nft as `make packages` unpacks them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kamtcp.rehearse.kamailio import packages_root

sys.path.insert(0, str(Path(__file__).parent))

from fault_case import Row
from fault_page import page
from fault_state import CHECKOUT, State

PAGE = CHECKOUT / "docs" / "faults.md"
ROWS = pytest.StashKey[dict[str, Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--faults", action="store_true", help="play every fault")
    group.addoption("--anew", action="store_true", help="those that passed before, too")
    group.addoption("--write-faults", action="store_true", help=f"write docs/{PAGE.name}")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here, gone = Path(__file__).parent, []
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.faults)
        if os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="namespaces of a stand-in host need root"))
        params = item.callspec.params if hasattr(item, "callspec") else {}
        if "case" not in params:
            continue
        if "cases_kamailio" in _module_of(params["case"]) and not packages_root():
            item.add_marker(pytest.mark.skip(reason="no Kamailio: run scripts/fetch_packages.py"))
        if not config.getoption("--faults", default=False) and not params["case"].quick:
            gone.append(item)
    if gone:
        config.hook.pytest_deselected(items=gone)
        items[:] = [item for item in items if item not in gone]


def _module_of(case: object) -> str:
    play = case.play  # type: ignore[attr-defined]
    return str(getattr(play, "func", play).__module__)


@pytest.fixture
def state(request: pytest.FixtureRequest) -> State | None:
    """What passed before; None where every case is played now (quick ones among all other tests)."""
    config = request.config
    if not config.getoption("--faults", default=False):
        return None
    return State(anew=bool(config.getoption("--anew", default=False)))


@pytest.fixture
def rows(request: pytest.FixtureRequest) -> dict[str, Row]:
    return request.config.stash.setdefault(ROWS, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--write-faults", default=False):
        from test_faults import CASES

        PAGE.write_text(page(CASES, config.stash[ROWS]), encoding="utf-8")
        terminalreporter.write_line(f"written: docs/{PAGE.name}")
