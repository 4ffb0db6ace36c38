"""Figures measured by kamtcp's authors, used where this host doesn't show its own. Always marked "reference".

Measured on Debian 12's Kamailio 5.6.3 (OpenSSL 3.0) and builds of 5.7.7, 6.0.7 and 6.1.4, x86-64, Linux 6.18.
"""

from __future__ import annotations

#: sizeof(struct tcp_connection), the largest seen (6.1.4); that of a known release is a parameter of the instance
TCP_CONNECTION_BYTES = 984
#: bytes an allocator adds to each fragment of shared memory (5.6.3)
ALLOCATOR_BYTES = {"qm": 104, "q_malloc": 104, "fm": 72, "f_malloc": 72, "tlsf": 56, "tlsf_malloc": 56}
#: bytes of OpenSSL state of one TLS connection, allocator included, after one request (OpenSSL 3.0, no client certificate)
TLS_STATE_BYTES = 58_500
#: WebSocket structure with its 64 KiB reassembly buffer (Kamailio src/modules/websocket/ws_conn.c wsconn_add())
WEBSOCKET_BYTES = 65_936
#: descriptor hash and epoll array of one io loop (Kamailio src/core/io_wait.h), bytes of private memory per descriptor
PKG_BYTES_PER_DESCRIPTOR = 36
#: private memory that tcp main or a worker uses besides that table: 0.52 MB on 5.6.3, 1.5 MB on 6.1.4
PKG_BASE_BYTES = 1_500_000
#: kernel memory of one accepted idle connection in epoll, where slabinfo may not be read (Linux 6.18, x86-64)
KERNEL_CONNECTION_BYTES = 4_040
#: of that, what a version 1 cgroup is not charged: the socket itself, made in softirq (2,521), less what the accounting of
#: the other objects adds (1,734 charged for each connection, Linux 6.18)
CGROUP_V1_UNCHARGED_BYTES = 2_300
#: shared memory that becomes resident for one idle connection, by transport: a read buffer is untouched until data
#: comes. TLS 1.2, since 1.3 takes less (5.6.3, OpenSSL 3.0)
RESIDENT_BYTES = {"tcp": 5_300, "tls": 49_000, "ws": 40_000, "wss": 70_000}
#: CPU time of tcp main for one connection, microseconds: 28 to accept it, hand it on and take it back, 17 to close it
#: (5.6.3, 10,000 connections with one OPTIONS each, a 2-vCPU machine)
ACCEPT_MICROSECONDS = 45
#: what the per-source scan of 5.7.3+ adds to an accept for each open connection, microseconds
SCAN_MICROSECONDS_PER_CONNECTION = 0.125
#: full TLS 1.3 handshakes a second of one core: 2,800 us of a worker each, ECDSA P-256 and RSA-2048 alike, since
#: OpenSSL's many small pieces of shared memory cost more than its arithmetic (5.6.3, the same machine)
HANDSHAKES_PER_CORE = 350
#: message buffers of the kernel: bytes of bookkeeping for one queued segment
SKB_BYTES = 832
#: packets of one new connection with one request and its answer, seen by the receiving CPU
PACKETS_PER_CONNECTION = 5


def version_tuple(text: str) -> tuple[int, ...]:
    """(5, 6, 3) of "5.6.3" or "6.2.0-dev1"; () of text without numbers."""
    numbers: list[int] = []
    for part in text.split("-", 1)[0].split("."):
        if not (part.isascii() and part.isdigit() and len(part) < 10):
            break
        numbers.append(int(part))
    return tuple(numbers)
