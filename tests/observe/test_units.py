from __future__ import annotations

import errno
import os

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.model.absent import UNLIMITED, Why
from kamtcp.observe.unitfiles import DIRECTORIES, directives, drop_in_names, ordered, words
from kamtcp.observe.units import Amount, Resource, Unit, collect, parse_unit, unit_of_cgroup

MAIN = (
    "/lib/systemd/system/kamailio.service",
    b"""[Unit]
Description=SIP
[Service]
Type=forking
User=kamailio
Group=kamailio
Environment='CFGFILE=/etc/kamailio/kamailio.cfg'
Environment='SHM_MEMORY=64' "A=b c"
EnvironmentFile=-/etc/default/kamailio
# a comment
ExecStart=/usr/sbin/kamailio -P /run/k.pid \\
  ; another one, inside
  -f $CFGFILE
[Install]
User=nobody
""",
)


def conf(path: str, *lines: str) -> tuple[str, bytes]:
    return path, ("[Service]\n" + "\n".join(lines) + "\n").encode()


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/kamailio.service\n", "kamailio.service"),
        ("4:memory:/x\n1:name=systemd:/system.slice/kamailio.service\n0::/\n", "kamailio.service"),
        ("1:name=systemd:/\n0::/system.slice/kamailio.service", "kamailio.service"),
        ("0::/system.slice/system-kamailio.slice/kamailio@edge.service", "kamailio@edge.service"),
        ("0::/system.slice/kamailio.service/worker", "kamailio.service"),
        ("0::/../../system.slice/kamailio.service", "kamailio.service"),
        ("0::/sip.slice/_cgroup.service", "cgroup.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/kamailio.service", None),
        ("0::/user.slice/user-0.slice/session-3.scope", None),
        ("0::/system.slice/docker-0123456789ab.scope", None),
        ("0::/docker/0123456789ab", None),
        ("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope", None),
        ("0::/machine.slice/systemd-nspawn@c1.service/payload/system.slice/kamailio.service", None),
        ("0::/lxc.payload.c1/system.slice/kamailio.service", None),
        ("9:name=systemd:/\n4:memory:/process_api/1\n0::/\n", None),
        ("0::/init.scope", None),
        ("", None),
        ("nonsense\n0::", None),
    ],
)
def test_the_unit_of_a_process(text, unit):
    assert unit_of_cgroup(text.encode()) == unit


def test_the_packaged_unit():
    unit = parse_unit([MAIN])
    assert (unit.path, unit.files, unit.masked) == (MAIN[0], (MAIN[0],), False)
    assert (unit.user.text, unit.user.line) == ("kamailio", 5)
    assert unit.environment["CFGFILE"].text == "/etc/kamailio/kamailio.cfg"
    assert (unit.environment["A"].text, unit.environment["A"].line) == ("b c", 8)
    assert unit.environment_files[0].text == "-/etc/default/kamailio"
    assert unit.exec_start[0].text.split() == ["/usr/sbin/kamailio", "-P", "/run/k.pid", "-f", "$CFGFILE"]
    assert unit.exec_start[0].line == 11
    assert unit.limit_nofile is None


@pytest.mark.parametrize(
    ("text", "soft", "hard"),
    [
        ("65536", 65536, 65536),
        ("1024:524288", 1024, 524288),
        ("infinity", UNLIMITED, UNLIMITED),
        ("4096:infinity", 4096, UNLIMITED),
    ],
)
def test_descriptor_limits(text, soft, hard):
    unit = parse_unit([MAIN, conf("/etc/systemd/system/kamailio.service.d/l.conf", f"LimitNOFILE={text}")])
    assert unit.limit_nofile == Resource(soft, hard, "/etc/systemd/system/kamailio.service.d/l.conf", 2)
    assert unit.problems == ()


def test_a_limit_that_systemd_ignores_leaves_the_one_before():
    for wrong in ("8:4", "infinity:4", "many", "64K", "1:2:3", "-1"):
        unit = parse_unit([conf("/etc/systemd/system/k.service", "LimitNOFILE=7", f"LimitNOFILE={wrong}")])
        assert unit.limit_nofile.soft == 7, wrong
        assert unit.problems[0].source == "/etc/systemd/system/k.service:3"


def test_sizes_and_shares():
    unit = parse_unit(
        [conf("/etc/systemd/system/k.service", "LimitMEMLOCK=64M:infinity", "MemoryMax=2G", "TasksMax=15%")]
    )
    assert unit.limit_memlock == Resource(64 << 20, UNLIMITED, "/etc/systemd/system/k.service", 2)
    assert unit.memory_max == Amount(2 << 30, "/etc/systemd/system/k.service", 3)
    assert unit.tasks_max == Amount(15, "/etc/systemd/system/k.service", 4, percent=True)


def test_drop_ins_apply_by_name_and_the_highest_directory_masks():
    files = [
        conf("/lib/systemd/system/kamailio.service.d/50-a.conf", "LimitNOFILE=1"),
        conf("/run/systemd/system/kamailio.service.d/50-a.conf", "LimitNOFILE=2"),
        conf("/usr/lib/systemd/system/kamailio.service.d/60-b.conf", "LimitNOFILE=3"),
        conf("/etc/systemd/system/kamailio.service.d/10-c.conf", "LimitNOFILE=4", "TasksMax=9"),
        ("/etc/systemd/system/kamailio.service.d/70-d.conf", b""),  # what a link to /dev/null reads as
        conf("/run/systemd/system/kamailio.service.d/70-d.conf", "LimitNOFILE=5"),
        conf("/etc/systemd/system/service.d/60-b.conf", "LimitNOFILE=6"),
        conf("/etc/systemd/system/kamailio.service.d/README", "LimitNOFILE=7"),
        MAIN,
    ]
    unit = parse_unit(files)
    assert [file.rpartition("/")[2] for file in unit.files[1:]] == [
        "10-c.conf",
        "50-a.conf",
        "60-b.conf",
        "70-d.conf",
    ]
    assert (unit.limit_nofile.soft, unit.limit_nofile.file) == (3, files[2][0])
    assert unit.tasks_max.value == 9


def test_the_highest_directory_has_the_main_file_and_an_empty_one_masks():
    other = conf("/etc/systemd/system/kamailio.service", "User=other")
    assert parse_unit([MAIN, other]).user.text == "other"
    masked = parse_unit([("/etc/systemd/system/kamailio.service", b""), MAIN])
    assert masked.masked
    assert masked.user is None


def test_empty_assignments_reset():
    unit = parse_unit(
        [
            MAIN,
            conf(
                "/etc/systemd/system/kamailio.service.d/a.conf",
                "ExecStart=", "ExecStart=/bin/true", "Environment=", "EnvironmentFile=", "User=", "LimitNOFILE=5",
                "LimitNOFILE=", "AmbientCapabilities=CAP_NET_RAW", "AmbientCapabilities=~CAP_CHOWN",
            ),
        ]
    )  # fmt: skip
    assert [line.text for line in unit.exec_start] == ["/bin/true"]
    assert unit.environment == {}
    assert unit.environment_files == ()
    assert (unit.user, unit.limit_nofile) == (None, None)
    assert [line.text for line in unit.ambient_capabilities] == ["CAP_NET_RAW", "~CAP_CHOWN"]


def test_drop_in_directories_of_a_name():
    assert drop_in_names("kamailio.service") == ("kamailio.service", "service")
    assert drop_in_names("sip-kam-a@b.service") == (
        "sip-kam-a@b.service", "sip-kam-a@.service", "sip-kam-.service", "sip-.service", "service",
    )  # fmt: skip


def test_a_name_of_several_owners_is_taken_from_the_most_specific():
    files = [
        conf("/etc/systemd/system/service.d/a.conf", "TasksMax=1"),
        conf("/etc/systemd/system/sip-.service.d/a.conf", "TasksMax=2"),
        conf("/etc/systemd/system/sip-kam@.service.d/a.conf", "TasksMax=3"),
    ]
    assert ordered(files)[1] == [files[2]]
    assert ordered(files[:2])[1] == [files[1]]


def test_quotes_hold_words_together():
    assert words("a 'b c' \"d \\\" e\" f\\ g ''") == ["a", "b c", 'd " e', "f g", ""]


class Folder:
    """A host whose files lie below a directory."""

    def __init__(self, root) -> None:
        self.root = str(root)
        self.denied: set[str] = set()

    def read(self, path: str, limit: int = 0) -> bytes:
        if path in self.denied:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        with open(self.root + path, "rb") as file:
            return file.read()

    def listdir(self, path: str) -> tuple[str, ...]:
        return tuple(sorted(os.listdir(self.root + path)))


def test_collect_looks_in_all_of_systemds_directories(tmp_path):
    host = Folder(tmp_path)
    for path, data in (
        MAIN,
        conf("/etc/systemd/system/kamailio.service.d/90-kamtcp.conf", "LimitNOFILE=20000"),
        conf("/run/systemd/system/service.d/all.conf", "TasksMax=infinity"),
    ):
        os.makedirs(host.root + os.path.dirname(path), exist_ok=True)
        with open(host.root + path, "wb") as file:
            file.write(data)
    os.symlink("/dev/null", f"{host.root}/etc/systemd/system/kamailio.service.d/zz.conf")
    unit = collect(host, "kamailio.service")
    assert unit.limit_nofile.soft == 20000
    assert unit.tasks_max.value == UNLIMITED
    assert unit.problems == ()
    assert len(unit.files) == 4
    host.denied.add("/etc/systemd/system/kamailio.service.d/90-kamtcp.conf")
    unit = collect(host, "kamailio.service")
    assert (unit.limit_nofile, unit.problems[0].why) == (None, Why.DENIED)


def test_a_unit_that_is_nowhere_says_so(tmp_path):
    host = Folder(tmp_path)
    assert [problem.why for problem in collect(host, "kamailio.service").problems] == [Why.MISSING]
    assert collect(host, "../../etc/passwd").problems[0].why is Why.MALFORMED


def test_a_template_s_file_serves_its_instances(tmp_path):
    host = Folder(tmp_path)
    os.makedirs(f"{tmp_path}/etc/systemd/system")
    with open(f"{tmp_path}/etc/systemd/system/kamailio@.service", "w") as file:
        file.write("[Service]\nUser=k\n")
    assert collect(host, "kamailio@edge.service").user.text == "k"


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_cgroup_text_is_fine(data):
    unit_of_cgroup(data)


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [f"{d}/k.service{x}" for d in DIRECTORIES[:3] for x in ("", ".d/a.conf", ".d/b.conf")]
            ),
            st.binary(max_size=100)
            | st.lists(
                st.sampled_from(
                    "[Service]|\n|LimitNOFILE=|TasksMax=|Environment=|1|:|%|infinity|K|'|\"|\\|=|User=".split(  # noqa: SIM905
                        "|"
                    )
                )
            ).map(lambda parts: "".join(parts).encode()),
        ),
        max_size=6,
    )
)
def test_any_unit_files_give_a_unit(files):
    unit = parse_unit(files)
    assert msgspec.json.decode(msgspec.json.encode(unit), type=Unit) == unit


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_what_is_written_is_read(soft, more):
    unit = parse_unit([conf("/etc/systemd/system/k.service", f"LimitNOFILE = {soft}:{soft + more}")])
    assert (unit.limit_nofile.soft, unit.limit_nofile.hard) == (soft, soft + more)
    assert [d.name for d in directives(*conf("/x", "A = b"))] == ["A"]


def test_every_line_that_sets_the_limit_is_kept_in_the_order_of_application():
    files = [
        conf("/etc/systemd/system/kamailio.service.d/20-b.conf", "LimitNOFILE=2048"),
        conf("/run/systemd/system/kamailio.service.d/10-a.conf", "LimitNOFILE=", "LimitNOFILE=nonsense"),
        MAIN,
    ]
    found = parse_unit(files)
    assert [(each.file.rpartition("/")[2], each.text) for each in found.nofile_lines] == [
        ("10-a.conf", ""), ("10-a.conf", "nonsense"), ("20-b.conf", "2048"),
    ]  # fmt: skip
    assert found.limit_nofile == Resource(2048, 2048, "/etc/systemd/system/kamailio.service.d/20-b.conf", 2)
