"""The client side of TLS without sockets: bytes in, bytes out.

Source  Python ssl, SSLContext.wrap_bio(); RFC 8446
Cost    about 21 KiB of memory per connection (asyncio: 298 KiB)
"""

from __future__ import annotations

import ssl


def client_context(ca_file: str | None = None) -> ssl.SSLContext:
    """What all connections of a process share.

    Args:
        ca_file: PEM file that the server's certificate must chain to; None: any certificate will do, since
            it is the server's capacity that is tried, not its identity.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if ca_file is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(ca_file)
    return context


class TlsStream:
    """One connection's TLS. `out` holds bytes for the peer after each call; take them with `out.read()`."""

    __slots__ = ("_in", "_tls", "out")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._in, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self.out)

    def shake(self, data: bytes = b"") -> bool:
        """Take the peer's bytes, go on with the handshake; True once it is complete.

        Raises:
            ssl.SSLError: the peer speaks no TLS, sent an alert, or isn't trusted.
        """
        if data:
            self._in.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypt(self, text: bytes) -> bytes:
        """Bytes that carry `text` to the peer."""
        self._tls.write(text)
        return self.out.read()

    def decrypt(self, data: bytes = b"") -> bytes:
        """The text in the peer's bytes, as far as it is complete; b"" also for records without text.

        Raises:
            ssl.SSLError: the record is broken, or the peer sent an alert.
        """
        if data:
            self._in.write(data)
        parts = []
        while True:
            try:
                part = self._tls.read(16384)
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                break
            if not part:
                break
            parts.append(part)
        return b"".join(parts)
