"""How many sockets are there, and how much memory do their queues hold?

Reads   /proc/net/sockstat and /proc/net/sockstat6
Source  Linux net/ipv4/proc.c sockstat_seq_show(), net/ipv6/proc.c sockstat6_seq_show()
Needs   no privilege
Cost    0.05 ms

Two scopes in one line: `inuse` and `tw` are of this namespace; `orphan`, `alloc` and `mem` are sums over
all namespaces of the machine, as are the bounds tcp_max_orphans and tcp_mem.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import attempt
from kamtcp.observe.kernel_text import integer, net_path, rows, text


class Sockstat(Struct, frozen=True, tag=True):
    """Gauges of sockets.

    Args:
        sockets_used: sockets of all families, this namespace.
        tcp_inuse: TCP over IPv4 in any state but TIME_WAIT, listeners included, this namespace.
        tcp_orphan: closed by their process with unfinished business, whole machine.
        tcp_tw: TIME_WAIT and orphaned FIN_WAIT2 small sockets, both families, this namespace.
        tcp_alloc: TCP sockets allocated, both families, whole machine.
        tcp_mem_pages: queued data, in pages, whole machine; off by up to 1 MiB a CPU.
        udp_inuse: UDP over IPv4, this namespace. udp_mem_pages: as tcp_mem_pages.
        tcp6_inuse, udp6_inuse: over IPv6; absent where the kernel has none.
    """

    sockets_used: int
    tcp_inuse: int
    tcp_orphan: int
    tcp_tw: int
    tcp_alloc: int
    tcp_mem_pages: int
    udp_inuse: int
    udp_mem_pages: int | Absent
    tcp6_inuse: int | Absent
    udp6_inuse: int | Absent


def parse_fields(data: bytes) -> dict[str, int]:
    """Parse either file: "TCP: inuse 5 orphan 0" gives {"TCP.inuse": 5, "TCP.orphan": 0}.

    Raises:
        ParseError: a line without a name, a name without a number.
    """
    source = "/proc/net/sockstat"
    found: dict[str, int] = {}
    for at, line in enumerate(rows(data), start=1):
        head, colon, rest = line.partition(b":")
        words = rest.split()
        if not colon or len(words) % 2:
            raise ParseError(source, "NAME: and pairs of word and number", text(line), at)
        for word, value in zip(words[::2], words[1::2], strict=True):
            found[f"{text(head)}.{text(word)}"] = integer(source, value, at)
    return found


def parse(data: bytes, data6: bytes | Absent) -> Sockstat:
    """Both files together.

    Raises:
        ParseError: one is malformed, or lacks a field that every kernel prints.
    """
    four = parse_fields(data)
    six = data6 if isinstance(data6, Absent) else parse_fields(data6)

    def need(name: str) -> int:
        if name not in four:
            raise ParseError("/proc/net/sockstat", name, sorted(four))
        return four[name]

    def of_six(name: str) -> int | Absent:
        return six if isinstance(six, Absent) else six.get(name, Absent(name, Why.MISSING))

    return Sockstat(
        sockets_used=need("sockets.used"),
        tcp_inuse=need("TCP.inuse"),
        tcp_orphan=need("TCP.orphan"),
        tcp_tw=need("TCP.tw"),
        tcp_alloc=need("TCP.alloc"),
        tcp_mem_pages=need("TCP.mem"),
        udp_inuse=need("UDP.inuse"),
        udp_mem_pages=four.get("UDP.mem", Absent("/proc/net/sockstat UDP mem", Why.MISSING)),
        tcp6_inuse=of_six("TCP6.inuse"),
        udp6_inuse=of_six("UDP6.inuse"),
    )


def collect(host: Host, pid: int | None = None) -> Sockstat:
    """Gauges of the namespace of `pid` (None: the reader's own).

    Raises:
        OSError, ParseError: as reading and parsing gave them; a kernel without IPv6 raises neither.
    """
    path = net_path("sockstat6", pid)
    return parse(host.read(net_path("sockstat", pid)), attempt(path, lambda: host.read(path)))
