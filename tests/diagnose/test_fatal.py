"""Rules that stop a server: each fires where it must, and not on what only looks like it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from kamtcp.diagnose.codes import Severity
from kamtcp.diagnose.finding import Finding
from kamtcp.model.absent import UNLIMITED
from kamtcp.model.instance import Parameter, Unit
from kamtcp.model.origin import Origin
from situations import DENIED, NO_UNIT, ROOT, verdict

UNIT = Unit("kamailio.service", 1024, 524_288, "/lib/systemd/system/kamailio.service:9", 4915)


def codes(**changes: object) -> list[str]:
    return [each.code for each in verdict(**changes).findings if each.severity is not Severity.INFO]


def only(code: str, **changes: object) -> Finding:
    found = [each for each in verdict(**changes).findings if each.code == code]
    assert len(found) == 1, [each.code for each in verdict(**changes).findings]
    return found[0]


def test_a_healthy_host_has_no_finding():
    assert verdict().findings == ()
    assert verdict(target={"connections": 20_000, "tls": 5000, "rate": 500}).findings == ()


def test_a_machine_without_kamailio_has_no_finding():
    assert verdict(kamailio=False, target={"connections": 20_000}).findings == ()


class TestFDS001:
    """tcp main may open fewer files than tcp_max_connections promises."""

    def test_it_fires_below_the_promise_and_five_for_each_process(self):
        found = only("FDS001", main={"nofile_soft": 1024})
        assert found.evidence == (
            "tcp main may open 1,024 files but tcp_max_connections is 100,000 (needs 100,070): at 994 connections the"
            " accept loop spins and fills the log disk (27 MB/s seen)"
        )
        assert (
            found.see == "grep 'open files' /proc/831/limits; ls /proc/831/fd | wc -l; kamcmd core.tcp_info"
        )
        assert found.severity.value == "fatal"
        assert "FDS001" in codes(main={"nofile_soft": 100_069})

    def test_exactly_enough_is_enough(self):
        assert codes(main={"nofile_soft": 100_070}, workers={"nofile_soft": 100_070}) == []

    def test_a_promise_lowered_at_run_time_is_kept(self):
        low = {"nofile_soft": 1024}
        assert codes(main=low, workers=low, parameters={"tcp_max_connections": 900}) == []

    @pytest.mark.parametrize("soft", [UNLIMITED, DENIED])
    def test_no_limit_and_no_answer_are_no_defect(self, soft):
        assert "FDS001" not in codes(main={"nofile_soft": soft})

    def test_systemd_is_told_in_a_drop_in_and_anything_else_in_the_configuration(self):
        with_unit = only("FDS001", main={"nofile_soft": 1024}, unit=UNIT).for_good
        without = only("FDS001", main={"nofile_soft": 1024}, unit=NO_UNIT).for_good
        assert with_unit.text.startswith("LimitNOFILE=100134:524288 in a drop-in of kamailio.service")
        assert without.text.startswith("open_files_limit=100134 in /etc/kamailio/kamailio.cfg")
        assert "a restart drops 400 connections" in with_unit.risk


class TestFDS002:
    """A half-done prlimit: tcp main raised, a worker not."""

    def test_it_fires_and_its_cure_names_the_workers_alone(self):
        """Also without CAP_SYS_RESOURCE: the hard limit leaves room, though tcp main is at it already."""
        found = only("FDS002", workers={"nofile_soft": 1024}, capabilities=0, uid=990, gid=990)
        assert found.evidence == "4 of 4 workers may open 1,024 files, tcp main 524,288"
        assert found.now.line == "for p in 821 822 823 824; do prlimit --pid $p --nofile=524288:; done"

    def test_a_worker_with_more_than_tcp_main_is_well(self):
        assert codes(main={"nofile_soft": 200_000}, workers={"nofile_soft": 300_000}) == []

    def test_a_worker_without_any_limit_is_well(self):
        assert codes(workers={"nofile_soft": UNLIMITED}) == []


class TestFDS003:
    """open_files_limit above a hard limit that the service may not raise."""

    def test_it_fires_for_a_service_without_privilege(self):
        hard = {"nofile_hard": 524_288}
        found = only("FDS003", parameters={"open_files_limit": 1_000_000}, main=hard)
        assert found.evidence == (
            "open_files_limit=1,000,000 (/etc/kamailio/kamailio.cfg:41) is above the hard limit of 524,288, and pid 831"
            " may not raise it: the next start is aborted"
        )
        assert not found.now.possible

    def test_a_service_that_may_raise_it_starts(self):
        assert codes(parameters={"open_files_limit": 1_000_000}, main={"capabilities": ROOT}) == []

    def test_beyond_nr_open_not_even_root_starts(self):
        found = only("FDS003", parameters={"open_files_limit": 1_048_577}, main={"capabilities": ROOT})
        assert "nobody may raise it beyond fs.nr_open=1,048,576" in found.evidence
        assert codes(parameters={"open_files_limit": 1_048_576}, main={"capabilities": ROOT}) == []

    def test_started_as_root_it_raises_its_limit_before_it_becomes_its_user(self):
        """-u in a unit without User=; a container's root without CAP_SYS_RESOURCE may not either."""
        told = {"open_files_limit": 1_000_000, "user": Parameter("kamailio", Origin.READ, "command line -u")}
        assert "FDS003" not in codes(parameters=told, unit=UNIT, main={"bounding": ROOT})
        assert "FDS003" in codes(
            parameters=told, unit=replace(UNIT, user="kamailio"), main={"bounding": ROOT}
        )
        assert "FDS003" in codes(parameters=told, unit=UNIT, main={"bounding": ROOT & ~(1 << 24)})

    def test_who_started_it_may_be_beyond_what_can_be_seen(self):
        told = {"open_files_limit": 1_000_000, "user": Parameter("kamailio", Origin.READ, "command line -u")}
        judged = verdict(parameters=told, main={"bounding": ROOT})
        assert "FDS003" not in {each.code for each in judged.findings}
        assert [
            each
            for each in judged.unseen
            if each.source == "how Kamailio is started" and "FDS003" in each.detail
        ]

    def test_at_the_hard_limit_it_starts(self):
        assert codes(parameters={"open_files_limit": 524_288}) == []

    def test_a_hard_limit_that_can_not_be_seen_proves_nothing(self):
        assert codes(parameters={"open_files_limit": 1_000_000}, main={"nofile_hard": DENIED}) == []


class TestFDS004:
    """Descriptor numbers near the end of the table: 100,000 + 5 x 14 = 100,070, less one for each process."""

    def test_it_fires_within_one_process_count_of_the_end(self):
        found = only("FDS004", main={"highest_descriptor": 100_056})
        assert (
            found.evidence == "highest descriptor number of pid 831 is 100,056, its table ends near 100,070"
        )

    def test_one_lower_is_well(self):
        assert codes(main={"highest_descriptor": 100_055}) == []

    def test_many_inherited_descriptors_below_it_are_well(self):
        assert codes(main={"highest_descriptor": 50_000}) == []

    def test_the_table_is_that_of_the_start_and_not_of_a_lowered_maximum(self):
        assert codes(main={"highest_descriptor": 600}, parameters={"tcp_max_connections": 500}) == []
        assert "FDS004" in codes(main={"highest_descriptor": 600}, parameters={
            "tcp_max_connections": 500, "tcp_max_connections_hard": 500})  # fmt: skip


class TestMEM001:
    """-M that doesn't hold the tables for the tcp_max_connections in the file."""

    def test_it_fires_for_what_the_file_says_and_not_for_what_runs(self):
        found = only("MEM001", parameters={"tcp_max_connections_file": 449_368})
        assert found.evidence.startswith(
            "tcp_max_connections=449,368 (/etc/kamailio/kamailio.cfg:41), but -M holds tables for 449,367: (16777216"
        )
        # 36 x 449,368 x 1.25 + 2 MiB = 22,318,712 bytes
        assert found.for_good.text == "-M 22 (PKG_MEMORY in /etc/default/kamailio)"

    def test_exactly_what_fits_starts(self):
        assert codes(parameters={"tcp_max_connections_file": 449_367}) == []

    def test_a_file_that_does_not_say_leaves_what_runs(self):
        assert codes(parameters={"tcp_max_connections_file": None}) == []


class TestCFG001:
    """tcp_accept_iplimit=0 where it means none, not any."""

    @pytest.mark.parametrize("version", ["5.7.3", "5.7.7"])
    def test_it_fires_on_the_versions_that_reject_all(self, version):
        found = only("CFG001", version=version, parameters={"tcp_accept_iplimit": 0})
        assert (
            found.evidence
            == f"tcp_accept_iplimit=0 (/etc/kamailio/kamailio.cfg:41) on {version} rejects every connection"
        )

    @pytest.mark.parametrize("version", ["5.6.3", "5.7.2", "5.8.0", "6.1.4", DENIED, "unknown"])
    def test_it_does_not_on_others(self, version):
        assert "CFG001" not in codes(version=version, openssl=0, parameters={"tcp_accept_iplimit": 0})

    def test_a_limit_above_zero_is_well(self):
        assert "CFG001" not in codes(version="5.7.4", openssl=0, parameters={"tcp_accept_iplimit": 1000})


class TestTLS001:
    """TLS on OpenSSL 3 without tls_threads_mode."""

    def test_it_fires_on_a_release_that_has_no_such_mode(self):
        found = only(
            "TLS001", version="5.6.3", parameters={"tls_threads_mode": None, "tcp_accept_iplimit": None}
        )
        assert found.evidence == (
            "TLS on OpenSSL 3, and 5.6.3 has no tls_threads_mode: handshakes in parallel corrupt shared memory and abort it"
            " (github.com/kamailio/kamailio/issues/3791)"
        )
        assert found.see == "grep -m1 libssl /proc/812/maps; kamcmd core.version"

    def test_it_fires_on_a_release_that_has_it_switched_off(self):
        off = Parameter(0, Origin.DEFAULT, "compiled default")
        found = only("TLS001", version="5.7.5", parameters={"tls_threads_mode": off, "tcp_accept_iplimit": 1})
        assert "5.7.5 runs with tls_threads_mode=0" in found.evidence

    @pytest.mark.parametrize(
        "changes",
        [
            {"openssl": 1},  # OpenSSL 1.1
            {"openssl": 0},  # wolfSSL: no libssl mapped
            {"openssl": DENIED},
            {"tls_ports": ()},  # loaded, and nobody listens
            {"modules": ("tm", "sl")},
            {"version": DENIED},
            {"version": "5.7.5", "parameters": {"tls_threads_mode": 2, "tcp_accept_iplimit": 1000}},
        ],
        ids=str,
    )
    def test_it_does_not_on_what_only_looks_like_it(self, changes):
        assert "TLS001" not in codes(**{"version": "5.6.3", **changes})
