"""The TLS context that all connections of a responder share."""

from __future__ import annotations

import os
import ssl

from kamtcp.errors import KamtcpError
from kamtcp.host.certificate import expired, self_signed
from kamtcp.loadgen.responder.faults import Fault
from kamtcp.loadgen.responder.settings import Settings


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """None where no target speaks TLS.

    Raises:
        KamtcpError: the certificate can't be used, or none could be made.
    """
    if not any(aim.carrier in ("tls", "wss") for aim in settings.aims):
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if settings.certificate is not None:
        return _load(context, settings.certificate, settings.certificate)
    made = expired(name="responder") if settings.fault is Fault.EXPIRED else self_signed(name="responder")
    memory = os.memfd_create("certificate")  # the ssl module reads files only; nothing is left behind
    try:
        os.write(memory, made)
        return _load(context, f"/proc/self/fd/{memory}", "made on the spot")
    finally:
        os.close(memory)


def _load(context: ssl.SSLContext, path: str, name: str) -> ssl.SSLContext:
    try:
        context.load_cert_chain(path)
    except (OSError, ssl.SSLError) as error:
        raise KamtcpError(
            f"certificate {name}: {error.strerror or error}; expected key and certificate, PEM"
        ) from error
    return context
