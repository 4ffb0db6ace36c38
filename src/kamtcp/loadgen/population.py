"""Who takes part in a load: clients of one kind, their transport, their question, how they behave."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

NAME, PATH = "^[A-Za-z0-9][A-Za-z0-9._-]*$", "^/[!-~]*$"
Positive = Annotated[float, Meta(gt=0, le=1_000_000)]
Text = Annotated[str, Meta(min_length=1, max_length=255)]
Name = Annotated[str, Meta(min_length=1, max_length=40, pattern=NAME)]
Question = Literal["options", "register", "crlf", "ping"]
Version = Literal["1.0", "1.1", "1.2", "1.3"]


class Keepalive(Struct, frozen=True):
    """What is sent on a connection that is held.

    Args:
        what: "crlf" is the ping of RFC 5626; "ping" the WebSocket's own, and crlf where there is none.
        every: seconds between two.
    """

    what: Question
    every: Positive


class Credentials(Struct, frozen=True):
    """For digest authentication.

    Args:
        user: `{n}` stands for the number of the connection in its population. password: the same for all.
    """

    password: Text
    user: Text = "load{n}"


class Tls(Struct, frozen=True):
    """How TLS is spoken. None leaves it to OpenSSL.

    Args:
        lowest, highest: versions offered. ciphers: OpenSSL's cipher list, for TLS 1.2 and older.
        verify: the server's certificate must chain to `ca_file` (None: to what the machine trusts).
        server_name: sent as SNI, and checked with `verify`. resume: later connections resume a session.
    """

    lowest: Version | None = None
    highest: Version | None = None
    ciphers: Text | None = None
    verify: bool = False
    ca_file: Text | None = None
    server_name: Text | None = None
    resume: bool = False


class Population(Struct, frozen=True):
    """Clients of one kind.

    Args:
        name: as phases and reports name it. connections: how many clients.
        carrier, port, path: None: as TARGET has it. origin: header of a WebSocket upgrade.
        question: what each asks once it is open; a connection counts when that is answered.
        expires: seconds that a REGISTER asks for.
        sources: prefix of source addresses ("127.1.0.0/16"); None: as the command plans them.
        per_source: connections of one source address, at most.
        behaviour: "normal"; "slow-reader" takes `read_rate` bytes per second from each connection (0: nothing once
            it is open); "silent" opens and sends nothing; "half-message" sends the beginning of a REGISTER.
    """

    name: Name
    connections: Annotated[int, Meta(ge=1, le=10_000_000)]
    carrier: Literal["tcp", "tls", "ws", "wss"] | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    path: Annotated[str, Meta(pattern=PATH, max_length=255)] | None = None
    origin: Text | None = None
    question: Question = "options"
    keepalive: Keepalive | None = None
    credentials: Credentials | None = None
    expires: Annotated[int, Meta(ge=1, le=4_294_967_295)] = 3600
    tls: Tls = field(default_factory=Tls)
    sources: Text | None = None
    per_source: Annotated[int, Meta(ge=1, le=65535)] | None = None
    behaviour: Literal["normal", "slow-reader", "silent", "half-message"] = "normal"
    read_rate: Annotated[int, Meta(ge=0)] | None = None
