"""The responder as a process: four carriers, its faults, its end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kamtcp.errors import KamtcpError
from kamtcp.host.certificate import self_signed
from kamtcp.loadgen.responder.faults import Fault
from kamtcp.loadgen.responder.started import Started
from kamtcp.loadgen.sip import Requests, Stream
from kamtcp.loadgen.websocket import TEXT, Frames, Refused, Upgrade, client_request, frame, new_key

ALL = ("tcp:127.0.0.1:0", "tls:127.0.0.1:0", "ws:127.0.0.1:0/", "wss:127.0.0.1:0/")
SOON = 20.0  # seconds; bounds what should take milliseconds on a machine that is busy


def port_of(target: str) -> int:
    return int(target.split("/", maxsplit=1)[0].rsplit(":", 1)[1])


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def connected(target: str, context: ssl.SSLContext | None = None):
    """A blocking socket to it, TLS shaken where its carrier has it."""
    with socket.create_connection(("127.0.0.1", port_of(target)), timeout=SOON) as sock:
        if target.startswith(("tls", "wss")):
            with (context or trusting()).wrap_socket(sock, server_hostname="responder") as shaken:
                yield shaken
        else:
            yield sock


def upgraded(sock: socket.socket) -> Frames:
    key = new_key()
    sock.sendall(client_request("h", "/", key))
    upgrade = Upgrade(key)
    while (rest := upgrade.feed(received(sock))) is None:
        pass
    assert rest == b""
    return Frames(masked=False)


def received(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    assert data, "closed"
    return data


def ended(sock: socket.socket) -> bool:
    """Whether the peer ends it, by FIN or RST."""
    with contextlib.suppress(ConnectionResetError, ssl.SSLError):
        while sock.recv(65536):
            pass
    return True


def status_of(sock: socket.socket, carrier: str, method: str = "OPTIONS") -> int:
    """Ask on a fresh connection, give the status of the answer."""
    request = Requests(method, carrier.upper(), "h", "k").build(1)
    if carrier in ("tcp", "tls"):
        stream = Stream()
        sock.sendall(request)
        while not (found := stream.feed(received(sock))):
            pass
        return found[0].status
    frames = upgraded(sock)
    sock.sendall(frame(TEXT, request, b"abcd"))
    while not (messages := frames.feed(received(sock))):
        pass
    return Stream().feed(messages[0].payload)[0].status


def silent(sock: socket.socket) -> bool:
    """Whether nothing comes but what TLS says for itself (session tickets)."""
    sock.settimeout(0.2)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    return False


@pytest.fixture(scope="module")
def responder():
    with Started([*ALL, "--processes", "2", "--password", "pw"]) as started:
        yield started


@pytest.fixture(params=["tcp", "tls", "ws", "wss"])
def target(request, responder):
    return next(each for each in responder.targets if each.startswith(request.param + ":"))


def test_each_carrier_answers(target):
    carrier = target.split(":")[0]
    with connected(target) as sock:
        assert status_of(sock, carrier) == 200
    with connected(target) as sock:
        assert status_of(sock, carrier, "REGISTER") == 401


def test_its_sockets_are_those_it_says(responder):
    """By inode and pid: that is how a load knows whom it may load."""
    for listener in responder.ready.listeners:
        links = set()
        for fd in os.listdir(f"/proc/{listener.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                links.add(os.readlink(f"/proc/{listener.pid}/fd/{fd}"))
        assert f"socket:[{listener.inode}]" in links
    assert len({each.pid for each in responder.ready.listeners}) == 2
    assert len(responder.targets) == 4


def test_both_processes_take_connections():
    with Started(["tcp:127.0.0.1:0", "--processes", "2"]) as started, contextlib.ExitStack() as stack:
        for _ in range(64):  # the kernel deals by a hash: all on one side once in 2**63
            sock = stack.enter_context(connected(started.targets[0]))
            assert status_of(sock, "tcp") == 200
        for pid in {each.pid for each in started.ready.listeners}:
            sockets = 0
            for fd in os.listdir(f"/proc/{pid}/fd"):
                sockets += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
            assert 1 < sockets < 65
        totals = started.stop()
    assert (totals.accepted, totals.answered, totals.open) == (64, 64, 64)


def test_many_requests_at_once_and_pings_between_them(responder):
    requests = Requests("OPTIONS", "TCP", "h", "k")
    with connected(responder.targets[0]) as sock:
        sock.sendall(b"".join(requests.build(n) + b"\r\n\r\n" for n in range(100)))
        stream, found, pongs = Stream(), [], 0
        while len(found) < 100:
            data = received(sock)
            pongs += data.count(b"\r\n\r\n\r\n")
            found += stream.feed(data)
    assert [each.status for each in found] == [200] * 100
    assert pongs > 90  # the rest lie on a border between two recv(2)


def test_a_peer_that_does_not_read_is_not_read_from(responder):
    """Or it could fill the memory with answers; once it reads again, it gets all of them."""
    request = Requests("OPTIONS", "TCP", "h", "k").build(1)
    count = 30_000  # 11 MB of answers, more than both socket buffers hold
    with connected(responder.targets[0]) as sock:
        sock.setblocking(False)
        text, sent, got, end = request * count, 0, 0, time.monotonic() + 60
        stalled = False
        while sent < len(text) and not stalled:
            stalled = not select.select([], [sock], [], 0.5)[1]
            with contextlib.suppress(BlockingIOError):
                sent += 0 if stalled else sock.send(text[sent : sent + 65536])
        assert stalled
        tail = b""
        while got < count and time.monotonic() < end:
            readable, writable, _ = select.select([sock], [sock] if sent < len(text) else [], [], 1.0)
            if writable:
                with contextlib.suppress(BlockingIOError):
                    sent += sock.send(text[sent : sent + 65536])
            if readable:
                data = tail + sock.recv(1 << 18)
                got += data.count(b"SIP/2.0 200 OK\r\n")
                tail = data[-15:]
                got -= tail.count(b"SIP/2.0 200 OK\r\n")
        assert got == count


def test_what_is_no_sip_ends_the_connection_and_no_other(responder):
    with connected(responder.targets[0]) as good, connected(responder.targets[0]) as bad:
        bad.sendall(b"\x00\x01\x02\x03")
        assert ended(bad)
        assert status_of(good, "tcp") == 200


@pytest.mark.parametrize("carrier", ["tls", "wss"])
def test_a_session_is_resumed_by_whichever_process_comes(responder, carrier):
    target = next(each for each in responder.targets if each.startswith(carrier))
    context, session, reused = trusting(), None, []
    for _ in range(6):
        with (
            socket.create_connection(("127.0.0.1", port_of(target)), timeout=SOON) as plain,
            context.wrap_socket(plain, session=session) as sock,
        ):
            assert status_of(sock, carrier) == 200  # the ticket has come by now
            reused.append(sock.session_reused)
            session = sock.session
    assert reused == [False] + [True] * 5


def test_a_certificate_of_ones_own(tmp_path):
    pem = tmp_path / "own.pem"
    pem.write_bytes(self_signed(name="own"))
    with Started(["tls:127.0.0.1:0", "--certificate", str(pem)]) as started:
        context = ssl.create_default_context(cafile=str(pem))
        with (
            socket.create_connection(("127.0.0.1", port_of(started.targets[0])), timeout=SOON) as plain,
            context.wrap_socket(plain, server_hostname="own") as sock,
        ):
            assert status_of(sock, "tls") == 200


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["tls:127.0.0.1:0", "--certificate", "/proc/nowhere"], "certificate /proc/nowhere: No such file"),
        (["tls:127.0.0.1:0", "--certificate", "/dev/null"], "certificate /dev/null: "),
        (["tcp:192.0.2.1:0"], "tcp:192.0.2.1:0 can't be listened on: Cannot assign"),
        (["udp:127.0.0.1:5060"], "expected tcp:ADDR:PORT"),
    ],
)
def test_what_can_not_be_served_is_said_in_one_line(argv, says):
    with pytest.raises(KamtcpError, match=says) as caught:
        Started(argv)
    assert "\n" not in str(caught.value)


def test_a_port_that_is_taken(responder):
    taken = responder.targets[0]
    with pytest.raises(KamtcpError, match=f"{taken} can't be listened on: Address already in use"):
        Started([taken])


# -- faults ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def faulty(request):
    with Started([*ALL, "--fault", request.param]) as started:
        yield started


@pytest.mark.parametrize("faulty", ["silent"], indirect=True)
def test_silent(faulty):
    for target in faulty.targets:
        with connected(target) as sock:
            if target.startswith("ws"):
                upgraded(sock)
                sock.sendall(frame(TEXT, Requests("OPTIONS", "WS", "h", "k").build(1), b"abcd"))
            else:
                sock.sendall(Requests("OPTIONS", "TCP", "h", "k").build(1) + b"\r\n\r\n")
            assert silent(sock)


@pytest.mark.parametrize("faulty", ["dribble"], indirect=True)
def test_dribble(faulty):
    with connected(faulty.targets[0]) as sock:
        sock.sendall(b"\r\n\r\n" * 20)
        parts = []
        while sum(map(len, parts)) < 40:
            parts.append(received(sock))
        assert len(parts) >= 4
    for target in faulty.targets[:3:2]:  # whole all the same
        with connected(target) as sock:
            assert status_of(sock, target.split(":")[0]) == 200


@pytest.mark.parametrize("faulty", ["close"], indirect=True)
def test_close(faulty):
    with connected(faulty.targets[0]) as sock:
        assert sock.recv(1) == b""


@pytest.mark.parametrize("faulty", ["reset"], indirect=True)
def test_reset(faulty):
    with pytest.raises(ConnectionResetError), connected(faulty.targets[0]) as sock:
        sock.recv(1)


@pytest.mark.parametrize("faulty", ["garbage"], indirect=True)
def test_garbage(faulty):
    from kamtcp.errors import ParseError

    for target in faulty.targets:
        with connected(target) as sock, pytest.raises(ParseError):
            status_of(sock, target.split(":")[0])


@pytest.mark.parametrize("faulty", ["deaf", "stall-accept"], indirect=True)
def test_deaf_and_stalled(faulty, request):
    with socket.create_connection(("127.0.0.1", port_of(faulty.targets[0])), timeout=SOON) as sock:
        sock.sendall(Requests("OPTIONS", "TCP", "h", "k").build(1))
        assert silent(sock)
        totals = faulty.stop()
    assert (totals.accepted, totals.answered) == (
        1 if request.node.callspec.params["faulty"] == "deaf" else 0,
        0,
    )


@pytest.mark.parametrize("faulty", ["slow-accept"], indirect=True)
def test_slow_accept(faulty):
    begin = time.monotonic()
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connected(faulty.targets[0])) for _ in range(5)]
        for sock in socks:
            sock.sendall(Requests("OPTIONS", "TCP", "h", "k").build(1))
        for sock in socks:
            received(sock)
    assert time.monotonic() - begin > 0.3  # 5 accepts, 0.1 s apart


@pytest.mark.parametrize("faulty", ["http-403"], indirect=True)
def test_http_403(faulty):
    for target in faulty.targets[2:]:
        with connected(target) as sock:
            with pytest.raises(Refused) as caught:
                upgraded(sock)
            assert caught.value.status == 403
            assert ended(sock)


@pytest.mark.parametrize("faulty", ["sip-503"], indirect=True)
def test_sip_503(faulty):
    for target in faulty.targets:
        with connected(target) as sock:
            assert status_of(sock, target.split(":")[0]) == 503


@pytest.mark.parametrize("faulty", ["expired"], indirect=True)
def test_expired(faulty):
    pem = ssl.get_server_certificate(("127.0.0.1", port_of(faulty.targets[1])))
    context = ssl.create_default_context(cadata=pem)
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"), connected(faulty.targets[1], context):
        pass


def test_every_fault_has_a_test():
    text = Path(__file__).read_text()
    assert all(f'"{fault.value}"' in text for fault in Fault)


# -- limits and ends ------------------------------------------------------------------------------------------------


def test_out_of_descriptors_it_waits_and_goes_on():
    limited = ["prlimit", "--nofile=24:24"]
    with Started(["tcp:127.0.0.1:0"], within=limited) as started:
        with contextlib.ExitStack() as stack:
            socks = [stack.enter_context(connected(started.targets[0])) for _ in range(40)]
            served = 0
            for sock in socks:
                sock.sendall(b"\r\n\r\n")
            end = time.monotonic() + SOON
            while served < 8 and time.monotonic() < end:
                served = len(select.select(socks, [], [], 0.1)[0])
            assert 8 <= served < 40
        with connected(started.targets[0]) as sock:  # all the others are gone
            assert status_of(sock, "tcp") == 200
        totals = started.stop()
    assert totals.full >= 1
    assert totals.accepted == 41


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_what_it_did(number):
    with Started(["tcp:127.0.0.1:0", "--processes", "2"]) as started:
        with connected(started.targets[0]) as sock:
            assert status_of(sock, "tcp") == 200
            os.kill(started.ready.pid, number)
            assert ended(sock)
        totals = started.stop()
        pids = {each.pid for each in started.ready.listeners}
    assert (totals.accepted, totals.answered) == (1, 1)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)


def test_it_ends_with_its_parent():
    """And its processes with it, although the parent had no time to say so."""
    script = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-m', 'kamtcp.loadgen.responder', 'tcp:127.0.0.1:0', '--processes', '2',"
        " '--end-with-parent'], stdout=subprocess.PIPE)\n"
        "sys.stdout.write(p.stdout.readline().decode()); sys.stdout.flush(); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        ready = json.loads(parent.stdout.readline())
        parent.kill()
    pids = {ready["pid"], *(each["pid"] for each in ready["listeners"])}
    assert len(pids) == 3
    end = time.monotonic() + SOON
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(alive(pid) for pid in pids)


def test_a_process_that_dies_is_told_of():
    with Started(["tcp:127.0.0.1:0", "--processes", "2"]) as started:
        pid = started.ready.listeners[0].pid
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(KamtcpError, match=f"responder process {pid} was ended by signal 9"):
            wait_and_stop(started)


def wait_and_stop(started: Started) -> None:
    end = time.monotonic() + SOON
    while alive(started.ready.pid) and time.monotonic() < end:
        time.sleep(0.01)
    started.stop()


def alive(pid: int) -> bool:
    """A zombie that nobody has waited for is dead."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] != b"Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
