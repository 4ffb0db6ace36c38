"""What a load is aimed at: `tcp:ADDR:PORT`, `tls:ADDR:PORT`, `ws:ADDR:PORT/PATH`, `wss:ADDR:PORT/PATH`."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from msgspec import Struct

from kamtcp.errors import UsageError

CARRIERS = ("tcp", "tls", "ws", "wss")
_FORM = "expected tcp:ADDR:PORT, tls:ADDR:PORT, ws:ADDR:PORT/PATH or wss:ADDR:PORT/PATH"


class Aim(Struct, frozen=True):
    """A server's end.

    Args:
        carrier: "tcp", "tls", "ws" or "wss".
        address: IPv4 or IPv6, without brackets.
        port: its TCP port.
        path: of the WebSocket request, "/" where none is said; "" for tcp and tls.
    """

    carrier: str
    address: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.carrier}:{host}:{self.port}{self.path}"

    @property
    def ip(self) -> IPv4Address | IPv6Address:
        return ip_address(self.address)


def parse(text: str) -> Aim:
    """Read a target as the command line has it. Names are not looked up: a load asks nobody but its target.

    Raises:
        UsageError: it is none; the text says what is wrong with it.
    """
    carrier, colon, rest = text.partition(":")
    if not colon or carrier not in CARRIERS:
        raise UsageError(f"target {text!r}: {_FORM}")
    place, slash, path = rest.partition("/")
    host, colon, port = place.rpartition(":")
    if not colon or not host:
        raise UsageError(f"target {text!r}: no port; {_FORM}")
    if host.startswith("[") != host.endswith("]") or (":" in host and not host.startswith("[")):
        raise UsageError(f"target {text!r}: an IPv6 address stands in brackets, as in {carrier}:[::1]:5060")
    try:
        address = ip_address(host.strip("[]"))
    except ValueError as error:
        raise UsageError(f"target {text!r}: {host} is no IP address (names are not looked up)") from error
    if address.is_multicast or address.is_unspecified:
        raise UsageError(f"target {text!r}: nobody can be connected to at {host}")
    if not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise UsageError(f"target {text!r}: {port!r} is no port of 1 to 65535")
    if slash and carrier not in ("ws", "wss"):
        raise UsageError(f"target {text!r}: {carrier} has no path; ws and wss do")
    if any(ord(letter) <= 32 or ord(letter) > 126 for letter in path):
        raise UsageError(f"target {text!r}: a path is of printable ASCII without spaces")
    websocket = carrier in ("ws", "wss")
    return Aim(carrier, str(address), int(port), f"/{path}" if websocket else "")
