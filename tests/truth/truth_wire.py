"""A wire between two stand-in hosts that takes its time: two TUN devices, and a thread that carries packets late.

This kernel may have no netem; a far client is needed wherever a handshake must be under way for a while.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import select
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kamtcp.host.namespaces import NetnsThread
from kamtcp.rehearse.standin import StandIn

CLIENTS, SERVER = "10.90.0.0/16", "10.91.0.1"
FIRST_CLIENT = "10.90.0.1"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


@contextmanager
def wire(client: StandIn, server: StandIn, round_trip: float) -> Iterator[list[float]]:
    """Connect them: `CLIENTS` are all addresses of the client host, `SERVER` is one of the server host.

    Args:
        round_trip: seconds, half of it each way.

    Yields:
        one number, kept up to date: the most seconds by which a packet was late beyond that, as on a busy machine.
    """
    ends = (_device(client), _device(server))
    client.run(["ip", "link", "set", "wire", "up"])
    server.run(["ip", "link", "set", "wire", "up"])
    client.run(["ip", "route", "add", "local", CLIENTS, "dev", "lo"])
    client.run(["ip", "route", "add", SERVER, "dev", "wire"])
    server.run(["ip", "route", "add", CLIENTS, "dev", "wire"])
    stop, wake = os.pipe()
    late = [0.0]
    carrier = threading.Thread(target=_carry, args=(ends, round_trip / 2, stop, late))
    carrier.start()
    try:
        yield late
    finally:
        os.close(wake)
        carrier.join()
        for fd in (*ends, stop):
            os.close(fd)


def serve_on_wire(host: StandIn) -> None:
    """The server's address; before a server that binds to it starts."""
    host.run(["ip", "address", "add", f"{SERVER}/32", "dev", "lo"])


def _device(host: StandIn) -> int:
    """A TUN device "wire" in the namespace of a host; its descriptor."""

    def make() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH14x", b"wire", _IFF_TUN | _IFF_NO_PI))
        return fd

    return NetnsThread(host.pid).do(make)


def _carry(ends: tuple[int, int], delay: float, stop: int, late: list[float]) -> None:
    """Until the pipe `stop` closes."""
    under_way: list[tuple[float, int, int, bytes]] = []
    poll = select.poll()
    for fd in (*ends, stop):
        poll.register(fd, select.POLLIN)
    number = 0
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else 1.0
        ready = {fd for fd, _ in poll.poll(wait * 1000)}
        if stop in ready:
            return
        for near, far in (ends, ends[::-1]):
            if near not in ready:
                continue
            due = time.monotonic() + delay
            for _ in range(64):
                try:
                    packet = os.read(near, 65536)
                except BlockingIOError:
                    break
                number += 1
                heapq.heappush(under_way, (due, number, far, packet))
        now = time.monotonic()
        while under_way and under_way[0][0] <= now:
            due, _, far, packet = heapq.heappop(under_way)
            late[0] = max(late[0], now - due)
            try:
                os.write(far, packet)
            except OSError:
                continue  # its host is going
