"""One kind of clients at work in a worker: how each connects, what it asks, which answer serves it."""

from __future__ import annotations

import os
import socket
from collections import deque
from itertools import chain, cycle

from kamtcp.errors import ParseError
from kamtcp.loadgen.digest import parse_any
from kamtcp.loadgen.program import Asked, Clients
from kamtcp.loadgen.sip import Requests, Response
from kamtcp.loadgen.sources import Block, endpoints
from kamtcp.loadgen.wire import Wire

_CRLF = b"\r\n\r\n"  # a ping; the pong is one line end (RFC 5626 section 4.4.1)
_TRIES = 2  # answers to challenges, one of them to a stale nonce


class Kind:
    """A kind of clients.

    Args:
        what: as the program has it.
        place: of it in the program, which keeps its dialogues apart.
        run: token of this run and worker.
        mine: how many of its clients are this worker's.

    Attributes:
        opened: clients of this worker that were due so far.
        alive: (descriptor, moment it was open, moment) of held ones, in the order in which keepalives are due.
        readers: the same of those that read slowly, in the order in which they read next.
    """

    def __init__(self, what: Clients, place: int, run: str, mine: int) -> None:
        self.what, self.question, self.mine = what, what.question, mine
        self.family = socket.AF_INET6 if ":" in what.address else socket.AF_INET
        self.target = (what.address, what.port)
        bracketed = f"[{what.address}]" if ":" in what.address else what.address
        self.host = f"{bracketed}:{what.port}"
        token = f"{run}{place or ''}x"
        transport = what.carrier.value.upper()
        user = what.credentials.user if what.credentials is not None else "load{n}"
        domain = "load.invalid" if what.credentials is None else bracketed
        self._options = Requests("OPTIONS", transport, self.host, token, user=user, domain=domain)
        self._register = Requests(
            "REGISTER", transport, self.host, token, user=user, domain=domain, expires=what.expires
        )
        self.plain = what.carrier.value == "tcp" or self.question == "nothing"
        self.web = what.carrier.web
        self.slow = what.read_rate is not None
        self.opened = 0
        self.alive: deque[tuple[int, float, float]] = deque()
        self.readers: deque[tuple[int, float, float]] = deque()
        # a second connection of a client comes from one of the same addresses, from a port that the kernel chooses
        again = tuple(dict.fromkeys(block.address for block in what.blocks))
        self.sources = chain(endpoints(what.blocks), cycle(endpoints(Block(each, 0, 1) for each in again)))
        self._tls = None
        if what.carrier.secure:
            from kamtcp.loadgen.tls import TlsClient

            self._tls = TlsClient(what.tls)

    def wire(self) -> Wire:
        """The transport of one connection that isn't plain TCP."""
        upgrade = (self.host, self.what.path, self.what.origin) if self.web else None
        return Wire(self._tls, upgrade)

    def request(self, question: Asked, client: int, serial: int) -> bytes:
        """What is sent to ask; b"" for a WebSocket ping, which only the wire can make."""
        if question == "options":
            return self._options.build(serial, client)
        if question == "register":
            return self._register.build(serial, client)
        if question == "half":
            return self._register.build(serial, client)[:100]
        return _CRLF if question == "crlf" else b""

    def authorized(
        self, question: Asked, response: Response, *, client: int, serial: int, before: int
    ) -> bytes | None:
        """The request once more, with the answer to its challenge.

        Args:
            question: that was asked.
            response: with status 401 or 407.
            client: who asked.
            serial: of the question.
            before: challenges that were answered since the question.

        Returns:
            None if there are no credentials, they were refused, or the challenge isn't spoken here.
        """
        credentials = self.what.credentials
        if credentials is None or before >= _TRIES:
            return None
        requests = self._register if question == "register" else self._options
        try:
            challenge = parse_any(text for _, text in response.challenges)
        except ParseError:
            return None
        if before and not challenge.stale:
            return None
        answer = challenge.answer(
            user=requests.name(client),
            password=credentials.password,
            method=requests.method,
            uri=requests.uri,
            count=1,
            cnonce=os.urandom(8).hex(),
        )
        header = next(name for name, text in response.challenges if _is(text, challenge.nonce))
        return requests.again(serial, client, before + 2, f"{header}: {answer}")

    def serves(self, question: Asked, status: int) -> bool:
        """Whether a final response serves who asked. An OPTIONS that is refused shows a server that answers."""
        if question == "options":
            return status < 500 and status not in (401, 407, 408)
        return status < 300


def _is(text: str, nonce: str) -> bool:
    return nonce.replace('"', '\\"') in text
