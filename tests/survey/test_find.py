"""Which processes are a Kamailio, where it may be asked, and what its parameters are."""

from __future__ import annotations

import errno

import pytest

from fake_host import READER, TreeHost
from kamtcp.host.door import Transport
from kamtcp.kamailio import cmdline
from kamtcp.kamailio.config import read_config
from kamtcp.kamailio.rpc import Rpc
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Role
from kamtcp.model.origin import Origin
from kamtcp.survey import endpoints, find, parameters
from kamtcp.survey.instance import View, with_distinct_names, with_in_flight
from kamtcp.survey.processes import role_of
from kamtcp.survey.take import take
from situations import instance


def stat(pid: int, comm: str, ppid: int, state: str = "S") -> bytes:
    rest = " ".join(["0"] * 40)
    return f"{pid} ({comm}) {state} {ppid} {rest}\n".encode()


def processes(*rows: tuple[int, str, int] | tuple[int, str, int, str]) -> TreeHost:
    return TreeHost({f"/proc/{row[0]}/stat": stat(*row) for row in rows})


def found(host: TreeHost, only: str = "") -> dict[int, list[int]]:
    return {each.attendant: [member.pid for member in each.members] for each in find.families(host, only)}


class TestFamilies:
    def test_one_instance_is_the_attendant_and_its_children(self):
        host = processes(
            (1, "init", 0),
            (812, "kamailio", 1),
            (813, "kamailio", 812),
            (814, "kamailio", 812),
            (900, "bash", 1),
        )
        assert found(host) == {812: [812, 813, 814]}

    def test_several_are_told_apart_by_their_attendants(self):
        host = processes(
            (1, "init", 0),
            (10, "kamailio", 1),
            (11, "kamailio", 10),
            (20, "kamailio", 1),
            (21, "kamailio", 20),
        )
        assert found(host) == {10: [10, 11], 20: [20, 21]}

    def test_a_shell_between_two_of_them_makes_two(self):
        host = processes((10, "kamailio", 1), (11, "sh", 10), (12, "kamailio", 11))
        assert found(host) == {10: [10], 12: [12]}

    def test_the_dead_and_those_of_other_names_are_none(self):
        host = processes((10, "kamailio", 1, "Z"), (11, "kamailio-exporte", 1), (12, "kamctl", 1))
        assert found(host) == {}

    def test_a_pid_takes_a_process_and_all_below_it_whatever_the_name(self):
        host = processes((10, "sip-router", 1), (11, "sip-router", 10), (12, "x", 11), (20, "other", 1))
        assert found(host, "10") == {10: [10, 11, 12]}
        assert found(host, "99") == found(host, "name") == {}

    def test_a_circle_of_parents_ends(self):
        """Nonsense, but it must not hang a check."""
        assert set(found(processes((10, "kamailio", 11), (11, "kamailio", 10)))) <= {10, 11}
        found(processes((10, "a", 11), (11, "b", 10)), "10")

    def test_a_process_that_ends_meanwhile_is_left_out(self):
        host = processes((10, "kamailio", 1), (11, "kamailio", 10))
        host.files["/proc/11/stat"] = errno.ESRCH
        assert found(host) == {10: [10]}


class TestHidden:
    def test_all_processes_are_there(self):
        assert find.hidden(processes((1, "init", 0))) is None

    def test_without_process_1_others_are_hidden(self):
        assert "hidepid" in str(find.hidden(processes((900, "bash", 1))))

    def test_a_proc_that_may_not_be_listed_hides_everything(self):
        assert find.hidden(TreeHost({"/proc": errno.EACCES})) == Absent(
            "/proc", Why.DENIED, "EACCES Permission denied"
        )

    def test_a_snapshot_says_so_only_where_no_kamailio_was_found(self):
        assert [each.source for each in take(processes((900, "bash", 1))).unseen] == ["/proc"]
        assert take(processes((1, "init", 0))).unseen == ()
        assert "/proc" not in [each.source for each in take(processes((900, "kamailio", 1))).unseen]

    def test_a_check_that_may_not_look_at_processes_is_blind_and_not_well(self):
        """No Kamailio seen is not no Kamailio."""
        from kamtcp.diagnose.verdict import judge
        from kamtcp.model.target import Target

        def blind(host: TreeHost) -> set[str]:
            return {each.name for each in judge(take(host), None, Target()).blind}

        assert "tcp-main-descriptors" in blind(processes((900, "bash", 1)))
        assert "tcp-main-descriptors" not in blind(processes((1, "init", 0)))


class TestNames:
    def test_one_alone_keeps_the_name_that_it_has_beside_others(self):
        """Targets and the highest use are kept by name: a second instance must not take or lose them."""
        one = instance(config_path="/etc/sip.cfg")
        assert [each.name for each in with_distinct_names((one,))] == ["sip"]
        assert with_distinct_names((one, instance(config_path="/etc/kamailio/kamailio.cfg")))[0].name == "sip"

    def test_several_are_called_by_their_files_and_by_pid_where_those_are_equal(self):
        many = (instance(config_path="/etc/a/edge.cfg"), instance(config_path="/etc/b/core.cfg"),
                instance(config_path="/srv/core.cfg", attendant=99))  # fmt: skip
        assert [each.name for each in with_distinct_names(many)] == ["edge", "core-812", "core-99"]


class TestView:
    def family(self) -> find.Family:
        return find.families(processes((10, "kamailio", 1)))[0]

    def host(self, netns: str | None, **more: object) -> TreeHost:
        return TreeHost({"/proc/10/x": b""}, {"/proc/10/ns/net": netns} if netns else {}, **more)

    def test_it_is_entered(self):
        inside = TreeHost({})
        view = View.of(self.host("net:[5]", namespaces={10: inside}), self.family(), READER.netns)
        assert (view.inside, view.netns, view.obstacle) == (inside, "net:[5]", None)

    def test_another_that_may_not_be_entered_is_nowhere(self):
        view = View.of(self.host("net:[5]"), self.family(), READER.netns)
        assert view.netns == "net:[5]"
        with pytest.raises(PermissionError):
            view.inside.read("/proc/stat")

    @pytest.mark.parametrize("link", [READER.netns, None])
    def test_our_own_or_one_that_can_not_be_told_is_taken_for_ours_and_says_so(self, link):
        host = self.host(link)
        view = View.of(host, self.family(), READER.netns)
        assert (view.inside, view.netns) == (host, READER.netns)
        assert view.obstacle is not None
        assert "taken to be the reader's own" in view.obstacle.detail


CONFIG = b"""#!KAMAILIO
listen=tcp:127.0.0.1:5070
tcp_max_connections=4000
open_files_limit=5000
loadmodule "ctl.so"
loadmodule "jsonrpcs.so"
loadmodule "xhttp.so"
modparam("ctl", "binrpc", "unixs:/run/sip/ctl")
modparam("ctl", "binrpc", "tcp:127.0.0.1:2046")
modparam("ctl", "binrpc", "tcp:*")
modparam("jsonrpcs", "dgram_socket", "udp:127.0.0.1:8090")
modparam("jsonrpcs", "fifo_name", "my.fifo")
modparam("jsonrpcs", "fifo_reply_dir", "/run/replies")
modparam("tls", "low_mem_threshold1", 700)
request_route { exit; }
"""


def config(text: bytes = CONFIG, version: tuple[int, int, int] | None = (5, 6, 3)):
    return read_config(TreeHost({"/k.cfg": text}).read, "/k.cfg", {}, environ={}, version=version, substitutions=(),
                       modules=(), directory="/")  # fmt: skip


def line(*arguments: str) -> cmdline.CommandLine:
    return cmdline.parse("\0".join(["/usr/sbin/kamailio", *arguments, ""]).encode())


class TestEndpoints:
    def test_what_is_configured_comes_first_then_what_is_bound_then_the_defaults(self):
        host = TreeHost({"/proc/10/net/unix": b"Num RefCount ...\n0: 2 0 0 1 1 5 /var/x/kamailio_ctl\n"})
        given = endpoints.candidates(host, TreeHost({}), 10, line(), config())
        assert [(each.transport, each.address) for each in given] == [
            (Transport.BINRPC_UNIX, "/run/sip/ctl"),
            (Transport.BINRPC_TCP, "127.0.0.1:2046"),
            (Transport.BINRPC_TCP, "127.0.0.1:2049"),
            (Transport.BINRPC_UNIX, "/var/x/kamailio_ctl"),
            (Transport.BINRPC_UNIX, "/run/kamailio/kamailio_ctl"),
            (Transport.BINRPC_UNIX, "/var/run/kamailio/kamailio_ctl"),
            (Transport.JSON_DGRAM, "/run/kamailio/kamailio_rpc.sock"),
            (Transport.JSON_DGRAM, "/var/run/kamailio/kamailio_rpc.sock"),
            (Transport.JSON_FIFO, "/run/kamailio/my.fifo"),
            (Transport.JSON_FIFO, "/run/kamailio/kamailio_rpc.fifo"),
            (Transport.JSON_FIFO, "/var/run/kamailio/kamailio_rpc.fifo"),
            (Transport.JSON_HTTP, "http://127.0.0.1:5070/RPC"),
        ]
        assert next(each for each in given if each.address.endswith("my.fifo")).reply_dir == "/run/replies"

    def test_a_runtime_directory_of_the_command_line_replaces_the_defaults(self):
        given = endpoints.candidates(
            TreeHost({}), TreeHost({}), 10, line("-Y", "/srv/run"), Absent("x", Why.DENIED)
        )
        assert {each.address.rpartition("/")[0] for each in given} == {"/srv/run"}

    def test_one_socket_under_two_names_is_asked_once(self):
        from kamtcp.host.door import Stat

        class Linked(TreeHost):
            def stat(self, path: str) -> Stat:
                return Stat(0, 77, 0, 0, 0o140600, 0.0)

        given = endpoints.candidates(TreeHost({}), Linked({}), 10, line(), Absent("x", Why.DENIED))
        assert [each.transport for each in given] == [
            Transport.BINRPC_UNIX,
            Transport.JSON_DGRAM,
            Transport.JSON_FIFO,
        ]

    def test_an_address_that_can_not_be_one_is_passed_over_and_the_next_is_asked(self):
        """A name instead of numbers must not end the check."""
        from kamtcp.host.live import Live

        strange = config(CONFIG.replace(b"tcp:127.0.0.1:2046", b"tcp:localhost:2046"))
        given = endpoints.candidates(TreeHost({}), TreeHost({}), 10, line("-Y", "/nowhere"), strange)
        rpc = Rpc(Live(), [each for each in given if "localhost" in each.address])
        assert isinstance(rpc.endpoint, Absent)
        assert "expected ADDR:PORT in numbers, got 'localhost:2046'" in str(rpc.endpoint)


class TestParameters:
    NONE = Rpc(TreeHost({}), ())

    def of(self, text: bytes = CONFIG, version: str | Absent = "5.6.3", *arguments: str):
        return parameters.collect(self.NONE, line(*arguments), config(text), version)

    def test_the_file_comes_before_the_compiled_default(self):
        given = self.of()
        assert (given["tcp_max_connections"].value, given["tcp_max_connections"].where) == (4000, "/k.cfg:3")
        assert (given["tls_max_connections"].value, given["tls_max_connections"].origin) == (
            2048,
            Origin.DEFAULT,
        )
        assert given["open_files_limit"].value == 5000
        assert given["tcp_max_connections_file"].value == 4000

    def test_what_a_version_does_not_have_is_none(self):
        assert (self.of()["tcp_accept_iplimit"].value, self.of()["tcp_accept_iplimit"].where) == (
            "none",
            "not in 5.6.3",
        )
        assert self.of(version="6.1.4")["tcp_accept_iplimit"].value == 1024
        assert "no parameter before 6.1" in self.of()["tcp_listen_backlog"].where

    def test_a_threshold_in_the_file_counts_kilobytes_and_rpc_bytes(self):
        assert self.of()["tls.low_mem_threshold1"].value == 700 * 1024

    def test_a_version_that_is_not_known_gives_assumed_defaults(self):
        given = self.of(version=Absent("x", Why.DENIED))
        assert given["tls_max_connections"].origin is Origin.ASSUMED
        assert "tcp_connection_bytes" not in given

    def test_memory_comes_from_the_command_line(self):
        given = self.of(CONFIG, "5.6.3", "-M", "16", "-m", "128", "-x", "tlsf")
        assert (given["pkg_bytes"].value, given["shm_megabytes"].value, given["shm_manager"].value) == (
            16 << 20,
            128,
            "tlsf",
        )

    @pytest.mark.parametrize(
        ("text", "role"),
        [
            ("tcp main process", Role.TCP_MAIN), ("tcp receiver (generic) child=3", Role.TCP_WORKER),
            ("main process - attendant", Role.ATTENDANT), ("ctl handler", Role.CTL), ("udp receiver child=0", Role.OTHER),
            ("slow timer", Role.OTHER), ("", Role.OTHER),
        ],
    )  # fmt: skip
    def test_roles_are_told_by_what_core_psx_says(self, text, role):
        assert role_of(text) is role


class TestInFlight:
    """The kernel counts descriptors in flight per user, not per Kamailio."""

    def test_others_of_the_same_user_count_with_what_their_sockets_and_limits_allow(self):
        one, two = instance(), instance(attendant=900, main={"nofile_soft": 1000})
        other = instance(attendant=901, main={"uid": 33})
        found = with_in_flight((one, two, other), 278)
        assert [each.in_flight_elsewhere for each in found] == [1000, 1112, 0]

    def test_what_can_not_be_seen_is_absent(self):
        denied = Absent("/proc/831/status", Why.DENIED)
        assert [
            each.in_flight_elsewhere for each in with_in_flight((instance(main={"uid": denied}),), 278)
        ] == [denied]
        both = with_in_flight((instance(), instance(attendant=900)), denied)
        assert [each.in_flight_elsewhere for each in both] == [denied, denied]
