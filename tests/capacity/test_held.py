"""Ceilings of open connections: the number and its arithmetic, worked out by hand for each."""

from __future__ import annotations

import pytest

from kamtcp.capacity.catalogue import BY_NAME
from kamtcp.capacity.ceiling import Ceiling, Effect
from kamtcp.model.absent import UNLIMITED, Absent, Unlimited, Why
from kamtcp.model.instance import Cgroup, Parameter, SharedMemory
from kamtcp.model.machine import Counters, PeerUse
from kamtcp.model.origin import Origin
from situations import DENIED, ROOT, situation

ALL_TLS = {"connections": 1000, "tls": 1000}
#: a quarter each
MIXED = {"connections": 1000, "tls": 250, "ws": 250, "wss": 250}


def ceiling(name: str, **changes: object) -> Ceiling:
    return BY_NAME[name].compute(situation(**changes))


def shm(free: int) -> SharedMemory:
    return SharedMemory(64 << 20, free, 1_000_000, 3_000_000, 5_000_000, 10)


def group(**changes: object) -> Cgroup:
    facts = {
        "path": "/kam", "memory_limit_bytes": 8 << 30, "memory_usage_bytes": 1 << 30, "pids_limit": 100, "pids_now": 14,
    }  # fmt: skip
    return Cgroup(**{**facts, **changes})


CASES = [
    ("tcp-max-connections", {"parameters": {"tcp_max_connections": 2048}}, 2048, 2048,
     "2048 (tcp_max_connections (/etc/kamailio/kamailio.cfg:41))"),
    ("tls-max-connections", {"target": ALL_TLS}, 50_000, 50_000, "50000 (tls_max_connections (core.tcp_options))"),
    # half of the connections need TLS state (TLS and WSS): met at twice as many in all
    ("tls-max-connections", {"target": MIXED}, 50_000, 100_000, "50000 (tls_max_connections (core.tcp_options))"),
    ("per-source-limit", {"parameters": {"tcp_accept_iplimit": 1024}}, 1024, UNLIMITED,
     "1024 (tcp_accept_iplimit (/etc/kamailio/kamailio.cfg:41))"),
    # 500 of 20,000 come from one address: its cap of 100 is met when a fifth of all are there
    ("per-source-limit",
     {"parameters": {"tcp_accept_iplimit": 100}, "target": {"connections": 20_000, "clients_per_source": 500}},
     100, 4000, "100 (tcp_accept_iplimit (/etc/kamailio/kamailio.cfg:41))"),
    ("tcp-main-descriptors", {"main": {"nofile_soft": 1024}, "other_descriptors": 27}, 997, 997,
     "1024 (RLIMIT_NOFILE soft of pid 831, tcp main) - 27 (other descriptors)"),
    ("descriptor-table", {}, 100_040, 100_040,
     "100000 (tcp_max_connections at start) + 70 (5 x 14 processes) - 30 (other descriptors)"),
    # lowered at run time: the table is still that of the start
    ("descriptor-table", {"parameters": {"tcp_max_connections": 500}}, 100_040, 100_040,
     "100000 (tcp_max_connections at start) + 70 (5 x 14 processes) - 30 (other descriptors)"),
    ("descriptor-table",
     {"parameters": {"tcp_max_connections": 300, "tcp_max_connections_hard": None, "tcp_main_threads": 1},
      "other_descriptors": 86},
     284, 284, ("300 (tcp_max_connections at start) + 70 (5 x 14 processes) - 86 (other descriptors, 4 x 14 sockets of"
     " tcp_main_threads=1, not in the estimate among them)")),
    ("nr-open", {"sysctls": {"fs.nr_open": "1024"}}, 994, 994, "1024 (fs.nr_open) - 30 (other descriptors)"),
    ("file-max", {}, 995_400, 995_400,
     "400 (open connections) + 1000000 (fs.file-max) - 5000 (files open on this machine)"),
    # one watch a connection; 14 processes, 4 workers, 2 listeners and 10 more
    ("epoll-watches", {}, 1_999_970, 1_999_970,
     "2000000 (fs.epoll.max_user_watches) - 30 (watches of its own, usual for this number of processes)"),
    # 928 + 16384 + 104 = 17,416 bytes; 63,000,000 / 17,416 = 3,617.4
    ("shared-memory", {"shared_memory": shm(63_000_000)}, 4017, 4017,
     ("400 (open connections) + 63000000 (bytes free in shared memory) / 17416 (928 (struct tcp_connection)"
     " + 16384 (tcp_rd_buf_size) + 104 (per fragment of qm))")),
    # 928 + 4096 + 56 = 5,080; 63,000,000 / 5,080 = 12,401.6
    ("shared-memory",
     {"shared_memory": shm(63_000_000), "parameters": {"tcp_rd_buf_size": 4096, "shm_manager": "tlsf"}}, 12_801, 12_801,
     ("400 (open connections) + 63000000 (bytes free in shared memory) / 5080 (928 (struct tcp_connection)"
     " + 4096 (tcp_rd_buf_size) + 56 (per fragment of tlsf))")),
    # 17,416 + 0.5 x 58,500 + 0.5 x 65,936 = 79,634; 63,000,000 / 79,634 = 791.1
    ("shared-memory", {"shared_memory": shm(63_000_000), "target": MIXED}, 1191, 1191,
     ("400 (open connections) + 63000000 (bytes free in shared memory) / 79634 (928 (struct tcp_connection)"
     " + 16384 (tcp_rd_buf_size) + 104 (per fragment of qm) + 0.5 x 58500 (TLS state, OpenSSL 3.0 without client"
     " certificate) + 0.5 x 65936 (WebSocket structure))")),
    # two snapshots showed 17,000 bytes a connection: 63,000,000 / 17,000 = 3,705.9
    ("shared-memory", {"shared_memory": shm(63_000_000), "prices": {"tcp": 17_000.0}}, 4105, 4105,
     ("400 (open connections) + 63000000 (bytes free in shared memory) / 17000 (17000 (tcp connection, from two"
     " snapshots))")),
    # 512 KB x 14 = 7,340,032; (63,000,000 - 7,340,032) / 75,916 = 733.2, and the one that crosses is still served
    ("tls-memory-guard", {"shared_memory": shm(63_000_000), "target": ALL_TLS}, 1134, 1134,
     ("400 (open connections) + (63000000 (bytes free in shared memory) - 7340032 (low_mem_threshold1: 512 KB x 14"
     " processes)) / 75916 (928 (struct tcp_connection) + 16384 (tcp_rd_buf_size) + 104 (per fragment of qm)"
     " + 58500 (TLS state, OpenSSL 3.0 without client certificate))")),
    # (16,777,216 - (4,200,000 - 36 x 100,070)) / 36 = 449,437.1, less 70
    ("private-memory", {}, 449_367, 449_367,
     ("(16777216 (private pool, -M) - 597480 (bytes used besides the table))"
     " / 36 (bytes per descriptor) - 70 (descriptors of processes)")),
    # 4,000 + 0.1 x (4,096 + 832) = 4,492.8; (12,000,000,000 - 4,000,000,000) / 4,492.8 = 1,780,626.8
    ("kernel-memory", {}, 1_781_026, 1_781_026,
     ("400 (open connections) + (12000000000 (bytes MemAvailable) - 4000000000 (bytes of shared memory still to be"
     " touched)) / (4000 (kernel bytes per idle connection, slabs of this kernel) + 0.1 (share with queued data) x"
     " 4928 bytes)")),
    # all with queued data: 8,000,000,000 / 8,928 = 896,057.3
    ("kernel-memory", {"target": {"active_share": 1.0}}, 896_457, 896_457,
     ("400 (open connections) + (12000000000 (bytes MemAvailable) - 4000000000 (bytes of shared memory still to be"
     " touched)) / (4000 (kernel bytes per idle connection, slabs of this kernel) + 1 (share with queued data) x"
     " 4928 bytes)")),
    ("tcp-mem", {}, 1_999_400, 1_999_400,
     ("400 (open connections) + (200000 (pages, tcp_mem pressure) - 100 (pages in use)) / 0.1 (share with queued data)"
     " / 1 (page per connection with queued data)")),
    # (8,589,934,592 - 1,073,741,824) / 9,300 = 808,192.8
    ("cgroup-memory", {"cgroup": group()}, 808_592, 808_592,
     ("400 (open connections) + (8589934592 (memory limit of /kam) - 1073741824 (in use)) / (4000 (kernel bytes per idle"
     " connection, slabs of this kernel) + 5300 (bytes of shared memory touched per connection))")),
    ("cgroup-pids", {"cgroup": group()}, 100, UNLIMITED,
     "100 (process limit of /kam); connections need no process of their own"),
    ("hash-chains", {}, 1_048_576, 1_048_576, "4 x 262144 (net.ipv4.tcp_ehash_entries)"),
    # negative in a namespace that shares the host's table
    ("hash-chains", {"sysctls": {"net.ipv4.tcp_ehash_entries": "-262144"}}, 1_048_576, 1_048_576,
     "4 x 262144 (net.ipv4.tcp_ehash_entries, shared with the host)"),
    ("conntrack-table", {}, 261_544, 261_544,
     "400 (open connections) + 262144 (nf_conntrack_max) - 1000 (entries now)"),
    ("conntrack-table", {"target": {"rate": 500}}, 171_544, 171_544,
     "400 (open connections) + 262144 (nf_conntrack_max) - 1000 (entries now) - 90000 (entries of closed flows at 500/s)"),
    ("orphans", {"sockstat": {"TCP.orphan": 72}}, 131_000, 131_000,
     "131072 (tcp_max_orphans) - 72 (orphans now, whole machine)"),
    ("ephemeral-ports", {}, 28_232, UNLIMITED, "28232 (ports of ip_local_port_range 32768-60999)"),
    # 5060 lies outside, 40000-40009 and 60999 inside
    ("ephemeral-ports", {"sysctls": {"net.ipv4.ip_local_reserved_ports": "5060,40000-40009,60999-61005"}},
     28_221, UNLIMITED, "28232 (ports of ip_local_port_range 32768-60999) - 11 (ip_local_reserved_ports among them)"),
    # a tenth of all connections goes there: met at ten times the ports
    ("ephemeral-ports", {"target": {"connections": 20_000, "outbound": {"10.0.0.9:5060": 2000}}}, 28_232, 282_320,
     "28232 (ports of ip_local_port_range 32768-60999)"),
    ("ephemeral-ports-half", {"target": {"connections": 20_000, "outbound": {"10.0.0.9:5060": 2000}}}, 14_116, 141_160,
     "28232 (ports of ip_local_port_range 32768-60999) / 2"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "limit", "at", "working"), CASES)
def test_the_number_and_its_working_are_as_worked_out_by_hand(name, changes, limit, at, working):
    found = ceiling(name, **changes)
    assert (found.limit, found.at) == (limit, at)
    assert found.working == working


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("tls-max-connections", {"parameters": {"enable_tls": 0}}, "TLS is off: enable_tls=no (/etc/kamailio/kamailio.cfg:41)"),
        ("per-source-limit", {"parameters": {"tcp_accept_iplimit": Parameter("none", Origin.DEFAULT, "not in 5.6.3")}},
         "this version has no limit per source address (not in 5.6.3)"),
        ("per-source-limit", {}, "tcp_accept_iplimit=0 switches it off (/etc/kamailio/kamailio.cfg:41)"),
        ("tcp-main-descriptors", {"main": {"nofile_soft": UNLIMITED}}, "RLIMIT_NOFILE of pid 831 is unlimited"),
        ("file-max", {"files_max": UNLIMITED}, "fs.file-max is unlimited"),
        ("file-max", {"main": {"capabilities": ROOT}}, "pid 831 has CAP_SYS_ADMIN, which fs.file-max does not stop"),
        ("tls-memory-guard", {}, "no TLS in this mix of connections"),
        ("tls-memory-guard", {"parameters": {"enable_tls": 0}}, "TLS is off"),
        ("tcp-mem", {"target": {"active_share": 0.0}}, "no connection has queued data in this target"),
        ("cgroup-memory", {"cgroup": group(memory_limit_bytes=UNLIMITED)}, "no memory limit on /kam or above it"),
        ("cgroup-pids", {"cgroup": group(pids_limit=UNLIMITED)}, "no process limit on /kam or above it"),
        ("cgroup-pids", {"cgroup": group(pids_limit=Absent("pids.max", Why.MISSING))},
         "no pids controller on this machine (pids.max)"),
        ("conntrack-table", {"conntrack_active": False},
         "no rule of this namespace tracks connections (nf_conntrack_count is 0 and its counters rest)"),
        ("conntrack-table", {"sysctls": {"net.netfilter.nf_conntrack_max": Absent("nf_conntrack_max", Why.MISSING)}},
         "this kernel has no nf_conntrack loaded"),
        ("conntrack-table", {"sysctls": {"net.netfilter.nf_conntrack_max": "0"}}, "nf_conntrack_max is 0: no limit"),
    ],
)  # fmt: skip
def test_where_nothing_limits_it_says_so(name, changes, why):
    found = ceiling(name, **changes)
    assert isinstance(found.limit, Unlimited)
    assert isinstance(found.at, Unlimited)
    assert found.working == why


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tcp-max-connections", {"parameters": {"tcp_max_connections": None}}),
        ("tcp-max-connections", {"parameters": {"tcp_max_connections": "many"}}),
        ("tls-max-connections", {"parameters": {"tls_max_connections": None}}),
        ("per-source-limit", {"parameters": {"tcp_accept_iplimit": None}}),
        ("per-source-limit", {"parameters": {"tcp_accept_iplimit": "many"}}),
        ("tcp-main-descriptors", {"main": {"nofile_soft": DENIED}}),
        ("tcp-main-descriptors", {"processes": ()}),
        ("descriptor-table", {"processes": ()}),
        ("descriptor-table", {"parameters": {"tcp_max_connections": None}}),
        ("nr-open", {"sysctls": {"fs.nr_open": DENIED}}),
        ("nr-open", {"sysctls": {"fs.nr_open": "lots"}}),
        ("file-max", {"files_max": DENIED}),
        ("file-max", {"files_allocated": DENIED}),
        ("epoll-watches", {"sysctls": {"fs.epoll.max_user_watches": DENIED}}),
        ("shared-memory", {"shared_memory": DENIED}),
        ("shared-memory", {"parameters": {"tcp_rd_buf_size": None}}),
        ("tls-memory-guard", {"shared_memory": DENIED, "target": ALL_TLS}),
        ("tls-memory-guard", {"parameters": {"tcp_rd_buf_size": None}, "target": ALL_TLS}),
        ("private-memory", {"parameters": {"pkg_bytes": None}}),
        ("private-memory", {"parameters": {"tcp_max_connections": None}}),
        ("kernel-memory", {"memory_available_bytes": DENIED}),
        ("tcp-mem", {"sysctls": {"net.ipv4.tcp_mem": DENIED}}),
        ("tcp-mem", {"sysctls": {"net.ipv4.tcp_mem": "1"}}),
        ("cgroup-memory", {"cgroup": DENIED}),
        ("cgroup-memory", {"cgroup": group(memory_limit_bytes=DENIED)}),
        ("cgroup-memory", {"cgroup": group(memory_usage_bytes=DENIED)}),
        ("cgroup-pids", {"cgroup": DENIED}),
        ("cgroup-pids", {"cgroup": group(pids_limit=DENIED)}),
        ("hash-chains", {"sysctls": {"net.ipv4.tcp_ehash_entries": DENIED}}),
        ("conntrack-table", {"conntrack_active": DENIED}),
        ("conntrack-table", {"conntrack_count": DENIED}),
        ("conntrack-table", {"sysctls": {"net.netfilter.nf_conntrack_max": DENIED}}),
        ("orphans", {"sysctls": {"net.ipv4.tcp_max_orphans": DENIED}}),
        ("ephemeral-ports", {"sysctls": {"net.ipv4.ip_local_port_range": DENIED}}),
        ("ephemeral-ports-half", {"sysctls": {"net.ipv4.ip_local_port_range": "1024"}}),
    ],
)  # fmt: skip
def test_what_can_not_be_told_is_absent_with_the_reason_and_never_a_number(name, changes):
    found = ceiling(name, **changes)
    assert isinstance(found.limit, Absent)
    assert found.at == found.limit
    assert found.working == str(found.limit)
    assert found.met is None


def test_an_absent_counter_group_is_unseen_too():
    assert isinstance(ceiling("orphans", sockstat={}).limit, int)
    s = situation()
    import msgspec

    blind = msgspec.structs.replace(s, namespace=msgspec.structs.replace(s.namespace, sockstat=DENIED))
    assert BY_NAME["orphans"].compute(blind).limit == DENIED
    assert BY_NAME["tcp-mem"].compute(blind).limit == DENIED
    none = msgspec.structs.replace(s, namespace=msgspec.structs.replace(s.namespace, sockstat=Counters({})))
    assert BY_NAME["orphans"].compute(none).limit == Absent("TCP.orphan", Why.MISSING)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tcp-max-connections", {"parameters": {"tcp_max_connections": 0}}),
        ("tls-max-connections", {"parameters": {"tls_max_connections": 0}, "target": ALL_TLS}),
        ("tcp-main-descriptors", {"main": {"nofile_soft": 0}}),
        ("nr-open", {"sysctls": {"fs.nr_open": "0"}}),
        ("file-max", {"files_max": 0}),
        ("epoll-watches", {"sysctls": {"fs.epoll.max_user_watches": "0"}}),
        ("hash-chains", {"sysctls": {"net.ipv4.tcp_ehash_entries": "0"}}),
        ("orphans", {"sysctls": {"net.ipv4.tcp_max_orphans": "0"}}),
        ("private-memory", {"parameters": {"pkg_bytes": 0}}),
        ("cgroup-pids", {"cgroup": group(pids_limit=0)}),
    ],
)
def test_zero_is_a_number_below_which_nothing_fits(name, changes):
    """Zero is neither absent nor unlimited."""
    assert ceiling(name, **changes).limit == 0


@pytest.mark.parametrize(("name", "changes"), [
    ("shared-memory", {"shared_memory": shm(0)}),
    ("kernel-memory", {"memory_available_bytes": 0}),
    ("tcp-mem", {"sysctls": {"net.ipv4.tcp_mem": "0 0 0"}}),
    ("cgroup-memory", {"cgroup": group(memory_limit_bytes=0)}),
    ("tls-memory-guard", {"shared_memory": shm(0), "target": ALL_TLS}),
    ("tls-memory-guard", {"shared_memory": shm(0), "target": MIXED}),
])  # fmt: skip
def test_with_nothing_free_what_is_open_now_is_all(name, changes):
    found = ceiling(name, **changes)
    assert (found.limit, found.at) == (400, 400)


def test_a_guard_that_is_switched_off_leaves_all_of_the_pool():
    """low_mem_threshold1=0; 63,000,000 / 75,916 = 829.9, and the one that crosses is still served."""
    found = ceiling(
        "tls-memory-guard",
        shared_memory=shm(63_000_000),
        target=ALL_TLS,
        parameters={"tls.low_mem_threshold1": 0},
    )
    assert found.limit == 1230


def test_a_pool_that_nobody_tells_of_is_taken_as_untouched():
    """-m 4096: (12,000,000,000 - 4,294,967,296) / 4,492.8 = 1,714,973.4."""
    found = ceiling("kernel-memory", shared_memory=DENIED, parameters={"shm_megabytes": 4096})
    assert (found.limit, found.origin) == (1_715_373, Origin.ASSUMED)
    assert isinstance(ceiling("kernel-memory", shared_memory=DENIED).limit, Absent)


def test_reserved_ports_that_can_not_be_read_are_not_none():
    reserved = "net.ipv4.ip_local_reserved_ports"
    assert ceiling("ephemeral-ports", sysctls={reserved: DENIED}).limit == DENIED
    assert ceiling("ephemeral-ports", sysctls={reserved: Absent(reserved, Why.MISSING)}).limit == 28_232


class TestTheMix:
    def test_no_tls_in_the_mix_never_meets_tls_max_connections(self):
        assert isinstance(ceiling("tls-max-connections", target={"connections": 10}).at, Unlimited)

    def test_the_share_of_wss_counts_as_tls(self):
        found = ceiling("tls-max-connections", target={"connections": 1000, "wss": 100})
        assert (found.limit, found.at, found.goal) == (50_000, 500_000, 100)

    def test_present_connections_make_the_mix_where_no_target_does(self):
        found = ceiling("tls-max-connections", opened=400, opened_tls=100)
        assert found.at == 200_000

    def test_websocket_costs_as_much_plain_as_over_tls(self):
        from kamtcp.capacity import prices

        def price(**parts: int) -> float:
            found = prices.of_mix(situation(target={"connections": 10, **parts}))
            assert not isinstance(found, Absent)
            return found.bytes

        assert price() == 17_416
        assert price(ws=10) == 17_416 + 65_936
        assert price(tls=10) == 17_416 + 58_500
        assert price(wss=10) == 17_416 + 58_500 + 65_936
        assert price(tls=5) == 17_416 + 58_500 / 2

    def test_a_measured_price_of_tls_replaces_the_reference(self):
        from kamtcp.capacity import prices

        found = prices.of_mix(situation(target={"connections": 10, "tls": 10}, prices={"tls": 80_000.0}))
        assert not isinstance(found, Absent)
        assert found.bytes == 80_000
        assert Origin.MEASURED in {figure.origin for figure in found.inputs}

    def test_a_release_that_is_not_known_costs_as_the_newest(self):
        from kamtcp.capacity import prices

        found = prices.plain(situation(parameters={"tcp_connection_bytes": None}))
        assert not isinstance(found, Absent)
        assert found.bytes == 984 + 16_384 + 104
        assert found.inputs[0].origin is Origin.ASSUMED


class TestTheOtherDescriptorsOfTcpMain:
    """They are what the limit loses before the first connection."""

    def test_what_the_low_descriptors_show_is_believed_while_connections_come_and_go(self):
        """430 open, 380 of them connections by a count of another moment: 50 is not believed, 30 is."""
        assert ceiling("tcp-main-descriptors", main={"nofile_soft": 1024}, opened=380).limit == 994

    def test_inherited_descriptors_with_high_numbers_are_found_by_the_difference(self):
        """530 open and 400 connections: 130 others, 100 more than the low end shows."""
        found = ceiling("tcp-main-descriptors", main={"nofile_soft": 1024, "descriptors": 530})
        assert found.limit == 1024 - 130

    def test_without_a_look_at_them_the_difference_counts(self):
        found = ceiling("tcp-main-descriptors", main={"nofile_soft": 1024}, other_descriptors=DENIED)
        assert (found.limit, found.origin) == (994, Origin.READ)

    def test_nothing_seen_is_the_usual_number_and_says_so(self):
        """14 processes, 4 workers, 2 listeners and 10 more: 30, from the reference."""
        found = ceiling("tcp-main-descriptors", main={"nofile_soft": 1024, "descriptors": DENIED},
                        other_descriptors=DENIED, opened=DENIED)  # fmt: skip
        assert (found.limit, found.origin) == (994, Origin.REFERENCE)
        assert "usual for this number of processes" in found.working


class TestOutboundPorts:
    def test_the_busiest_destination_is_judged(self):
        uses = (PeerUse("192.0.2.7", 5060, 9, "192.0.2.1"), PeerUse("2001:db8::7", 5061, 90, "2001:db8::1"))
        found = ceiling("ephemeral-ports", outbound=uses)
        assert (found.now, found.title) == (90, "ephemeral ports to [2001:db8::7]:5061")

    def test_a_wanted_destination_comes_before_a_busy_one(self):
        uses = (PeerUse("192.0.2.7", 5060, 9, "192.0.2.1"), PeerUse("192.0.2.8", 5060, 90, "192.0.2.1"))
        wanted = {"192.0.2.7:5060": 30_000, "192.0.2.8:5060": 10}
        found = ceiling("ephemeral-ports", outbound=uses, target={"outbound": wanted})
        assert (found.now, found.goal, found.met) == (9, 30_000, False)

    def test_the_half_is_a_cliff_and_no_wall(self):
        assert ceiling("ephemeral-ports-half").effect is Effect.SLOWS


def test_a_machine_without_kamailio_has_the_kernels_ceilings():
    """Nothing is open, and what needs an instance isn't asked."""
    s = situation(kamailio=False)
    found = {name: entry.compute(s) for name, entry in BY_NAME.items() if not entry.needs_instance}
    assert found["file-max"].limit == 995_000
    assert found["kernel-memory"].limit == 2_670_940  # 12,000,000,000 / 4,492.8
    assert found["conntrack-table"].limit == 261_144
    assert found["tcp-mem"].limit == 1_999_000
