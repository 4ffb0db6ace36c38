"""Shared by all tests: their helpers can be imported, and golden texts can be renewed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write what is shown now into tests/golden, then look at the diff"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest):
    """Compares a text with tests/golden/NAME; `--update-golden` writes it instead."""

    def same(name: str, text: str) -> None:
        path = TESTS / "golden" / name
        if request.config.getoption("--update-golden"):
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing; run pytest with --update-golden"
        assert text == path.read_text(encoding="utf-8"), f"{name} differs; if it is meant, renew with --update-golden"

    return same


@pytest.fixture
def environment():
    """What a subprocess needs to run this kamtcp: no terminal settings of the tester leak in."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    source = str(TESTS.parent / "src")
    return {**kept, "PYTHONPATH": source, "PYTHONWARNINGS": "error", "LC_ALL": "C.UTF-8"}


@pytest.fixture(autouse=True)
def own_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the target and the memory of the machine it runs on; below /proc nothing can be made."""
    from kamtcp.cli import highest, target

    monkeypatch.setattr(highest, "FILE", "/proc/nowhere/highest.json")
    monkeypatch.setattr(target, "TARGET_FILE", "/proc/nowhere/target.toml")
