"""The client side of TLS without sockets: bytes in, bytes out.

Source  Python ssl, SSLContext.wrap_bio(); RFC 8446
Cost    about 21 KiB of memory per connection (asyncio: 298 KiB)
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

from kamtcp.errors import UsageError
from kamtcp.loadgen.population import Tls

_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}
_SECURE = "1.2"  # the lowest version that OpenSSL speaks unasked


class TlsError(Exception):
    """The peer speaks no TLS, sent an alert, or isn't trusted. `reason`: OpenSSL's word for it, in lower case."""

    def __init__(self, error: ssl.SSLError) -> None:
        self.reason = (error.reason or "no reason given").lower()
        super().__init__(self.reason)


class TlsClient:
    """What all connections of one kind share in a process.

    Raises:
        UsageError: OpenSSL doesn't take these ciphers or that file.
    """

    def __init__(self, how: Tls) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.server_name = how.server_name
        context.check_hostname = how.verify and how.server_name is not None
        if not how.verify:
            context.verify_mode = ssl.CERT_NONE
        try:
            if how.ca_file is not None:
                context.load_verify_locations(how.ca_file)
            elif how.verify:
                context.load_default_certs()
            ciphers = how.ciphers
            if min(how.lowest or _SECURE, how.highest or _SECURE) < _SECURE:
                ciphers = (
                    f"{ciphers or 'DEFAULT'}:@SECLEVEL=0"  # at a higher level OpenSSL 3 doesn't speak them
                )
            if ciphers is not None:
                context.set_ciphers(ciphers)
        except (ssl.SSLError, OSError) as error:
            what = how.ca_file if how.ca_file is not None else how.ciphers
            raise UsageError(f"TLS: expected what OpenSSL takes, got {what!r} ({error})") from error
        if how.lowest is not None:
            context.minimum_version = _VERSIONS[how.lowest]
        elif how.highest is not None and how.highest < _SECURE:
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        if how.highest is not None:
            context.maximum_version = _VERSIONS[how.highest]
        self.context, self.resume = context, how.resume
        self.session: Any = None  # the last one that may be resumed


class TlsStream:
    """One connection's TLS. `out` holds bytes for the peer after each call; take them with `out.read()`."""

    __slots__ = ("_client", "_in", "_tls", "out")

    def __init__(self, client: TlsClient) -> None:
        self._client = client
        self._in, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client.context.wrap_bio(
            self._in, self.out, server_hostname=client.server_name, session=client.session
        )

    def shake(self, data: bytes = b"") -> bool:
        """Take the peer's bytes, go on with the handshake; True once it is complete.

        Raises:
            TlsError: the peer speaks no TLS, sent an alert, or isn't trusted.
        """
        if data:
            self._in.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise TlsError(error) from error
        return True

    @property
    def resumed(self) -> bool:
        """Whether the handshake resumed a session."""
        return bool(self._tls.session_reused)

    def encrypt(self, text: bytes) -> bytes:
        """Bytes that carry `text` to the peer."""
        self._tls.write(text)
        return self.out.read()

    def decrypt(self, data: bytes = b"") -> bytes:
        """The text in the peer's bytes, as far as it is complete; b"" also for records without text.

        Raises:
            TlsError: the record is broken, or the peer sent an alert.
        """
        if data:
            self._in.write(data)
        parts = []
        while True:
            try:
                part = self._tls.read(16384)
            except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                break
            except ssl.SSLError as error:
                raise TlsError(error) from error
            if not part:
                break
            parts.append(part)
        if parts:
            with suppress(ssl.SSLError):
                self._tls.write(
                    b""
                )  # sends nothing, and gives back the 16 KiB that a ticket made OpenSSL take
        if parts and self._client.resume and self._client.session is None:
            self._client.session = self._tls.session  # TLS 1.3: its ticket came before this text
        return b"".join(parts)

    def goodbye(self) -> bytes:
        """A close_notify."""
        with suppress(ssl.SSLError):  # it waits for the peer's, which nobody reads
            self._tls.unwrap()
        return self.out.read()
