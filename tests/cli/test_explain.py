"""kamtcp explain: every name gets a page that fits, known names exit 0, unknown ones 2 with names like them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import REFERENCE, run
from json_schema import published, wrong

from fake_host import TreeHost
from kamtcp.catalogue.load import entries
from kamtcp.catalogue.markdown import page
from kamtcp.catalogue.names import spellings
from kamtcp.catalogue.symptoms import symptoms
from kamtcp.cli.explain import LETTERS
from kamtcp.cli.explain_document import LIST_SCHEMA, SCHEMA, document
from kamtcp.cli.explain_facts import facts
from kamtcp.cli.explain_find import Unknown, find, name_of, subjects
from kamtcp.cli.explain_here import number, values
from kamtcp.cli.explain_text import text
from kamtcp.cli.wrap import Screen
from kamtcp.diagnose.verdict import Verdict, judge
from kamtcp.model.absent import UNLIMITED, Absent, Why
from kamtcp.model.instance import Parameter
from kamtcp.model.origin import Origin
from kamtcp.model.snapshot import Snapshot
from kamtcp.model.target import Target
from kamtcp.record.archive import load
from kamtcp.record.recorded import samples
from kamtcp.survey.take import take
from situations import DENIED, situation, snapshot

NARROW = Screen(80, False, True)
TARGET = Target(
    connections=20_000, tls=5000, ws=1000, wss=2000, rate=6000, storm=20_000, storm_seconds=60,
    outbound={"192.0.2.9:5060": 2000}, registration_seconds=3600,
)  # fmt: skip
EVERYTHING = [pytest.param(each, id=name_of(each)) for each in subjects()]


def explain(capsys, *arguments: str):
    return run(capsys, "explain", *arguments, "--from", REFERENCE)


@pytest.fixture(scope="module")
def reference() -> tuple[object, Snapshot, tuple[Verdict, ...]]:
    host = samples(load(REFERENCE))[-1]
    seen = take(host)
    return host, seen, tuple(judge(seen, each, TARGET) for each in seen.instances)


def places():
    ill = situation(
        target=TARGET, main={"nofile_soft": 1024}, away=True, version=DENIED, opened=DENIED, cgroup=DENIED
    )
    without = situation(target=TARGET, kamailio=False)
    return {"elsewhere": ill, "no kamailio": without}


def at(place: str) -> tuple[Snapshot, tuple[Verdict, ...]]:
    """Facts and verdicts of one of them."""
    s = places()[place]
    seen = snapshot(s)
    if s.instance is not None:
        away = {**seen.namespaces, seen.machine.netns: situation().namespace}
        seen = Snapshot(seen.schema, seen.machine, away, seen.instances, seen.unseen)
    return seen, (judge(seen, s.instance, TARGET),)


@pytest.mark.parametrize("subject", EVERYTHING)
def test_every_subject_has_a_page_of_80_columns(subject, reference):
    host, seen, verdicts = reference
    found = text(facts(subject, host, seen, verdicts), NARROW)
    lines = found.splitlines()
    assert name_of(subject) in lines[0]
    assert "Traceback" not in found
    for line in lines:
        shell = line.startswith(" see ") or line.lstrip().startswith(
            ("for p in", "sysctl", "nsenter", "kamcmd")
        )
        assert len(line) <= 80 or shell, line


@pytest.mark.parametrize("place", ["elsewhere", "no kamailio"])
def test_every_subject_has_a_page_on_stranger_hosts(place):
    seen, verdicts = at(place)
    host = TreeHost({"/proc/sys/net/core/somaxconn": b"4096\n"})
    for subject in subjects():
        found = text(facts(subject, host, seen, verdicts), NARROW)
        assert found.splitlines()[0].startswith(name_of(subject)), found


@pytest.mark.parametrize("subject", EVERYTHING)
def test_every_subject_is_found_by_its_name(subject):
    found = find(name_of(subject))
    assert found[0] == subject
    assert len(found) == 1 or name_of(subject) == "file-max"


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("TCP_BUF_SIZE", "TCP_BUF_SIZE is gone since some release before Kamailio 3.3. It was: read buffer"),
        ("net/core/somaxconn", "net.core.somaxconn: longest accept queue"),
        ("ListenOverflows", "TcpExt.ListenOverflows: SYNs and final ACKs"),
        ("TcpExt.ListenOverflows", "TcpExt.ListenOverflows: SYNs and final ACKs"),
        ("FDS001", "FDS001 descriptors-below-max-connections: "),
        ("fds001", "FDS001 "),
        ("descriptors-below-max-connections", "FDS001 "),
        ("tcp-main-descriptors", "tcp-main-descriptors: ceiling of held connections"),
        ("descriptors of tcp main", "tcp-main-descriptors: ceiling"),
        ("tcp-max-connections", "tcp-max-connections: ceiling"),
        ("tcp_max_connections", "tcp_max_connections: connections of all transports"),
        ("tcp_tw_recycle", "net.ipv4.tcp_tw_recycle is gone since Linux 4.12."),
        ("fs.epoll.max_user_instances", "fs.epoll.max_user_instances is gone since Linux 2.6.29."),
        ("PAWSPassive", "TcpExt.PAWSPassive is gone since Linux 4.12."),
        ("PKG_MEM_POOL_SIZE", "PKG_MEM_POOL_SIZE is gone since some release before Kamailio 3.3."),
        ("ip_conntrack", "net.netfilter.nf_conntrack_max: connections that the firewall tracks"),
        ("ulimit -n", "RLIMIT_NOFILE: descriptors that one process may open"),
        ("tcp_poll_max", "tcp_poll_max: no such parameter, in any release."),
        ("tcp_low_latency", "net.ipv4.tcp_low_latency does nothing any more."),
        ("ip_local_port_range", "net.ipv4.ip_local_port_range: ports that the kernel chooses"),
        ("IP_LOCAL_PORT_RANGE", "IP_LOCAL_PORT_RANGE: a port range of one socket"),
        ("file-max", "file-max: ceiling of held connections"),
        ("-m", "-m: "),
        ("-N", "tcp_children: processes that read"),
        (
            "tcp_accept_iplimit",
            "tcp_accept_iplimit: connections from one address. Not in this release; since Kamailio 5.7.3.",
        ),
    ],
)
def test_any_spelling_of_a_known_name_is_exit_0(name, first, capsys):
    found = explain(capsys, name)
    assert (found.code, found.err) == (0, "")
    assert " ".join(found.out.split("\n\n")[0].split()).startswith(first)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("somaxcon", "did you mean: somaxconn"),
        ("tcp_max_conections", "tcp_max_connections"),
        ("FDS0001", "did you mean: FDS001"),
        ("ListenOverflow", "ListenOverflows"),
        ("frobnicate", "kamtcp explain --list shows all"),
        ("", "no setting, counter, ceiling or finding ''"),
        ("\0\n", "no setting"),
        ("x" * 5000, "no setting"),
    ],
)
def test_an_unknown_name_is_exit_2_with_names_like_it(name, said, capsys):
    found = explain(capsys, name)
    assert (found.code, found.out) == (2, "")
    assert said in found.err
    assert found.err.count("\n") == 1


def test_what_can_not_be_meant_is_exit_2(capsys):
    for arguments, said in (((), "expected a NAME"), (("--list", "somaxconn"), "--list takes no NAME"),
                            (("somaxconn", "--save-target"), "unrecognized arguments"),
                            (("somaxconn", "--instance", "other"), "no such Kamailio")):  # fmt: skip
        found = explain(capsys, *arguments)
        assert found.code == 2
        assert said in found.err


def test_options_of_kamailio_are_names():
    assert set(LETTERS) == {each for each in spellings() if re.fullmatch("-[A-Za-z]", each)}


def test_a_short_name_of_a_ceiling_and_a_setting_shows_both(capsys):
    assert "\nfs.file-max: open files of the whole machine" in explain(capsys, "file-max").out


def test_a_page_says_what_kamtcp_would_set_and_why(capsys):
    found = " ".join(explain(capsys, "somaxconn", "--connections", "20000", "--rate", "6000").out.split())
    assert "now 4096 connections, the default" in found
    assert "8192, at least [safe]" in found
    assert "accept-queue 1,025 connections at one instant" in found
    assert "BELOW TARGET" in found
    assert "this Kamailio asks for 1024" in found


def test_without_a_target_it_says_what_to_state(capsys):
    assert "state one with --rate R" in " ".join(explain(capsys, "somaxconn").out.split())


def test_a_finding_that_is_here_shows_its_evidence_and_cures(capsys):
    found = explain(capsys, "FDS001").out
    assert "FOUND (fatal)" in found
    assert "prlimit" in found
    assert "not found in what could be seen" in explain(capsys, "CFG006").out


def test_several_names_give_several_pages(capsys):
    found = explain(capsys, "somaxconn", "FDS001", "gc_thresh3").out
    assert found.count("=" * 80) == 3


def test_the_list_names_everything_once(capsys):
    found = explain(capsys, "--list")
    assert found.code == 0
    assert all(len(line) <= 80 for line in found.out.splitlines())
    for subject in subjects():
        assert f"\n  {name_of(subject)} " in found.out
    told = json.loads(explain(capsys, "--list", "--json").out)
    assert told["schema"] == LIST_SCHEMA
    assert wrong(told, published("explain-list")) == []
    assert [each["name"] for each in told["names"]] == [name_of(each) for each in subjects()]


def test_symptoms_lead_to_names(capsys):
    found = explain(capsys, "--symptoms")
    assert (found.code, found.err) == (0, "")
    assert all(len(line) <= 80 for line in found.out.splitlines())
    assert found.out.count("  look at: ") == len(symptoms())
    one = explain(capsys, "--symptoms", "CARRIER", "assign").out
    assert one.startswith("Connections to a carrier fail: cannot assign requested address\n")
    assert "ephemeral-ports" in one
    assert one.count("look at:") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--symptoms", "frobnicate"), "no symptom has the words 'frobnicate'"),
        (("--symptoms", "--json"), "takes neither"),
        (("phones can't connect",), "--symptoms WORD finds"),
    ],
)
def test_what_no_symptom_says_is_exit_2(arguments, said, capsys):
    found = explain(capsys, *arguments)
    assert (found.code, found.out) == (2, "")
    assert said in found.err


def test_json_says_the_same(capsys):
    found = explain(capsys, "somaxconn", "accept-queue", "FDS001", "--json", "--rate", "6000")
    told = json.loads(found.out)
    assert found.code == 0
    (setting,), (ceiling,), (defect,) = told["settings"], told["ceilings"], told["findings"]
    assert setting["entry"]["id"] == "net.core.somaxconn"
    assert setting["here"][0]["value"] == "4096"
    assert setting["proposals"][0]["size"]["value"] == "8192"
    assert setting["project"] == "Linux"
    assert ceiling["spec"]["name"] == "accept-queue"
    assert defect["of"]["code"]["code"] == "FDS001"
    assert told["schema"] == SCHEMA
    assert wrong(told, published("explain")) == []
    for each in (setting, ceiling, defect):
        assert (Path(__file__).parents[2] / "docs/reference" / each["page"]).exists()


@pytest.mark.parametrize("place", ["elsewhere", "no kamailio"])
def test_json_of_everything_obeys_the_published_schema(place, reference):
    schema = published("explain")
    seen, verdicts = at(place)
    told = [facts(each, TreeHost(), seen, verdicts) for each in subjects()]
    assert wrong(json.loads(document(["x"], told)), schema) == []
    host, seen, judged = reference
    told = [facts(each, host, seen, judged) for each in subjects()]
    assert wrong(json.loads(document(["x"], told)), schema) == []


def test_json_names_paths_that_are_not_utf_8(capsys):
    s = situation(parameters={"tcp_max_connections": Parameter(5, Origin.READ, "/etc/k\udcff.cfg:3")})
    told = facts(
        entries()["tcp_max_connections"], TreeHost(), snapshot(s), (judge(snapshot(s), s.instance, TARGET),)
    )
    assert b"k\\\\xff.cfg:3" in document(["x"], (told,))


class TestTheValueHere:
    def test_a_namespace_of_another_kamailio_has_a_value_of_its_own(self):
        s = situation(away=True, sysctls={"net.core.somaxconn": "64"})
        seen = snapshot(s, situation())
        seen = Snapshot(seen.schema, seen.machine, {**seen.namespaces, s.machine.netns: situation().namespace},
                        (s.require(),), ())  # fmt: skip
        here, there = values(entries()["net.core.somaxconn"], TreeHost(), seen)
        assert (here.where, here.value, there.instance, there.value) == ("here", "4096", "kamailio", "64")
        assert "of kamailio (pid 812)" in there.where

    def test_what_no_snapshot_holds_is_read_inside_the_namespace(self):
        s = situation(away=True)
        seen = snapshot(s)
        inside = TreeHost({"/proc/sys/net/ipv4/tcp_retries1": b"7\n"})
        host = TreeHost({}, namespaces={812: inside})
        (there,) = values(entries()["net.ipv4.tcp_retries1"], host, seen)
        assert there.value == "7"

    def test_a_namespace_that_can_not_be_entered_is_said(self):
        (there,) = values(entries()["net.ipv4.tcp_retries1"], TreeHost({}), snapshot(situation(away=True)))
        assert isinstance(there.value, Absent)
        assert there.value.why is Why.GONE

    def test_a_machine_wide_value_seen_from_a_child_namespace_is_not_visible(self):
        hidden = Absent(
            "net.core.netdev_max_backlog", Why.NOT_VISIBLE, "the reader is in a child network namespace"
        )
        seen = snapshot(situation())
        seen.machine.sysctls["net.core.netdev_max_backlog"] = hidden
        (here,) = values(entries()["net.core.message_cost"], TreeHost({}), seen)
        assert isinstance(here.value, Absent)
        assert here.value.why is Why.NOT_VISIBLE

    def test_limits_are_those_of_tcp_main(self):
        seen = snapshot(situation(main={"nofile_soft": 1024, "nofile_hard": UNLIMITED}))
        (here,) = values(entries()["RLIMIT_NOFILE"], TreeHost(), seen)
        assert (here.value, here.source) == ("1024:unlimited", "tcp main, pid 831")

    @pytest.mark.parametrize(
        ("files", "value"), [(b"quiet thash_entries=1048576\n", "1048576"), (b"quiet\n", "not given")]
    )
    def test_boot_options_are_those_of_the_running_kernel(self, files, value):
        (here,) = values(
            entries()["thash_entries"], TreeHost({"/proc/cmdline": files}), snapshot(situation())
        )
        assert here.value == value

    @pytest.mark.parametrize(
        ("printed", "found"),
        [("4096", 4096), ("1024:20000", 1024), ("32768\t60999", 32768), ("yes", 1), ("no", 0), ("max", UNLIMITED),
         ("infinity", UNLIMITED), ("unlimited", UNLIMITED), ("-1", -1)],
    )  # fmt: skip
    def test_a_printed_value_as_a_number(self, printed, found):
        assert number(printed) == found

    @pytest.mark.parametrize("printed", ["", "fq_codel", "1.5", "9" * 30, DENIED])
    def test_what_is_no_number_is_absent(self, printed):
        assert isinstance(number(printed), Absent)


def test_unknown_offers_what_a_short_name_is_short_for():
    found = find("timeout")
    assert isinstance(found, Unknown)
    assert len(found.close) <= 5


def test_pages_need_no_host():
    assert "4096" in page(entries()["net.core.somaxconn"])


@pytest.mark.parametrize("command", [["check", "--from", REFERENCE], ["--help"], ["record", "--help"]])
def test_other_commands_do_not_load_the_catalogue(command):
    script = "import sys\nfrom kamtcp.__main__ import main\nmain(sys.argv[1:])\nsys.exit(5 if 'kamtcp.catalogue' in sys.modules else 0)"
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, check=False, timeout=60,
                          cwd=Path(__file__).parents[2], env={"PYTHONPATH": "src", "PATH": "/usr/bin:/bin"})  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
