"""Settings on real ground: this kernel's own values, a well-tuned host, and a recipe as copied across the web."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from kamtcp.cli.document import Document
from kamtcp.diagnose.codes import RANK, Severity
from kamtcp.diagnose.kernel_defaults import NAMES, default_of
from kamtcp.diagnose.verdict import judge
from kamtcp.errors import StandInError
from kamtcp.host.live import Live
from kamtcp.model.absent import Why
from kamtcp.model.target import Target
from kamtcp.observe.sysctl import NETNS_NAMES
from kamtcp.rehearse.kamailio import packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from kamtcp.survey.take import take
from setting_files import settings
from situations import situation

SRC = str(Path(__file__).parents[2] / "src")
RECIPE = "/etc/sysctl.d/99-sip-tuning.conf"
#: each of its lines is on many pages; (line, codes of which one must speak of it)
LINES: tuple[tuple[str, str], ...] = (
    ("fs.file-max = 65535", "FDS008"),
    ("fs.epoll.max_user_instances = 8192", "SYS020"),
    ("net.core.somaxconn = 65535", "ACC002"),
    ("net.core.netdev_max_backlog = 300000", "SYS027"),
    ("net.core.rmem_default = 31457280", "MEM005"),
    ("net.core.wmem_default = 31457280", "MEM005"),
    ("net.core.rmem_max = 134217728", "MEM006"),
    ("net.core.wmem_max = 134217728", "MEM006"),
    ("net.core.optmem_max = 25165824", "SYS036"),
    ("net.ipv4.tcp_mem = 786432 1697152 1945728000", "MEM002"),
    ("net.ipv4.tcp_rmem = 4096 87380 134217728", "MEM007"),
    ("net.ipv4.tcp_wmem = 4096 65536 134217728", "MEM007"),
    ("net.ipv4.tcp_timestamps = 0", "SYS002"),
    ("net.ipv4.tcp_syncookies = 0", "SYS003"),
    ("net.ipv4.tcp_tw_recycle = 1", "SYS001"),
    ("net.ipv4.tcp_tw_reuse = 1", "SYS004"),
    ("net.ipv4.tcp_fin_timeout = 15", "SYS005"),
    ("net.ipv4.tcp_max_tw_buckets = 5000", "SYS006"),
    ("net.ipv4.tcp_abort_on_overflow = 1", "ACC004"),
    ("net.ipv4.tcp_keepalive_time = 300", "TIM002"),
    ("net.ipv4.tcp_sack = 1", "SYS032"),
    ("net.ipv4.tcp_window_scaling = 1", "SYS032"),
    ("net.ipv4.tcp_moderate_rcvbuf = 1", "SYS036"),
    ("net.ipv4.tcp_no_metrics_save = 1", "SYS036"),
    ("net.ipv4.tcp_slow_start_after_idle = 0", "SYS036"),
    ("net.ipv4.tcp_max_orphans = 262144", "SYS036"),
    ("net.ipv4.tcp_fack = 1", "SYS021"),
    ("net.ipv4.tcp_low_latency = 1", "SYS021"),
    ("net.ipv4.route.gc_timeout = 100", "SYS021"),
    ("net.ipv4.route.flush = 1", "SYS021"),
    ("net.ipv4.ip_local_port_range = 1024 65535", "SYS008"),
    ("net.ipv4.ip_conntrack_max = 1000000", "SYS020"),
    ("net.ipv4.netfilter.ip_conntrack_tcp_timeout_established = 600", "SYS020"),
    ("net.netfilter.nf_conntrack_max = 1000000", "SYS024"),
    ("kernel.shmmax = 68719476736", "SYS023"),
    ("kernel.msgmnb = 65536", "SYS023"),
    ("vm.swappiness = 10", "SYS036"),
    ("net.core.somaxconn 4096", "SYS035"),
    ("net.ipv4.tcp_sack = 0", "SYS042"),  # some pages say so, others the opposite: the last line counts
    ("net.ipv4.tcp_window_scaling = 0", "SYS042"),
    ("net.ipv4.tcp_retries2 = 5", "SYS043"),
    ("net.ipv4.tcp_retries1 = 3", "SYS036"),
    ("net.ipv4.tcp_syn_retries = 2", "SYS036"),
    ("net.ipv4.tcp_synack_retries = 2", "SYS036"),
    ("net.ipv4.tcp_orphan_retries = 3", "SYS036"),
    ("net.ipv4.tcp_keepalive_intvl = 30", "SYS036"),
    ("net.ipv4.tcp_keepalive_probes = 5", "SYS036"),
    ("net.ipv4.tcp_rfc1337 = 1", "SYS036"),
    ("net.ipv4.tcp_mtu_probing = 1", "SYS036"),
    ("net.ipv4.tcp_fastopen = 3", "SYS036"),
    ("net.ipv4.tcp_ecn = 1", "SYS036"),
    ("net.ipv4.tcp_dsack = 1", "SYS036"),
    ("net.ipv4.tcp_autocorking = 0", "SYS036"),
    ("net.ipv4.tcp_notsent_lowat = 16384", "SYS036"),
    ("net.ipv4.tcp_adv_win_scale = 2", "SYS021"),
    ("net.ipv4.tcp_congestion_control = bbr", "SYS036"),
    ("net.core.default_qdisc = fq", "SYS036"),
    ("net.core.busy_poll = 50", "SYS036"),
    ("net.core.busy_read = 50", "SYS036"),
    ("net.core.netdev_budget = 50000", "SYS036"),
    ("net.core.netdev_budget_usecs = 8000", "SYS036"),
    ("net.core.dev_weight = 64", "SYS036"),
    ("net.core.rps_sock_flow_entries = 32768", "SYS036"),
    ("net.ipv4.udp_mem = 3145728 4194304 16777216", "SYS036"),
    ("net.ipv4.udp_rmem_min = 16384", "SYS036"),
    ("net.ipv4.conf.all.rp_filter = 1", "SYS036"),
    ("net.ipv4.conf.default.accept_source_route = 0", "SYS036"),
    ("net.ipv4.conf.all.accept_redirects = 0", "SYS036"),
    ("net.ipv4.icmp_echo_ignore_broadcasts = 1", "SYS036"),
    ("net.ipv4.ip_forward = 1", "SYS036"),
    ("net.ipv4.ip_nonlocal_bind = 1", "SYS036"),
    ("net.ipv4.neigh.default.gc_thresh3 = 8192", "SYS036"),
    ("net.ipv6.conf.all.disable_ipv6 = 1", "SYS036"),
    ("net.unix.max_dgram_qlen = 512", "SYS036"),
    ("net.netfilter.nf_conntrack_buckets = 262144", "SYS036"),
    ("net.netfilter.nf_conntrack_tcp_timeout_established = 1200", "SYS036"),
    ("net.netfilter.nf_conntrack_tcp_timeout_time_wait = 30", "SYS036"),
    ("kernel.pid_max = 65536", "SYS036"),
    ("kernel.threads-max = 1000", "SYS037"),
    ("kernel.core_uses_pid = 1", "SYS036"),
    ("kernel.sysrq = 0", "SYS036"),
    ("kernel.randomize_va_space = 1", "SYS036"),
    ("kernel.sched_migration_cost_ns = 5000000", "SYS020"),
    ("kernel.shmall = 4294967296", "SYS023"),
    ("vm.overcommit_memory = 2", "SYS041"),
    ("vm.dirty_ratio = 60", "SYS036"),
    ("vm.min_free_kbytes = 65536", "SYS036"),
    ("vm.max_map_count = 262144", "SYS036"),
    ("fs.nr_open = 20000000000", "SYS038"),
    ("fs.aio-max-nr = 1048576", "SYS036"),
    ("fs.inotify.max_user_watches = 524288", "SYS036"),
)  # fmt: skip
#: without effect only while SYN cookies are on, which the line above switches off
BACKLOG_LINE = "net.ipv4.tcp_max_syn_backlog = 300000"
#: of the recipe, what a namespace of its own may be given for real
APPLIED = {
    "net.core.somaxconn": "65535", "net.ipv4.tcp_timestamps": "0", "net.ipv4.tcp_syncookies": "0", "net.ipv4.tcp_tw_reuse": "1",
    "net.ipv4.tcp_fin_timeout": "15", "net.ipv4.tcp_max_tw_buckets": "5000", "net.ipv4.tcp_abort_on_overflow": "1",
    "net.ipv4.ip_local_port_range": "1024 65535",
}  # fmt: skip

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a stand-in host needs root")
needs_kamailio = pytest.mark.skipif(
    packages_root() is None, reason="no Kamailio: run scripts/fetch_packages.py or set KAMTCP_KAMAILIO_ROOT"
)


def write(standin: StandIn, path: str, text: str) -> None:
    os.makedirs(os.path.dirname(standin.path(path)), exist_ok=True)
    with open(standin.path(path), "w") as file:
        file.write(text)


def checked(standin: StandIn, *options: str) -> Document:
    """`kamtcp check --json` run inside."""
    words = [sys.executable, "-m", "kamtcp", "check", "--json", *options]
    done = standin.run(words, env={**os.environ, "PYTHONPATH": SRC}, check=False, timeout=60)
    assert done.stdout, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=Document)


@pytest.mark.netns
@needs_root
def test_the_kernels_own_values_are_what_a_new_namespace_has():
    """What kamtcp takes for set by hand would otherwise be wrong on this kernel."""
    try:
        standin = StandIn()
    except StandInError as error:
        pytest.skip(str(error))
    compared = 0
    with standin:
        buckets = standin.sysctl("net.ipv4.tcp_ehash_entries")
        s = situation(sysctls={"net.ipv4.tcp_ehash_entries": buckets})
        for name in NAMES:
            usual = default_of(name, s)
            path = standin.path("/proc/sys/" + name.replace(".", "/"))
            # tcp_rmem and tcp_wmem are copied from the initial namespace, where somebody may have set them
            if name not in NETNS_NAMES or usual is None or not os.path.exists(path) or name.endswith("mem"):
                continue
            assert " ".join(standin.sysctl(name).split()) in usual, name
            compared += 1
    assert compared > 20


@pytest.mark.kamailio
@needs_root
@needs_kamailio
class TestAWholeHost:
    def test_a_healthy_well_tuned_host_has_no_finding_above_info(self):
        """Plain TCP: TLS of 5.6.3 with OpenSSL 3 is fatal by rule, and the recorded reference set-up shows that."""
        scenario = Scenario(core=("tcp_keepidle=300", "tcp_keepintvl=30", "tcp_keepcnt=4"))
        with StandIn(packages_root(), name="sip1") as standin:
            write(
                standin,
                "/etc/sysctl.d/60-kamtcp.conf",
                "net.core.somaxconn = 4096\nnet.ipv4.ip_local_port_range = 20000 60999\n",
            )
            standin.sysctl("net.ipv4.ip_local_port_range", "20000 60999")
            with start_kamailio(standin, config=scenario, nofile=(20000, 20000), log=True):
                document = checked(standin, "--connections", "1500", "--rate", "200")
        (judged,) = document.judged
        bad = [each for each in judged.findings if RANK[each.severity] < RANK[Severity.INFO]]
        assert bad == []
        # a backlog that 5.6.3 has compiled in, two of its known faults, a range that nothing outbound needs
        assert {each.code for each in judged.findings} <= {"ACC002", "CFG040", "CFG042", "SYS039"}
        assert judged.target_met is not False
        # everything was judged but what only the initial network namespace shows
        assert {each.why for each in judged.unseen} <= {Why.NOT_VISIBLE}

    def test_every_line_of_a_copied_recipe_is_judged_with_its_reason(self):
        """Written into /etc/sysctl.d of a test root; what a namespace may be given is in force, the rest waits for the boot."""
        text = (
            "# SIP tuning, do not touch!\n"
            + "\n".join(line for line, _ in LINES)
            + "\n"
            + BACKLOG_LINE
            + "\n"
        )
        with StandIn(packages_root(), name="sip1") as standin:
            os.makedirs(standin.path("/run/systemd/system"))
            write(standin, RECIPE, text)
            for name, value in APPLIED.items():
                standin.sysctl(name, value)
            with start_kamailio(standin, config=Scenario(core=("tcp_keepidle=60",)), nofile=(20000, 20000)):
                (judged,) = checked(standin).judged
        said: dict[str, list[str]] = {}
        for each in judged.findings:
            for place in each.places:
                said.setdefault(place, []).append(each.code)
        for number, (line, wanted) in enumerate(LINES, start=2):
            place = f"{RECIPE}:{number}"
            loaded = os.path.exists("/proc/sys/net/netfilter/nf_conntrack_max")
            code = wanted if loaded or not line.startswith("net.netfilter") else "SYS022"
            assert code in said.get(place, ()), (line, said.get(place), judged.unseen)
        evidence = " ".join(each.evidence for each in judged.findings)
        for name in APPLIED:
            assert f"{name}=" in evidence

    def test_a_syn_backlog_is_told_where_cookies_make_it_idle(self):
        with StandIn(packages_root(), name="sip1") as standin:
            write(standin, RECIPE, BACKLOG_LINE + "\n")
            with start_kamailio(standin, config=Scenario(), nofile=(20000, 20000)):
                (judged,) = checked(standin).judged
        assert [each.places for each in judged.findings if each.code == "SYS007"] == [(f"{RECIPE}:1",)]

    def test_the_machines_files_do_not_reach_a_namespace_of_its_own(self):
        """Seen from outside: the file says 8192, Kamailio's namespace has the kernel's own 4096."""

        with StandIn(packages_root()) as standin, start_kamailio(standin, config=Scenario()) as kamailio:
            seen = take(Live(), only=str(kamailio.pid))
        instance = next(each for each in seen.instances if each.attendant == kamailio.pid)
        files = settings("net.core.somaxconn = 8192\n", {"net.core.somaxconn": "8192"})
        seen = replace(seen, machine=replace(seen.machine, settings=files))
        found = [each for each in judge(seen, instance, Target()).findings if each.code == "SYS034"]
        assert "net.core.somaxconn=8192" in found[0].evidence
        assert f"nsenter -t {kamailio.pid} -n sysctl -w net.core.somaxconn=8192" in found[0].now.line

    def test_the_cures_work_as_printed(self):
        """Each line is run by a shell in the stand-in, now and for good; then nothing of it is found any more."""
        cured = {"SYS002", "SYS003", "SYS006", "SYS008", "SYS009", "ACC004"}
        with StandIn(packages_root(), name="sip1") as standin:
            text = "".join(f"{name} = {value}\n" for name, value in APPLIED.items())
            write(standin, RECIPE, text)
            for name, value in APPLIED.items():
                standin.sysctl(name, value)
            with start_kamailio(standin, config=Scenario(), nofile=(20000, 20000)):
                before = checked(standin).judged[0].findings
                for each in before:
                    for cure in (each.now, each.for_good) if each.code in cured else ():
                        assert cure.line, each
                        standin.run(["sh", "-c", cure.line])
                after = checked(standin).judged[0].findings
            first = next(
                each.for_good.line for each in before if each.code in cured and RECIPE in each.for_good.line
            )
            kept = standin.run(
                ["cat", f"{RECIPE}.{first.partition('-i.')[2].partition('.')[0]}.bak"]
            ).stdout.decode()
        assert kept == text
        assert cured <= {each.code for each in before}
        assert not cured & {each.code for each in after}
