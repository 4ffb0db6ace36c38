"""Captured replies, and a real Kamailio for the tests that are marked `kamailio`.

It runs in a stand-in host, with all five kinds of RPC endpoint.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest

from kamtcp.host.door import Endpoint, Transport
from kamtcp.rehearse.kamailio import CTL, Running, start_kamailio
from kamtcp.rehearse.standin import StandIn

T = TypeVar("T")
CAPTURES = Path(__file__).parent / "captures"

CONFIG = """#!KAMAILIO
debug=-1
log_stderror=no
children=1
tcp_children=2
tcp_max_connections=512
listen=tcp:127.0.0.1:25060
loadmodule "kex.so"
loadmodule "corex.so"
loadmodule "pv.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "ctl.so"
loadmodule "cfg_rpc.so"
loadmodule "jsonrpcs.so"
loadmodule "counters.so"
loadmodule "xhttp.so"
modparam("ctl", "binrpc", "unixs:{ctl}")
modparam("ctl", "binrpc", "unixs:{run}/ctl")
modparam("ctl", "binrpc", "tcp:127.0.0.1:2049")
modparam("jsonrpcs", "transport", 7)
modparam("jsonrpcs", "fifo_name", "{run}/rpc.fifo")
modparam("jsonrpcs", "fifo_reply_dir", "{run}/")
modparam("jsonrpcs", "dgram_socket", "{run}/rpc.sock")
request_route {{ exit; }}
event_route[xhttp:request] {{
    if ($hu == "/RPC") {{ jsonrpc_dispatch(); exit; }}
    xhttp_reply("404", "Not Found", "text/plain", "no such page");
}}
"""


class RealKamailio:
    """A running server; `inside` calls something in a thread that is in its network namespace."""

    def __init__(self, running: Running, run: Path) -> None:
        self.run, self.pid = run, running.pid
        self.endpoints = {
            Transport.BINRPC_UNIX: Endpoint(Transport.BINRPC_UNIX, f"{run}/ctl"),
            Transport.BINRPC_TCP: Endpoint(Transport.BINRPC_TCP, "127.0.0.1:2049"),
            Transport.JSON_DGRAM: Endpoint(Transport.JSON_DGRAM, f"{run}/rpc.sock"),
            Transport.JSON_FIFO: Endpoint(Transport.JSON_FIFO, f"{run}/rpc.fifo", str(run)),
            Transport.JSON_HTTP: Endpoint(Transport.JSON_HTTP, "http://127.0.0.1:25060/RPC"),
        }
        self.thread = ThreadPoolExecutor(1, initializer=_enter, initargs=(self.pid,))

    def inside(self, work: Callable[..., T], *args: object, **named: object) -> T:
        return self.thread.submit(work, *args, **named).result(timeout=20)


def _enter(pid: int) -> None:
    import ctypes

    with open(f"/proc/{pid}/ns/net") as net:
        if ctypes.CDLL(None, use_errno=True).setns(
            net.fileno(), 0x40000000
        ):  # CLONE_NEWNET, this thread only
            raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture(scope="session")
def kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKamailio]:
    """A Kamailio with BINRPC over unix and tcp, JSON-RPC over datagram, FIFO and HTTP.

    Its sockets are in a folder of this machine, which a stand-in host sees at the same path.
    """
    root = os.environ.get("KAMTCP_KAMAILIO_ROOT")
    if not root:
        pytest.skip("KAMTCP_KAMAILIO_ROOT is not set: no Kamailio to start")
    if os.geteuid() != 0:
        pytest.skip("namespaces need root")
    run = tmp_path_factory.mktemp("k")
    with (
        StandIn(root, name="five") as host,
        start_kamailio(
            host,
            config=CONFIG.format(run=run, ctl=CTL),
            args=("-m", "32", "-M", "4", "-Y", str(run)),
            user=False,
        ) as running,
    ):
        server = RealKamailio(running, run)
        yield server
        server.thread.shutdown()


def binrpc_capture(name: str) -> tuple[bytes, bytes]:
    """Request and reply of a capture, by its path below captures/ without the suffix."""
    path = next(CAPTURES.glob(f"{name}.binrpc.hex*"))
    lines = dict(line.split(maxsplit=1) for line in path.read_text().splitlines() if line)
    return bytes.fromhex(lines["request"]), bytes.fromhex(lines["reply"])


def json_capture(name: str) -> tuple[bytes, bytes]:
    """Request and reply, as above."""
    path = CAPTURES / f"{name}.json"
    path = path if path.exists() else CAPTURES / f"{name}.jsonrpc.json"
    request, _, reply = path.read_bytes().partition(b"\n")
    return request, reply


@pytest.fixture(scope="session")
def binrpc_reply() -> Callable[[str], bytes]:
    return lambda name: binrpc_capture(name)[1]


@pytest.fixture(scope="session")
def json_reply() -> Callable[[str], bytes]:
    return lambda name: json_capture(name)[1]


@pytest.fixture(scope="session")
def captures() -> dict[str, list[tuple[str, bytes, bytes]]]:
    """All captures as (name, request, reply), by "binrpc" and "json"."""
    hexes = [
        str(p.relative_to(CAPTURES)).split(".binrpc.")[0] for p in sorted(CAPTURES.glob("*/*.binrpc.hex*"))
    ]
    jsons = [
        str(p.relative_to(CAPTURES)).removesuffix(".json").removesuffix(".jsonrpc")
        for p in sorted(CAPTURES.glob("*/*.json"))
    ]
    return {
        "binrpc": [(n, *binrpc_capture(n)) for n in hexes],
        "json": [(n, *json_capture(n)) for n in jsons],
    }
