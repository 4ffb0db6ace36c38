"""What lies between SIP and a TCP connection: TLS, a WebSocket, or one in the other. Bytes in, bytes out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kamtcp.errors import ParseError
from kamtcp.loadgen.websocket import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frames,
    Refused,
    Upgrade,
    client_request,
    close_frame,
    frame,
    new_key,
)

if TYPE_CHECKING:
    from kamtcp.loadgen.tls import TlsClient, TlsStream


class WireError(Exception):
    """The transport failed. `cause` as `tally.Failures` names it, `which` as `Tally.details` does."""

    def __init__(self, cause: str, which: str) -> None:
        self.cause, self.which = cause, which
        super().__init__(f"{cause}: {which}")


class Wire:
    """One connection's transport above TCP.

    Args:
        tls: what TLS connections share; None: no TLS.
        upgrade: (host, path, origin) of a WebSocket; None: none.

    Attributes:
        up: whether SIP may be sent. shaking_tls: whether the TLS handshake isn't done. closed: the peer ended it in
            its own words. pongs: WebSocket pongs so far. resumed: TLS session.
    """

    __slots__ = (
        "_frames",
        "_out",
        "_tls",
        "_upgrade",
        "_wanted",
        "closed",
        "pongs",
        "resumed",
        "shaking_tls",
        "up",
    )

    def __init__(self, tls: TlsClient | None, upgrade: tuple[str, str, str | None] | None) -> None:
        self._tls: TlsStream | None = None
        if tls is not None:
            from kamtcp.loadgen.tls import TlsStream

            self._tls = TlsStream(tls)
        self._wanted = upgrade
        self._upgrade: Upgrade | None = None
        self._frames: Frames | None = None
        self._out = b""
        self.shaking_tls = tls is not None
        self.up = self.closed = self.resumed = False
        self.pongs = 0

    def begin(self) -> bytes:
        """What is sent first."""
        if self._tls is not None:
            self._tls.shake()
            return self._tls.out.read()
        self._ask_upgrade()
        return self.drain()

    def take(self, data: bytes) -> tuple[bytes, ...]:
        """The peer's bytes; gives the SIP in them: any piece of a stream, or a message each of a WebSocket.

        Raises:
            WireError: the transport is of no use any more.
        """
        if self._tls is not None:
            data = self._decrypted(data)
        if self._wanted is None:
            return (data,) if data else ()
        try:
            return self._unframed(data)
        except Refused as error:
            raise WireError("http_status", str(error.status)) from error
        except ParseError as error:
            raise WireError("not_sip", "WebSocket") from error

    def wrap(self, text: bytes) -> bytes:
        """Bytes that carry SIP, or a CRLF ping."""
        if self._wanted is not None:
            text = frame(TEXT, text, os.urandom(4))
        return text if self._tls is None else self._tls.encrypt(text)

    def ping(self) -> bytes:
        """Bytes of a WebSocket ping."""
        data = frame(PING, b"", os.urandom(4))
        return data if self._tls is None else self._tls.encrypt(data)

    def drain(self) -> bytes:
        """What the transport itself wants to send now."""
        out, self._out = self._out, b""
        if self._tls is None:
            return out
        return (self._tls.encrypt(out) if out else b"") + self._tls.out.read()

    def goodbye(self) -> bytes:
        """What an orderly end is told with."""
        if not self.up:
            return b""
        bye = close_frame(mask=os.urandom(4)) if self._frames is not None else b""
        if self._tls is None:
            return bye
        return (self._tls.encrypt(bye) if bye else b"") + self._tls.goodbye()

    def _decrypted(self, data: bytes) -> bytes:
        from kamtcp.loadgen.tls import TlsError

        assert self._tls is not None
        try:
            if not self.shaking_tls:
                return self._tls.decrypt(data)
            if not self._tls.shake(data):
                return b""
            self.shaking_tls = False
            self.resumed = self._tls.resumed
            if self._wanted is None:
                self.up = True
            else:
                self._ask_upgrade()
            return self._tls.decrypt()
        except TlsError as error:
            raise WireError("tls", error.reason) from error

    def _ask_upgrade(self) -> None:
        assert self._wanted is not None
        host, path, origin = self._wanted
        key = new_key()
        self._upgrade = Upgrade(key)
        self._out += client_request(host, path, key, origin)

    def _unframed(self, data: bytes) -> tuple[bytes, ...]:
        if self._upgrade is not None and data:
            rest = self._upgrade.feed(data)
            if rest is None:
                return ()
            self._upgrade, self._frames, self.up = None, Frames(masked=False), True
            data = rest
        if self._frames is None or not data:
            return ()
        texts = []
        for each in self._frames.feed(data):
            if each.opcode in (TEXT, BINARY):
                texts.append(each.payload)
            elif each.opcode == PING:
                self._out += frame(PONG, each.payload, os.urandom(4))
            elif each.opcode == PONG:
                self.pongs += 1
            elif each.opcode == CLOSE:
                self.closed = True
        return tuple(texts)
