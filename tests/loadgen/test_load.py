from __future__ import annotations

import os
import socket
import time

import pytest

from kamtcp.errors import UsageError
from kamtcp.loadgen.order import Carrier, Mode, Order
from kamtcp.loadgen.processes import Load, check_owned, workers_for
from kamtcp.loadgen.result import Failures, Result
from kamtcp.loadgen.schedule import AtOnce, Steady
from kamtcp.rehearse.kamailio import Running, packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ROOT = packages_root()
kamailio = pytest.mark.skipif(
    ROOT is None, reason="no Kamailio: run scripts/fetch_packages.py or set KAMTCP_KAMAILIO_ROOT"
)


def causes(result: Result) -> dict[str, int]:
    failures: Failures = result.load.failures
    return {name: n for name in failures.__struct_fields__ if (n := getattr(failures, name))}


def tcp_info(host: StandIn, name: str) -> int:
    text = host.run(["kamcmd", "-s", "unix:/run/kamailio/kamailio_ctl", "core.tcp_info"]).stdout.decode()
    return int(text.partition(f"{name}:")[2].split()[0])


def established(host: StandIn, port: int) -> int:
    return len(host.run(["ss", "-Htn", "state", "established", f"sport = :{port}"]).stdout.splitlines())


def order(host: StandIn, count: int, port: int = 5060, **more: object) -> Order:
    return Order(host.address, port, AtOnce(count), (), netns_pid=host.pid, **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def server():
    with (
        StandIn(ROOT) as host,
        start_kamailio(
            host, config=Scenario(tls_port=5061, tls_max_connections=30), nofile=(20000, 20000)
        ) as run,
    ):
        yield run


@pytest.fixture(scope="module")
def host():
    with StandIn() as host:
        yield host


@root
@kamailio
@pytest.mark.kamailio
class TestWithKamailio:
    def test_held_connections_are_the_same_number_for_client_kernel_and_server(self, server: Running) -> None:
        host = server.standin
        with Load(order(host, 500, hold_seconds=None)) as load:
            assert load.wait_settled(20)
            assert load.progress().held == 500
            assert established(host, 5060) == 500
            assert tcp_info(host, "opened_connections") == 500
            load.stop()
            result = load.result()
        assert (result.load.offered, result.load.connected, result.load.answered) == (500, 500, 500)
        assert result.load.statuses == {200: 500}
        assert result.held_min == result.held_end == 500
        assert causes(result) == {}
        assert result.latency is not None
        assert result.latency.count == 500

    def test_tls_connections_beyond_the_servers_limit_are_tls_failures(self, server: Running) -> None:
        host = server.standin
        with Load(order(host, 40, 5061, carrier=Carrier.TLS, concurrency=1, hold_seconds=None)) as load:
            assert load.wait_settled(20)
            assert tcp_info(host, "opened_tls_connections") == 30
            load.stop()
            result = load.result()
        assert result.load.answered == 30
        failed = causes(result)
        assert failed.pop("tls", 0) + failed.pop("reset", 0) == 10
        assert failed == {}

    def test_a_burst_is_sent_at_one_instant_after_all_are_open(self, server: Running) -> None:
        with Load(order(server.standin, 200, mode=Mode.BURST, trickle_seconds=0.01)) as load:
            result = load.result()
        assert result.load.answered == 200
        assert result.trickle.answered == result.trickle.offered >= 1
        assert result.held_end == 200 + result.trickle.answered

    def test_a_tls_burst_may_be_prepared_one_handshake_at_a_time(self, server: Running) -> None:
        burst = order(server.standin, 20, 5061, carrier=Carrier.TLS, concurrency=1, mode=Mode.BURST)
        with Load(burst) as load:
            result = load.result()
        assert (result.load.connected, result.load.answered) == (20, 20)

    def test_connections_that_the_server_drops_are_losses(self) -> None:
        with (
            StandIn(ROOT) as host,
            start_kamailio(host, config=Scenario()) as server,
            Load(order(host, 20, hold_seconds=None)) as load,
        ):
            assert load.wait_settled(20)
            server.stop()
            deadline = time.monotonic() + 5
            while load.progress().held and time.monotonic() < deadline:
                time.sleep(0.01)
            load.stop()
            result = load.result()
        assert result.load.answered == 20
        assert result.load.lost_closed + result.load.lost_reset == 20
        assert result.held_min == result.held_end == 0


@root
@pytest.mark.netns
class TestWithoutServer:
    def test_a_port_without_listener_refuses(self, host: StandIn) -> None:
        with Load(order(host, 10)) as load:
            result = load.result()
        assert causes(result) == {"refused": 10}
        assert result.load.connected == 0

    def test_a_listener_that_never_accepts_connects_and_never_answers(self, host: StandIn) -> None:
        script = "import socket,time; s=socket.create_server(('127.0.0.1', 7000), backlog=50); time.sleep(30)"
        server = host.spawn(["python3", "-c", script])
        wait_for_listener(host, 7000)
        with Load(order(host, 5, 7000, answer_timeout=0.3)) as load:
            result = load.result()
        server.kill()
        server.wait()
        assert causes(result) == {"no_answer": 5}
        assert result.load.connected == 5

    def test_taken_source_ports_are_the_generators_own_failure(self, host: StandIn) -> None:
        from kamtcp.loadgen.sources import Block

        with Load(order(host, 3), sources=(Block("192.0.2.1", 0, 3),)) as load:
            result = load.result()
        assert causes(result) == {"local_ports": 3}

    def test_arrivals_keep_their_schedule(self, host: StandIn) -> None:
        begin = time.monotonic()
        with Load(Order(host.address, 5060, Steady(20, 100.0), (), netns_pid=host.pid)) as load:
            result = load.result()
        assert time.monotonic() - begin > 0.19
        assert result.lateness is not None
        assert result.lateness.p50 < 0.05


def wait_for_listener(host: StandIn, port: int) -> None:
    deadline = time.monotonic() + 5
    while not host.run(["ss", "-Hltn", f"sport = :{port}"]).stdout and time.monotonic() < deadline:
        time.sleep(0.02)


def test_targets_that_are_not_kamtcps_own_are_refused() -> None:
    with pytest.raises(UsageError, match="i-own-this-host"):
        check_owned(None, i_own_this_host=False)
    with pytest.raises(UsageError, match="not kamtcp's own"):
        check_owned(os.getpid(), i_own_this_host=False)
    with pytest.raises(UsageError, match="process 999999999"):
        check_owned(999_999_999, i_own_this_host=False)
    check_owned(None, i_own_this_host=True)


def test_the_operator_may_answer_for_a_target_of_this_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with Load(Order("127.0.0.1", port, AtOnce(3), ()), i_own_this_host=True) as load:
        assert causes(load.result()) == {"refused": 3}


def test_there_are_as_many_processes_as_cores_or_descriptors_ask_for() -> None:
    assert workers_for(500, cores=4, nofile=20_000) == 1
    assert workers_for(20_000, cores=4, nofile=20_000) == 4
    assert workers_for(100_000, cores=4, nofile=20_000) == 6
    assert workers_for(5000, cores=4, nofile=20_000, concurrency=1) == 1
