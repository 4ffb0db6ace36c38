"""The one way in which kamtcp asks Kamailio anything: which commands, in which encoding, and which never.

Only cheap commands are asked. The ones in FORBIDDEN stall live SIP or write into the log of a server that carries
emergency calls; `encode` refuses them, and every request of kamtcp goes through `encode`.

`core.shmmem` is not forbidden but not used either: up to 5.6 it is a 32-bit number and wraps above 4 GiB. `shm.stats`
(corex, from 5.5) and the `shmem:` counters are 64-bit in all versions that have them.

Source: Kamailio src/core/core_cmd.c, src/modules/{corex,kex,tls,websocket}; costs in ARCHITECTURE.md.
"""

from __future__ import annotations

from kamtcp.errors import ParseError
from kamtcp.host.door import Transport
from kamtcp.kamailio import binrpc, jsonrpc
from kamtcp.kamailio.values import Values

FORBIDDEN = {
    "core.tcp_list": "holds the lock of all TCP connections, and logs under it above 16,384; use sock_diag",
    "tls.list": "as core.tcp_list, and takes the write lock of each connection",
    "ws.dump": "holds the WebSocket lock and takes the TCP lock per entry; shows 50 of them",
    "mod.stats": "walks every fragment of shared memory under its lock: over half a second with 100,000 TLS connections",
    "corex.shm_summary": "the same walk, written into the log",
    "corex.shm_status": "the same walk, written into the log",
    "corex.pkg_summary": "writes every fragment of private memory into the log",
}

_BINRPC = (Transport.BINRPC_UNIX, Transport.BINRPC_TCP)


def encode(transport: Transport, method: str, *args: int | str) -> bytes:
    """The request as `transport` wants it.

    Raises:
        ValueError: the command is in FORBIDDEN, or an argument can't be sent.
    """
    if method.strip().lower() in FORBIDDEN:
        raise ValueError(f"{method} is never asked: {FORBIDDEN[method.strip().lower()]}")
    if transport in _BINRPC:
        return binrpc.encode_request(method, args)
    return jsonrpc.encode_request(method, args)


def decode(transport: Transport, reply: bytes) -> Values:
    """The values of a reply that came over `transport`.

    Raises:
        RpcFault: Kamailio refused.
        ParseError: not a reply of this transport.
    """
    try:
        return binrpc.decode_reply(reply) if transport in _BINRPC else jsonrpc.decode_reply(reply)
    except (MemoryError, RecursionError) as error:  # bounded by design; a bug there must not end the run
        raise ParseError(transport.value, "a reply of sane size", reply[:32]) from error
