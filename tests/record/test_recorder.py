"""The recorder notes every answer; the recorded host gives the same ones, errors included."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from fake_host import READER, TreeHost
from kamtcp.errors import NotRecorded, RecordingError, RpcError
from kamtcp.host.door import Endpoint, Transport
from kamtcp.record.archive import Header, Recording, Withheld, load, write
from kamtcp.record.recorded import Recorded, samples
from kamtcp.record.recorder import Recorder
from kamtcp.rehearse.kamailio import packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn

CTL = Endpoint(Transport.BINRPC_UNIX, "/run/ctl")
DUMP = bytes.fromhex("14000000 1200 0103 00000000 00000000".replace(" ", ""))


class Host(TreeHost):
    """A tree that also answers RPC and probes, one of each kind of failure among them."""

    def call(self, endpoint: Endpoint, request: bytes, timeout: float = 2.0) -> bytes:
        if request == b"hang":
            raise TimeoutError("/run/ctl: no whole answer in 2 s")
        if request == b"lie":
            raise RpcError("reply cut after 3 bytes of 9")
        if request == b"shut":
            return super().call(endpoint, request, timeout)
        return b"answer to " + request

    def probe(self, name: str) -> bytes:
        if name == "no":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return b"278 212992"


def tree(**more: object) -> Host:
    files = {
        "/proc/stat": b"btime 5\n",
        "/log": b"one\ntwo\nthree\n",
        "/denied": errno.EACCES,
        "/gone": errno.ESRCH,
        "/dir/a": b"x",
    }
    return Host(files, {"/link": "/dir/a"}, netlink={18: b"links"}, **more)


#: every question, and for each kind of answer one that fails
QUESTIONS = {
    "read": lambda host: host.read("/proc/stat"),
    "read denied": lambda host: host.read("/denied"),
    "read gone": lambda host: host.read("/gone"),
    "read missing": lambda host: host.read("/none"),
    "tail": lambda host: host.tail("/log", 6),
    "search": lambda host: host.search("/log", b"t[a-z]+"),
    "search none": lambda host: host.search("/log", b"four"),
    "listdir": lambda host: host.listdir("/dir"),
    "listdir missing": lambda host: host.listdir("/none"),
    "readlink": lambda host: host.readlink("/link"),
    "readlink none": lambda host: host.readlink("/log"),
    "stat": lambda host: host.stat("/log"),
    "stat missing": lambda host: host.stat("/none"),
    "disk": lambda host: host.disk("/"),
    "netlink": lambda host: host.netlink(0, DUMP),
    "netlink refused": lambda host: host.netlink(0, DUMP[:4] + b"\x63\x00" + DUMP[6:]),
    "call": lambda host: host.call(CTL, b"core.version"),
    "call that hangs": lambda host: host.call(CTL, b"hang"),
    "call that lies": lambda host: host.call(CTL, b"lie"),
    "call refused": lambda host: host.call(CTL, b"shut"),
    "probe": lambda host: host.probe("handoff-messages"),
    "probe that fails": lambda host: host.probe("no"),
    "reader": lambda host: host.reader(),
}


def answer(host: object, question: str) -> object:
    """The value, or the failure as (type, errno, text)."""
    try:
        return QUESTIONS[question](host)
    except (OSError, RpcError) as error:
        return (
            type(error),
            getattr(error, "errno", None),
            "" if isinstance(error, OSError) and error.errno else str(error),
        )


def stored(recorder: Recorder, tmp_path) -> Recorded:
    """What comes back from the file."""
    write(str(tmp_path / "r.kamtcp"), Recording(Header("0.1", 5.0, scrubbed=False), [recorder.notes]))
    return samples(load(str(tmp_path / "r.kamtcp")))[0]


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_same_question_gets_the_same_answer(question, tmp_path):
    """Live, through the recorder, from its notes, and from the file."""
    live, recorder = answer(tree(), question), Recorder(tree())
    recorder.reader()
    assert answer(recorder, question) == live
    assert answer(Recorded(recorder.notes), question) == live
    assert answer(stored(recorder, tmp_path), question) == live


@pytest.mark.parametrize("question", [each for each in QUESTIONS if each != "reader"])
def test_a_question_that_nobody_asked_is_not_recorded(question):
    with pytest.raises(NotRecorded):
        QUESTIONS[question](Recorded({("", "reader"): READER}))


class TestWithin:
    def test_a_namespace_answers_for_itself(self, tmp_path):
        inside = tree()
        inside.files["/proc/stat"] = b"btime 9\n"
        recorder = Recorder(tree(namespaces={831: inside}))
        recorder.reader()
        assert (recorder.read("/proc/stat"), recorder.within(831).read("/proc/stat")) == (
            b"btime 5\n",
            b"btime 9\n",
        )
        host = stored(recorder, tmp_path)
        assert (host.read("/proc/stat"), host.within(831).read("/proc/stat")) == (b"btime 5\n", b"btime 9\n")
        assert host.within(831).reader() == READER

    def test_an_answer_of_the_host_is_none_of_the_namespace(self):
        recorder = Recorder(tree(namespaces={831: tree()}))
        recorder.read("/proc/stat")
        recorder.within(831)
        with pytest.raises(NotRecorded):
            Recorded(recorder.notes).within(831).read("/proc/stat")

    def test_a_namespace_that_may_not_be_entered_refuses_again(self):
        recorder = Recorder(tree())
        for host in (recorder, Recorded(recorder.notes)):
            with pytest.raises(FileNotFoundError):
                host.within(831)
        with pytest.raises(NotRecorded):
            Recorded(recorder.notes).within(832)


class TestLimits:
    def test_a_shorter_read_is_a_part_of_a_longer_one(self):
        recorder = Recorder(tree())
        recorder.read("/log", 100)
        recorder.read("/log", 3)  # does not replace it
        host = Recorded(recorder.notes)
        assert (host.read("/log", 5), host.read("/log")) == (b"one\nt", b"one\ntwo\nthree\n")

    def test_the_longer_read_is_kept_whichever_came_first(self):
        recorder = Recorder(tree())
        recorder.read("/log", 3)
        recorder.read("/log", 100)
        assert Recorded(recorder.notes).read("/log") == b"one\ntwo\nthree\n"

    def test_a_tail_is_cut_at_its_beginning(self):
        recorder = Recorder(tree())
        recorder.tail("/log", 100)
        assert Recorded(recorder.notes).tail("/log", 6) == b"three\n"

    def test_an_answer_is_not_lost_to_a_later_failure(self):
        host = tree()
        recorder = Recorder(host)
        recorder.read("/proc/stat")
        host.files["/proc/stat"] = errno.ESRCH
        with pytest.raises(ProcessLookupError):
            recorder.read("/proc/stat")
        assert Recorded(recorder.notes).read("/proc/stat") == b"btime 5\n"


def test_the_moment_of_a_sample_is_one():
    """However often the reader is asked: ages must not depend on it."""
    from msgspec.structs import replace

    host = tree()
    recorder = Recorder(host)
    first = recorder.reader()
    host._reader = replace(READER, boottime=2000.0)
    assert recorder.reader() == first == Recorded(recorder.notes).reader()


def test_an_answer_that_was_withheld_is_not_recorded():
    with pytest.raises(NotRecorded, match="a secret"):
        Recorded({("", "read", "/x"): Withheld("a secret")}).read("/x")


@pytest.mark.parametrize("question", ["read", "stat", "disk", "netlink", "call"])
def test_an_answer_of_another_kind_is_not_recorded(question):
    """A key may be made to lead anywhere in a file that was tampered with."""
    recorder = Recorder(tree())
    answer(recorder, question)
    with pytest.raises(NotRecorded):
        QUESTIONS[question](Recorded(dict.fromkeys(recorder.notes, ("a", "tuple"))))


def test_a_recording_without_a_sample_or_a_reader_is_refused():
    with pytest.raises(RecordingError, match="holds no sample"):
        samples(Recording(Header("0.1", 5.0, scrubbed=False), []))
    with pytest.raises(RecordingError, match="sample 2 of the recording has no reader"):
        samples(
            Recording(
                Header("0.1", 5.0, scrubbed=False), [{("", "reader"): READER}, {("", "read", "/x"): b""}]
            )
        )


ROOT = packages_root()


@pytest.mark.netns
@pytest.mark.kamailio
@pytest.mark.skipif(ROOT is None or os.geteuid() != 0, reason="needs root and a Kamailio")
def test_a_recording_of_a_real_kamailio_gives_the_same_facts_and_the_same_verdict(tmp_path, environment):
    """Recorder(Live) and Recorded give equal snapshots; so do a live check and one of its recording in another place."""
    from kamtcp.diagnose.verdict import judge
    from kamtcp.host.live import Live
    from kamtcp.model.target import Target
    from kamtcp.survey.take import take

    with (
        StandIn(ROOT) as host,
        start_kamailio(host, config=Scenario(tls_port=5061, websocket=True)) as kamailio,
    ):
        recorder = Recorder(Live())
        live = take(recorder, only=str(kamailio.pid))
        file = str(tmp_path / "real.kamtcp")
        write(file, Recording(Header("0.1", 5.0, scrubbed=False), [recorder.notes]))
        record = [sys.executable, "-m", "kamtcp", "record", "-o", "/run/r.kamtcp"]
        host.run(record, env=environment)
        check = [sys.executable, "-m", "kamtcp", "check", "--connections", "20000"]
        said = host.run(check, env=environment, check=False).stdout.decode()
        with open(host.path("/run/r.kamtcp"), "rb") as made:
            (tmp_path / "cli.kamtcp").write_bytes(made.read())
    again = take(samples(load(file))[0], only=str(kamailio.pid))
    assert again == live
    mine = next(each for each in live.instances if each.attendant == kamailio.pid)
    other = next(each for each in again.instances if each.attendant == kamailio.pid)
    target = Target(connections=20_000)
    assert judge(again, other, target).ladder == judge(live, mine, target).ladder
    assert judge(again, other, target).findings == judge(live, mine, target).findings
    elsewhere = subprocess.run(
        [sys.executable, "-m", "kamtcp", "check", "--connections", "20000", "--from", str(tmp_path / "cli.kamtcp")],
        env=environment, capture_output=True, check=False, timeout=30, cwd="/",
    )  # fmt: skip
    assert (elsewhere.returncode, elsewhere.stderr) == (1, b"")
    assert headlines(elsewhere.stdout.decode()) == headlines(said)


def headlines(report: str) -> list[str]:
    """What doesn't move from one moment to the next: the answer, and what was found."""
    words = report.split("\n\n")[1].split(" Next:", maxsplit=1)[0]
    return [
        words,
        *(line for line in report.splitlines() if line.startswith((" FDS", " TLS", " CFG", " MEM"))),
    ]
