"""The responder and the generator's protocols against programs of others: SIPp, the websockets library, OpenSSL."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest
import websockets.sync.client
import websockets.sync.server

from kamtcp.host.certificate import self_signed
from kamtcp.loadgen.order import Carrier, Closing, Order
from kamtcp.loadgen.population import Credentials, Keepalive, Tls
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.responder.started import Started
from kamtcp.loadgen.schedule import AtOnce
from kamtcp.loadgen.sip import Requests, Stream
from kamtcp.loadgen.sources import Block
from kamtcp.loadgen.websocket import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frames,
    Upgrade,
    client_request,
    close_frame,
    frame,
    new_key,
)
from kamtcp.rehearse.kamailio import packages_root
from kamtcp.rehearse.standin import StandIn

HERE = Path(__file__).parent
ROOT = packages_root(str(HERE.parents[1] / ".cache/packages/root"))
SOON = 20.0
sipp = pytest.mark.skipif(
    os.geteuid() != 0 or ROOT is None or not Path(f"{ROOT}/usr/bin/sipp").exists(),
    reason="needs root and SIPp from `make packages`",
)
openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")


def port_of(target: str) -> int:
    return int(target.split("/", maxsplit=1)[0].rsplit(":", 1)[1])


# -- SIPp -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def host():
    with StandIn(ROOT) as host:
        yield host


@contextlib.contextmanager
def responder_in(host: StandIn, *argv: str):
    with Started(argv, within=["nsenter", f"--net=/proc/{host.pid}/ns/net", "--"]) as started:
        yield started


def run_sipp(host: StandIn, *argv: str) -> subprocess.CompletedProcess[bytes]:
    """SIPp writes files where it runs: /run inside, which is memory."""
    words = ["sh", "-c", 'cd /run && exec sipp "$@"', "sipp", "-nostdin", "-i", host.address, *argv]
    return host.run(words, timeout=60, check=False, env={"PATH": os.environ["PATH"], "TERM": "dumb"})


@sipp
@pytest.mark.netns
@pytest.mark.parametrize("transport", ["t1", "tn"])
def test_sipp_asks_the_responder_for_options(host, transport):
    with responder_in(host, "tcp:127.0.0.1:5080", "--processes", "2") as started:
        ask = [
            "-sf",
            f"{HERE}/sipp/options.xml",
            "-t",
            transport,
            "-m",
            "50",
            "-r",
            "200",
            "-max_socket",
            "200",
        ]
        done = run_sipp(host, "127.0.0.1:5080", *ask)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        totals = started.stop()
    assert totals.answered == 50
    assert totals.broken == 0
    assert totals.accepted == {"t1": 1, "tn": 50}[transport]


@sipp
@pytest.mark.netns
def test_sipp_registers_with_a_password(host):
    with responder_in(host, "tcp:127.0.0.1:5080", "--password", "wonderland", "--user", "alice") as started:
        ask = ["-sf", f"{HERE}/sipp/register.xml", "-t", "t1", "-m", "20", "-r", "100"]
        done = run_sipp(host, "127.0.0.1:5080", *ask)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        totals = started.stop()
    assert (totals.answered, totals.challenged) == (40, 20)


@sipp
@pytest.mark.netns
def test_sipp_with_the_wrong_password_is_challenged_again(host):
    with responder_in(host, "tcp:127.0.0.1:5080", "--password", "another") as started:
        ask = ["-sf", f"{HERE}/sipp/register.xml", "-t", "t1", "-m", "1", "-timeout", "20s"]
        done = run_sipp(host, "127.0.0.1:5080", *ask)
        assert done.returncode == 1
        totals = started.stop()
    assert (totals.challenged, totals.open) == (2, 0)  # it gives up, with a CANCEL or BYE of its own


@contextlib.contextmanager
def sipp_as_server(host: StandIn, scenario: str, calls: int):
    """SIPp on port 5090 inside; afterwards it has had so many calls and was content with each."""
    words = [
        "sipp",
        "-nostdin",
        "-i",
        host.address,
        "-p",
        "5090",
        "-t",
        "t1",
        "-m",
        str(calls),
        "-timeout",
        "60s",
    ]
    inside = ["sh", "-c", 'cd /run && exec "$@"', "sh", *words, "-sf", f"{HERE}/sipp/{scenario}"]
    server = host.spawn(inside, env={"PATH": os.environ["PATH"], "TERM": "dumb"})
    try:
        wait_for_listener(host, 5090)
        yield
        assert server.wait(timeout=60) == 0
    finally:
        server.kill()
        server.wait()


@sipp
@pytest.mark.netns
def test_the_generator_asks_sipp_for_options(host):
    order = Order(host.address, 5090, AtOnce(20), netns_pid=host.pid, hold_seconds=None)
    with sipp_as_server(host, "answer.xml", 20), Load(order) as load:
        assert load.wait_settled(SOON)
        assert load.progress().held == 20
        load.stop()
        result = load.result()
    assert (result.load.answered, result.load.statuses) == (20, {200: 20})


@sipp
@pytest.mark.netns
@pytest.mark.parametrize("password", ["wonderland", "looking-glass"])
def test_sipp_verifies_the_generators_password(host, password):
    order = Order(
        host.address,
        5090,
        AtOnce(5),
        netns_pid=host.pid,
        question="register",
        credentials=Credentials(password, "alice"),
        closing=Closing.FIN,
    )
    with sipp_as_server(host, "challenge.xml", 5), Load(order) as load:
        result = load.result()
    if password == "wonderland":
        assert (result.load.answered, result.load.statuses) == (5, {200: 5})
    else:
        assert (result.load.answered, result.load.failures.sip_status) == (0, 5)


def wait_for_listener(host: StandIn, port: int) -> None:
    deadline = time.monotonic() + SOON
    while not host.run(["ss", "-Hltn", f"sport = :{port}"]).stdout and time.monotonic() < deadline:
        time.sleep(0.02)


# -- the websockets library -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def responder():
    with Started(["ws:127.0.0.1:0/", "wss:127.0.0.1:0/", "tls:127.0.0.1:0", "--password", "pw"]) as started:
        yield started


@pytest.mark.parametrize("place", [0, 1], ids=["ws", "wss"])
def test_the_websockets_library_asks_the_responder(responder, place):
    context = None
    if place:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    url = ("ws", "wss")[place] + f"://127.0.0.1:{port_of(responder.targets[place])}/"
    connect = websockets.sync.client.connect
    with connect(
        url, subprotocols=["sip"], ssl=context, compression=None, proxy=None, open_timeout=SOON
    ) as peer:  # type: ignore[list-item]
        assert peer.subprotocol == "sip"
        text = Requests("OPTIONS", "WS", "h", "k").build(4).decode()
        peer.send(text)
        assert str(peer.recv(SOON)).startswith("SIP/2.0 200 OK\r\n")
        peer.send([text[:100], text[100:]])  # in fragments
        assert str(peer.recv(SOON)).startswith("SIP/2.0 200 OK\r\n")
        peer.send(Requests("REGISTER", "WS", "h", "k").build(4))  # binary
        answer = peer.recv(SOON)
        assert isinstance(answer, bytes)
        assert answer.startswith(b"SIP/2.0 401 ")
        assert peer.ping(b"there?").wait(SOON)
    assert peer.close_code == 1000


def test_what_offers_compression_is_accepted_without(responder):
    url = f"ws://127.0.0.1:{port_of(responder.targets[0])}/"
    with websockets.sync.client.connect(url, subprotocols=["sip"], proxy=None, open_timeout=SOON) as peer:  # type: ignore[list-item]
        peer.send(Requests("OPTIONS", "WS", "h", "k").build(4).decode())
        assert str(peer.recv(SOON)).startswith("SIP/2.0 200 OK\r\n")


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None = None):
    """A server of the websockets library that answers OPTIONS with 200, a ping by itself; gives its port."""

    def answer(peer: websockets.sync.server.ServerConnection) -> None:
        for text in peer:
            assert isinstance(text, str)
            line = next(line for line in text.split("\r\n") if line.startswith("CSeq"))
            peer.send(f"SIP/2.0 200 OK\r\n{line}\r\nContent-Length: 0\r\n\r\n")

    with websockets.sync.server.serve(answer, "127.0.0.1", 0, subprotocols=["sip"], ssl=context) as server:  # type: ignore[list-item]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join(SOON)
    assert not thread.is_alive()


@pytest.fixture
def their_server():
    with serving() as port:
        yield port


@openssl
def test_the_generator_loads_the_websockets_library_over_tls(tmp_path):
    pem = tmp_path / "server.pem"
    pem.write_bytes(self_signed(name="websockets.example"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with serving(context) as port:
        order = Order(
            "127.0.0.1",
            port,
            AtOnce(5),
            (Block("127.0.0.1", 0, 5),),
            carrier=Carrier.WSS,
            tls=Tls(verify=True, ca_file=str(pem), server_name="websockets.example"),
            closing=Closing.FIN,
        )
        with Load(order, i_own_this_host=True) as load:
            result = load.result()
    assert (result.load.answered, result.load.statuses) == (5, {200: 5})


def test_the_generators_websocket_asks_the_websockets_library(their_server):
    key, frames, stream = new_key(), Frames(masked=False), Stream()
    with socket.create_connection(("127.0.0.1", their_server), timeout=SOON) as sock:
        sock.sendall(client_request(f"127.0.0.1:{their_server}", "/sip", key))
        upgrade = Upgrade(key)
        while (rest := upgrade.feed(sock.recv(4096))) is None:
            pass
        frames.feed(rest)

        def next_frame():
            while not (found := frames.feed(sock.recv(4096))):
                pass
            return found[0]

        sock.sendall(frame(TEXT, Requests("OPTIONS", "WS", "h", "k").build(9), os.urandom(4)))
        ((response,), opcode) = (stream.feed((each := next_frame()).payload), each.opcode)
        assert (response.status, opcode) == (200, TEXT)
        sock.sendall(frame(PING, b"x" * 125, os.urandom(4)))
        assert next_frame() == type(each)(PONG, b"x" * 125)
        sock.sendall(close_frame(1000, os.urandom(4)))
        assert (next_frame().opcode, frames.closed) == (CLOSE, True)


@pytest.mark.parametrize("keepalive", [None, Keepalive("ping", 0.2)], ids=["", "kept alive"])
def test_the_generator_loads_the_websockets_library(their_server, keepalive):
    order = Order(
        "127.0.0.1",
        their_server,
        AtOnce(10),
        (Block("127.0.0.1", 0, 10),),
        carrier=Carrier.WS,
        path="/sip",
        keepalive=keepalive,
        hold_seconds=1.0 if keepalive else 0.0,
        closing=Closing.FIN,
    )
    with Load(order, i_own_this_host=True) as load:
        result = load.result()
    assert (result.load.answered, result.load.statuses) == (10, {200: 10})
    assert (result.held_end, result.load.lost) == (10, 0)
    assert bool(sum(row.keepalives for row in result.rows)) is (keepalive is not None)


# -- OpenSSL --------------------------------------------------------------------------------------------------------


@openssl
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_s_client_asks_the_responder(responder, version):
    port = port_of(responder.targets[2])
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-quiet", "-no_ign_eof", version]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        try:
            client.stdin.write(Requests("OPTIONS", "TLS", "h", "k").build(2))
            stream = Stream()
            while not (found := stream.feed(client.stdout.read(4096))):
                assert client.poll() is None
            assert found[0].status == 200
        finally:
            client.kill()
