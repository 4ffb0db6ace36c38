"""The benchmark of the command line compares medians of turns, and takes no failed run for a measurement."""

import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def check_cost(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    import check_cost

    return check_cost


def test_each_command_is_given_as_a_multiple_of_the_first(check_cost):
    bare = [sys.executable, "-c", "pass"]
    rows = check_cost.in_turns({"bare": bare, "json": [sys.executable, "-c", "import json"]}, 3)
    assert rows["bare"]["ratio"] == 1
    assert rows["json"]["wall_ms"] >= rows["json"]["least_ms"] > 0
    assert rows["json"]["ratio"] == rows["json"]["wall_ms"] / rows["bare"]["wall_ms"]


def test_findings_are_an_answer_and_an_error_is_none(check_cost):
    """Exit 1 says that there are findings, 2 that kamtcp failed."""
    check_cost.timed([sys.executable, "-c", "raise SystemExit(1)"], dict(os.environ))
    with pytest.raises(SystemExit):
        check_cost.timed([sys.executable, "-c", "raise SystemExit(2)"], dict(os.environ))


def test_nothing_steers_the_interpreter_that_is_measured(check_cost, monkeypatch):
    """A developer's PYTHONDONTWRITEBYTECODE or PYTHONPATH would be measured, too."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("KAMTCP_STATE", "/nowhere")
    found = check_cost.environment()
    assert not [name for name in found if name.startswith("PYTHON")]
    assert ".cache" in found["KAMTCP_STATE"]
