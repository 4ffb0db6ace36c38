"""kamtcp plan: its formats, its schema, its exit codes, and that it writes nothing but the file it was told to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from commands import REFERENCE, Ran, run
from json_schema import published, wrong

from kamtcp.cli.plan_document import Document, document
from kamtcp.cli.plan_text import text
from kamtcp.cli.wrap import Screen
from kamtcp.model.instance import Unit
from kamtcp.plan.outcome import plan
from kamtcp.plan.render import FORMATS
from situations import DENIED, verdict

UNIT = Unit("kamailio.service", DENIED, DENIED, "", 4915)
ILL: dict[str, Any] = {
    "main": {"nofile_soft": 1024}, "workers": {"nofile_soft": 1024}, "unit": UNIT,
    "sysctls": {"fs.epoll.max_user_watches": "9000", "net.netfilter.nf_conntrack_max": "16384"},
    "parameters": {"tcp_max_connections": 2048, "tcp_max_connections_hard": 2048},
    "target": {"connections": 15_000, "rate": 2000},
}  # fmt: skip
SITUATIONS: dict[str, dict[str, Any]] = {
    "ill": ILL, "away": {**ILL, "away": True}, "well": {"target": {"connections": 1000}},
    "blind": {"shared_memory": DENIED, "opened": DENIED, "cgroup": DENIED, "unit": DENIED, "version": DENIED,
              "target": {"connections": 900_000}},
    "without kamailio": {"kamailio": False, "files_max": 6000, "target": {"connections": 10_000}},
}  # fmt: skip
HOSTILE = "\x1b[2Jé\n$(reboot)`id`'\";rm -rf /"


def of_reference(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    return run(capsys, "plan", "--from", REFERENCE, "--connections", "15000", "--rate", "500", *arguments)


def shown(name: str, width: int = 80) -> str:
    one = verdict(**SITUATIONS[name])
    return text(one, plan(one.situation), Screen(width, colour=False, unicode=True))


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_screen_is_as_it_was_read_and_fits(name, golden):
    assert max(map(len, shown(name).splitlines())) <= 80
    golden(f"plan-{name.replace(' ', '-')}.txt", shown(name))


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_as_it_was_read(form, golden):
    golden(f"plan-format-{form}.txt", FORMATS[form](plan(verdict(**ILL).situation).steps))


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_document_obeys_its_schema_and_reads_back(name):
    one = verdict(**SITUATIONS[name])
    data = document(((one, plan(one.situation)),))
    assert wrong(json.loads(data), published("plan")) == []
    assert msgspec.json.decode(data, type=Document).planned[0].steps == plan(one.situation).steps


def test_same_facts_and_target_give_the_same_bytes_and_a_file_that_is_new(capsys, tmp_path):
    file = tmp_path / "plan.json"
    first = of_reference(capsys, "--format", "json", "-o", str(file))
    assert (first.code, first.err) == (0, "")
    assert file.read_text() == first.out == of_reference(capsys, "--format", "json").out
    assert file.stat().st_mode & 0o777 == 0o600
    again = of_reference(capsys, "-o", str(file))
    assert (again.code, again.out) == (2, "")
    assert "it exists" in again.err


def test_a_link_in_the_place_of_the_file_is_not_followed(capsys, tmp_path):
    (tmp_path / "plan.json").symlink_to(tmp_path / "victim")
    assert of_reference(capsys, "-o", str(tmp_path / "plan.json")).code == 2
    assert not Path(tmp_path / "victim").exists()


def test_without_a_target_it_says_so(capsys):
    found = run(capsys, "plan", "--from", REFERENCE)
    assert (found.code, found.out) == (2, "")
    assert "--connections N" in found.err


def test_a_target_that_can_not_be_met_is_exit_code_1_and_says_how_many_hosts_would(capsys):
    found = run(capsys, "plan", "--from", REFERENCE, "--connections", "100000000")
    assert found.code == 1
    assert "hosts of this kind would" in " ".join(found.out.split())


@pytest.mark.parametrize("form", FORMATS)
def test_names_that_others_chose_stay_on_their_line(form):
    """A comment that ended early would be a command."""
    changes = {**ILL, "config_path": f"/etc/{HOSTILE}.cfg", "unit": Unit(HOSTILE, DENIED, DENIED, "", 4915)}
    lines = FORMATS[form](plan(verdict(**changes).situation).steps).splitlines()
    for line in lines:
        assert line.startswith(("#", "-", "+")) or "reboot" not in line
