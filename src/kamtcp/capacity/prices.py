"""What one connection costs in Kamailio's shared memory, by transport.

Structure and read buffer are one allocation, taken whole at accept (Kamailio src/core/tcp_main.c tcpconn_new()),
so the price of plain TCP follows from three numbers. TLS and WebSocket add what OpenSSL and the websocket
module allocate. Where two snapshots of the same instance show a price, that one is used.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity import reference
from kamtcp.capacity.situation import Situation
from kamtcp.model.absent import Absent
from kamtcp.model.origin import Figure, Origin


class Price(Struct, frozen=True):
    """Bytes of shared memory for one connection, with the numbers it is made of."""

    bytes: float
    working: str
    inputs: tuple[Figure, ...]


def plain(s: Situation) -> Price | Absent:
    """One plain TCP connection."""
    if "tcp" in s.measured_prices:
        return _measured(s, "tcp")
    buffer = s.number("tcp_rd_buf_size")
    if isinstance(buffer, Absent):
        return buffer
    structure = _structure(s)
    manager = s.parameter("shm_manager")
    name = "qm" if isinstance(manager, Absent) else str(manager.value)
    overhead = Figure(reference.ALLOCATOR_BYTES.get(name, 104), f"per fragment of {name}", Origin.REFERENCE)
    read_buffer = s.figure("tcp_rd_buf_size", "tcp_rd_buf_size")
    total = max(1.0, structure.value + read_buffer.value + overhead.value)
    return Price(
        total,
        f"{structure.value:.0f} ({structure.what}) + {read_buffer.value:.0f} ({read_buffer.what})"
        f" + {overhead.value:.0f} ({overhead.what})",
        (structure, read_buffer, overhead),
    )


def _structure(s: Situation) -> Figure:
    """sizeof(struct tcp_connection) of this release; of the newest looked at where the release isn't known."""
    found = s.number("tcp_connection_bytes")
    if isinstance(found, Absent):
        return Figure(
            reference.TCP_CONNECTION_BYTES, "struct tcp_connection, release not known", Origin.ASSUMED
        )
    return s.figure("tcp_connection_bytes", "struct tcp_connection")


def of_mix(s: Situation) -> Price | Absent:
    """One connection of the target's mix, on average."""
    base = plain(s)
    if isinstance(base, Absent):
        return base
    mix = s.mix
    total, working, inputs = base.bytes, base.working, list(base.inputs)
    for share, extra in ((mix.encrypted, tls_extra(s, base)), (mix.ws + mix.wss, websocket_extra())):
        if share > 0:
            total += share * extra.value
            working += f" + {'' if share == 1 else f'{share:.3g} x '}{extra.value:.0f} ({extra.what})"
            inputs.append(extra)
    return Price(total, working, tuple(inputs))


def tls_extra(s: Situation, base: Price) -> Figure:
    """What TLS adds to a connection."""
    if "tls" in s.measured_prices:
        return Figure(s.measured_prices["tls"] - base.bytes, "TLS state", Origin.MEASURED)
    return Figure(
        reference.TLS_STATE_BYTES, "TLS state, OpenSSL 3.0 without client certificate", Origin.REFERENCE
    )


def websocket_extra() -> Figure:
    """What WebSocket adds to a connection."""
    return Figure(reference.WEBSOCKET_BYTES, "WebSocket structure", Origin.REFERENCE)


def _measured(s: Situation, transport: str) -> Price:
    value = Figure(
        s.measured_prices[transport], f"{transport} connection, from two snapshots", Origin.MEASURED
    )
    return Price(value.value, f"{value.value:.0f} ({value.what})", (value,))
