"""Reference pages: made from the entry alone, each in a file of its own."""

from __future__ import annotations

import re

from kamtcp.catalogue.load import entries
from kamtcp.catalogue.markdown import file_name, index, page


def test_every_entry_has_a_page_that_says_what_explain_says():
    for entry in entries().values():
        text = page(entry)
        assert text.startswith(f"# `{entry.id}`\n"), entry.id
        assert text.endswith("\n")
        assert entry.does.rstrip(".") in text
        assert all(each in text for each in entry.sources)
        if entry.is_gone:
            assert f"Instead: {entry.instead}." in text


def test_tables_are_not_broken_by_what_they_hold():
    for entry in entries().values():
        for line in page(entry).splitlines():
            if line.startswith("|"):
                assert len(re.findall(r"(?<!\\)\|", line)) == 3, line


def test_file_names_differ_even_where_case_does_not_count():
    names = [file_name(name).lower() for name in entries()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9._-]+\.md", name) for name in names)


def test_links_lead_to_pages():
    files = {file_name(name) for name in entries()}
    for entry in entries().values():
        links = set(re.findall(r"\]\(([^)]*)\)", page(entry)))
        assert {each for each in links if not each.startswith("../ceilings/")} <= files


def test_the_index_lists_every_entry_once():
    text = index(entries().values())
    assert text.count("\n- [`") + text.startswith("- [`") == len(entries())
    assert text.startswith("\n## listen\n") or "## listen" in text.splitlines()[:2]


def test_the_same_entry_gives_the_same_page():
    entry = entries()["net.core.somaxconn"]
    assert page(entry) == page(entry)
