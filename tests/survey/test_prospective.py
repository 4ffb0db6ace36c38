"""An instance that is not started: limits, version and ports of the host it would be started on."""

from __future__ import annotations

import errno

import pytest
from msgspec.structs import replace

from fake_host import TreeHost
from kamtcp.errors import UsageError
from kamtcp.kamailio.config import read_config
from kamtcp.model.absent import UNLIMITED, Absent
from kamtcp.model.instance import Instance
from kamtcp.survey import prospective, start_config, taken_ports
from situations import listener, situation, snapshot

PATH = "/etc/kamailio/next.cfg"
LIMITS = (
    b"Limit                     Soft Limit           Hard Limit           Units     \n"
    b"Max locked memory         8388608              8388608              bytes     \n"
    b"Max open files            777                  888                  files     \n"
)
SHELL = {"/proc/self/limits": LIMITS}
UNIT = {"/lib/systemd/system/kamailio.service": b"[Service]\nUser=kamailio\n"}
ROOT_UNIT = {"/lib/systemd/system/kamailio.service": b"[Service]\nExecStart=/usr/sbin/kamailio\n"}
DROP_IN = {
    "/etc/systemd/system/kamailio.service.d/a.conf": b"[Service]\nLimitNOFILE=5000:6000\nMemoryMax=1G\n"
}


def foreseen(host_files: dict, text: str = "", arguments: str = "") -> Instance:
    start = start_config.of_arguments(PATH, arguments)
    own = TreeHost({PATH: f"#!KAMAILIO\nlisten=tcp:127.0.0.1:5070\n{text}".encode()})
    nobody = snapshot(situation(kamailio=False))
    return prospective.collect(start, own, TreeHost(host_files), nobody, away=False)


def nofile(found: Instance) -> tuple:
    assert not isinstance(found.tcp_main, Absent)
    return found.tcp_main.nofile_soft, found.tcp_main.nofile_hard


@pytest.mark.parametrize(
    ("host", "text", "limits", "why"),
    [
        (SHELL, "", (777, 888), "from the shell that runs kamtcp"),
        (SHELL, "open_files_limit=800", (800, 888), "from the shell"),
        (SHELL, "open_files_limit=700", (777, 888), "from the shell"),
        (
            {**SHELL, **UNIT},
            "",
            (1024, 524_288),
            "by kamailio.service, which sets no LimitNOFILE: systemd's default",
        ),
        (
            {**SHELL, **UNIT, **DROP_IN},
            "",
            (5000, 6000),
            "LimitNOFILE in /etc/systemd/system/kamailio.service.d/a.conf:2",
        ),
        ({**UNIT, **DROP_IN}, "open_files_limit=6001", (5000, 6000), "by kamailio.service"),
        ({**ROOT_UNIT, **DROP_IN}, "open_files_limit=6001", (6001, 6001), "by kamailio.service"),
    ],
)
def test_whose_limit_of_open_files(host, text, limits, why):
    found = foreseen(host, text)
    assert nofile(found) == limits
    assert why in found.foreseen.descriptors


def test_limits_that_can_not_be_seen_are_not_made_up():
    found = foreseen({"/proc/self/limits": errno.EACCES})
    assert all(isinstance(each, Absent) for each in nofile(found))
    assert "could not be seen" in found.foreseen.descriptors


def test_the_cgroup_is_the_units():
    assert foreseen({**UNIT, **DROP_IN}).cgroup.memory_limit_bytes == 1 << 30
    assert foreseen(UNIT).cgroup.memory_limit_bytes == UNLIMITED


def test_the_version_is_that_of_the_binary_else_not_known():
    binary = {"/usr/sbin/kamailio": b"\0kamailio 5.8.3 (x86_64/linux)\0"}
    assert foreseen({**SHELL, **binary}).version == "5.8.3"
    assert isinstance(foreseen(SHELL).version, Absent)


def test_the_openssl_that_its_tls_module_asks_for():
    module = {"/usr/lib64/kamailio/modules/tls.so": b"\x7fELF\0libssl.so.3\0"}
    assert foreseen({**SHELL, **module}, 'loadmodule "tls.so"').openssl == 3
    assert foreseen({**SHELL, **module}).openssl == 0
    assert isinstance(foreseen(SHELL, 'loadmodule "tls.so"').openssl, Absent)


def test_arguments_add_to_the_file():
    found = foreseen(SHELL, "", "-l tcp:127.0.0.2:5080 --loadmodule tls.so -N 3 -M 16 -m 128")
    assert [(each.address, each.port) for each in found.listeners] == [
        ("127.0.0.1", 5070),
        ("127.0.0.2", 5080),
    ]
    assert found.modules == ("tls",)
    assert {name: found.parameters[name].value for name in ("tcp_children", "pkg_megabytes", "shm_megabytes")} == {
        "tcp_children": 3, "pkg_megabytes": 16, "shm_megabytes": 128,
    }  # fmt: skip


class TestArgumentsOfTheUnit:
    UNIT = b"""[Service]
Environment='CFGFILE=/etc/kamailio/kamailio.cfg' SHM_MEMORY=64
Environment=PKG_MEMORY=8
EnvironmentFile=-/etc/default/kamailio
EnvironmentFile=-/etc/default/kamailio.d/*
ExecStart=/usr/sbin/kamailio -P /run/kamailio/kamailio.pid -f $CFGFILE -m $SHM_MEMORY -M ${PKG_MEMORY} $MORE
"""

    def of(self, **files: bytes) -> str:
        host = TreeHost(
            {
                "/lib/systemd/system/kamailio.service": self.UNIT,
                **{f"/etc/default/{k}": v for k, v in files.items()},
            }
        )
        return start_config.of_unit(PATH, host).arguments

    def test_variables_of_unit_and_files(self):
        assert self.of() == "-m 64 -M 8"
        assert (
            self.of(kamailio=b'# all\nSHM_MEMORY="512"\nMORE=-N 3 -A WITH_TLS\n')
            == "-m 512 -M 8 -N 3 -A WITH_TLS"
        )

    def test_a_folder_of_files(self):
        assert (
            self.of(**{"kamailio.d/a": b"PKG_MEMORY=16\n", "kamailio": b"PKG_MEMORY=12\n"}) == "-m 64 -M 16"
        )

    def test_no_unit_has_no_arguments(self):
        start = start_config.of_unit(PATH, TreeHost())
        assert (start.arguments, start.whose) == ("", "")

    def test_what_kamailio_would_not_take_is_one_line(self):
        with pytest.raises(
            UsageError, match=r"kamailio\.service: '-m lots' is not .*; state them with --args"
        ):
            self.of(kamailio=b"SHM_MEMORY=lots\n")


def test_a_file_that_may_not_be_read_is_one_line():
    start = start_config.of_arguments(PATH, "")
    with pytest.raises(UsageError, match=f"--kamailio-cfg {PATH}: Permission denied"):
        prospective.collect(
            start, TreeHost({PATH: errno.EACCES}), TreeHost(SHELL), snapshot(situation()), away=False
        )


class TestPorts:
    def taken(self, line: str, *held, running=()) -> tuple[str, ...]:
        config = read_config(lambda _: f"#!KAMAILIO\n{line}\n".encode(), PATH, {})
        s = situation(kamailio=bool(running), listeners=tuple(running))
        space = replace(s.namespace, listeners=(*held, *running))
        facts = replace(snapshot(s), namespaces={space.id: space})
        return taken_ports.of_others(config, facts)

    @pytest.mark.parametrize(
        ("line", "address", "taken"),
        [
            ("listen=tcp:127.0.0.1:5060", "127.0.0.1", 1), ("listen=tcp:127.0.0.1:5060", "0.0.0.0", 1),
            ("listen=tcp:127.0.0.1:5060", "127.0.0.2", 0), ("listen=tcp:0.0.0.0:5060", "127.0.0.2", 1),
            ("listen=udp:127.0.0.1:5060", "127.0.0.1", 0), ("listen=tcp:eth0:5060", "0.0.0.0", 1),
            ("listen=tcp:eth0:5060", "127.0.0.1", 0), ("listen=tcp:[::1]:5060", "::1", 1), ("listen=127.0.0.1", "127.0.0.1", 1),
            ("tcp_reuse_port=yes\nlisten=tcp:127.0.0.1:5060", "127.0.0.1", 0),
            ("listen=tcp:127.0.0.1:5060 virtual", "127.0.0.1", 0), ("listen=tcp:127.0.0.1:5061", "127.0.0.1", 0),
        ],
    )  # fmt: skip
    def test_which_addresses_meet(self, line, address, taken):
        assert len(self.taken(line, listener(5060, address=address))) == taken

    def test_the_one_that_runs_makes_way(self):
        own = listener(5060, address="127.0.0.1")
        assert self.taken("listen=tcp:127.0.0.1:5060", running=(own,)) == ()
