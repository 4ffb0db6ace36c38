"""The timer chain against a real Kamailio: when an idle and a silently dead peer go, and who closes them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kamtcp.capacity.held_descriptors import WORKER_HOLD_SECONDS
from kamtcp.rehearse.kamailio import packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from stop_rig import predict

SERVER, PHONES = "10.78.0.1", "10.78.0.2"
LIFETIME = 8
#: a timer fires never early by more than tcp main's and the kernel's ticks; late by a tick and a busy machine
EARLY, LATE = 0.5, 3.0
TICKS = 2.0  # more for Kamailio: measured up to 2 s after a lifetime of 8 s, here
ESTABLISHED, FIN_WAIT1, LISTEN = "01", "04", "0A"

# connects, says its port, pings every second if told to, says so when the other side closes
_PEER = """
import socket, sys
s = socket.create_connection((sys.argv[1], 5060), 10)
print(s.getsockname()[1], flush=True)
s.settimeout(1)
while True:
    try:
        if sys.argv[2] == "ping": s.sendall(b"\\r\\n\\r\\n")
        if not s.recv(100): break
    except TimeoutError: pass
print("closed by the server", flush=True)
"""


@contextmanager
def peer(host: StandIn, does: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A peer on that host and its port; killed afterwards."""
    process = host.spawn([sys.executable, "-c", _PEER, SERVER, does], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), process
    finally:
        process.kill()
        process.stdout.close()
        process.wait()


def states(host: StandIn) -> dict[int, str]:
    """State of each connection to the listener, by the peer's port."""
    found: dict[int, str] = {}
    with open(f"/proc/{host.pid}/net/tcp", encoding="ascii") as file:
        for row in file.read().splitlines()[1:]:
            _, local, remote, state, *_ = row.split()
            if local.endswith(":13C4") and state != LISTEN:
                found[int(remote.partition(":")[2], 16)] = state
    return found


def wire(server: StandIn, phones: StandIn) -> None:
    """A cable between them, with fixed link addresses: a dead phone is silence, no failure of ARP."""
    enter = ["nsenter", f"--target={server.pid}", "--net", "--"]
    subprocess.run(
        [*enter, "ip", "link", "add", "wire0", "address", "02:00:00:00:00:01", "type", "veth",
         "peer", "name", "wire1", "address", "02:00:00:00:00:02", "netns", str(phones.pid)],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    for host, device, own, other, link in (
        (server, "wire0", SERVER, PHONES, "02:00:00:00:00:02"),
        (phones, "wire1", PHONES, SERVER, "02:00:00:00:00:01"),
    ):
        host.run(["ip", "address", "add", f"{own}/24", "dev", device])
        host.run(["ip", "link", "set", device, "up"])
        host.run(["ip", "neigh", "replace", other, "lladdr", link, "dev", device, "nud", "permanent"])


@pytest.mark.parametrize("keepalive", [True, False], ids=["keepalive", "lifetime-alone"])
def test_who_closes_and_when_is_as_predicted(keepalive, record_property):
    core = ("tcp_keepidle=2", "tcp_keepintvl=1", "tcp_keepcnt=2") if keepalive else ("tcp_keepalive=no",)
    scenario = Scenario(address=SERVER, tcp_connection_lifetime=LIFETIME, core=core)
    with (
        StandIn(packages_root(), name="sip") as server,
        StandIn(name="phones") as phones,
    ):
        wire(server, phones)
        with start_kamailio(server, config=scenario) as running:
            timers = {each.name: each.seconds for each in predict(running.pid).verdict.ladder.timers}
            # the idle ones never send, so no worker ever holds them: their lifetime counts from accept(2)
            lifetime, probed = timers["tcp-lifetime"], timers["tcp-keepalive"]
            assert isinstance(lifetime, int)
            lifetime -= WORKER_HOLD_SECONDS
            with (
                peer(server, "ping") as (pinging, _),
                peer(server, "nothing") as (idle, waiting),
                peer(phones, "nothing") as (dead, _),
            ):
                opened = time.monotonic()
                phones.run(["ip", "route", "add", "blackhole", f"{SERVER}/32"])  # from here on it is silent
                gone = _watched(server, (idle, dead), opened + lifetime + 4 * LATE)
                assert waiting.stdout is not None
                assert waiting.stdout.readline() == b"closed by the server\n"
                assert states(server)[pinging] == ESTABLISHED  # each ping starts the lifetime anew
    assert set(gone) == {idle, dead}
    after = {port: (at - opened, state) for port, (at, state) in gone.items()}
    record_property("measured", repr(after))
    assert lifetime - EARLY <= after[idle][0] <= lifetime + LATE + TICKS
    seconds, state = after[dead]
    if keepalive:
        # the kernel ends it and no FIN is left to send
        assert isinstance(probed, int)
        assert probed < lifetime - LATE  # else the two could not be told apart
        assert state == ""
        assert probed - EARLY <= seconds <= probed + LATE
    else:
        # Kamailio closes it as it does any idle one; its FIN is never answered
        assert probed is None
        assert state == FIN_WAIT1
        assert lifetime - EARLY <= seconds <= lifetime + LATE + TICKS


def _watched(host: StandIn, ports: tuple[int, ...], until: float) -> dict[int, tuple[float, str]]:
    """When each connection was no longer established (CLOCK_MONOTONIC), and its state then, "" for none."""
    gone: dict[int, tuple[float, str]] = {}
    while len(gone) < len(ports) and time.monotonic() < until:
        now = states(host)
        for port in ports:
            if port not in gone and now.get(port) != ESTABLISHED:
                gone[port] = time.monotonic(), now.get(port, "")
        time.sleep(0.05)
    return gone
