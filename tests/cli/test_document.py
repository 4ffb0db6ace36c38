"""The JSON form: it obeys its published schema, and says the same as the text."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from commands import check
from json_schema import published, wrong

from kamtcp.cli.document import SCHEMA, Document, document
from situations import DENIED, situation, snapshot, verdict

PUBLISHED = published("check")


SITUATIONS: dict[str, dict[str, Any]] = {
    "healthy": {},
    "ill": {"main": {"nofile_soft": 1024}, "target": {"connections": 20_000, "outbound": {"192.0.2.1:5060": 5}}},
    "blind": {"shared_memory": DENIED, "opened": DENIED, "cgroup": DENIED, "unit": DENIED, "version": DENIED},
    "without kamailio": {"kamailio": False},
    "absurd": {"opened": 2**64 - 1, "files_max": 2**64 - 1, "main": {"nofile_soft": 2**64 - 1},
               "sysctls": {"net.ipv4.tcp_ehash_entries": str(2**64), "fs.nr_open": "-1", "net.ipv4.tcp_mem": "max"}},
}  # fmt: skip


def of(**changes: Any) -> bytes:
    return document(snapshot(situation(**changes)), ((verdict(**changes), "options"),), 1)


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_printed_obeys_the_published_schema(name):
    data = of(**SITUATIONS[name])
    assert wrong(json.loads(data), PUBLISHED) == []
    assert data.endswith(b"}\n")


def test_the_schema_is_no_empty_promise():
    """A document with one thing wrong is found out, wherever it is."""
    for path, value in (
        ((), []), (("schema",), 1), (("judged", 0, "findings", 0, "severity"), "grave"),
        (("judged", 0, "held", 0, "limit"), "many"), (("snapshot", "machine", "cpus"), None),
    ):  # fmt: skip
        data = json.loads(of(**SITUATIONS["ill"]))
        place: Any = data
        for step in path[:-1]:
            place = place[step]
        if path:
            place[path[-1]] = value
        assert wrong(data if path else value, PUBLISHED), path


@pytest.mark.parametrize("name", SITUATIONS)
def test_it_reads_back_as_what_it_was_made_from(name):
    data = of(**SITUATIONS[name])
    read = msgspec.json.decode(data, type=Document)
    assert read.schema == SCHEMA
    assert read.snapshot == snapshot(situation(**SITUATIONS[name]))
    if name == "absurd":  # 2**64 - 1 is another number as a float
        return
    found, judged = verdict(**SITUATIONS[name]), read.judged[0]
    assert (judged.held, judged.rates, judged.unseen_ceilings) == (
        found.ladder.held,
        found.ladder.rates,
        found.ladder.unseen,
    )
    assert (judged.findings, judged.timers, judged.unseen) == (
        found.findings,
        found.ladder.timers,
        found.unseen,
    )


class TestWhatItSays:
    def judged(self, where: str = "options", **changes: Any) -> Any:
        return json.loads(document(snapshot(situation(**changes)), ((verdict(**changes), where),), 1))[
            "judged"
        ][0]

    def test_the_binding_ceiling_and_its_number(self):
        found = self.judged(main={"nofile_soft": 1024})
        assert (found["binding"], found["stops_at"]) == ("tcp-main-descriptors", 994)
        assert found["headline"].startswith("Stops at 994 connections")

    @pytest.mark.parametrize(
        ("changes", "met"),
        [({}, True), ({"main": {"nofile_soft": 1024}}, False), ({"shared_memory": DENIED, "tls_ports": ()}, None),
         ({"sysctls": {"net.ipv4.tcp_max_orphans": "10"}}, True)],
    )  # fmt: skip
    def test_the_target_is_met_as_the_text_says(self, changes, met):
        """What only hurts others or weakens doesn't make it missed."""
        assert self.judged(target={"connections": 20_000}, **changes)["target_met"] is met

    def test_without_a_target_nothing_is_met(self):
        assert self.judged("", target={"connections": 20_000})["target_met"] is None

    def test_what_could_lie_below_is_named(self):
        found = self.judged(shared_memory=DENIED, tls_ports=())
        assert found["could_lie_below"] == ["shared-memory", "kernel-memory"]
        assert found["unseen"][0]["why"] == "denied"


def test_the_command_prints_one_document_and_nothing_else(capsys):
    found = check(capsys, "--json", "--connections", "20000")
    data = json.loads(found.out)
    assert wrong(data, PUBLISHED) == []
    assert (data["schema"], data["exit_code"], found.code, found.err) == (SCHEMA, 1, 1, "")
    assert [each["code"] for each in data["judged"][0]["findings"]][:2] == ["FDS001", "TLS001"]
