"""What one connection costs in Kamailio's shared memory, by transport.

Structure and read buffer are one allocation, taken whole at accept (Kamailio src/core/tcp_main.c tcpconn_new()),
so the price of plain TCP follows from three numbers. TLS and WebSocket add what OpenSSL and the websocket
module allocate. A price that was measured here (model/price.py) replaces all that.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity import reference
from kamtcp.capacity.situation import Situation
from kamtcp.model.absent import Absent
from kamtcp.model.origin import Figure, Origin, softest
from kamtcp.model.price import TRANSPORTS, Measured, allocator
from kamtcp.model.target import Mix


class Price(Struct, frozen=True):
    """Bytes of shared memory for one connection, with the numbers it is made of."""

    bytes: float
    working: str
    inputs: tuple[Figure, ...]


class Priced(Struct, frozen=True):
    """The price that is reckoned with for one transport.

    Args:
        bytes: of shared memory; Absent where it can't be told.
        origin: as that of its softest part. working: how it came about.
        measured: the spread, where it was measured here.
    """

    transport: str
    bytes: float | Absent
    origin: Origin
    working: str
    measured: Measured | None


def each(s: Situation) -> tuple[Priced, ...]:
    """The prices of the four transports."""
    return tuple(_priced(s, transport) for transport in TRANSPORTS)


def _priced(s: Situation, transport: str) -> Priced:
    alone = {name: float(name == transport) for name in TRANSPORTS}
    price = _of(s, Mix(**alone, why=""))
    if isinstance(price, Absent):
        return Priced(transport, price, Origin.ASSUMED, str(price), None)
    return Priced(
        transport, price.bytes, softest(price.inputs), price.working, s.measured_prices.get(transport)
    )


def plain(s: Situation) -> Price | Absent:
    """One plain TCP connection."""
    if "tcp" in s.measured_prices:
        found = _measured(s, "tcp")
        return Price(found.value, f"{found.value:.0f} ({found.what})", (found,))
    buffer = s.number("tcp_rd_buf_size")
    if isinstance(buffer, Absent):
        return buffer
    structure = _structure(s)
    name = allocator(s.require())
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
    return _of(s, s.mix)


def _of(s: Situation, mix: Mix) -> Price | Absent:
    """Transports that were measured by their own price; the others by plain TCP and what each adds to it."""
    shares = {name: getattr(mix, name) for name in TRANSPORTS}
    total, terms, inputs = 0.0, list[str](), list[Figure]()
    for name in ("tls", "ws", "wss"):
        if name in s.measured_prices and shares[name] > 0:
            _add(figure := _measured(s, name), shares[name], terms)
            total += shares[name] * figure.value
            inputs.append(figure)
            mix, shares[name] = _without(mix, name), 0.0
    left = 1.0 if not terms else sum(shares.values())
    if left <= 1e-12:
        return Price(total, " + ".join(terms), tuple(inputs))
    base = plain(s)
    if isinstance(base, Absent):
        return base
    total += left * base.bytes
    several = len(base.inputs) > 1
    terms.append(
        base.working if left == 1 else f"{left:.3g} x " + (f"({base.working})" if several else base.working)
    )
    inputs += base.inputs
    for share, extra in ((mix.encrypted, tls_extra(s, base)), (mix.ws + mix.wss, websocket_extra(s, base))):
        if share > 0:
            total += share * extra.value
            _add(extra, share, terms)
            inputs.append(extra)
    return Price(total, " + ".join(terms), tuple(inputs))


def _add(figure: Figure, share: float, terms: list[str]) -> None:
    terms.append(f"{'' if share == 1 else f'{share:.3g} x '}{figure.value:.0f} ({figure.what})")


def _without(mix: Mix, name: str) -> Mix:
    return Mix(**{each: 0.0 if each == name else getattr(mix, each) for each in TRANSPORTS}, why=mix.why)


def tls_extra(s: Situation, base: Price) -> Figure:
    """What TLS adds to a connection."""
    if "tls" in s.measured_prices:
        return Figure(
            max(0.0, s.measured_prices["tls"].middle - base.bytes), "TLS state, measured", Origin.MEASURED
        )
    return Figure(
        reference.TLS_STATE_BYTES, "TLS state, OpenSSL 3.0 without client certificate", Origin.REFERENCE
    )


def websocket_extra(s: Situation, base: Price) -> Figure:
    """What WebSocket adds to a connection."""
    if "ws" in s.measured_prices:
        return Figure(
            max(0.0, s.measured_prices["ws"].middle - base.bytes),
            "WebSocket structure, measured",
            Origin.MEASURED,
        )
    return Figure(reference.WEBSOCKET_BYTES, "WebSocket structure", Origin.REFERENCE)


def _measured(s: Situation, transport: str) -> Figure:
    """A measured price, which says how far it can be trusted."""
    found = s.measured_prices[transport]
    spread = "" if found.times == 1 else f"; {found.lowest:.0f} to {found.highest:.0f} in {found.times} times"
    return Figure(max(1.0, found.middle), f"{transport} connection, {found.how}{spread}", Origin.MEASURED)
