"""What is known of one connection whose bytes: the rest of a message, its WebSocket, its TLS.

A session takes the peer's bytes and gives bytes for the peer; it owns no socket.

Source  RFC 6455, RFC 7118; Python ssl, SSLContext.wrap_bio()
Cost    0.7 KiB of memory per WebSocket; 14 KiB per TLS connection (OpenSSL's own) and 0.4 ms of CPU per handshake
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from typing import Protocol

from kamtcp.errors import ParseError
from kamtcp.loadgen import websocket
from kamtcp.loadgen.responder.messages import LARGEST, PING, PONG, Request, cut
from kamtcp.loadgen.websocket import Frames, close_frame, frame, refusal, server_answer, split_head

GOING, ENDED, BROKEN = range(3)  # ENDED: as the protocol has it; BROKEN: the peer broke the protocol
Reply = Callable[[Request], bytes]  # the answer to one request from this peer


class Session(Protocol):
    """One connection's state. `over` is GOING, or else close it once what `feed` gave is sent."""

    over: int

    def feed(self, data: bytes) -> bytes:
        """Bytes for the peer, in answer to bytes of the peer. A breach of the protocol sets `over`; nothing is raised."""


class Stream:
    """SIP as it comes over TCP, and inside of TLS.

    Args:
        reply: answers a request.
    """

    __slots__ = ("_held", "_reply", "over")

    def __init__(self, reply: Reply) -> None:
        self._reply, self._held, self.over = reply, b"", GOING

    def feed(self, data: bytes) -> bytes:
        try:
            found, self._held = cut(self._held + data)
        except ParseError:
            self.over = BROKEN
            return b""
        return b"".join([PONG if each is None else self._reply(each) for each in found])


class WebSocket:
    """The server's side of SIP over WebSocket.

    Args:
        reply: answers a request.
        refuse: HTTP status for every upgrade; None: accept.
        mute: answer nothing once upgraded.
    """

    __slots__ = ("_frames", "_held", "_mute", "_refuse", "_reply", "over")

    def __init__(self, reply: Reply, *, refuse: int | None = None, mute: bool = False) -> None:
        self._reply, self._refuse, self._mute = reply, refuse, mute
        self._held = b""
        self._frames: Frames | None = None  # once upgraded
        self.over = GOING

    def feed(self, data: bytes) -> bytes:
        try:
            return self._upgraded(self._frames, data) if self._frames is not None else self._upgrade(data)
        except ParseError:
            self.over = BROKEN
            return refusal(400) if self._frames is None else close_frame(1002)

    def _upgrade(self, data: bytes) -> bytes:
        self._held += data
        cut = split_head(self._held)
        if cut is None:
            return b""
        if self._refuse is not None:
            self.over = ENDED
            return refusal(self._refuse)
        answer = server_answer(cut[0])
        self._held = b""
        self._frames = Frames(masked=True, largest=LARGEST)
        return answer + (self.feed(cut[1]) if cut[1] else b"")

    def _upgraded(self, frames: Frames, data: bytes) -> bytes:
        out = b""
        for each in frames.feed(data):
            match each.opcode:
                case websocket.PING:
                    out += frame(websocket.PONG, each.payload)
                case websocket.PONG:
                    pass
                case websocket.CLOSE:
                    self.over = ENDED
                    out += frame(websocket.CLOSE, each.payload)
                case _:
                    answer = self._message(each.payload)
                    out += frame(each.opcode, answer) if answer else b""
        return b"" if self._mute else out

    def _message(self, text: bytes) -> bytes:
        """One WebSocket message is one SIP message, so its length need not be said (RFC 7118 section 5)."""
        if text == PING:
            return PONG
        head, mark, _ = text.lstrip(b"\r\n").partition(b"\r\n\r\n")
        if not mark:
            if not text.strip(b"\r\n"):
                return b""
            raise ParseError("SIP request", "a whole message", text)
        return b"" if head.startswith(b"SIP/2.0 ") else self._reply(Request(head))


class Tls:
    """The server's side of TLS around another session.

    Args:
        context: of the server.
        inner: what is spoken inside.
    """

    __slots__ = ("_in", "_inner", "_out", "_shaken", "_tls", "over")

    def __init__(self, context: ssl.SSLContext, inner: Session) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._inner, self._shaken, self.over = inner, False, GOING

    def feed(self, data: bytes) -> bytes:
        self._in.write(data)
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            while text := self._tls.read(16384):
                answer = self._inner.feed(text)
                if answer:
                    self._tls.write(answer)
                if self._inner.over:
                    self.over = self._inner.over
                    self._say_goodbye()
                    break
            else:
                self.over = ENDED  # close_notify
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self.over = BROKEN
        return self._out.read()

    def _say_goodbye(self) -> None:
        with contextlib.suppress(ssl.SSLError):  # the peer's close_notify isn't waited for
            self._tls.unwrap()
