"""Servers whose lowest ceiling is a known one; shared by the stop points and the table of truth."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import Struct

from kamtcp.loadgen.order import Carrier
from kamtcp.model.target import Target
from kamtcp.rehearse.scenario import Scenario
from stop_rig import HARD, Climb, ServerEnded

COUNTS, MEMORY = 0.02, 0.05  # allowed, part of what is measured
TRIES = 3  # of a server that aborts in OpenSSL


class Case(Struct, frozen=True):
    """A server whose lowest ceiling is `ceiling`.

    Args:
        causes: how a client may see that it stopped.
        working: words that the arithmetic shows.
    """

    title: str
    ceiling: str
    tolerance: float
    config: Scenario
    causes: frozenset[str]
    working: tuple[str, ...]
    nofile: tuple[int, int] = (HARD, HARD)
    user: bool = True
    target: Target = Target()
    carrier: Carrier = Carrier.TCP


CLOSED = frozenset(("reset", "closed_before_answer"))
NO_TLS = frozenset(("tls", "reset", "closed_before_answer"))
WAITS = frozenset(("no_answer",))

PLAIN = (
    Case(
        "soft RLIMIT_NOFILE 1024", "tcp-main-descriptors", COUNTS, Scenario(tcp_max_connections=2048), WAITS,
        ("1024 (RLIMIT_NOFILE soft of pid",), nofile=(1024, HARD),
    ),
    Case(
        "soft RLIMIT_NOFILE 1024, as root", "tcp-main-descriptors", COUNTS, Scenario(tcp_max_connections=2048), WAITS,
        ("1024 (RLIMIT_NOFILE soft of pid",), nofile=(1024, HARD), user=False,
    ),
    Case(
        "open_files_limit=1500", "tcp-main-descriptors", COUNTS,
        Scenario(tcp_max_connections=4000, open_files_limit=1500), WAITS,
        ("1500 (RLIMIT_NOFILE soft of pid", "from open_files_limit"), nofile=(1024, HARD),
    ),
    Case(
        "tcp_max_connections=2048", "tcp-max-connections", COUNTS, Scenario(tcp_max_connections=2048), CLOSED,
        ("2048 (tcp_max_connections",),
    ),
    Case(
        "-m 64, plain TCP", "shared-memory", MEMORY, Scenario(tcp_max_connections=19000), CLOSED,
        ("16384 (tcp_rd_buf_size)",),
    ),
    Case(
        "-m 64, plain TCP, tcp_rd_buf_size=4096", "shared-memory", MEMORY,
        Scenario(tcp_max_connections=19000, tcp_rd_buf_size=4096), CLOSED, ("4096 (tcp_rd_buf_size)",),
    ),
)  # fmt: skip

ENCRYPTED = (
    Case(
        "tls_max_connections=200", "tls-max-connections", COUNTS, Scenario(tls_port=5061, tls_max_connections=200),
        NO_TLS, ("200 (tls_max_connections",), target=Target(connections=1000, tls=1000), carrier=Carrier.TLS,
    ),
    Case(
        "TLS low-memory guard, -m 64", "tls-memory-guard", MEMORY, Scenario(tls_port=5061, tls_max_connections=4000),
        NO_TLS, ("low_mem_threshold1",), target=Target(connections=2000, tls=2000), carrier=Carrier.TLS,
    ),
    Case(
        "TLS low-memory guard, -m 64, RSA key", "tls-memory-guard", MEMORY,
        Scenario(tls_port=5061, tls_max_connections=4000, key="rsa"), NO_TLS, ("low_mem_threshold1",),
        target=Target(connections=2000, tls=2000), carrier=Carrier.TLS,
    ),
)  # fmt: skip


WEB = (
    Case(
        "-m 64, WS", "shared-memory", MEMORY, Scenario(websocket=True, tcp_max_connections=4000), CLOSED | WAITS,
        ("WebSocket",), target=Target(connections=2000, ws=2000), carrier=Carrier.WS,
    ),
    Case(
        "TLS low-memory guard, -m 64, WSS", "tls-memory-guard", MEMORY,
        Scenario(tls_port=5061, websocket=True, tls_max_connections=4000), NO_TLS, ("low_mem_threshold1",),
        target=Target(connections=2000, wss=2000), carrier=Carrier.WSS,
    ),
    Case(
        "-m 64, TLS, no guard", "shared-memory", MEMORY,
        Scenario(tls_port=5061, tls_max_connections=4000, modparams=(
            'modparam("tls", "low_mem_threshold1", 0)', 'modparam("tls", "low_mem_threshold2", 0)',
        )), NO_TLS | WAITS, (), target=Target(connections=2000, tls=2000), carrier=Carrier.TLS,
    ),
)  # fmt: skip


def first_whole(title: str, one_try: Callable[[], Climb], remark: Callable[[str], None]) -> Climb:
    """This server may abort (OpenSSL 3, no tls_threads_mode): that is told, tried again, and never a match."""
    for number in range(1, TRIES + 1):
        try:
            return one_try()
        except ServerEnded as end:
            remark(f"{title}, try {number} of {TRIES}: {end}")
    pytest.fail(f"{title}: the server aborted in all {TRIES} tries; nothing was compared")
