"""Rules on settings: each fires where it must, and not on its look-alike. A rule without both rows fails here."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from msgspec.structs import replace

from kamtcp.diagnose import settings_gone
from kamtcp.diagnose.codes import BY_CODE, Severity
from kamtcp.diagnose.finding import Finding
from kamtcp.diagnose.rules import ALL as RULES
from kamtcp.diagnose.settings_host import ESTABLISHED
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Foreseen, LogLine, Parameter, SharedMemory, Unit
from kamtcp.model.machine import PeerUse
from kamtcp.model.origin import Origin
from kamtcp.model.settings import BootFiles, ManagerLimit, ModuleLine, PamLimit
from setting_files import FILE, at_boot, in_force, settings
from situations import DENIED, listener, situation, verdict

UNSET = Absent("LimitNOFILE of kamailio.service", Why.MISSING, "not set")
BARE_UNIT = Unit("kamailio.service", UNSET, UNSET, "", 4915)
SET_UNIT = Unit(
    "kamailio.service", 524_288, 524_288, "/etc/systemd/system/kamailio.service.d/nofile.conf:2", 4915
)
OUTBOUND = (PeerUse("192.0.2.9", 5060, 20, "192.0.2.1"),)
LOW_UNIT = replace(SET_UNIT, nofile_soft=200_000)
DROP_INS = (
    ("/lib/systemd/system/kamailio.service:9", "65536"),
    ("/etc/systemd/system/kamailio.service.d/10-a.conf:2", "1024"),
)
ASKED_5 = Parameter(5, Origin.READ, "cfg.get tcp")
BACKLOG = {
    "tcp_listen_backlog": Parameter(1024, Origin.DEFAULT, "compiled in, no parameter before 6.1 (5.6.3)")
}


def pam(domain: str, value: str) -> BootFiles:
    return BootFiles(pam_limits=(PamLimit(domain, "soft", "nofile", value, "/etc/security/limits.conf", 7),))


def module(command: str, text: str = "", name: str = "nf_conntrack") -> BootFiles:
    return BootFiles(modules=(ModuleLine(command, name, text, "/etc/modprobe.d/nf.conf", 2),))


def default_limit(soft: int) -> BootFiles:
    return BootFiles(manager=(ManagerLimit(soft, 524_288, "/etc/systemd/system.conf.d/nofile.conf", 2),))


def poor(count: int) -> dict[str, Any]:
    return {
        "shared_memory": SharedMemory(64 << 20, count, 0, 0, 0, 0),
        "opened": 0,
        "main": {"descriptors": 30},
    }


#: one that is not started: what a start would take of the shared pool
FORESEEN = Foreseen(
    "/etc/kamailio/next.cfg",
    "-m 2",
    False,
    "by kamailio.service",
    700_000,
    800_000,
    3_000_000,
    6_000_000,
    "known",
)
LOCKED: dict[str, Any] = {"parameters": {"mlock_pages": 1, "shm_megabytes": 64}}
NF_ESTABLISHED, NF_LOOSE = (
    "net.netfilter.nf_conntrack_tcp_timeout_established",
    "net.netfilter.nf_conntrack_tcp_loose",
)
#: code -> what makes it fire, and what only looks like it
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "FDS001": ({"main": {"nofile_soft": 1024}}, {"main": {"nofile_soft": 100_070}, "workers": {"nofile_soft": 100_070}}),
    "FDS002": ({"workers": {"nofile_soft": 1024}}, {"main": {"nofile_soft": 200_000}, "workers": {"nofile_soft": 300_000}}),
    "FDS003": ({"parameters": {"open_files_limit": 600_000}}, {"parameters": {"open_files_limit": 524_288}}),
    "FDS004": ({"main": {"highest_descriptor": 100_069}}, {"main": {"highest_descriptor": 90_000}}),
    "FDS005": ({"unit": BARE_UNIT}, {"unit": SET_UNIT}),
    "FDS006": ({"main": {"nofile_soft": 200_000}}, {"main": {"nofile_soft": 200_000, "nofile_hard": 200_000}}),
    "FDS007": ({"boot_files": pam("kamailio", "65535")}, {"boot_files": pam("www-data", "65535")}),
    "FDS008": (in_force("fs.file-max = 65535"), in_force("fs.file-max = 9223372036854775807")),
    "MEM001": ({"parameters": {"tcp_max_connections_file": 5_000_000}}, {"parameters": {"tcp_max_connections_file": 100_000}}),
    # 26,777,216 pages are 102 GiB of 16; 1,000,000 are 3.8 GiB
    "MEM002": (in_force("net.ipv4.tcp_mem = 786432 1048576 26777216"), in_force("net.ipv4.tcp_mem = 500000 750000 1000000")),
    "MEM003": (in_force("net.ipv4.tcp_mem = 400000 200000 100000"), in_force("net.ipv4.tcp_mem = 200000 200000 200000")),
    "MEM004": (in_force("net.ipv4.tcp_rmem = 4096 8388608 16384"), in_force("net.ipv4.tcp_rmem = 4096 16384 16384")),
    "MEM005": (in_force("net.core.rmem_default = 31457280"), in_force("net.core.rmem_default = 8388608")),
    "MEM006": (in_force("net.core.rmem_max = 134217728"), in_force("net.core.rmem_max = 4194304")),
    "MEM007": (in_force("net.ipv4.tcp_wmem = 4096 16384 134217728"), in_force("net.ipv4.tcp_wmem = 4096 16384 67108864")),
    "MEM030": ({"foreseen": FORESEEN, "parameters": {"shm_megabytes": 2}}, {"foreseen": FORESEEN, "parameters": {"shm_megabytes": 3}}),
    "ACC001": ({"parameters": BACKLOG, "sysctls": {"net.core.somaxconn": "128"}},
               {"parameters": BACKLOG, "sysctls": {"net.core.somaxconn": "1024"}}),
    "ACC002": ({"parameters": BACKLOG, **in_force("net.core.somaxconn = 65535")}, {"parameters": BACKLOG}),
    "ACC003": ({"parameters": BACKLOG, "listeners": (listener(5060, backlog=128),)},
               {"parameters": BACKLOG, "listeners": (listener(5060, backlog=1024),)}),
    "ACC004": (in_force("net.ipv4.tcp_abort_on_overflow = 1"), in_force("net.ipv4.tcp_abort_on_overflow = 0")),
    "TIM001": ({"sysctls": {"net.ipv4.tcp_keepalive_time": "7200"}},
               {"sysctls": {"net.ipv4.tcp_keepalive_time": "7200"}, "parameters": {"tcp_keepidle": 60}}),
    "TIM002": ({"parameters": {"tcp_keepidle_file": 60}}, {"parameters": {"tcp_keepidle_file": 0}}),
    "TIM003": ({"parameters": {"tcp_keepidle": Parameter(60, Origin.READ, "cfg.get tcp"), "tcp_keepidle_file": 0}},
               {"parameters": {"tcp_keepidle": Parameter(60, Origin.READ, "cfg.get tcp"), "tcp_keepidle_file": 60}}),
    "TIM004": ({"websocket": 10_001, "parameters": {"websocket.timer_interval": 1, "websocket.keepalive_interval": 30}},
               {"websocket": 10_000, "parameters": {"websocket.timer_interval": 1, "websocket.keepalive_interval": 1}}),
    "TIM005": ({"target": {"middle": {"lb": 350}, "registration_seconds": 3600}},
               {"target": {"middle": {"lb": 350}}, "parameters": {"tcp_keepidle": 60}}),
    "TIM006": ({"target": {"registration_seconds": 3600}, "parameters": {"tls.connection_timeout": 600}},
               {"target": {"registration_seconds": 3600, "keepalive_seconds": 120}, "parameters": {"tls.connection_timeout": 600}}),
    "TIM007": ({"parameters": {"tcp_keepalive": 0, "tcp_connection_lifetime": 7300}},
               {"parameters": {"tcp_keepalive": 0, "tcp_connection_lifetime": 3605}}),
    "TIM009": ({"sysctls": {NF_ESTABLISHED: "500", NF_LOOSE: "0"}}, {"sysctls": {NF_ESTABLISHED: "500", NF_LOOSE: "1"}}),
    "CFG001": ({"version": "5.7.4", "parameters": {"tcp_accept_iplimit": 0}}, {"version": "5.8.0"}),
    "CFG002": ({"parameters": {"tcp_accept_iplimit": 1024}, "opened": 5001}, {"parameters": {"tcp_accept_iplimit": 0}, "opened": 5001}),
    "CFG003": ({"parameters": {"tcp_accept_haproxy": 1, "tcp_wait_data": 201}}, {"parameters": {"tcp_accept_haproxy": 1, "tcp_wait_data": 200}}),
    "CFG004": ({"parameters": {"tcp_main_threads": 1}, "target": {"connections": 99_973}}, {"target": {"connections": 99_973}}),
    "CFG005": ({"parameters": {"tcp_msg_data_timeout": 0}}, {"parameters": {"tcp_msg_data_timeout": 0, "tcp_check_timer": 0}}),
    "CFG006": ({"parameters": {"tcp_poll_method": "select"}}, {"parameters": {"tcp_poll_method": "epoll_lt"}}),
    "CFG020": ({"parameters": {"msg_recv_max_size": 8192}}, {"parameters": {"msg_recv_max_size": 16384}}),
    "CFG021": ({**LOCKED, "memlock_soft": 8 << 20}, {**LOCKED, "memlock_soft": 64 << 20}),
    "TLS001": ({"version": "5.6.3"}, {"version": "5.6.3", "openssl": 1}),
    "TLS002": (poor(14_680_063), poor(14_680_064)),
    "SYS001": (in_force("net.ipv4.tcp_tw_recycle = 1"), in_force("net.ipv4.tcp_tw_recycle = 0")),
    "SYS002": (in_force("net.ipv4.tcp_timestamps = 0"), in_force("net.ipv4.tcp_timestamps = 2")),
    "SYS003": (in_force("net.ipv4.tcp_syncookies = 0"), in_force("net.ipv4.tcp_syncookies = 2")),
    "SYS004": (in_force("net.ipv4.tcp_tw_reuse = 1"), {**in_force("net.ipv4.tcp_tw_reuse = 1"), "outbound": OUTBOUND}),
    "SYS005": (in_force("net.ipv4.tcp_fin_timeout = 15"), in_force("net.ipv4.tcp_fin_timeout = 90")),
    "SYS006": (in_force("net.ipv4.tcp_max_tw_buckets = 5000"), in_force("net.ipv4.tcp_max_tw_buckets = -1")),
    "SYS007": (in_force("net.ipv4.tcp_max_syn_backlog = 300000"),
               in_force("net.ipv4.tcp_max_syn_backlog = 300000\nnet.ipv4.tcp_syncookies = 0")),
    "SYS008": (in_force("net.ipv4.ip_local_port_range = 1024 65535"),
               in_force("net.ipv4.ip_local_port_range = 1024 65535\nnet.ipv4.ip_local_reserved_ports = 5000-5061")),
    "SYS009": ({**in_force("net.ipv4.ip_local_port_range = 1024 65535"), "listeners": ()},
               {**in_force("net.ipv4.ip_local_port_range = 10000 65535"), "listeners": ()}),
    "SYS020": (at_boot("fs.epoll.max_user_instances = 8192"), at_boot("fs.epoll.max_user_watches = 2000000")),
    "SYS021": (at_boot("net.ipv4.tcp_low_latency = 1", {"net.ipv4.tcp_low_latency": "1"}),
               at_boot("net.ipv4.tcp_autocorking = 1", {"net.ipv4.tcp_autocorking": "1"})),
    "SYS022": (at_boot("net.ipv4.somaxconn = 4096"), at_boot("-net.ipv4.somaxconn = 4096")),
    "SYS023": (in_force("kernel.shmmax = 68719476736"), in_force("kernel.pid_max = 4194304")),
    "SYS024": ({**in_force("net.netfilter.nf_conntrack_max = 1000000"), "conntrack_active": False},
               in_force("net.netfilter.nf_conntrack_max = 1000000")),
    "SYS025": ({"sysctls": {"net.netfilter.nf_conntrack_max": "1000000", "net.netfilter.nf_conntrack_buckets": "65536"}},
               {"sysctls": {"net.netfilter.nf_conntrack_max": "524288", "net.netfilter.nf_conntrack_buckets": "65536"}}),
    "SYS026": ({"boot_files": module("blacklist")}, {"boot_files": module("blacklist"), "conntrack_active": False}),
    "SYS027": (in_force("net.core.netdev_max_backlog = 300000"), {"sysctls": {"net.core.netdev_max_backlog": "300000"}}),
    "SYS030": ({"sysctls": {"net.core.somaxconn": "8192"}}, in_force("net.core.somaxconn = 8192")),
    "SYS031": (at_boot("net.core.somaxconn = 8192"), at_boot("net.core.somaxconn = 0x1000")),
    "SYS032": (at_boot({"/etc/sysctl.d/10-a.conf": "net.core.somaxconn=8192", "/etc/sysctl.d/20-b.conf": "net.core.somaxconn=4096"}),
               at_boot({"/usr/lib/sysctl.d/10-a.conf": "net.core.somaxconn=8192", "/etc/sysctl.d/20-b.conf": "net.core.somaxconn=4096"})),
    "SYS033": (at_boot({"/etc/sysctl.conf": "net.core.somaxconn=4096"}),
               at_boot({"/etc/sysctl.conf": "net.core.somaxconn=4096"}, systemd=False)),
    "SYS034": ({**at_boot("net.core.somaxconn=8192", {"net.core.somaxconn": "8192"}), "sysctls": {"net.core.somaxconn": "4096"}, "away": True},
               {**in_force("net.core.somaxconn=8192"), "away": True}),
    "SYS035": (at_boot("net.core.somaxconn 4096"), at_boot("# net.core.somaxconn 4096")),
    "SYS036": (in_force("net.ipv4.tcp_sack = 1"), {}),
    "FDS009": ({"unit": SET_UNIT, "sysctls": {"fs.nr_open": "524287"}}, {"unit": SET_UNIT, "sysctls": {"fs.nr_open": "524288"}}),
    "FDS020": ({"unit": replace(SET_UNIT, nofile_lines=DROP_INS)}, {"unit": replace(SET_UNIT, nofile_lines=DROP_INS[:1] * 2)}),
    "FDS021": ({"unit": SET_UNIT, "main": {"nofile_soft": 200_000}}, {"unit": LOW_UNIT, "main": {"nofile_soft": 300_000}}),
    "FDS022": ({"parameters": {"open_files_limit": 200_000}}, {"parameters": {"open_files_limit": 524_288}}),
    "FDS023": ({"unit": SET_UNIT, "boot_files": default_limit(65_536)}, {"unit": SET_UNIT, "boot_files": default_limit(524_288)}),
    # 4 x 278 = 1,112 of its own
    "FDS024": ({"in_flight_elsewhere": 89, "main": {"nofile_soft": 1200}}, {"in_flight_elsewhere": 88, "main": {"nofile_soft": 1200}}),
    "MEM008": (poor(1_000_000_000), {**poor(1_000_000_000), "target": {"connections": 40_000}}),
    "MEM009": ({"parameters": {"tcp_rd_buf_size": 256_000, "msg_recv_max_size": 256_000}}, {"parameters": {"tcp_rd_buf_size": 65_536}}),
    "ACC005": ({"parameters": {"tcp_linger2": ASKED_5, "tcp_linger2_file": 0}}, {"parameters": {"tcp_linger2": ASKED_5, "tcp_linger2_file": 5}}),
    "ACC006": ({"handoff_sndbufs": (106_496, 212_992)}, {"handoff_sndbufs": (425_984, 212_992)}),
    "TLS003": ({"target": {"connections": 10, "tls": 10}, "tls_ports": ()}, {"target": {"connections": 10}, "tls_ports": ()}),
    "TIM020": ({"parameters": {"websocket.keepalive_processes": 2}},
               {"parameters": {"websocket.keepalive_processes": 2, "websocket.keepalive_mechanism": 0}, "version": "5.2.9"}),
    "CFG022": ({"parameters": {"tcp_conn_wq_max": ASKED_5, "tcp_conn_wq_max_file": 32768}},
               {"parameters": {"tcp_conn_wq_max": ASKED_5, "tcp_conn_wq_max_file": 5}}),
    "CFG023": ({"parameters": {"shm_megabytes": Parameter(65, Origin.READ, "command line -m 65"), "shm_mem_size_file": 128}},
               {"parameters": {"shm_megabytes": Parameter(128, Origin.READ, "/etc/kamailio/kamailio.cfg:3"), "shm_mem_size_file": 128}}),
    "CFG024": ({"log": (LogLine("hard-limit-kept", 2, "cannot override hard tcp_max_connections limit"),)},
               {"log": (LogLine("mlock-failed", 2, "failed to lock the memory pages"),)}),
    "CFG025": ({"config_changed_since_start": True, "parameters": {"tcp_max_connections_file": 200_000}}, {"config_changed_since_start": True}),
    "CFG026": ({"parameters": {"tcp_accept_unique": 1}}, {"parameters": {"tcp_accept_unique": 0}}),
    "CFG027": ({"parameters": {"tls_max_connections": 100_001}}, {"parameters": {"tls_max_connections": 100_001}, "tls_ports": ()}),
    "CFG028": ({"parameters": {"tcp_accept_no_cl": 0}}, {"parameters": {"tcp_accept_no_cl": 0}, "modules": ("tm", "tls")}),
    "CFG029": ({"parameters": {"tcp_accept_protocols": "http, stun"}}, {"parameters": {"tcp_accept_protocols": 92}}),
    "CFG030": ({"target": {"connections": 10, "ws": 10}, "modules": ("tm", "tls")}, {"target": {"connections": 10, "ws": 10}}),
    "CFG031": ({"parameters": {"tcp_keepalive_file": 0, "tcp_keepidle_file": 60}}, {"parameters": {"tcp_keepalive_file": 0, "tcp_keepidle_file": 0}}),
    "ACC007": ({"parameters": {"tcp_defer_accept": 3}}, {"parameters": {"tcp_defer_accept": 0}}),
    "CFG040": ({"version": "6.0.4"}, {"version": "6.0.5"}),
    "CFG041": ({"version": "5.6.1"}, {"version": "5.6.1", "modules": ("tm", "tls")}),
    "CFG042": ({"version": "5.7.7"}, {"version": "5.7.7", "sysctls": {"net.ipv4.tcp_retries2": "8"}}),
    "CFG043": ({"version": "6.0.1"}, {"version": "5.7.2"}),
    "CFG044": ({"version": "5.8.3"}, {"version": "5.8.4"}),
    "CFG045": ({"version": "5.6.1", "parameters": {"websocket.keepalive_mechanism": 0}}, {"parameters": {"websocket.keepalive_mechanism": 0}}),
    "SYS037": (in_force("kernel.threads-max = 1000"), in_force("kernel.threads-max = 2048")),
    "SYS038": (at_boot("net.ipv4.tcp_tw_reuse = 3"), in_force("net.ipv4.tcp_tw_reuse = 2")),
    "SYS039": (in_force("net.ipv4.ip_local_port_range = 20000 65535"), {**in_force("net.ipv4.ip_local_port_range = 20000 65535"), "outbound": OUTBOUND}),
    "SYS040": ({"parameters": {"tcp_source_ipv4": "192.0.2.1"}, "outbound": OUTBOUND}, {"outbound": OUTBOUND}),
    "SYS041": (in_force("vm.overcommit_memory = 2"), in_force("vm.overcommit_memory = 1")),
    "SYS042": (in_force("net.ipv4.tcp_sack = 0"), in_force("net.ipv4.tcp_dsack = 0")),
    "SYS043": (in_force("net.ipv4.tcp_retries2 = 5"), in_force("net.ipv4.tcp_retries2 = 8")),
    "SYS044": (in_force(f"{ESTABLISHED} = 1200"), {**in_force(f"{ESTABLISHED} = 1200"), "conntrack_active": False}),
    "SYS045": (in_force("net.ipv4.tcp_max_orphans = 1024"), in_force("net.ipv4.tcp_max_orphans = 4096")),
}  # fmt: skip


def found(changes: dict[str, Any], code: str) -> list[Finding]:
    return [each for each in verdict(**changes).findings if each.code == code]


def only(changes: dict[str, Any], code: str) -> Finding:
    (one,) = found(changes, code)
    return one


def test_every_rule_has_a_case_where_it_fires_and_one_where_it_does_not():
    """A rule without both is not tested, and so not there."""
    assert {code for rule in RULES for code in rule.codes} == set(CASES)


@pytest.mark.parametrize("code", CASES)
def test_it_fires(code):
    for each in found(CASES[code][0], code):
        assert each.name == BY_CODE[code].name
        assert each.evidence
        assert each.see
        assert each.now.text
        assert each.now.possible or not each.now.line
        assert each.for_good.text
    assert found(CASES[code][0], code)


@pytest.mark.parametrize("code", CASES)
def test_its_look_alike_is_well(code):
    assert found(CASES[code][1], code) == []


def test_the_healthy_host_has_no_finding_at_all_and_everything_is_judged():
    judged = verdict()
    assert judged.findings == ()
    assert judged.unseen == ()


class TestWhatIsShown:
    """Evidence names file, line and value; the cures say what they touch."""

    def test_a_value_in_force_that_a_file_sets(self):
        one = only(in_force("# copied\nnet.ipv4.tcp_timestamps = 0"), "SYS002")
        assert one.evidence.startswith(f"net.ipv4.tcp_timestamps=0 ({FILE}:2): without timestamps")
        assert one.see == f"sysctl net.ipv4.tcp_timestamps; sed -n 2p {FILE}"
        assert one.now.line == "sysctl -w net.ipv4.tcp_timestamps=1"
        assert one.for_good.line == f"sed -i.2.bak --follow-symlinks '2s/^/# /' {FILE}"
        assert one.places == (f"{FILE}:2",)

    def test_a_value_that_waits_for_the_next_boot(self):
        one = only(at_boot("net.ipv4.tcp_syncookies = 0"), "SYS003")
        assert one.evidence.startswith(f"{FILE}:1 sets net.ipv4.tcp_syncookies=0 at the next boot (now 1): ")
        assert not one.now.possible

    def test_a_value_that_no_file_sets(self):
        one = only({"sysctls": {"net.ipv4.tcp_syncookies": "0"}}, "SYS003")
        assert one.evidence.startswith("net.ipv4.tcp_syncookies=0, which no file of sysctl.d sets: ")
        assert "60-kamtcp.conf" in one.for_good.text

    def test_a_value_that_the_next_boot_mends(self):
        one = only(
            {**at_boot("net.ipv4.tcp_syncookies = 1"), "sysctls": {"net.ipv4.tcp_syncookies": "0"}}, "SYS003"
        )
        assert f"=0 now, {FILE}:1 sets 1 at the next boot" in one.evidence

    def test_in_another_namespace_files_say_nothing_and_cures_enter_it(self):
        one = only(
            {
                **at_boot("net.ipv4.tcp_syncookies = 1"),
                "sysctls": {"net.ipv4.tcp_syncookies": "0"},
                "away": True,
            },
            "SYS003",
        )
        assert FILE not in one.evidence
        assert one.now.line == "nsenter -t 812 -n sysctl -w net.ipv4.tcp_syncookies=1"
        assert found({**at_boot("net.ipv4.tcp_syncookies = 0"), "away": True}, "SYS003") == []

    def test_a_file_of_a_package_is_overridden_and_not_edited(self):
        one = only(at_boot({"/usr/lib/sysctl.d/50-x.conf": "net.ipv4.tcp_syncookies = 0"}), "SYS003")
        assert not one.for_good.line
        assert "a later file" in one.for_good.text

    def test_a_path_with_a_quote_in_it_is_quoted(self):
        one = only(at_boot({"/etc/sysctl.d/it's.conf": "net.ipv4.tcp_syncookies = 0"}), "SYS003")
        assert """'/etc/sysctl.d/it'"'"'s.conf'""" in one.for_good.line

    def test_pages_and_bytes_are_worked_out(self):
        one = only(in_force("net.ipv4.tcp_mem = 786432 1048576 26777216"), "MEM002")
        assert "26,777,216 are 102 GiB, this machine has 16 GiB" in one.evidence
        assert one.now.line == "sysctl -w 'net.ipv4.tcp_mem=196608 262144 393216'"

    def test_a_line_that_is_overridden_tells_by_whom_and_why(self):
        one = only(CASES["SYS032"][0], "SYS032")
        assert one.evidence == (
            "net.core.somaxconn: /etc/sysctl.d/10-a.conf:1 sets 8192, but /etc/sysctl.d/20-b.conf:1 sets 4096 and is applied"
            " after it (systemd-sysctl goes by file name, whatever the directory)"
        )
        assert one.severity is Severity.MEDIUM

    def test_a_name_no_connection_depends_on_is_only_told(self):
        changes = at_boot(
            {"/etc/sysctl.d/10-a.conf": "kernel.printk=4", "/etc/sysctl.d/20-b.conf": "kernel.printk=3"}
        )
        assert only(changes, "SYS032").severity is Severity.INFO

    def test_a_file_value_that_matters_is_high_and_others_are_not(self):
        assert only(at_boot("net.core.somaxconn = 8192"), "SYS031").severity is Severity.HIGH
        assert only(at_boot("net.ipv4.tcp_fin_timeout = 70"), "SYS031").severity is Severity.MEDIUM
        unrelated = settings("fs.inotify.max_user_watches = 1", {"fs.inotify.max_user_watches": "60"})
        assert only({"settings": unrelated}, "SYS031").severity is Severity.INFO

    def test_a_wrong_line_is_not_recommended_for_being_written_down(self):
        """It is told once, as wrong, and no cure puts it in force."""
        told = [
            each
            for each in verdict(**at_boot("net.ipv4.tcp_syncookies = 0")).findings
            if each.places == (f"{FILE}:1",)
        ]
        assert [each.code for each in told] == ["SYS003"]

    @pytest.mark.parametrize(
        ("line", "live"),
        [("net.netfilter.nf_conntrack_buckets = 100000", "100352"), ("net.core.rps_sock_flow_entries = 1000", "1024"),
         ("net.ipv4.tcp_mem = 1  2\t3", "1\t2\t3"), ("net.ipv4.ip_local_reserved_ports = 8080,5060-5061", "5060-5061,8080")],
    )  # fmt: skip
    def test_what_the_kernel_rounds_or_prints_otherwise_is_in_force(self, line, live):
        name = line.partition(" ")[0]
        assert found(at_boot(line, {name: live}), "SYS031") == []

    def test_the_late_module_is_named_as_a_cause(self):
        one = only(at_boot("net.netfilter.nf_conntrack_max = 1000000"), "SYS031")
        assert "modules-load.d" in one.evidence

    def test_other_settings_of_the_recipe_are_not_called_misspelt_where_the_reader_is_in_a_child(self):
        hidden = Absent("net.core.netdev_max_backlog", Why.NOT_VISIBLE)
        judged = verdict(settings=settings("net.core.nonsense = 1"), sysctls={"fs.nr_open": "1048576"})
        assert any(each.code == "SYS022" for each in judged.findings)
        s = situation(settings=settings("net.core.nonsense = 1"))
        s = replace(
            s,
            machine=replace(s.machine, sysctls={**s.machine.sysctls, "net.core.netdev_max_backlog": hidden}),
        )
        said = list(settings_gone.unknown(s, None))
        assert [type(each) for each in said] == [Absent]

    def test_both_rules_on_ports_reserve_the_same_list(self):
        """The second line would undo the first otherwise."""
        changes = in_force(
            "net.ipv4.ip_local_port_range = 1024 65535\nnet.ipv4.ip_local_reserved_ports = 9000"
        )
        changes["listeners"] = (listener(5060), listener(8088))
        lines = {only(changes, code).now.line for code in ("SYS008", "SYS009")}
        assert lines == {"sysctl -w net.ipv4.ip_local_reserved_ports=5060-5061,8088,9000"}
        kept = only(changes, "SYS008").for_good.line
        assert kept == f"sed -i.2.bak --follow-symlinks '2s|=.*|= 5060-5061,8088,9000|' {FILE}"

    def test_debian_13_and_its_unread_file(self):
        one = only(CASES["SYS033"][0], "SYS033")
        assert "line 1 net.core.somaxconn=4096" in one.evidence
        assert one.for_good.line == "ln -s ../sysctl.conf /etc/sysctl.d/99-sysctl.conf"

    def test_a_namespace_gets_the_line_that_tunes_it(self):
        one = only(CASES["SYS034"][0], "SYS034")
        assert f"net.core.somaxconn=8192 ({FILE}:1), here 4096" in one.evidence
        assert one.now.line == "nsenter -t 812 -n sysctl -w net.core.somaxconn=8192"

    def test_the_hash_asked_for_and_the_hash_there_is(self):
        one = only({"boot_files": module("options", "hashsize=1000000")}, "SYS026")
        assert "asks for hashsize=1000000, 262,144 buckets are in force" in one.evidence
        assert found({"boot_files": module("options", "hashsize=262000")}, "SYS026") == []

    def test_limits_that_happen_to_be_in_force_are_not_called_lost(self):
        assert found({"boot_files": pam("kamailio", "524288")}, "FDS007") == []
        assert found({"boot_files": pam("*", "65535")}, "FDS007") == []
        assert found({"boot_files": pam("*", "65535"), "unit": SET_UNIT}, "FDS007")

    def test_the_user_is_that_of_the_command_line(self):
        told = {"user": Parameter("sip", Origin.READ, "command line -u")}
        assert found({"boot_files": pam("sip", "65535"), "parameters": told}, "FDS007")
        assert found({"boot_files": pam("kamailio", "65535"), "parameters": told}, "FDS007") == []


def test_every_line_is_one_that_a_shell_takes():
    """`sh -n` reads all of them, as printed, and runs none."""
    told = [each for code in CASES for each in found(CASES[code][0], code)]
    lines = [line for each in told for line in (each.see, each.now.line, each.for_good.line) if line]
    assert len(lines) > 100
    assert not [line for line in lines if "\n" in line]
    done = subprocess.run(
        ["sh", "-n"], input="\n".join(lines).encode(), capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize(
    "code", ["FDS022", "MEM009", "CFG026", "CFG028", "CFG029", "TIM020", "CFG031", "ACC007", "SYS040"]
)
def test_a_parameter_s_finding_names_its_line(code):
    assert "/etc/kamailio/kamailio.cfg:41" in only(CASES[code][0], code).places


class TestUnits:
    """systemd's lines: which counts, and where they meet others."""

    def test_the_order_of_drop_ins_is_told(self):
        one = only(CASES["FDS020"][0], "FDS020")
        assert (
            "in this order, the last one counts: /lib/systemd/system/kamailio.service:9 (65536), /etc/systemd"
            in one.evidence
        )
        assert one.places[-1] == "/etc/systemd/system/kamailio.service.d/10-a.conf:2"

    def test_a_default_that_is_enough_makes_the_bare_unit_well(self):
        assert found({"unit": BARE_UNIT, "boot_files": default_limit(200_000)}, "FDS005") == []
        low = only({"unit": BARE_UNIT, "boot_files": default_limit(65_536)}, "FDS005")
        assert "which is soft 65,536 (/etc/systemd/system.conf.d/nofile.conf:2)" in low.evidence

    def test_a_lower_nr_open_of_the_next_boot_is_told(self):
        one = only({"unit": SET_UNIT, **at_boot("fs.nr_open = 65536", {"fs.nr_open": "1048576"})}, "FDS009")
        assert f"fs.nr_open=65,536 of the next boot ({FILE}:1)" in one.evidence
        assert not one.now.possible

    def test_descriptors_in_flight_are_those_of_all_kamailios_of_a_user(self):
        changes = {
            "in_flight_elsewhere": 1112,
            "main": {"nofile_soft": 2000},
            "workers": {"nofile_soft": 2000},
        }
        one = only(changes, "FDS024")
        assert (
            "up to 1,112 descriptors are on their way to its 4 workers and up to 1,112 to those of other"
            in one.evidence
        )
        privileged = {**changes, "main": {"nofile_soft": 1000, "capabilities": 1 << 24}}
        assert found(privileged, "FDS024") == []

    def test_a_kamailio_alone_never_has_more_in_flight_than_open(self):
        assert found({"in_flight_elsewhere": 0, "main": {"nofile_soft": 100}}, "FDS024") == []


class TestOutbound:
    """Ports that Kamailio itself takes."""

    def test_a_rate_to_one_destination_is_held_against_the_ports_that_rest(self):
        """28,232 ports / 60 s = 470 a second."""
        told = verdict(target={"outbound_rate": {"192.0.2.9:5060": 471.0}})
        (one,) = [each for each in told.findings if each.code == "SYS018"]
        assert one.evidence.startswith("470 outbound connections per second to one destination, target 471: ")
        assert one.now.line == "sysctl -w net.ipv4.tcp_tw_reuse=1"
        assert verdict(target={"outbound_rate": {"192.0.2.9:5060": 470.0}}).findings == ()

    def test_a_source_address_makes_destinations_share(self):
        """28,232 ports for 20,000 to each of two."""
        told = {"parameters": {"tcp_source_ipv4": "192.0.2.1"},
                "target": {"outbound": {"192.0.2.9:5060": 14_000, "192.0.2.8:5060": 14_000}}}  # fmt: skip
        assert only(told, "SYS040").severity is Severity.INFO
        told["target"] = {"outbound": {"192.0.2.9:5060": 14_000, "192.0.2.8:5060": 15_000}}
        assert only(told, "SYS040").severity is Severity.HIGH


KEPT = "/etc/sysctl.d/60-kamtcp.conf:1 net.ipv4.tcp_keepalive_time=600: no rule here objects to this value"


class TestEveryLine:
    """No line of the administrator's is without a word."""

    def test_a_name_that_nobody_knows_is_said_to_be_so(self):
        files = settings("net.ipv4.tcp_nonsense_timer = 5", {"net.ipv4.tcp_nonsense_timer": "5"})
        told = only({"settings": files}, "SYS036")
        assert (
            told.evidence
            == f"{KEPT}; {FILE}:1 net.ipv4.tcp_nonsense_timer=5: nothing is known by which connections depend on it"
        )

    def test_lines_that_are_well_are_told_beside_others_and_make_no_finding_alone(self):
        assert found(in_force("net.core.somaxconn = 2048"), "SYS036") == []
        both = only(in_force("net.core.somaxconn = 1024\nvm.swappiness = 10"), "SYS036")
        assert f"{FILE}:1 net.core.somaxconn=1024: no rule here objects to this value" in both.evidence
        assert both.places == ("/etc/sysctl.d/60-kamtcp.conf:1", f"{FILE}:1", f"{FILE}:2")

    def test_a_glob_is_told_as_a_line(self):
        told = only({"settings": settings("net.ipv4.conf.*.rp_filter = 1")}, "SYS036")
        assert f"{FILE}:1 net.ipv4.conf.*.rp_filter=1: drops packets whose sender" in told.evidence

    def test_a_line_that_another_finding_speaks_of_is_not_told_twice(self):
        told = in_force("net.ipv4.tcp_retries2 = 3\nvm.swappiness = 10")
        assert only(told, "SYS043").places == (f"{FILE}:1",)
        assert f"{FILE}:1" not in only(told, "SYS036").places

    @pytest.mark.parametrize(
        ("line", "code"),
        [("net.ipv4.tcp_max_tw_buckets = 2000000", "SYS036"), ("net.ipv4.tcp_max_tw_buckets = 0", "SYS006"),
         ("net.ipv4.tcp_fin_timeout = 7", "SYS005"), ("net.ipv4.tcp_fin_timeout = 120", "SYS036"),
         ("net.ipv4.tcp_tw_reuse = 2", "SYS036"), ("net.ipv4.tcp_mem = 50000 60000 70000", "SYS036"),
         ("net.ipv4.tcp_rmem = 4096 16384 4194304", "SYS036"), ("net.ipv4.tcp_retries2 = 9", "SYS036"),
         ("net.ipv4.ip_local_port_range = 10000 65000", "SYS039"), ("net.ipv4.ip_local_port_range = 32768 60999", "SYS036"),
         ("fs.file-max = 9000000", "SYS036"), ("net.ipv4.tcp_max_orphans = 3276800", "SYS036"),
         ("net.ipv4.tcp_keepalive_time = 1200", "SYS036"), ("net.core.somaxconn = 512", "SYS036"),
         ("net.ipv4.tcp_syncookies = 1", "SYS036"), ("net.netfilter.nf_conntrack_max = 524288", "SYS036"),
         ("kernel.panic = 10", "SYS036"), ("net.bridge.bridge-nf-call-iptables = 0", "SYS036"), ("vm.overcommit_memory = 1", "SYS036")],
    )  # fmt: skip
    def test_variants_of_recipes_all_have_their_verdict(self, line, code):
        told = in_force(f"{line}\nvm.swappiness = 10")
        assert f"{FILE}:1" in only(told, code).places

    @pytest.mark.parametrize(
        ("line", "why"),
        [("net.ipv4.tcp_syn_retries = 0", "not from 1 to 127"), ("net.ipv4.ip_local_port_range = 0 65535", "begins below"),
         ("net.ipv4.ip_local_port_range = 65000 2000", "the lower one first"), ("fs.nr_open = 10000000000", "not from 64"),
         ("net.ipv4.tcp_syncookies = yes", "no number")],
    )  # fmt: skip
    def test_a_value_that_the_kernel_refuses(self, line, why):
        assert why in only(at_boot(line), "SYS038").evidence


class TestWhatCouldNotBeSeen:
    """It is never "fine": the rule is named among what was not judged."""

    @pytest.mark.parametrize(
        ("changes", "codes"),
        [({"sysctls": {"net.ipv4.tcp_timestamps": DENIED}}, {"SYS002"}),
         ({**in_force("net.ipv4.tcp_tw_reuse = 1"), "outbound": DENIED}, {"SYS004"}),
         ({"listeners": DENIED, "parameters": BACKLOG}, {"SYS008", "ACC003"}),
         ({"memory_total_bytes": DENIED}, {"MEM002", "FDS008"}),
         ({"unit": DENIED}, {"FDS005"}),
         ({"config_changed_since_start": DENIED}, {"TIM003"}),
         ({"version": DENIED}, {"CFG001", "TLS001"}),
         ({"modules": DENIED}, {"TIM004"}),
         ({"conntrack_active": DENIED, "boot_files": module("blacklist")}, {"SYS025", "SYS026"})],
    )  # fmt: skip
    def test_a_rule_without_its_facts_is_listed(self, changes, codes):
        judged = verdict(**changes)
        said = " ".join(each.detail for each in judged.unseen if "not judged" in each.detail)
        assert codes <= set(said.replace(",", " ").split()), said
        assert not codes & {each.code for each in judged.findings}

    def test_a_file_that_may_not_be_read_may_say_anything(self):
        files = settings("")
        hidden = replace(files, problems=(Absent("/etc/sysctl.d/x.conf", Why.DENIED, "EACCES"),))
        judged = verdict(settings=hidden, sysctls={"net.core.somaxconn": "8192"})
        assert "SYS030" not in {each.code for each in judged.findings}
        assert [
            each
            for each in judged.unseen
            if each.source == "/etc/sysctl.d/x.conf" and "SYS030" in each.detail
        ]

    def test_a_bad_line_is_told_even_where_the_present_value_is_not_seen(self):
        changes = at_boot("net.ipv4.tcp_syncookies = 0")
        changes["sysctls"] = {"net.ipv4.tcp_syncookies": DENIED}
        assert "(now not seen)" in only(changes, "SYS003").evidence

    def test_what_a_version_does_not_have_is_not_called_unseen(self):
        none = Parameter("none", Origin.DEFAULT, "not in 5.6.3")
        judged = verdict(parameters={"msg_recv_max_size": none, "tcp_accept_iplimit": none})
        assert judged.unseen == ()
