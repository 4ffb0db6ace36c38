"""Servers and phones on cables of their own, phones that fall silent, and a watch on when each connection ended.

A phone falls silent when its server's frames go to a link address that nobody has: it hears nothing and so answers
nothing, while the server sees no failure of ARP, no ICMP and no reset.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Callable

from kamtcp.host.namespaces import NetnsThread
from kamtcp.observe.inet_diag import State
from kamtcp.rehearse.standin import StandIn

NOBODY = "02:00:00:00:00:99"
GONE = 0  # no TCP state has this number
_ALIVE = (State.ESTABLISHED, State.SYN_RECV, State.SYN_SENT)
_OPTIONS = (
    "OPTIONS sip:{server} SIP/2.0\r\nVia: SIP/2.0/TCP {own};branch=z9hG4bK{port}\r\nFrom: <sip:a@{own}>;tag=1\r\n"
    "To: <sip:{server}>\r\nCall-ID: {port}@{own}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


class Cable:
    """A cable between a server and the phones; number `n` gives both addresses below 10.78.n."""

    def __init__(self, server: StandIn, phones: StandIn, n: int) -> None:
        self.server, self.phones, self.n = server, phones, n
        self.address, self.device = f"10.78.{n}.1", f"wire{n}"
        self.inside = NetnsThread(phones.pid)
        self.outside = NetnsThread(server.pid)
        self._links = f"02:00:00:00:{n:02x}:01", f"02:00:00:00:{n:02x}:02"
        self._next = 2
        enter = ["nsenter", f"--target={server.pid}", "--net", "--"]
        subprocess.run(
            [*enter, "ip", "link", "add", self.device, "address", self._links[0], "type", "veth",
             "peer", "name", self.device, "address", self._links[1], "netns", str(phones.pid)],
            check=True, capture_output=True, timeout=30,
        )  # fmt: skip
        for host, own in ((server, self.address), (phones, f"10.78.{n}.254")):
            host.run(["ip", "address", "add", f"{own}/24", "dev", self.device])
            host.run(["ip", "link", "set", self.device, "up"])
        self._neighbour(phones, self.address, self._links[0])

    def source(self) -> str:
        """One more address of the phones, known to the server."""
        address = f"10.78.{self.n}.{self._next}"
        self._next += 1
        self.phones.run(["ip", "address", "add", f"{address}/32", "dev", self.device])
        self._neighbour(self.server, address, self._links[1])
        return address

    def silence(self, address: str) -> None:
        """From here on whoever has that address hears nothing of the server."""
        self._neighbour(self.server, address, NOBODY)

    def _neighbour(self, host: StandIn, address: str, link: str) -> None:
        host.run(["ip", "neigh", "replace", address, "lladdr", link, "dev", self.device, "nud", "permanent"])


class Phone:
    """One connection from an address of its own, and what became of it.

    Attributes:
        since: CLOCK_MONOTONIC of its last traffic; the following are seconds after that, None while it hasn't happened.
        ended: no longer established at the server; `state` is what it was then, `GONE` for no socket at all.
        gone: no socket left at the server. told: the phone had a FIN or a reset.
        pings: when WebSocket pings came.
    """

    def __init__(self, cable: Cable, port: int = 5060, *, half_open: bool = False) -> None:
        self.cable, self.address = cable, cable.source()
        self.socket = cable.inside.do(socket.socket)
        self.socket.bind((self.address, 0))
        self.port = self.socket.getsockname()[1]
        if half_open:  # one SYN, whose answer is lost
            self.falls_silent()
            self.socket.setblocking(False)
            self.socket.connect_ex((cable.address, port))
            self.socket.close()
        else:
            self.socket.settimeout(10)
            self.socket.connect((cable.address, port))
        self.since = time.monotonic()
        self.ended: float | None = None
        self.gone: float | None = None
        self.told: float | None = None
        self.state = GONE
        self.pings: list[float] = []
        self.each_second = b""
        self.answers_pings = False
        self._last_ping = 0.0

    def says(self, *, answered: bool = True) -> Phone:
        """One OPTIONS; waits for the reply, if there is to be one."""
        text = _OPTIONS.format(server=self.cable.address, own=self.address, port=self.port)
        self.socket.sendall(text.encode())
        if answered:
            assert self.socket.recv(4096).startswith(b"SIP/2.0 200")
        self.since = time.monotonic()
        return self

    def close(self) -> None:
        self.socket.close()

    def falls_silent(self) -> Phone:
        self.cable.silence(self.address)
        return self

    def look(self, state: int) -> None:
        """Note what happened until now; `state` is that of the server's end."""
        at = time.monotonic() - self.since
        if self.ended is None and state not in _ALIVE:
            self.ended, self.state = at, state
        if self.gone is None and state == GONE:
            self.gone = at
        if self.told is not None:
            return
        try:
            if self.each_second and at > self._last_ping + 1:
                self._last_ping = at
                self.socket.send(self.each_second)
            while data := self.socket.recv(65536):
                self._hear(data, at)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:
            pass
        self.told = at

    def _hear(self, data: bytes, at: float) -> None:
        """Frames of a WebSocket server are not masked; 0x89 is a ping, 0x8a its answer."""
        if data[:1] == b"\x89":
            self.pings.append(at)
            if self.answers_pings:
                payload = data[2 : 2 + (data[1] & 0x7F)]
                self.socket.send(bytes((0x8A, 0x80 | len(payload))) + bytes(4) + payload)


def states(host: StandIn) -> dict[tuple[str, int], int]:
    """State of each TCP socket of a namespace but listeners, by its peer's address and port."""
    found: dict[tuple[str, int], int] = {}
    with open(f"/proc/{host.pid}/net/tcp", encoding="ascii") as file:
        for row in file.read().splitlines()[1:]:
            _, _, remote, state, *_ = row.split()
            address, _, port = remote.partition(":")
            found[socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port, 16)] = int(state, 16)
    return found


def watch(phones: list[Phone], seconds: float, done: Callable[[], bool]) -> None:
    """Look at all of them until `done`, or for so many seconds."""
    hosts = {id(each.cable.server): each.cable.server for each in phones}
    for each in phones:
        if each.socket.fileno() >= 0:
            each.socket.setblocking(False)
    until = time.monotonic() + seconds
    while time.monotonic() < until and not done():
        now = {key: states(host) for key, host in hosts.items()}
        for each in phones:
            each.look(now[id(each.cable.server)].get((each.address, each.port), GONE))
        time.sleep(0.05)
