"""Cures that must reach the target, and lines that must reach the right instance."""

from __future__ import annotations

from kamtcp.diagnose.finding import Finding
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import SharedMemory
from situations import situation, verdict


def only(code: str, **changes: object) -> Finding:
    found = [each for each in verdict(**changes).findings if each.code == code]
    assert len(found) == 1, [each.code for each in verdict(**changes).findings]
    return found[0]


LOW = {
    "target": {"connections": 20_000},
    "parameters": {"tcp_max_connections": 2048, "tcp_max_connections_hard": 2048},
}


class TestKamcmd:
    def see(self, **changes: object) -> str:
        return only("CFG010", **LOW, **changes).see

    def test_it_asks_the_default_socket_where_that_is_the_instances(self):
        assert self.see(rpc="binrpc unix stream /run/kamailio/kamailio_ctl") == "kamcmd core.tcp_info"

    def test_it_names_another_socket(self):
        assert self.see(rpc="binrpc unix stream /run/b/ctl") == "kamcmd -s unixs:/run/b/ctl core.tcp_info"
        assert self.see(rpc="binrpc tcp 127.0.0.1:2049") == "kamcmd -s tcp:127.0.0.1:2049 core.tcp_info"

    def test_it_enters_the_namespaces_of_an_instance_that_has_its_own(self):
        found = self.see(rpc="binrpc unix stream /run/kamailio/kamailio_ctl", away=True)
        assert found == "nsenter -t 812 -m -n kamcmd core.tcp_info"

    def test_where_no_ctl_socket_answered_it_is_left_to_its_default(self):
        assert self.see(rpc="jsonrpc unix datagram /run/x.sock") == "kamcmd core.tcp_info"
        assert self.see(rpc=Absent("rpc", Why.DENIED)) == "kamcmd core.tcp_info"


class TestTheCureReaches:
    def test_conntrack_room_for_closed_flows_and_more_than_now(self):
        found = only("SYS016", target={"connections": 20_000, "rate": 3000})
        value = int(found.now.line.rsplit("=", 1)[1])
        assert value >= 20_000 + 3000 * 120
        assert value > 262_144

    def test_ports_without_narrowing_a_range_that_begins_lower(self):
        found = only("SYS012", target={"outbound": {"192.0.2.1:5060": 60_000}},
                     sysctls={"net.ipv4.ip_local_port_range": "2000 60999"})  # fmt: skip
        assert found.now.line.endswith("'net.ipv4.ip_local_port_range=2000 65535'")

    def test_packets_not_connections_for_the_packet_backlog(self):
        found = only("SYS017", target={"rate": 30_000}, sysctls={"net.core.netdev_max_backlog": "1000"})
        assert found.now.line == "sysctl -w net.core.netdev_max_backlog=3000"

    def test_each_worker_only_for_its_share(self):
        found = only("FDS012", target={"rate": 5000}, workers={"nofile_soft": 1024})
        assert (
            "soft limit 8,364 for" in found.now.text
        )  # 30,000 / 4 workers, a tenth to spare, 64 of their own

    def test_the_pool_holds_what_the_tls_guard_keeps_free_as_well(self):
        pool = SharedMemory(64 << 20, 60_000_000, 0, 0, 0, 0)
        wanted = {"connections": 1200, "tls": 1200}
        found = only("TLS011", target=wanted, shared_memory=pool)
        megabytes = int(found.for_good.text.split()[1])
        grown = SharedMemory(megabytes << 20, 60_000_000 + (megabytes - 64 << 20), 0, 0, 0, 0)
        assert "TLS011" not in [each.code for each in verdict(target=wanted, shared_memory=grown).findings]

    def test_all_findings_of_one_setting_name_one_value(self):
        found = verdict(
            target={"connections": 20_000, "rate": 5000},
            main={"nofile_soft": 1024},
            workers={"nofile_soft": 512},
        )
        lines = {each.for_good.text for each in found.findings if each.code.startswith("FDS0")}
        assert len([each for each in found.findings if each.code.startswith("FDS0")]) == 4
        assert len(lines) == 1

    def test_it_is_not_a_limit_that_aborts_the_next_start(self):
        found = only("FDS001", main={"nofile_soft": 1024, "nofile_hard": 20_000})
        assert "a hard limit of 100,134 or more from whatever starts it (it is 20,000)" in found.for_good.text


def test_the_cgroup_counts_the_pages_that_tls_touches():
    """37 to 49 KB of shared memory become resident for a TLS connection, 5 KB for a plain one."""
    from kamtcp.capacity.held_kernel import cgroup_memory

    plain = cgroup_memory(situation(target={"connections": 1000}))
    encrypted = cgroup_memory(situation(target={"connections": 1000, "tls": 1000}))
    assert plain.at > 5 * encrypted.at
