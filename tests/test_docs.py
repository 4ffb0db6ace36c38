"""The generated pages are fresh, and every ceiling that DESIGN names is computed or says why not."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from kamtcp.capacity.catalogue import BY_NAME
from kamtcp.capacity.ceiling import Kind
from kamtcp.diagnose.codes import ALL as CODES

ROOT = Path(__file__).parents[1]

#: what 5.6.3 with its stock configuration has no limit or timer of; all others must be numbers
NO_LIMIT = {
    "per-source-limit": "5.7.3 brought it",
    "per-source-scan": "5.7.3 brought it",
    "cgroup-memory": "the stand-in bounds nothing",
    "cgroup-pids": "the stand-in bounds nothing",
    "conntrack-table": "no rule of the stand-in tracks",
    "conntrack-churn": "no rule of the stand-in tracks",
    "conntrack": "no rule of the stand-in tracks",
    "message-data": "5.7.3 brought it",
    "message-read": "5.7.3 brought it",
}
#: what DESIGN names and nobody on the host can know
WHY_NOT = {"softirq budget", "NAT timeouts"}


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_docs", ROOT / "scripts/make_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "page", ["docs/check.schema.json", "docs/reference/ceilings.md", "docs/reference/findings.md"]
)
def test_the_page_is_what_make_docs_would_write_now(page, docs):
    """`make docs` renews it."""
    assert set(docs.PAGES) >= {page}
    assert docs.PAGES[page]() == (ROOT / page).read_text(encoding="utf-8")


def test_every_ceiling_and_timer_has_its_row(docs):
    named = {name for each in (*docs.HELD, *docs.RATE, *docs.TIME) for name in each.by}
    timers = {each.name for each in docs.reference().ladder.timers}
    assert named == set(BY_NAME) | timers
    for each in docs.HELD:
        assert all(BY_NAME[name].spec.kind is Kind.HELD or name == "worker-descriptors" for name in each.by)


def test_on_the_reference_set_up_only_these_rows_are_without_a_number(docs):
    verdict = docs.reference()
    rows = [docs.row(name, verdict) for each in (*docs.HELD, *docs.RATE, *docs.TIME) for name in each.by]
    assert {row.name for row in rows if row.state in ("no limit", "not running")} == set(NO_LIMIT)
    assert {row.name for row in rows if row.state == "why not"} == set()
    assert {each.words for each in (*docs.HELD, *docs.RATE, *docs.TIME) if each.why} == WHY_NOT
    assert verdict.blind == ()


def test_the_reference_set_up_stops_where_a_real_one_was_measured(docs):
    """1,024 descriptors less what tcp main needs itself; 994 to 998 in all set-ups that were tried."""
    verdict = docs.reference()
    assert verdict.binding.name == "tcp-main-descriptors"
    assert 980 <= verdict.binding.at <= 1000
    assert {each.code for each in verdict.findings} >= {"FDS001", "TLS001"}


def test_all_codes_are_on_the_page_of_findings():
    page = (ROOT / "docs/reference/findings.md").read_text()
    assert all(f"| {each.code} | `{each.name}` | {each.severity.value} |" in page for each in CODES)


def test_a_stale_page_is_named(docs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "PAGES", {"docs/a.md": lambda: "new\n", "docs/b.md": lambda: "same\n"})
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("old\n")
    (tmp_path / "docs/b.md").write_text("same\n")
    assert docs.main(["--check"]) == 1
    assert capsys.readouterr().out == "stale, run `make docs`: docs/a.md\n"
    assert (tmp_path / "docs/a.md").read_text() == "old\n"
    assert docs.main([]) == 0
    assert (tmp_path / "docs/a.md").read_text() == "new\n"
    assert docs.main(["--check"]) == 0
