"""SIP over WebSocket, bytes in and bytes out, both sides.

handshake.py  the HTTP/1.1 upgrade
frames.py     frames and messages

Source  RFC 6455; RFC 7118 (subprotocol "sip": one SIP message is one WebSocket message)
"""

from kamtcp.loadgen.websocket.frames import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    Frames,
    close_frame,
    frame,
)
from kamtcp.loadgen.websocket.handshake import (
    Refused,
    Upgrade,
    UpgradeRequest,
    accept_of,
    client_request,
    new_key,
    read_request,
    refusal,
    server_answer,
    split_head,
)

__all__ = [
    "BINARY",
    "CLOSE",
    "PING",
    "PONG",
    "TEXT",
    "Frame",
    "Frames",
    "Refused",
    "Upgrade",
    "UpgradeRequest",
    "accept_of",
    "client_request",
    "close_frame",
    "frame",
    "new_key",
    "read_request",
    "refusal",
    "server_answer",
    "split_head",
]
