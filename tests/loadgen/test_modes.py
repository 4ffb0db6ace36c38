"""What clients of a load do, in every mode, against the built-in responder: no root, no Kamailio."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from kamtcp.errors import UsageError
from kamtcp.loadgen import phases
from kamtcp.loadgen.board import Progress
from kamtcp.loadgen.order import Carrier, Climb, Closing, Mode, Order
from kamtcp.loadgen.population import Credentials, Keepalive, Population, Tls
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.profile import Profile
from kamtcp.loadgen.responder.started import Started
from kamtcp.loadgen.result import Result
from kamtcp.loadgen.schedule import AtOnce, Steady

ALL = ("tcp:127.0.0.1:0", "tls:127.0.0.1:0", "ws:127.0.0.1:0/", "wss:127.0.0.1:0/")
CARRIERS = [each.value for each in Carrier]
SOON = 30.0  # seconds; bounds what should take a moment on a machine that is busy


def port_of(started: Started, carrier: str = "tcp") -> int:
    target = next(each for each in started.targets if each.startswith(carrier + ":"))
    return int(target.split("/", maxsplit=1)[0].rsplit(":", 1)[1])


@pytest.fixture(scope="module")
def responder() -> Iterator[Started]:
    with Started([*ALL, "--password", "pw"]) as started:
        yield started


def order(started: Started, count: int = 20, *, carrier: str = "tcp", **more: object) -> Order:
    port = port_of(started, carrier)
    more.setdefault("schedule", Steady(count, 500.0))
    return Order("127.0.0.1", port, carrier=Carrier(carrier), **more)  # type: ignore[arg-type]


@contextmanager
def running(what: Order, **more: object) -> Iterator[Load]:
    """A load whose source ports the kernel chooses: others on this machine have theirs."""
    with Load(what, sources=(), i_own_this_host=True, **more) as load:  # type: ignore[arg-type]
        yield load


def result_of(what: Order, **more: object) -> Result:
    with running(what, **more) as load:
        return checked(load.result())


def checked(result: Result) -> Result:
    """What holds of every result: totals add up, in all and in each stretch, and the rows say the same."""
    for each in (result.load, result.trickle, *(each.tally for each in result.stretches)):
        assert each.offered == each.answered + each.failures.total(), each
        assert each.clients == each.served + each.given_up
        assert each.keepalives_answered <= each.keepalives
    for cause, kinds in result.load.details.items():
        assert sum(kinds.values()) == getattr(result.load.failures, cause)
    return result


def wait_for(load: Load, met: object, timeout: float = SOON) -> Progress:
    """The progress once it meets a condition."""
    deadline = time.monotonic() + timeout
    while not met(progress := load.progress()):  # type: ignore[operator]
        assert time.monotonic() < deadline, progress
        time.sleep(0.005)
    return progress


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("question", ["options", "register", "ping"])
def test_every_question_is_answered_on_every_carrier(responder: Started, carrier: str, question: str) -> None:
    what = order(
        responder,
        6,
        carrier=carrier,
        question=question,
        credentials=Credentials("pw", "u{n}"),
        answer_timeout=SOON,
    )
    if question == "ping" and not what.carrier.web:
        with pytest.raises(UsageError, match="say crlf"):
            result_of(what)
        what = replace(what, question="crlf")
    result = result_of(what)
    assert (result.load.answered, result.held_end) == (6, 6), result.load.failures.causes()
    assert result.load.challenged == (6 if question == "register" else 0)
    wanted = {"connect", "answer"} | ({"tls"} if what.carrier.secure else set())
    assert set(result.stages) == wanted | ({"upgrade"} if what.carrier.web else set())
    assert all(stage.count == 6 for stage in result.stages.values())


def test_no_credentials_and_wrong_ones_are_refused_by_status(responder: Started) -> None:
    for credentials in (None, Credentials("wrong")):
        result = result_of(order(responder, 3, question="register", credentials=credentials))
        assert result.load.failures.causes() == {"sip_status": 3}
        assert result.load.details == {"sip_status": {"401": 3}}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_held_connections_are_kept_alive(responder: Started, carrier: str) -> None:
    what = "ping" if carrier in ("ws", "wss") else "crlf"
    wanted = order(responder, 10, carrier=carrier, keepalive=Keepalive(what, 0.2), hold_seconds=None)
    with running(wanted) as load:
        wait_for(load, lambda now: now.keepalives_answered >= 30)
        load.stop()
        result = checked(load.result())
    assert (result.held_end, result.load.lost) == (10, 0)
    assert result.rows == () or result.rows[-1].held == 10


def test_a_churn_leaves_nothing_open_and_no_time_wait_of_ours(responder: Started) -> None:
    result = result_of(order(responder, 200, mode=Mode.CHURN, carrier="tcp", question="options"))
    assert result.load.answered == 200
    assert result.held_end == 0
    assert result.load.lost == 0
    (only,) = result.stretches
    assert only.kind == "churn"
    assert only.offered_rate == pytest.approx(500.0)


@pytest.mark.parametrize("closing", ["fin", "rst"])
def test_a_storm_is_over_when_all_are_served_again(responder: Started, closing: str) -> None:
    how = phases.Storm(within=0.2, closing=closing, seconds=SOON)  # type: ignore[arg-type]
    what = order(responder, 50, mode=Mode.STORM, storm=how, closing=Closing.FIN)
    result = result_of(what, processes=2 if closing == "rst" else 1)
    ramp, storm = result.stretches
    assert (ramp.kind, ramp.tally.answered) == ("ramp", 50)
    assert (storm.kind, storm.tally.clients, storm.tally.served) == ("storm", 50, 50)
    assert storm.tally.offered == 50
    assert result.stages["back"].count == 50
    assert result.held_end == 50
    assert result.load.lost == 0


@pytest.mark.parametrize("backoff", ["none", "fixed", "exponential"])
def test_clients_of_a_server_that_restarts_come_back_with_their_back_off(backoff: str) -> None:
    """Each try that is refused counts, and who is out is seen until the server is back."""
    how = phases.Storm(
        within=0.1,
        closing="server",
        backoff=backoff,
        first=0.05,
        highest=0.2,
        seconds=SOON,  # type: ignore[arg-type]
    )
    with Started(["tcp:127.0.0.1:0"]) as first:
        port = port_of(first)
        what = order(first, 20, mode=Mode.STORM, storm=how, hold_seconds=None)
        with running(what) as load:
            wait_for(load, lambda now: now.held == 20 and load.board.burst_at)
            first.close()
            wait_for(load, lambda now: now.out == 20 and now.failures.get("refused", 0) >= 20)
            with Started([f"tcp:127.0.0.1:{port}"]):
                assert load.wait_settled(SOON)
                wait_for(load, lambda now: now.held == 20 and now.out == 0)
                load.stop()
                result = checked(load.result())
    storm = result.stretches[1].tally
    assert (storm.clients, storm.served, storm.given_up) == (20, 20, 0)
    assert storm.answered == 20
    assert storm.failures.refused + storm.failures.reset == storm.offered - 20 >= 20
    assert result.load.lost == 20
    assert len(result.losses) == 20


def test_who_is_not_served_in_time_is_given_up() -> None:
    how = phases.Storm(within=0.0, closing="server", backoff="fixed", first=0.05, seconds=1.0)
    with Started(["tcp:127.0.0.1:0"]) as first, running(order(first, 5, mode=Mode.STORM, storm=how)) as load:
        wait_for(load, lambda now: now.held == 5 and load.board.burst_at)
        first.close()
        result = checked(load.result())
    storm = result.stretches[1].tally
    assert (storm.clients, storm.served, storm.given_up) == (5, 0, 5)
    assert result.held_end == 0


@contextmanager
def limited(most: int) -> Iterator[int]:
    """A server that holds so many connections and resets any more."""
    answer = (
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP h\r\nFrom: <sip:a@h>\r\nTo: <sip:a@h>\r\nCall-ID: a\r\n"
        b"CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    there: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if len(there) >= most:
                client.close()
                continue
            there.append(client)
            client.recv(4096)
            client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(SOON)
            for client in there:
                client.close()


def test_a_ramp_of_held_connections_ends_at_the_step_that_gave() -> None:
    climb = Climb(what="connections", first=10, factor=2.0, highest=320, seconds=0.3, p99=SOON)
    with limited(50) as port:
        what = Order("127.0.0.1", port, AtOnce(0), mode=Mode.RAMP, climb=climb, lateness_bound=SOON)
        result = result_of(what)
    assert result.sustained == 40
    assert result.gave.startswith("at 80 connections: 30 of 40 connections failed (")
    assert result.held_end == 50
    assert [each.tally.answered for each in result.stretches] == [10, 10, 20, 10]


def test_a_ramp_that_nothing_stops_says_so(responder: Started) -> None:
    climb = Climb(what="rate", first=20, factor=2.0, highest=80, seconds=0.2, p99=SOON)
    result = result_of(order(responder, mode=Mode.RAMP, climb=climb, lateness_bound=SOON))
    assert (result.gave, result.sustained) == ("", 80)
    assert result.load.answered == 4 + 8 + 16
    assert result.held_end == 0


def test_a_ramp_ends_where_the_generator_itself_is_late(responder: Started) -> None:
    climb = Climb(what="rate", first=20, factor=2.0, highest=80, seconds=0.2, p99=SOON)
    result = result_of(order(responder, mode=Mode.RAMP, climb=climb, lateness_bound=-1.0))
    assert result.gave.startswith("at 20 per second: the generator: 4 of 4")
    assert result.doubts


def test_a_loss_is_noticed_when_it_happens() -> None:
    with Started(["tcp:127.0.0.1:0"]) as server, running(order(server, 10, hold_seconds=None)) as load:
        wait_for(load, lambda now: now.held == 10)
        wait_for(load, lambda now: time.monotonic() > load.board.start_at + 1.2)
        server.close()
        wait_for(load, lambda now: now.lost == 10)
        load.stop()
        result = checked(load.result())
    assert (result.held_min, result.held_end, len(result.losses)) == (0, 0, 10)
    assert min(result.losses) >= 1.2


def test_a_server_that_hangs_is_noticed_by_its_keepalives() -> None:
    with Started(["tcp:127.0.0.1:0"]) as server:
        what = order(server, 5, keepalive=Keepalive("options", 0.1), answer_timeout=0.5, hold_seconds=None)
        with running(what) as load:
            wait_for(load, lambda now: now.keepalives_answered >= 5)
            pids = {each.pid for each in server.ready.listeners}
            try:
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP)
                wait_for(load, lambda now: now.lost == 5)
            finally:
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
            load.stop()
            result = checked(load.result())
    assert result.load.lost_silent == 5


def test_phases_of_a_profile_follow_each_other(responder: Started) -> None:
    profile = Profile(
        (
            Population("phones", 30),
            Population(
                "browsers",
                10,
                carrier="wss",
                port=port_of(responder, "wss"),
                keepalive=Keepalive("ping", 0.1),
            ),
            Population("deaf", 5, behaviour="silent"),
            Population("half", 5, behaviour="half-message"),
        ),
        (
            phases.Ramp(rate=400.0, share=0.5),
            phases.Ramp(seconds=0.1),
            phases.Hold(seconds=0.3),
            phases.Burst(populations=("phones",)),
            phases.Churn(rate=100.0, seconds=0.2, populations=("phones",)),
            phases.Close(share=0.5, closing="fin"),
            phases.Reconnect(rate=400.0),
            phases.Storm(within=0.1, populations=("browsers",), seconds=SOON),
        ),
    )
    with running(order(responder), profile=profile) as load:
        result = checked(load.result())
    counted = [(each.phase, each.kind, each.population, each.tally.answered) for each in result.stretches]
    assert counted == [
        (0, "ramp", "browsers", 5),
        (0, "ramp", "deaf", 2),
        (0, "ramp", "half", 2),
        (0, "ramp", "phones", 15),
        (1, "ramp", "browsers", 5),
        (1, "ramp", "deaf", 3),
        (1, "ramp", "half", 3),
        (1, "ramp", "phones", 15),
        (3, "burst", "phones", 30),
        (4, "churn", "phones", 20),
        (6, "reconnect", "browsers", 5),
        (6, "reconnect", "deaf", 2),
        (6, "reconnect", "half", 2),
        (6, "reconnect", "phones", 15),
        (7, "storm", "browsers", 10),
    ]
    assert result.load.failures.causes() == {}
    assert result.held_end == 50 and result.load.lost == 0
    assert result.load.keepalives_answered >= 10


@pytest.mark.parametrize("rate", [0, 50])
def test_a_slow_reader_asks_and_takes_little_of_the_answers(rate: int) -> None:
    """In the end the server can't write any more, nor can the client."""
    profile = Profile(
        (
            Population(
                "slow", 2, keepalive=Keepalive("options", 0.001), behaviour="slow-reader", read_rate=rate
            ),
        ),
        (phases.Ramp(seconds=0.1), phases.Hold(seconds=1000.0)),
    )
    with Started(["tcp:127.0.0.1:0"]) as server, running(order(server), profile=profile) as load:
        wait_for(load, lambda now: now.held == 2 and now.keepalives > 50)
        wait_for(load, lambda now: time.monotonic() > load.board.start_at + (1.5 if rate else 0.0))
        load.stop()
        result = checked(load.result())
        assert result.load.keepalives_answered == 0
        assert result.held_end == 2


def test_tls_as_it_is_told(responder: Started) -> None:
    result = result_of(order(responder, 20, carrier="tls", tls=Tls(resume=True), concurrency=1))
    assert result.load.resumed == 19
    assert result_of(order(responder, 3, carrier="tls", tls=Tls(highest="1.2"))).load.answered == 3
    old = result_of(order(responder, 3, carrier="tls", tls=Tls(highest="1.1")))
    assert old.load.failures.causes() == {"tls": 3}
    assert all("alert" in which for which in old.load.details["tls"]), old.load.details
    refused = result_of(order(responder, 3, carrier="tls", tls=Tls(verify=True, server_name="localhost")))
    assert refused.load.details == {"tls": {"self-signed certificate": 3}}
    with pytest.raises(Exception, match="no-such-cipher"):
        result_of(order(responder, 1, carrier="tls", tls=Tls(ciphers="no-such-cipher")))
