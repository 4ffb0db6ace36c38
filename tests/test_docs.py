"""The generated pages are fresh, and every ceiling that DESIGN names is computed or says why not."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from kamtcp.capacity.catalogue import ALL as CEILINGS
from kamtcp.capacity.catalogue import BY_NAME
from kamtcp.capacity.ceiling import Effect, Kind
from kamtcp.catalogue.load import entries
from kamtcp.catalogue.symptoms import symptoms
from kamtcp.cli.explain_find import find, name_of, subjects
from kamtcp.cli.explain_links import bearing, ceilings_of, page_of, settings_of
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


def test_the_pages_are_what_make_docs_would_write_now(docs):
    """`make docs` renews them."""
    wanted = docs.pages()
    stale = [name for name, text in wanted.items() if docs._text(ROOT / name) != text]
    assert stale == []
    assert docs.left_over(wanted) == []


def test_every_setting_ceiling_and_finding_has_a_page(docs):
    wanted = docs.pages()
    assert len({name.casefold() for name in wanted}) == len(wanted)
    for each in subjects():
        page = wanted[f"docs/reference/{page_of(each)}"]
        assert name_of(each) in page.splitlines()[0]
        assert all(ord(letter) < 128 for letter in page_of(each))


def links(page: Path) -> list[str]:
    """Targets of all links that lead to files of this repository."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*\]\([^`\n]*`", "", text))
    return [each.partition("#")[0] for each in found if "://" not in each and not each.startswith("#")]


def test_no_link_is_broken():
    broken = []
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")):
        broken += [
            f"{page.relative_to(ROOT)}: {each}" for each in links(page) if not (page.parent / each).exists()
        ]
    assert broken == []


def test_pages_are_linked_both_ways(docs):
    """A finding links its settings, and they link it; a ceiling and what raises it likewise."""
    wanted = docs.pages()
    pages = {name.removeprefix("docs/reference/"): text for name, text in wanted.items()}
    for code in CODES:
        names = settings_of(code)
        assert (
            names or ceilings_of(code) or code.is_symptom or code.code in docs.reference_pages.OF_ANY_LINE
        ), f"{code.code}: name it in `findings` of a setting in the catalogue"
        for name in names:
            assert f"](../{page_of(entries()[name])})" in pages[page_of(code)]
            assert f"](../{page_of(code)})" in pages[page_of(entries()[name])]
    for each in CEILINGS:
        for name in bearing(each.spec):
            assert f"](../{page_of(entries()[name])})" in pages[page_of(each.spec)]
            assert f"](../{page_of(each.spec)})" in pages[page_of(entries()[name])]


def test_the_index_by_symptom_leads_to_what_exists(docs):
    page = docs.pages()["docs/reference/README.md"]
    assert len({each.seen for each in symptoms()}) == len(symptoms()) > 20
    for each in symptoms():
        assert f"\n### {each.seen}\n" in page
        assert len(set(each.look)) == len(each.look) > 2
        for name in each.look:
            found = find(name)
            assert isinstance(found, tuple), (each.seen, name)
            assert name_of(found[0]) == name, (each.seen, name)


def test_every_ceiling_that_stops_is_on_the_index_by_symptom():
    named = {name for each in symptoms() for name in each.look}
    assert {each.spec.name for each in CEILINGS if each.spec.effect is Effect.STOPS} <= named


def test_every_symptom_of_a_server_is_on_the_index_by_symptom():
    """Those of the load (GEN) are about kamtcp's own clients."""
    named = {name for each in symptoms() for name in each.look}
    assert {each.code for each in CODES if each.is_symptom and not each.code.startswith("GEN")} <= named


def test_every_spelling_stands_on_the_page_of_names(docs):
    page = docs.pages()["docs/reference/names.md"]
    for each in subjects():
        assert f"]({page_of(each)})" in page
        assert f"- [`{name_of(each)}`](" in page
    for name in ("-N", "PASWEstab", "ListenOverflows", "ulimit -n"):
        assert f"- `{name}`: [" in page


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
    for each in CODES:
        assert f"| [{each.code}](findings/{each.code}.md) | `{each.name}` | {each.severity.value} |" in page


def test_a_stale_page_is_named(docs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    monkeypatch.setattr(docs, "pages", lambda: {"docs/a.md": "new\n", "docs/b.md": "same\n"})
    (tmp_path / "docs/reference/settings").mkdir(parents=True)
    (tmp_path / "docs/reference/settings/c.md").write_text("nothing makes it any more\n")
    (tmp_path / "docs/a.md").write_text("old\n")
    (tmp_path / "docs/b.md").write_text("same\n")
    assert docs.main(["--check"]) == 1
    assert capsys.readouterr().out == "stale, run `make docs`: docs/a.md, docs/reference/settings/c.md\n"
    assert (tmp_path / "docs/a.md").read_text() == "old\n"
    assert docs.main([]) == 0
    assert (tmp_path / "docs/a.md").read_text() == "new\n"
    assert not (tmp_path / "docs/reference/settings/c.md").exists()
    assert docs.main(["--check"]) == 0
