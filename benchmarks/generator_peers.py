"""One contender of generator.py in a process of its own: opens connections, asks OPTIONS on each, holds them.

    python benchmarks/generator_peers.py ours|epoll|asyncio tcp|tls ADDRESS PORT COUNT

Prints "held N …" once all are answered, waits for the end of standard input, closes.
"""

from __future__ import annotations

import asyncio
import pathlib
import resource
import select
import socket
import ssl
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "src"))

RESET = struct.pack("ii", 1, 0)
PER_ADDRESS = 1000


def request(address: str, port: int, n: int, transport: str) -> bytes:
    return (
        f"OPTIONS sip:{address}:{port};transport={transport.lower()} SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} load.invalid;branch=z9hG4bKp{n};rport\r\nMax-Forwards: 70\r\n"
        f"From: <sip:load{n}@load.invalid>;tag=p{n}\r\nTo: <sip:{address}:{port}>\r\n"
        f"Call-ID: p{n}@load.invalid\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def source(n: int) -> tuple[str, int]:
    return f"127.0.1.{1 + n // PER_ADDRESS}", 1024 + n % PER_ADDRESS


def said(text: str) -> None:
    """Held: say so, wait until told to end."""
    print(text, flush=True)
    sys.stdin.buffer.read()


def ours(carrier: str, address: str, port: int, count: int) -> None:
    """kamtcp's generator, as many processes as it chooses itself."""
    from kamtcp.loadgen.order import Carrier, Order
    from kamtcp.loadgen.processes import Load
    from kamtcp.loadgen.schedule import AtOnce

    # all are due at once, and the last TLS handshake has to wait for all others
    order = Order(
        address, port, AtOnce(count), carrier=Carrier(carrier), hold_seconds=None, connect_timeout=60.0
    )
    with Load(order, i_own_this_host=True) as load:
        settled = load.wait_settled(120)
        said(f"held {load.progress().held if settled else -1}")
        load.stop()
        result = load.result()
    print(result.cpu_seconds, flush=True)


def epoll(carrier: str, address: str, port: int, count: int) -> None:
    """What one would write in an hour: a plain loop, sockets of the standard library, no statistics."""
    assert carrier == "tcp"
    poll, open_, answered = select.epoll(), {}, 0

    def look(wait: float) -> int:
        got = 0
        for fd, events in poll.poll(wait):
            if events & select.EPOLLOUT:
                poll.modify(fd, select.EPOLLIN)
                open_[fd][0].send(request(address, port, open_[fd][1], "TCP"))
                continue
            data = open_[fd][0].recv(16384)
            if not data.startswith(b"SIP/2.0 200") or not data.endswith(b"\r\n\r\n"):
                raise SystemExit(f"no whole 200: {data[:60]!r}")
            got += 1
        return got

    for n in range(count):
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.bind(source(n))
        open_[sock.fileno()] = (sock, n)
        if sock.connect_ex((address, port)) == 0:
            sock.send(request(address, port, n, "TCP"))
            poll.register(sock, select.EPOLLIN)
        else:
            poll.register(sock, select.EPOLLOUT)
        if n % 128 == 127:
            answered += look(0)
    while answered < count:
        answered += look(1.0)
    said(f"held {answered}")
    for sock, _ in open_.values():
        sock.close()


def plain_asyncio(carrier: str, address: str, port: int, count: int) -> None:
    """asyncio's streams, TLS by its own transport."""
    context = None
    if carrier == "tls":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    kept = []

    async def one(n: int, room: asyncio.Semaphore) -> None:
        async with room:
            reader, writer = await asyncio.open_connection(address, port, ssl=context, local_addr=source(n))
            writer.write(request(address, port, n, carrier.upper()))
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"SIP/2.0 200")
            kept.append((reader, writer))

    async def run() -> None:
        room = asyncio.Semaphore(128)
        await asyncio.gather(*(one(n, room) for n in range(count)))
        said(f"held {len(kept)}")
        for _, writer in kept:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    asyncio.run(run())


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    name, carrier_, address_, port_, count_ = sys.argv[1:]
    begin = time.perf_counter()
    {"ours": ours, "epoll": epoll, "asyncio": plain_asyncio}[name](
        carrier_, address_, int(port_), int(count_)
    )
