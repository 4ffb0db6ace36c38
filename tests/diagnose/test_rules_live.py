"""Rules on a real Kamailio 5.6.3: what they say of it is tried out, and their lines are run as printed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import TypeVar

import msgspec
import pytest

from kamtcp.cli.document import Document, Judged
from kamtcp.diagnose.finding import Finding
from kamtcp.diagnose.prlimit import CAP_SYS_RESOURCE
from kamtcp.diagnose.verdict import judge
from kamtcp.errors import StandInError
from kamtcp.host.live import Live
from kamtcp.model.instance import Instance, Role
from kamtcp.model.target import Target
from kamtcp.rehearse.kamailio import Running, packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from kamtcp.survey.take import take

T = TypeVar("T")
SRC = str(Path(__file__).parents[2] / "src")
ENV = {**os.environ, "PYTHONPATH": SRC}
pytestmark = [
    pytest.mark.kamailio,
    pytest.mark.skipif(os.geteuid() != 0, reason="a stand-in host needs root"),
    pytest.mark.skipif(
        packages_root() is None,
        reason="no Kamailio: run scripts/fetch_packages.py or set KAMTCP_KAMAILIO_ROOT",
    ),
]
#: a client of a WebSocket: prints the status line, or nothing where the connection is closed
HANDSHAKE = """
import socket
with socket.create_connection(("127.0.0.1", 5060), 5) as client:
    client.settimeout(5)
    client.sendall(b"GET / HTTP/1.1\\r\\nHost: sip1\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n"
                   b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Protocol: sip\\r\\nSec-WebSocket-Version: 13\\r\\n\\r\\n")
    try:
        print(client.recv(4096).partition(b"\\r")[0].decode())
    except OSError:
        pass
"""
#: opens COUNT connections, sends on each, says so, and at the end of its input how many were closed
CLIENT = """
import select, socket, sys, time
held = [socket.create_connection(("127.0.0.1", 5060), 5) for _ in range(int(sys.argv[1]))]
for each in held:
    each.sendall(b"OPTIONS sip:a@b SIP/2.0\\r\\n")
print("sent", flush=True)
sys.stdin.read()
print(len(select.select(held, [], [], 2)[0]), flush=True)
"""


@pytest.fixture
def standin():
    with StandIn(packages_root(), name="sip1") as found:
        yield found


def checked(standin: StandIn, *options: str) -> Judged:
    """The one verdict of `kamtcp check --json` run inside."""
    words = [sys.executable, "-m", "kamtcp", "check", "--json", *options]
    done = standin.run(words, env=ENV, check=False, timeout=60)
    assert done.stdout, done.stderr.decode()
    (judged,) = msgspec.json.decode(done.stdout, type=Document).judged
    return judged


def codes(judged: Judged) -> set[str]:
    return {each.code for each in judged.findings}


def only(judged: Judged, code: str) -> Finding:
    (found,) = (each for each in judged.findings if each.code == code)
    return found


def kamcmd(standin: StandIn, *words: str) -> str:
    return standin.run(["kamcmd", *words]).stdout.decode()


def test_tls_of_5_6_3_with_openssl_3_is_fatal(standin):
    with start_kamailio(standin, config=Scenario(tls_port=5061), nofile=(20000, 20000)):
        found = only(checked(standin), "TLS001")
    assert found.severity.value == "fatal"
    assert "github.com/kamailio/kamailio/issues/3791" in found.evidence
    assert "Kamailio 5.7.5 or later with tls_threads_mode=2" in found.for_good.text


def test_a_target_over_tls_and_websocket_finds_that_nothing_here_speaks_them(standin):
    with start_kamailio(standin, config=Scenario(), nofile=(20000, 20000)):
        plain = checked(standin, "--connections", "100")
        wanted = checked(standin, "--connections", "100", "--tls", "40", "--wss", "10")
    assert not {"TLS003", "CFG030"} & codes(plain)
    assert (plain.target_met is not False, wanted.target_met) == (True, False)
    assert only(wanted, "TLS003").evidence.startswith(
        "the target asks 50 TLS connections, and this Kamailio has not loaded the tls"
    )
    assert "10 WebSockets" in only(wanted, "CFG030").evidence


def test_a_websocket_without_no_content_length_is_refused_until_the_cure_is_run(standin):
    said = []
    with start_kamailio(
        standin, config=Scenario(websocket=True, core=("tcp_accept_no_cl=no",)), nofile=(20000, 20000)
    ):
        found = only(checked(standin), "CFG028")
        said.append(standin.run([sys.executable, "-c", HANDSHAKE]).stdout.decode().strip())
        standin.run(["sh", "-c", found.now.line])
        said.append(standin.run([sys.executable, "-c", HANDSHAKE]).stdout.decode().strip())
        assert "CFG028" not in codes(checked(standin))
    assert "101" not in said[0]
    assert said[1] == "HTTP/1.1 101 Switching Protocols"


def test_what_is_changed_at_run_time_is_told_with_what_becomes_of_it(standin):
    """Not kept, not on the listeners, clamped; and nothing of it before anybody changed anything."""
    with start_kamailio(standin, config=Scenario(tcp_max_connections=1000), nofile=(20000, 20000), log=True):
        told = {"CFG022", "CFG024", "CFG025", "ACC005"}
        assert not told & codes(checked(standin))
        kamcmd(standin, "cfg.set_now_int", "tcp", "conn_wq_max", "65536")
        kamcmd(standin, "cfg.set_now_int", "tcp", "linger2", "20")
        kamcmd(standin, "cfg.set_now_int", "tcp", "max_connections", "2000")
        judged = checked(standin)
        in_force = kamcmd(standin, "core.tcp_options")
    kept = only(judged, "CFG022")
    assert "tcp_conn_wq_max is 65536 by RPC, 32768 in the file (compiled default)" in kept.evidence
    assert "tcp_linger2 is 20 by RPC, 0 on the listeners" in only(judged, "ACC005").evidence
    assert re.search(r"max_connections\(soft\): 1000\b", in_force)  # answered with success, and not done
    assert "it stays at 1,000" in only(judged, "CFG024").evidence


def test_a_file_that_is_newer_than_the_server_is_told(standin):
    with start_kamailio(standin, config=Scenario(tcp_max_connections=1000), nofile=(20000, 20000)):
        path = standin.path("/etc/kamailio/standin.cfg")
        text = Path(path).read_text().replace("tcp_max_connections=1000", "tcp_max_connections=3000")
        Path(path).write_text(text)
        os.utime(path, (2_000_000_000, 2_000_000_000))
        found = only(checked(standin), "CFG025")
    assert (
        "the next start brings tcp_max_connections 1000 -> 3000 (/etc/kamailio/standin.cfg:" in found.evidence
    )


def test_the_command_line_goes_before_the_file_as_kamailio_itself_reports(standin):
    scenario = Scenario(core=("shm_mem_size=128",))
    with start_kamailio(
        standin, config=scenario, args=("-m", "65", "-M", "8", "-N", "3"), nofile=(20000, 20000)
    ):
        found = [each.evidence for each in checked(standin).findings if each.code == "CFG023"]
        memory, readers = kamcmd(standin, "core.shmmem", "m"), kamcmd(standin, "core.tcp_info")
    assert len(found) == 2
    assert any("sets shm_mem_size=128, which has no effect: command line -m 65" in each for each in found)
    assert any("sets tcp_children=4, which has no effect: command line -N 3" in each for each in found)
    assert re.search(r"total: 65\b", memory)
    assert re.search(r"readers: 3\b", readers)


def test_a_file_s_shared_memory_counts_beside_the_default_of_the_command_line(standin):
    with start_kamailio(standin, config=Scenario(core=("shm_mem_size=128",)), nofile=(20000, 20000)):
        assert "CFG023" not in codes(checked(standin))
        assert re.search(r"total: 128\b", kamcmd(standin, "core.shmmem", "m"))


def _bounding() -> int:
    return int(re.search(r"CapBnd:\s*(\w+)", Path("/proc/self/status").read_text())[1], 16)


@pytest.mark.skipif(
    _bounding() >> CAP_SYS_RESOURCE & 1, reason="needs a machine whose root may not raise hard limits"
)
def test_open_files_limit_above_the_hard_one_keeps_the_next_start_from_succeeding(standin):
    """Started as root with -u, where even root lacks CAP_SYS_RESOURCE: it is found, and so it happens."""
    scenario = Scenario(core=("open_files_limit=15000",))
    start = {"args": ("-m", "64", "-M", "8", "-u", "kamailio", "-g", "kamailio"), "user": False}
    # the user is made by a start as that user
    with start_kamailio(standin, config=scenario, nofile=(1024, 20000)):
        pass
    os.chown(standin.path("/run/kamailio"), 990, 990)
    with start_kamailio(standin, config=scenario, nofile=(1024, 20000), **start):
        assert "FDS003" not in codes(checked(standin))
        path = Path(standin.path("/etc/kamailio/standin.cfg"))
        path.write_text(path.read_text().replace("=15000", "=30000"))
        found = only(checked(standin), "FDS003")
    assert "open_files_limit=30,000" in found.evidence
    with pytest.raises(StandInError, match="at start"):
        start_kamailio(standin, config=path.read_text(), nofile=(1024, 20000), **start)


def test_two_kamailios_of_one_user_share_what_may_be_in_flight(standin):
    """Workers that hang, 250 connections with data to each: 500 on their way, 400 allowed. The rest is closed."""
    scenario = Scenario(tcp_max_connections=300)
    own = str(
        100_000 + os.getpid()
    )  # a user that no other test runs as: what is in flight here would be counted there
    start = {"args": ("-m", "64", "-M", "8", "-u", "sip", "-g", "sip"), "user": False}
    with ExitStack() as stack:
        hosts = (standin, stack.enter_context(StandIn(packages_root(), name="sip2")))
        for each in hosts:
            for file, line in (("passwd", f"sip:x:{own}:{own}::/:/bin/false"), ("group", f"sip:x:{own}:")):
                with Path(each.path(f"/etc/{file}")).open("a") as text:
                    text.write(line + "\n")
        running = [
            stack.enter_context(start_kamailio(each, config=scenario, nofile=(400, 20000), log=True, **start))
            for each in hosts
        ]
        snapshot = take(Live())
        seen = [each for each in snapshot.instances if each.attendant in {one.pid for one in running}]
        told = [
            finding
            for each in seen
            for finding in judge(snapshot, each, Target()).findings
            if finding.code == "FDS024"
        ]
        stack.callback(_signal, seen, signal.SIGCONT)
        _signal(seen, signal.SIGSTOP)
        clients = [
            stack.enter_context(
                _closing(each.spawn([sys.executable, "-c", CLIENT, "250"], stdin=PIPE, stdout=PIPE))
            )
            for each in hosts
        ]
        for each in clients:
            assert each.stdout.readline() == b"sent\n"
        logs = _until(
            lambda: [Path(each.log).read_bytes() for each in running],
            lambda found: b"sendmsg failed" in b"".join(found),
        )
        closed = [int(each.communicate(b"", 30)[0]) for each in clients]
    assert len(told) == 2
    assert (
        "up to 400 descriptors are on their way to its 4 workers and up to 400 to those of other Kamailios"
        in told[0].evidence
    )
    assert b"Too many references" in b"".join(logs)
    assert sum(closed) > 0


@contextmanager
def _closing(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    with process:
        try:
            yield process
        finally:
            process.kill()


def _signal(instances: Sequence[Instance], number: int) -> None:
    for instance in instances:
        for worker in instance.of_role(Role.TCP_WORKER):
            with suppress(ProcessLookupError):
                os.kill(worker.pid, number)


def _until(ask: Callable[[], T], enough: Callable[[T], bool], seconds: float = 30.0) -> T:
    """What `ask` gives as soon as it is enough, or in the end."""
    end = time.monotonic() + seconds
    while True:
        found = ask()
        if enough(found) or time.monotonic() > end:
            return found
        time.sleep(0.05)


def test_kamcmd_is_called_where_its_socket_is(standin):
    """From the same network namespace and another mount namespace, the line as printed reaches this Kamailio."""
    enter = ["nsenter", f"--net=/proc/{standin.pid}/ns/net"]

    def outside(kamailio: Running) -> Finding:
        words = [*enter, sys.executable, "-m", "kamtcp", "check", "--json", "--instance", str(kamailio.pid)]
        done = subprocess.run(words, env=ENV, capture_output=True, check=False, timeout=60)
        assert done.stdout, done.stderr.decode()
        (judged,) = msgspec.json.decode(done.stdout, type=Document).judged
        return only(judged, "CFG042")

    with start_kamailio(standin, config=Scenario(), nofile=(20000, 20000)) as kamailio:
        line = outside(kamailio).see.partition(";")[0]
        assert line == f"nsenter -t {kamailio.pid} -m kamcmd core.version"
        said = subprocess.run([*enter, "sh", "-c", line], capture_output=True, check=False, timeout=60)
    assert b"kamailio 5.6.3" in said.stdout, said.stderr
