"""Which line of which file wins: as systemd-sysctl and procps say, and as they do."""

from __future__ import annotations

import errno
import os
import random
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_host import TreeHost
from kamtcp.errors import StandInError
from kamtcp.model.absent import Absent, Why
from kamtcp.model.settings import fits
from kamtcp.observe.sysctlfiles import collect, normal, parse
from kamtcp.record.scrub import Scrubber
from kamtcp.rehearse.standin import StandIn

SYSTEMD = {"/run/systemd/system/x": b""}


def host(files: dict[str, str], links: dict[str, str] | None = None, *, systemd: bool = True) -> TreeHost:
    return TreeHost(
        {**{path: text.encode() for path, text in files.items()}, **(SYSTEMD if systemd else {})}, links
    )


class TestALine:
    """sysctl.d(5), CONFIGURATION FORMAT."""

    def test_comments_and_empty_lines_say_nothing(self):
        assert parse(b"# a = 1\n; a = 2\n\n  \n\t# a = 3\n", "f").assignments == ()

    def test_the_value_is_everything_behind_the_first_equals_sign(self):
        (found,) = parse(b"  net.ipv4.tcp_mem =  1  2\t3 \r\n", "/etc/x.conf").assignments
        assert (found.name, found.value, found.where) == ("net.ipv4.tcp_mem", "1  2\t3", "/etc/x.conf:1")
        assert parse(b"a.b = c = d", "f").assignments[0].value == "c = d"

    def test_a_backslash_continues_nothing(self):
        found = parse(b"a.b = 1 \\\n2\nc.d = 3\n", "f")
        assert [(each.name, each.value) for each in found.assignments] == [("a.b", "1 \\"), ("c.d", "3")]
        assert [(each.text, each.line) for each in found.stray] == [("2", 2)]

    def test_a_minus_ignores_errors_and_without_a_value_excludes(self):
        first, second = parse(b"-a.b = 1\n-a.c\n", "f").assignments
        assert (first.name, first.value, first.ignores_errors) == ("a.b", "1", True)
        assert (second.name, second.value) == ("a.c", None)

    @pytest.mark.parametrize(
        ("written", "name"),
        [("net.core.somaxconn", "net.core.somaxconn"), ("net/core/somaxconn", "net.core.somaxconn"),
         ("/net/core/somaxconn", "net.core.somaxconn"), ("net/ipv4/conf/eth0.200/forwarding", "net.ipv4.conf.eth0/200.forwarding"),
         ("net.ipv4.conf.eth0/200.forwarding", "net.ipv4.conf.eth0/200.forwarding"), ("net//core/x", "net.core.x")],
    )  # fmt: skip
    def test_the_first_separator_decides_what_the_others_mean(self, written, name):
        assert normal(written) == name

    @pytest.mark.parametrize(
        "written", ["", "/", "net/../../etc/shadow", "..", "net./.x", "a b.c", "net.\0.x", "ne\u0301t.x"]
    )
    def test_what_can_not_be_a_name_is_none(self, written):
        """Above all nothing that leads out of /proc/sys: the present value of each name is read."""
        assert normal(written) is None or ".." not in "/proc/sys/" + normal(written).translate(
            {46: 47, 47: 46}
        )

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=300))
    def test_any_bytes_are_read(self, data):
        found = parse(data, "f")
        for each in found.assignments:
            path = each.name.translate({46: 47, 47: 46})
            assert ".." not in path.split("/")

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(st.from_regex(r"[a-z]{1,8}(\.[a-z0-9_]{1,8}){1,3}", fullmatch=True), st.integers())
        )
    )
    def test_what_is_written_is_read_back(self, pairs):
        text = "".join(f"{name} = {value}\n" for name, value in pairs).encode()
        assert [(each.name, each.value) for each in parse(text, "f").assignments] == [
            (n, str(v)) for n, v in pairs
        ]


class TestWhichWins:
    """Order, masks, globs, exclusions."""

    def test_files_apply_by_name_whatever_their_directory(self):
        found = collect(host({
            "/etc/sysctl.d/10-a.conf": "net.core.somaxconn=1", "/usr/lib/sysctl.d/20-b.conf": "net.core.somaxconn=2",
            "/run/sysctl.d/15-c.conf": "net.core.somaxconn=3",
        }))  # fmt: skip
        assert [path.rpartition("/")[2] for path in found.files] == ["10-a.conf", "15-c.conf", "20-b.conf"]
        assert found.winner("net.core.somaxconn").where == "/usr/lib/sysctl.d/20-b.conf:1"

    def test_one_name_is_read_once_from_the_directory_that_goes_first(self):
        found = collect(host({"/usr/lib/sysctl.d/50.conf": "a.b=vendor", "/run/sysctl.d/50.conf": "a.b=run"}))
        assert found.winner("a.b").value == "run"
        assert found.masked == (("/usr/lib/sysctl.d/50.conf", "/run/sysctl.d/50.conf"),)

    def test_a_link_to_dev_null_masks(self):
        files = {"/usr/lib/sysctl.d/50.conf": "a.b=vendor", "/etc/sysctl.d/50.conf": ""}
        assert collect(host(files, {"/etc/sysctl.d/50.conf": "/dev/null"})).winner("a.b") is None

    def test_only_conf_files_count(self):
        assert (
            collect(host({"/etc/sysctl.d/README.sysctl": "a.b=1", "/etc/sysctl.d/a.conf.bak": "a.b=2"})).files
            == ()
        )

    def test_an_outright_name_goes_before_any_glob(self):
        found = collect(
            host(
                {
                    "/etc/sysctl.d/1.conf": "net.ipv4.conf.eth0.rp_filter=1",
                    "/etc/sysctl.d/2.conf": "net.ipv4.conf.*.rp_filter=2",
                }
            )
        )
        assert found.winner("net.ipv4.conf.eth0.rp_filter").value == "1"
        assert found.winner("net.ipv4.conf.lo.rp_filter").value == "2"

    def test_an_exclusion_keeps_globs_away_and_takes_an_earlier_line_back(self):
        text = "net.ipv4.conf.*.rp_filter=2\n-net.ipv4.conf.lo.rp_filter\na.b=1\n-a.b\n"
        found = collect(host({"/etc/sysctl.d/1.conf": text}))
        assert found.winner("net.ipv4.conf.lo.rp_filter") is None
        assert found.winner("a.b") is None
        # procps keeps the line that was there
        assert collect(host({"/etc/sysctl.d/1.conf": text}, systemd=False)).winner("a.b").value == "1"

    def test_of_two_globs_the_later_counts_and_saying_it_again_changes_nothing(self):
        text = "net.ipv4.conf.*.rp_filter=1\nnet.ipv4.conf.e*.rp_filter=2\nnet.ipv4.conf.*.rp_filter=1\n"
        found = collect(host({"/etc/sysctl.d/1.conf": text}))
        assert found.winner("net.ipv4.conf.eth0.rp_filter").value == "2"

    def test_a_star_does_not_reach_over_a_separator(self):
        assert fits("net.ipv4.*.rp_filter", "net.ipv4.x.rp_filter")
        assert not fits("net.*.rp_filter", "net.ipv4.conf.lo.rp_filter")


LAST_FILES = {"/etc/sysctl.conf": "net.core.somaxconn=9", "/etc/sysctl.d/99-z.conf": "net.core.somaxconn=8"}


class TestTheLastFile:
    """/etc/sysctl.conf: procps reads it, systemd only through a link."""

    def test_systemd_does_not_read_it(self):
        found = collect(host(LAST_FILES))
        assert found.reader == "systemd-sysctl"
        assert found.winner("net.core.somaxconn").value == "8"
        assert [each.where for each in found.unread] == ["/etc/sysctl.conf:1"]

    def test_systemd_reads_it_through_a_link_in_its_place(self):
        files = {**LAST_FILES, "/etc/sysctl.d/99-sysctl.conf": "net.core.somaxconn=9"}
        found = collect(host(files, {"/etc/sysctl.d/99-sysctl.conf": "../sysctl.conf"}))
        assert found.unread == ()
        assert [each.where for each in found.assignments] == [
            "/etc/sysctl.conf:1",
            "/etc/sysctl.d/99-z.conf:1",
        ]

    def test_procps_reads_it_last(self):
        files = {**LAST_FILES, "/etc/sysctl.d/99-sysctl.conf": "net.core.somaxconn=9"}
        found = collect(host(files, {"/etc/sysctl.d/99-sysctl.conf": "../sysctl.conf"}, systemd=False))
        assert found.reader == "sysctl --system"
        assert found.winner("net.core.somaxconn").where == "/etc/sysctl.conf:1"
        assert len(found.assignments) == 2


class TestWhatIsThereNow:
    """Present values stand beside the lines; what can't be read is a problem, not nothing."""

    def test_present_values_of_named_settings_are_read(self):
        files = {"/etc/sysctl.d/1.conf": "net.core.somaxconn=9\nnet.ipv4.tcp_tw_recycle=1\nkernel.printk=1\nnet.*.x=1\n"
                 "net/ipv4/conf/eth0.2/forwarding=1\n"}  # fmt: skip
        tree = host(files)
        tree.files["/proc/sys/net/core/somaxconn"] = b"4096\n"
        tree.files["/proc/sys/net/ipv4/conf/eth0.2/forwarding"] = b"0\n"
        found = collect(tree)
        assert found.live["net.core.somaxconn"] == "4096"
        assert found.live["net.ipv4.conf.eth0/2.forwarding"] == "0"
        assert found.live["net.ipv4.tcp_tw_recycle"] == Absent("net.ipv4.tcp_tw_recycle", Why.MISSING)
        assert "kernel.printk" not in found.live

    def test_keys_are_neither_shown_nor_read(self):
        tree = host({"/etc/sysctl.d/1.conf": "net.ipv4.tcp_fastopen_key=1-2-3-4\n"})
        tree.files["/proc/sys/net/ipv4/tcp_fastopen_key"] = b"1-2-3-4\n"
        found = collect(tree)
        assert found.assignments[0].value == "(not shown)"
        assert found.live == {}

    def test_what_may_not_be_read_is_told(self):
        tree = host({"/etc/sysctl.d/1.conf": "a.b=1"})
        tree.files["/etc/sysctl.d/2.conf"] = tree.files["/run/sysctl.d"] = errno.EACCES
        assert {each.source for each in collect(tree).problems} == {"/etc/sysctl.d/2.conf", "/run/sysctl.d"}

    def test_a_huge_file_is_told_and_not_read(self):
        assert collect(host({"/etc/sysctl.d/1.conf": "#" * 300_000})).problems[0].why is Why.NOT_ASKED

    def test_a_host_without_any_file_has_none(self):
        found = collect(TreeHost({}))
        assert (found.files, found.assignments, found.problems) == ((), (), ())


NAMES = (
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_retries2",
)
SPELLINGS = (*NAMES, *(name.replace(".", "/") for name in NAMES), "net.ipv4.tcp_keepalive_*", "net.ipv4.tcp_k*",
             "net/ipv4/tcp_fin_timeou?", "-net.ipv4.tcp_retries2", "-net/ipv4/tcp_keepalive_time")  # fmt: skip
FILES = (
    "/etc/sysctl.d/50-a.conf",
    "/usr/local/lib/sysctl.d/50-a.conf",
    "/run/sysctl.d/20-b.conf",
    "/etc/sysctl.d/70-c.conf",
)


def _random_files(seed: int) -> dict[str, str]:
    """Files that name four settings in many ways; the numbers are all different."""
    chance = random.Random(seed)
    numbers = iter(chance.sample(range(2, 120), 60))
    found = {}
    for path in FILES:
        lines = []
        for _ in range(chance.randrange(5)):
            name = chance.choice(SPELLINGS)
            if name.startswith("-") and chance.random() < 0.6:
                lines.append(name)
            else:
                lines.append(f"{name} = {next(numbers)}")
        found[path] = "\n".join([*lines, "# end", ""])
    return found


@pytest.mark.netns
@pytest.mark.skipif(os.geteuid() != 0, reason="a stand-in host needs root")
@pytest.mark.parametrize(
    ("tool", "systemd"),
    [("/usr/lib/systemd/systemd-sysctl", True), ("sysctl", False)],
)
def test_the_winner_is_what_the_real_tool_sets(tool, systemd):
    """Twelve random sets of files, each applied by the real program in a namespace of its own."""
    if shutil.which(tool) is None:
        pytest.skip(f"no {tool}")
    changed = 0
    for seed in range(12):
        files = _random_files(seed)
        try:
            standin = StandIn(overlays=("/usr/local/lib",))
        except StandInError as error:
            pytest.skip(str(error))
        with standin:
            for path in ("/etc/sysctl.d", "/usr/local/lib/sysctl.d", "/run/sysctl.d"):
                os.makedirs(standin.path(path), exist_ok=True)
            for path, text in files.items():
                with open(standin.path(path), "w") as file:
                    file.write(text)
            before = {name: standin.sysctl(name) for name in NAMES}
            arguments = [tool, "--prefix=/net/ipv4"] if systemd else [tool, "--system", "--pattern", "tcp_"]
            standin.run(arguments, check=False)
            after = {name: standin.sysctl(name) for name in NAMES}
        found = collect(host(files, systemd=systemd))
        for name in NAMES:
            winner = found.winner(name)
            expected = before[name] if winner is None else winner.value
            assert after[name] == expected, (seed, name, files)
            changed += after[name] != before[name]
    assert changed >= 12


def test_a_scrubbed_recording_says_the_same_of_settings():
    """Addresses, hosts and keys go; names, values and line numbers stay."""
    path = "/etc/sysctl.d/99-sip.conf"
    text = (
        "# for 10.1.2.3, by someone@example.com\nnet.ipv4.ip_local_port_range = 1024 65535\n; more\n-net.ipv4.conf.*.rp_filter\n"
        "net/ipv4/conf/eth0.100/forwarding = 1\nnet.ipv4.tcp_mem = 786432 1697152 1945728000\nnot a line\n"
        "net.ipv4.tcp_fastopen_key = 1234abcd-00000000-00000000-00000001\n"
    )
    scrubbed = Scrubber(b"k" * 32).answer(("", "read", path, 262_144), text.encode())
    assert b"1234abcd" not in scrubbed
    assert b"example.com" not in scrubbed
    assert parse(scrubbed, path) == parse(text.encode(), path)
