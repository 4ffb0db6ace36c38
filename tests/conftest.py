"""Shared by all tests: helpers to import, golden files, and skips that must not go unnoticed.

In CI (CI=true) a skip that isn't on tests/allowed_skips.txt is a failure: a test that silently stopped
running proves nothing.
"""

from __future__ import annotations

import fnmatch
import os
import sys
from pathlib import Path

import pytest

from kamtcp.rehearse.kamailio import packages_root

HERE = Path(__file__).parent
ALLOWED = HERE / "allowed_skips.txt"
sys.path[:0] = [str(HERE), str(HERE / "cli")]  # for situations.py, fake_host.py and cli/commands.py

# no test leaves a history of use on the machine it runs on: below /proc nothing can be made
os.environ["KAMTCP_STATE"] = "/proc/nowhere"

# every test that starts a Kamailio finds it by this name; `make packages` has fetched it
_root = packages_root(str(HERE.parent / ".cache/packages/root"))
if _root is not None:
    os.environ["KAMTCP_KAMAILIO_ROOT"] = _root


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden", action="store_true", help="renew tests/golden/ from what is printed now"
    )


@pytest.fixture
def golden(request):
    """Compare text with tests/golden/NAME; --update-golden renews it."""

    def compare(name: str, text: str) -> None:
        path = HERE / "golden" / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        assert path.exists(), f"no golden file {name}: run pytest --update-golden and read the change"
        assert text == path.read_text()

    return compare


@pytest.fixture(scope="session")
def environment():
    """What a subprocess needs to run this kamtcp; no settings of the tester's terminal leak in."""
    kept = {
        name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "KAMTCP_STATE") if name in os.environ
    }
    source = str(HERE.parent / "src")
    return {**kept, "PYTHONPATH": source, "PYTHONWARNINGS": "error", "LC_ALL": "C.UTF-8"}


@pytest.fixture(autouse=True)
def own_state(monkeypatch):
    """No test reads or writes the target and the memory of the machine it runs on: below /proc nothing can be made."""
    from kamtcp.cli import highest, target
    from kamtcp.survey import accepted

    monkeypatch.setattr(highest, "FILE", "/proc/nowhere/highest.json")
    monkeypatch.setattr(target, "TARGET_FILE", "/proc/nowhere/target.toml")
    monkeypatch.setattr(accepted, "ACCEPT_FILE", "/proc/nowhere/accept.toml")


@pytest.fixture
def alone(monkeypatch):
    """Hides Kamailios of other tests on this machine (they may hang on purpose); add pids that are to be seen."""
    from kamtcp.host.live import Live

    mine: set[int] = set()
    everything = Live.listdir

    def another(name: str) -> bool:
        try:
            return (
                name.isdigit()
                and int(name) not in mine
                and Path(f"/proc/{name}/comm").read_text() == "kamailio\n"
            )
        except OSError:
            return False

    def listdir(self, path):
        names = everything(self, path)
        return tuple(name for name in names if not another(name)) if path == "/proc" else names

    monkeypatch.setattr(Live, "listdir", listdir)
    return mine


def allowed_skips() -> list[str]:
    """Patterns of test ids that may be skipped in CI, one a line, with the reason behind #."""
    lines = ALLOWED.read_text().splitlines() if ALLOWED.exists() else []
    return [line.split("#", 1)[0].strip() for line in lines if line.split("#", 1)[0].strip()]


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") != "true" or reporter is None:
        return
    patterns = allowed_skips()
    skipped = [report.nodeid for report in reporter.stats.get("skipped", [])]
    wrong = [each for each in skipped if not any(fnmatch.fnmatch(each, pattern) for pattern in patterns)]
    if wrong and exitstatus == 0:
        reporter.write_line(f"skipped, but not on {ALLOWED.name}: " + ", ".join(sorted(wrong)), red=True)
        session.exitstatus = 1
