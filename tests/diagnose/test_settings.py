"""Rules on settings: each fires where it must, and not on its look-alike. A rule without both rows fails here."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from kamtcp.diagnose import settings_gone
from kamtcp.diagnose.codes import BY_CODE, Severity
from kamtcp.diagnose.finding import Finding
from kamtcp.diagnose.rules import ALL as RULES
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Parameter, SharedMemory, Unit
from kamtcp.model.machine import PeerUse
from kamtcp.model.origin import Origin
from kamtcp.model.settings import BootFiles, ModuleLine, PamLimit
from setting_files import FILE, at_boot, in_force, settings
from situations import DENIED, listener, situation, verdict

UNSET = Absent("LimitNOFILE of kamailio.service", Why.MISSING, "not set")
BARE_UNIT = Unit("kamailio.service", UNSET, UNSET, "", 4915)
SET_UNIT = Unit(
    "kamailio.service", 524_288, 524_288, "/etc/systemd/system/kamailio.service.d/nofile.conf:2", 4915
)
OUTBOUND = (PeerUse("192.0.2.9", 5060, 20, "192.0.2.1"),)
BACKLOG = {
    "tcp_listen_backlog": Parameter(1024, Origin.DEFAULT, "compiled in, no parameter before 6.1 (5.6.3)")
}


def pam(domain: str, value: str) -> BootFiles:
    return BootFiles(pam_limits=(PamLimit(domain, "soft", "nofile", value, "/etc/security/limits.conf", 7),))


def module(command: str, text: str = "", name: str = "nf_conntrack") -> BootFiles:
    return BootFiles(modules=(ModuleLine(command, name, text, "/etc/modprobe.d/nf.conf", 2),))


def poor(count: int) -> dict[str, Any]:
    return {
        "shared_memory": SharedMemory(64 << 20, count, 0, 0, 0, 0),
        "opened": 0,
        "main": {"descriptors": 30},
    }


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
    "TIM008": ({"version": "5.6.3"}, {"version": "5.6.3", "sysctls": {"net.ipv4.tcp_retries2": "8"}}),
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
