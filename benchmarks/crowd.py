"""A crowd of real TCP sockets over loopback, held by as many processes as descriptors need.

Meant to run inside a network namespace of its own. Every connection counts as two sockets, both ends are
in this namespace. Sources are spread over 127.0.0.0/8, a /16 per process and a /24 per 250
connections, with explicit ports: kernel-chosen ones cost 50 times more once half the range is used.
One connection in 50 is half closed by its client, so that FIN_WAIT2 and CLOSE_WAIT are there too.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

BASE_PORT = 5060
RESERVE = 100  # descriptors a process keeps for itself
PER_NETWORK = 250
HALF_CLOSED_EACH = 50
LINGER_OFF = struct.pack("ii", 1, 0)  # close with RST: nothing is left behind in TIME_WAIT


def open_here(worker: int, connections: int) -> list[socket.socket]:
    """Open both ends of `connections` connections in this process."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", BASE_PORT + worker))
    listener.listen(16)
    kept = [listener]
    for number in range(connections):
        source = f"127.{16 + worker}.{number // PER_NETWORK}.{1 + number % 9}"
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_OFF)
        client.bind((source, 20000 + number))
        client.connect(("127.0.0.1", BASE_PORT + worker))
        server, _ = listener.accept()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_OFF)
        if number % HALF_CLOSED_EACH == 0:
            client.shutdown(socket.SHUT_WR)
        kept += [client, server]
    return kept


@contextmanager
def crowd(sockets: int) -> Iterator[int]:
    """Hold at least `sockets` connected sockets while the block runs; yields how many there are."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = (sockets + 1) // 2
    each = min((hard - RESERVE) // 2, 20000)
    shares = [each] * (wanted // each) + ([wanted % each] if wanted % each else [])
    if len(shares) > 200:
        raise SystemExit(f"{sockets} sockets need {len(shares)} processes of {hard} descriptors: too many")
    children: list[tuple[int, int]] = []
    hold_r, hold_w = os.pipe()
    try:
        for worker, share in enumerate(shares):
            ready_r, ready_w = os.pipe()
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    os.close(hold_w)
                    kept = open_here(worker, share)
                    os.write(ready_w, b"1")
                    os.read(hold_r, 1)  # until the parent goes, however it goes
                    status = 0 if kept else 1
                finally:
                    os._exit(status)
            os.close(ready_w)
            children.append((pid, ready_r))
        for pid, ready in children:
            if os.read(ready, 1) != b"1":
                raise RuntimeError(f"worker {pid} could not open its sockets")
        yield 2 * wanted
    finally:
        os.close(hold_w)
        os.close(hold_r)
        for pid, ready in children:
            os.close(ready)
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                os.kill(pid, signal.SIGKILL)
