"""What no sane machine shows, but a corrupted recording or another user's process may."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from kamtcp.cli.document import document
from kamtcp.diagnose.verdict import judge
from kamtcp.errors import RecordingError
from kamtcp.kamailio.cmdline import DEFAULT_CONFIG
from kamtcp.model.absent import Absent, Why
from kamtcp.model.target import Target
from kamtcp.record.archive import Header, Recording, load
from kamtcp.record.recorded import Recorded, samples
from kamtcp.survey import find
from kamtcp.survey.take import take

REFERENCE = Path(__file__).parents[1] / "data/reference.kamtcp"
ANSWERS = load(REFERENCE).samples[0]


def stat_of(pid: int, parent: int) -> bytes:
    return (
        f"{pid} (kamailio) S {parent} 1 1 0 -1 0 0 0 0 0 0 0 0 0 0 20 0 1 0 500 1 1 1".encode() + b" 0" * 28
    )


def test_a_ring_of_parents_is_one_family():
    """Pids are reused between two reads of /proc."""
    listed = {("", "listdir", "/proc"): ("5", "6", "7", "8")}
    parents = {5: 7, 6: 5, 7: 6, 8: 7}
    answers = {
        **listed,
        **{("", "read", f"/proc/{pid}/stat"): stat_of(pid, up) for pid, up in parents.items()},
    }
    families = find.families(Recorded(answers))
    assert [family.attendant for family in families] == [5]
    assert [member.pid for member in families[0].members] == [5, 6, 7, 8]


@pytest.mark.parametrize(
    "wrong",
    [
        {"clock_ticks": 0},
        {"page_size": 0},
        {"cpus": -1},
        {"boottime": float("nan")},
        {"boottime": float("inf")},
        {"realtime": -1.0},
    ],
)
def test_a_reader_that_can_not_be_makes_no_recording(wrong):
    sample = {**ANSWERS, ("", "reader"): msgspec.structs.replace(ANSWERS["", "reader"], **wrong)}
    with pytest.raises(RecordingError, match="no machine has such"):
        samples(Recording(Header("0", 0.0, True), [sample]))


def test_a_path_that_is_not_utf8_does_not_spoil_the_document():
    links = {
        key: "/srv/\udcff\udcfe"
        for key in ANSWERS
        if key[1] == "readlink" and str(key[2]).endswith("/cgroup")
    }
    netns = {
        key: "net:[\udcff]" for key in ANSWERS if key[1] == "readlink" and str(key[2]).endswith("/ns/net")
    }
    snapshot = take(Recorded({**ANSWERS, **links, **netns}))
    rows = tuple((judge(snapshot, each, Target(connections=5)), "") for each in snapshot.instances)
    assert "net:[\\xff]" in json.loads(document(snapshot, rows, 0))["snapshot"]["namespaces"]


@pytest.mark.parametrize("content", ["kernel", "long"])
def test_a_configuration_that_is_none_is_not_taken_for_one(content):
    """/proc/kmsg gives its lines to one reader only; a file cut at the limit of one read is half a configuration."""
    attendant = take(Recorded(ANSWERS)).instances[0].attendant
    view = f"within:{attendant}"
    path = take(Recorded(ANSWERS)).instances[0].config_path or DEFAULT_CONFIG
    answers = dict(ANSWERS)
    if content == "long":
        answers[view, "read", path] = b"tcp_children=4\n" * (1 << 19)
    else:
        answers["", "read", f"/proc/{attendant}/cmdline"] = b"kamailio\0-f\0/tmp/../proc/kmsg\0"
        answers[view, "read", "/tmp/../proc/kmsg"] = b"tcp_children=4\n"
    read = take(Recorded(answers)).instances[0].config_read
    assert isinstance(read, Absent)
    assert read.why is (Why.FAILED if content == "long" else Why.DENIED)
