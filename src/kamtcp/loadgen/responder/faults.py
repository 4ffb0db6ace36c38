"""What a server may do wrong, on order: for tests of those who have to cope with it."""

from __future__ import annotations

import ssl
from enum import Enum

from kamtcp.loadgen.responder.sessions import GOING, Reply, Session, Stream, Tls, WebSocket


class Fault(Enum):
    """By the name that `--fault` has."""

    SILENT = "silent"  # takes everything, answers nothing (TLS and the WebSocket upgrade work)
    DRIBBLE = "dribble"  # answers byte by byte, one each ms
    CLOSE = "close"  # closes (FIN) once it has accepted
    RESET = "reset"  # resets (RST) once it has accepted
    GARBAGE = "garbage"  # answers what is no SIP, no WebSocket
    DEAF = "deaf"  # accepts and never reads
    STALL_ACCEPT = "stall-accept"  # never accepts
    SLOW_ACCEPT = "slow-accept"  # accepts 10 connections a second
    HTTP_403 = "http-403"  # refuses every WebSocket upgrade
    SIP_503 = "sip-503"  # answers every request with 503
    EXPIRED = "expired"  # its certificate held in January 2020


GARBAGE = bytes(range(255, 0, -1)) + b"\r\n\r\n"


class Mute:
    """A session that answers nothing."""

    __slots__ = ("over",)

    def __init__(self) -> None:
        self.over = GOING

    def feed(self, data: bytes) -> bytes:  # noqa: ARG002
        return b""


class Garbage(Mute):
    """A session that answers what nobody understands."""

    __slots__ = ()

    def feed(self, data: bytes) -> bytes:
        return GARBAGE if data else b""


def session_for(carrier: str, reply: Reply, context: ssl.SSLContext | None, fault: Fault | None) -> Session:
    """What a new connection gets.

    Args:
        carrier: "tcp", "tls", "ws" or "wss".
        reply: answers its requests.
        context: for TLS.
        fault: None: none.
    """
    inner: Session
    if fault is Fault.GARBAGE:
        inner = Garbage()
    elif carrier in ("ws", "wss"):
        refuse = 403 if fault is Fault.HTTP_403 else None
        inner = WebSocket(reply, refuse=refuse, mute=fault is Fault.SILENT)
    else:
        inner = Mute() if fault is Fault.SILENT else Stream(reply)
    if carrier in ("tls", "wss"):
        assert context is not None
        return Tls(context, inner)
    return inner
