"""How full is it? Connections, counters and memory, from decoded RPC replies.

Reads   core.tcp_info, tls.info, shm.stats, pkg.stats, stats.fetchn, stats.get_statistics
Source  Kamailio src/core/core_cmd.c, src/core/tcp_main.c (tcp_get_info), src/modules/corex/corex_rpc_shm.c,
        src/modules/kex/{pkg_stats,core_stats}.c, src/modules/tls/tls_rpc.c, src/modules/websocket/ws_mod.c
Cost    0.2 to 0.3 ms each; counters of several groups come in one request: stats.fetchn tcp: websocket: shmem:
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.kamailio.fields import number, numbers, one_struct, required, structs, text
from kamtcp.kamailio.values import Members, Values
from kamtcp.model.absent import Absent, Why

Counters = dict[str, int]


class TcpInfo(Struct, frozen=True):
    """core.tcp_info. Asked over HTTP, the connection that asks is one of `opened_connections`.

    Args:
        readers: TCP workers. max_connections, max_tls_connections: the hard limits, fixed at start.
        opened_connections: all TCP, TLS and WebSocket, both directions. opened_tls_connections: TLS and WSS among them.
        write_queued_bytes: in all write queues; Absent where the server's 32-bit counter shows below zero.
    """

    readers: int
    max_connections: int
    max_tls_connections: int
    opened_connections: int
    opened_tls_connections: int
    write_queued_bytes: int | Absent


def tcp_info(values: Values) -> TcpInfo:
    """Raises ParseError where a member is missing: all six are in every version since 3.3."""
    method, members = "core.tcp_info", one_struct("core.tcp_info", values)
    queued = required(method, members, "write_queued_bytes")
    return TcpInfo(
        readers=required(method, members, "readers"),
        max_connections=required(method, members, "max_connections"),
        max_tls_connections=required(method, members, "max_tls_connections"),
        opened_connections=required(method, members, "opened_connections"),
        opened_tls_connections=required(method, members, "opened_tls_connections"),
        write_queued_bytes=queued
        if queued >= 0
        else Absent(f"{method} write_queued_bytes", Why.MALFORMED, f"{queued} is below zero"),
    )


class Shm(Struct, frozen=True):
    """Kamailio's shared memory, in bytes but for `fragments`.

    Args:
        total: the pool (-m). used: without the allocator's own overhead. real_used, max_used: with it, now and at most.
        free: `total` − `real_used`, 0 where the server's own difference went below zero.
        free_as_sent: False when it had: memory is exhausted, and the number sent was −9.2e15 or 1.8e19.
    """

    total: int
    free: int
    used: int
    real_used: int
    max_used: int
    fragments: int | Absent
    free_as_sent: bool = True


def shm(values: Values) -> Shm:
    """shm.stats (corex, 5.5 and newer). Raises ParseError where a size is missing."""
    method, members = "shm.stats", one_struct("shm.stats", values)
    size = {
        name: required(method, members, name) for name in ("total", "free", "used", "real_used", "max_used")
    }
    return _shm(size, number(method, members, "fragments"))


def shm_of(counters: Counters) -> Shm | Absent:
    """The same from the `shmem:` counters, for servers without corex or older than 5.5."""
    names = ("total", "free", "used", "real_used", "max_used")
    size = {name: counters[f"shmem:{name}_size"] for name in names if f"shmem:{name}_size" in counters}
    if len(size) < len(names):
        return Absent("counters shmem:", Why.MISSING)
    fragments = counters.get("shmem:fragments")
    return _shm(size, Absent("counter shmem:fragments", Why.MISSING) if fragments is None else fragments)


def _shm(size: dict[str, int], fragments: int | Absent) -> Shm:
    believable = 0 <= size["free"] <= size["total"]
    if not believable:
        size["free"] = 0
    return Shm(**size, fragments=fragments, free_as_sent=believable)


class Pkg(Struct, frozen=True):
    """Private memory of one process, from pkg.stats, in bytes but for `total_frags`.

    A process writes its own row when it allocates: an idle one shows old numbers.

    Args:
        pid: in the PID namespace of the server. rank: role number, negative for the special processes (-4: tcp main).
        free: 0 where the number sent was beyond `total_size`; then `free_as_sent` is False.
        desc: as in core.psx; 5.5 and newer.
    """

    entry: int
    pid: int
    rank: int
    used: int
    free: int
    real_used: int
    total_size: int
    total_frags: int | Absent
    desc: str | Absent
    free_as_sent: bool = True


def pkg(values: Values) -> tuple[Pkg, ...]:
    """pkg.stats, in the order of the process table. Raises ParseError where a size is missing."""
    return tuple(_pkg(row) for row in structs("pkg.stats", values))


def _pkg(row: Members) -> Pkg:
    method = "pkg.stats"
    free, total = _unsigned(required(method, row, "free")), _unsigned(required(method, row, "total_size"))
    return Pkg(
        entry=required(method, row, "entry"),
        pid=required(method, row, "pid"),
        rank=required(method, row, "rank"),
        used=_unsigned(required(method, row, "used")),
        free=free if free <= total else 0,
        real_used=_unsigned(required(method, row, "real_used")),
        total_size=total,
        total_frags=number(method, row, "total_frags"),
        desc=text(method, row, "desc"),
        free_as_sent=free <= total,
    )


def _unsigned(value: int) -> int:
    """BINRPC ints are signed; pkg.stats sends unsigned ones, so 2 GiB and more arrive below zero."""
    return value & 0xFFFFFFFF if value < 0 else value


def counters(values: Values) -> Counters:
    """Counters by name as Kamailio documents it ("tcp:established"), from stats.fetchn or stats.get_statistics.

    A group that this server has not is simply not there: neither command complains about it. Negative or above 2**63
    is what a counter looks like that the server counted down below zero; it is left out, so that it reads as absent.

    Raises:
        ParseError: neither one struct of "group.name" members nor lines "group:name = value".
    """
    pairs: list[tuple[str, int | Absent]] = []
    if len(values) == 1 and isinstance(values[0], Members):
        for name, _ in values[0].pairs:
            group, dot, rest = (name or "").partition(".")
            if not dot:
                raise ParseError("stats.fetchn", "members group.name", name)
            pairs.append((f"{group}:{rest}", number("stats.fetchn", values[0], name or "")))
    else:
        for line in values:
            name, sign, value = line.partition(" = ") if isinstance(line, str) else ("", "", "")
            if not sign or ":" not in name:
                raise ParseError("stats.get_statistics", "group:name = value", line)
            one = Members(((name, value),))
            pairs.append((name, number("stats.get_statistics", one, name)))
    return {name: value for name, value in pairs if not isinstance(value, Absent) and 0 <= value < 1 << 63}


class WsCounters(Struct, frozen=True):
    """Counters of group `websocket:` since start; `…current…` are levels, `ws_max_concurrent…` a high-water mark."""

    ws_current_connections: int | Absent
    ws_max_concurrent_connections: int | Absent
    ws_failed_connections: int | Absent
    ws_successful_handshakes: int | Absent
    ws_failed_handshakes: int | Absent
    ws_local_closed_connections: int | Absent
    ws_remote_closed_connections: int | Absent
    ws_received_frames: int | Absent
    ws_transmitted_frames: int | Absent
    ws_sip_current_connections: int | Absent
    ws_msrp_current_connections: int | Absent


def ws_counters(found: Counters) -> WsCounters:
    """Those of group `websocket:`; each Absent where the module is not loaded."""
    return numbers(WsCounters, "counter", Members(tuple(found.items())), "websocket:")
