"""What the operator wants to hold."""

from __future__ import annotations

from msgspec import Struct


class Target(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A load to be judged against. All transports together make `connections`.

    Args:
        connections: open connections of every transport, None where not stated.
        tls, ws, wss: how many of them are TLS, WebSocket, secure WebSocket; the rest is plain TCP.
        rate: new connections a second, None where not stated.
        storm, storm_seconds: so many clients come back within so many seconds.
        outbound: connections that Kamailio opens, by "ADDR:PORT".
        outbound_rate: how many of them it opens anew a second, by "ADDR:PORT".
        active_share: part of the connections with unread or unsent data at one moment, 0 to 1.
        registration_seconds, keepalive_seconds: what the phones do; None where not stated.
        clients_per_source: connections from one address (NAT, load balancer), None where not stated.
        middle: seconds after which a load balancer or NAT gateway on the way forgets an idle connection, by name.
    """

    connections: int | None = None
    tls: int = 0
    ws: int = 0
    wss: int = 0
    rate: float | None = None
    storm: int | None = None
    storm_seconds: float = 1.0
    outbound: dict[str, int] = {}
    outbound_rate: dict[str, float] = {}
    active_share: float | None = None
    registration_seconds: int | None = None
    keepalive_seconds: int | None = None
    clients_per_source: int | None = None
    middle: dict[str, int] = {}

    @property
    def stated(self) -> bool:
        """Whether it says anything to be judged against."""
        return bool(self.connections or self.rate or self.storm or self.outbound or self.outbound_rate)


class Mix(Struct, frozen=True):
    """Shares of the transports among all connections; they add up to 1."""

    tcp: float
    tls: float
    ws: float
    wss: float
    why: str

    @property
    def encrypted(self) -> float:
        """Share that needs TLS state: TLS and WSS."""
        return self.tls + self.wss
