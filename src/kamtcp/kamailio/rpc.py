"""Which of this Kamailio's RPC endpoints answers, and what it says.

Everything goes through `Host.call`, so all of it works from a recording.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from kamtcp.errors import RpcError, RpcFault
from kamtcp.host.door import Endpoint, Host
from kamtcp.kamailio.commands import decode, encode
from kamtcp.kamailio.values import Values
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import attempt

T = TypeVar("T")

_PATIENCE = 3  # endpoints that may let a question wait before the rest is left alone: a check ends in time
_UNKNOWN = "not found"  # jsonrpcs: "Method Not Found"; ctl: "command X not found"


class Rpc:
    """One running Kamailio, asked over the first endpoint that answers core.version.

    A fault is an answer: an endpoint that refuses core.version works, and is taken.

    Args:
        host: where the endpoints are, `host.within(pid)` for a Kamailio in namespaces of its own.
        endpoints: candidates in order. BINRPC and the datagram first: they have processes of their own, while HTTP
            goes through the TCP workers and hangs when they do.
        timeout: seconds for each call.

    Attributes:
        endpoint: the one in use, or an Absent that names why there is none.
        passed_over: why each candidate before it was not taken, in order.
    """

    endpoint: Endpoint | Absent
    passed_over: tuple[Absent, ...]

    def __init__(self, host: Host, endpoints: Sequence[Endpoint], timeout: float = 2.0) -> None:
        self.host, self.timeout = host, timeout
        passed_over: list[Absent] = []
        silent = 0
        self.endpoint = Absent("Kamailio RPC", Why.MISSING, "no endpoint known")
        for endpoint in endpoints:
            if silent == _PATIENCE:
                passed_over.append(
                    Absent(_named(endpoint), Why.TIMEOUT, f"not asked: {silent} others kept silent")
                )
                break
            found = attempt(_named(endpoint), partial(self._answers, endpoint))
            if not isinstance(found, Absent):
                self.endpoint = endpoint
                break
            passed_over.append(found)
            silent += found.why is Why.TIMEOUT
        if isinstance(self.endpoint, Absent) and passed_over:
            detail = "; ".join(map(str, passed_over))
            self.endpoint = Absent("Kamailio RPC", passed_over[0].why, detail)
        self.passed_over = tuple(passed_over)

    def _answers(self, endpoint: Endpoint) -> bool:
        reply = self.host.call(endpoint, encode(endpoint.transport, "core.version"), self.timeout)
        with suppress(RpcFault):
            decode(endpoint.transport, reply)
        return True

    def ask(self, method: str, *args: int | str) -> Values:
        """The values of one reply.

        Raises:
            RpcFault: Kamailio refused (unknown command, module not loaded, TCP off).
            RpcError: no endpoint answers, or what came is no reply. ParseError: what came is no reply of this kind.
            TimeoutError, OSError: from the transport; the endpoint stays in use, since a stalled server is a finding.
            ValueError: the command is in commands.FORBIDDEN.
        """
        if isinstance(self.endpoint, Absent):
            raise RpcError(str(self.endpoint))
        request = encode(self.endpoint.transport, method, *args)
        return decode(self.endpoint.transport, self.host.call(self.endpoint, request, self.timeout))

    def fact(self, parse: Callable[[Values], T], method: str, *args: int | str) -> T | Absent:
        """`parse` of the reply, or why there is none: MISSING for a command that this server has not."""
        source = " ".join((method, *map(str, args)))
        if isinstance(self.endpoint, Absent):
            return Absent(source, self.endpoint.why, "no RPC endpoint answers")

        def read() -> T | Absent:
            try:
                return parse(self.ask(method, *args))
            except RpcFault as fault:
                if fault.text.lower().endswith(_UNKNOWN):
                    return Absent(source, Why.MISSING, "this Kamailio has no such command")
                raise

        return attempt(source, read)


def _named(endpoint: Endpoint) -> str:
    return f"{endpoint.transport.value} {endpoint.address}"
