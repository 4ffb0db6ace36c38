"""The same with a real Kamailio: four carriers, keepalives, digest, a restart; and what a full accept queue looks like."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_load import ROOT, established, kamailio, root, tcp_info, wait_for_listener
from test_modes import SOON, checked, wait_for

from kamtcp.loadgen import phases
from kamtcp.loadgen.order import Carrier, Closing, Mode, Order
from kamtcp.loadgen.population import Credentials, Keepalive
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import AtOnce, Steady
from kamtcp.rehearse.kamailio import Running, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn

AUTH = """
    if (is_method("REGISTER") && !pv_www_authenticate("$td", "secret", "0")) {
        www_challenge("$td", "1");
        exit;
    }
"""


@pytest.fixture
def server() -> Iterator[Running]:
    """One for each test: 5.6.3 may abort when many TLS connections are reset."""
    text = Scenario(
        tls_port=5061, websocket=True, tcp_max_connections=2000, tls_max_connections=1000
    ).render()
    begin = "request_route {"
    assert begin in text
    text = text.replace(begin, 'loadmodule "auth.so"\n' + begin + AUTH)
    with StandIn(ROOT) as host:
        scenario = Scenario(tls_port=5061, websocket=True)
        start_kamailio(host, config=scenario).stop()  # lays down tls.cfg and a certificate
        with start_kamailio(host, config=text, nofile=(4096, 20000)) as run:
            yield run


def order(host: StandIn, count: int, carrier: str = "tcp", **more: object) -> Order:
    port = 5061 if carrier in ("tls", "wss") else 5060
    values = {
        "schedule": Steady(count, 200.0), "closing": Closing.FIN, "connect_timeout": SOON, "answer_timeout": SOON,
    } | more  # fmt: skip
    return Order(host.address, port, carrier=Carrier(carrier), netns_pid=host.pid, **values)  # type: ignore[arg-type]


@root
@kamailio
@pytest.mark.kamailio
class TestWithKamailio:
    @pytest.mark.parametrize("carrier", ["tcp", "tls", "ws", "wss"])
    def test_each_carrier_is_held_and_kept_alive(self, server: Running, carrier: str) -> None:
        web = carrier in ("ws", "wss")
        what = order(
            server.standin,
            30,
            carrier,
            keepalive=Keepalive("ping" if web else "crlf", 0.2),
            hold_seconds=None,
        )
        port = 5061 if carrier in ("tls", "wss") else 5060
        with Load(what) as load:
            assert load.wait_settled(SOON)
            wait_for(load, lambda now: now.keepalives_answered >= 90)
            there = established(server.standin, port)
            assert there == 30, (there, load.progress(), server.alive, server.status)
            load.stop()
            result = checked(load.result())
        assert (result.load.answered, result.held_end, result.load.lost) == (30, 30, 0)
        assert result.load.statuses == {200: 30}

    def test_digest_is_answered_and_a_wrong_password_is_a_status(self, server: Running) -> None:
        what = order(server.standin, 20, question="register", credentials=Credentials("secret", "alice{n}"))
        with Load(what) as load:
            result = checked(load.result())
        assert (result.load.answered, result.load.challenged) == (20, 20)
        wrong = order(server.standin, 3, question="register", credentials=Credentials("no", "alice{n}"))
        with Load(wrong) as load:
            result = checked(load.result())
        assert result.load.details == {"sip_status": {"401": 3}}

    def test_a_storm_is_served_again_by_the_same_server(self, server: Running) -> None:
        storm = phases.Storm(within=0.2, closing="rst", seconds=SOON)
        with Load(order(server.standin, 200, mode=Mode.STORM, storm=storm, hold_seconds=None)) as load:
            assert load.wait_settled(SOON)
            assert established(server.standin, 5060) == 200
            load.stop()
            result = checked(load.result())
        tally = result.stretches[1].tally
        assert (tally.clients, tally.served, result.held_end) == (200, 200, 200)

    def test_clients_come_back_to_a_kamailio_that_is_restarted(self) -> None:
        storm = phases.Storm(
            within=0.1, closing="server", backoff="exponential", first=0.1, highest=0.5, seconds=SOON
        )
        with (
            StandIn(ROOT) as host,
            start_kamailio(host, config=Scenario()) as first,
            Load(order(host, 30, mode=Mode.STORM, storm=storm, hold_seconds=None)) as load,
        ):
            wait_for(load, lambda now: now.held == 30)
            first.stop()
            wait_for(load, lambda now: now.out == 30)
            with start_kamailio(host, config=Scenario()):
                assert load.wait_settled(SOON)
                assert tcp_info(host, "opened_connections") == 30
                load.stop()
                result = checked(load.result())
        tally = result.stretches[1].tally
        assert (tally.clients, tally.served, tally.given_up) == (30, 30, 0)
        assert result.stages["back"].count == 30


@root
@pytest.mark.netns
class TestAcceptQueue:
    def test_a_full_accept_queue_shows_in_retried_syns(self) -> None:
        """Three connections fill a queue of 2; the SYNs of the others are dropped and sent again, 1 s later at first."""
        script = (
            "import socket, time\n"
            "s = socket.create_server(('127.0.0.1', 7000), backlog=2)\n"
            "while not open('/proc/net/tcp').read().count(' 02 '): time.sleep(0.01)\n"  # a client in SYN_SENT
            "time.sleep(0.3)\n"
            "held = []\n"
            "while True:\n"
            "    held.append(s.accept()[0])\n"
        )
        with StandIn() as host:
            server = host.spawn(["python3", "-c", script])
            try:
                wait_for_listener(host, 7000)
                what = Order(
                    host.address, 7000, AtOnce(8), question="options", connect_timeout=SOON, answer_timeout=1.0,
                    netns_pid=host.pid,
                )  # fmt: skip
                with Load(what) as load:
                    result = checked(load.result())
            finally:
                server.kill()
                server.wait()
        assert result.load.failures.causes() == {"no_answer": 8}
        assert result.load.connected == 8
        assert sum(result.load.syn_retried.values()) == 5
        assert min(result.load.syn_retried) >= 1
        assert result.stages["connect"].highest >= 0.9
        assert result.stages["connect"].p50 >= 0.9

    def test_an_answer_that_is_late_is_told_from_a_syn_that_was_retried(self) -> None:
        script = (
            "import socket, time\n"
            "s = socket.create_server(('127.0.0.1', 7000), backlog=20)\n"
            "c = [s.accept()[0] for _ in range(4)]\n"
            "time.sleep(1.2)\n"
            "for each in c:\n"
            "    each.recv(4096); each.sendall(b'SIP/2.0 200 OK\\r\\nCSeq: 1 OPTIONS\\r\\nContent-Length: 0\\r\\n\\r\\n')\n"
            "time.sleep(60)\n"
        )
        with StandIn() as host:
            server = host.spawn(["python3", "-c", script])
            try:
                wait_for_listener(host, 7000)
                what = Order(host.address, 7000, AtOnce(4), answer_timeout=SOON, netns_pid=host.pid)
                with Load(what) as load:
                    result = checked(load.result())
            finally:
                server.kill()
                server.wait()
        assert result.load.answered == 4
        assert result.load.answer_slow == {0: 4}
        assert result.load.syn_retried == {}

    def test_workers_choose_ports_in_parts_of_their_own(self) -> None:
        """IP_LOCAL_PORT_RANGE: two processes on one address don't search in each other's way."""
        script = (
            "import socket\n"
            "s = socket.create_server(('127.0.0.1', 7000), backlog=100)\n"
            "held = []\n"
            "while True:\n"
            "    held.append(s.accept()[0])\n"
            "    held[-1].recv(4096); held[-1].sendall(b'SIP/2.0 200 OK\\r\\nCSeq: 1 OPTIONS\\r\\nContent-Length: 0\\r\\n\\r\\n')\n"
        )
        with StandIn() as host:
            host.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=20000 20099"])
            server = host.spawn(["python3", "-c", script])
            try:
                wait_for_listener(host, 7000)
                what = Order(host.address, 7000, AtOnce(40), hold_seconds=None, netns_pid=host.pid)
                with Load(what, sources=(), processes=2) as load:
                    assert load.wait_settled(SOON)
                    shown = host.run(["ss", "-Htn", "state", "established", "dport = :7000"]).stdout.decode()
                    load.stop()
                    assert checked(load.result()).load.answered == 40
            finally:
                server.kill()
                server.wait()
        ports = sorted(int(line.split()[2].rpartition(":")[2]) for line in shown.splitlines())
        assert ports[0] >= 20000 and ports[19] <= 20049 < ports[20] and ports[-1] <= 20099


@root
@kamailio
@pytest.mark.kamailio
def test_half_of_the_packets_lost_is_told_from_a_server_that_is_slow() -> None:
    """Whatever comes of each connection, it is counted once, and retransmitted SYNs show."""
    rules = (
        "add table ip t; add chain ip t c { type filter hook input priority 0; };"
        "add rule ip t c tcp dport 5060 numgen random mod 2 0 drop; add rule ip t c tcp sport 5060 numgen random mod 2 0 drop"
    )
    with StandIn(ROOT) as host, start_kamailio(host, config=Scenario()):
        if host.run(["sh", "-c", "command -v nft"], check=False).returncode:
            pytest.skip("no nft in the test packages")
        host.run(["nft", rules])
        what = order(host, 40, schedule=AtOnce(40), connect_timeout=2.5, answer_timeout=2.5)
        with Load(what) as load:
            result = checked(load.result())
    assert result.load.offered == 40
    assert result.load.failures.causes().keys() <= {"connect_timeout", "no_answer", "reset"}
    assert sum(result.load.syn_retried.values()) > 0
