"""Makes the recorded dumps beside this file: run in a fresh network namespace with lo up.

    unshare --net sh -c 'ip link set lo up && PYTHONPATH=src python tests/observe/make_dumps.py'

Only loopback addresses and this process's own sockets are in them.
"""

import os
import pathlib
import socket
import time

from kamtcp.host.netlink import dump
from kamtcp.observe import census, inet_diag, sockets, unix_diag

HERE = pathlib.Path(__file__).parent / "dumps"


def listener(family, address, port, **options):
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, options.get("v6only", 0))
    if "defer" in options:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, options["defer"])
    sock.bind((address, port))
    sock.listen(options.get("backlog", 8))
    return sock


def pair(family, server, source, to):
    client = socket.socket(family)
    client.bind(source)
    client.connect(to)
    return client, server.accept()[0]


def main():
    kept = []
    sip = listener(socket.AF_INET, "127.0.0.1", 5060, backlog=100)
    tls = listener(socket.AF_INET6, "::1", 5061, v6only=1)
    dual = listener(socket.AF_INET6, "::", 5080, v6only=0)
    kept.append(listener(socket.AF_INET, "127.0.0.1", 5070, defer=30))
    first = [
        pair(socket.AF_INET, sip, (f"127.0.{number // 3}.9", 20000 + number), ("127.0.0.1", 5060))
        for number in range(6)
    ]
    for number in range(3):
        kept.append(pair(socket.AF_INET6, tls, ("::1", 21000 + number), ("::1", 5061)))
        kept.append(pair(socket.AF_INET, dual, ("127.0.0.7", 22000 + number), ("127.0.0.1", 5080)))
    first[0][0].shutdown(socket.SHUT_WR)  # FIN_WAIT2 and CLOSE_WAIT
    first[1][0].close()
    first[1][1].close()  # TIME_WAIT
    half = socket.socket()
    half.bind(("127.0.0.8", 23000))
    half.connect(("127.0.0.1", 5070))  # SYN_RECV at the listener until data comes
    waiting = socket.create_connection(("127.0.0.1", 5060), source_address=("127.0.0.10", 24000))
    first[2][0].setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    first[2][1].send(b"unread")
    ports = [one.port for one in sockets.parse_listeners(dump(4, sockets.LISTENERS))]

    for _ in range(200):  # the half close may be acknowledged late: FIN_WAIT1 until then
        if census.parse(dump(4, census.REQUEST)).by_state().get("FIN_WAIT2"):
            break
        time.sleep(0.01)

    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    left.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 50000)
    left.send(b"x" * 100)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    control.bind("\0kamtcp-test")
    named = socket.socket(socket.AF_UNIX)
    named.bind("kamailio_ctl")
    os.unlink("kamailio_ctl")
    named.listen(5)

    HERE.mkdir(exist_ok=True)
    for name, request in (
        ("listeners", sockets.LISTENERS),
        ("every", census.REQUEST),
        ("not_established", sockets.NOT_ESTABLISHED),
        ("outbound", sockets.outbound_request(ports)),
        ("memory", inet_diag.request(inet_diag.EVERY, ext=inet_diag.EXT_SKMEMINFO)),
        ("unix", unix_diag.REQUEST),
    ):
        (HERE / f"{name}.bin").write_bytes(dump(inet_diag.NETLINK_SOCK_DIAG, request))
    del right, waiting


if __name__ == "__main__":
    main()
