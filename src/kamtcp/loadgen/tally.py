"""Counts of connections, a cause for each that failed. What is offered is answered or failed, always.

A connection counts as answered only after an answer to its question: a server that is out of descriptors or memory
still completes handshakes, because the kernel does.
"""

from __future__ import annotations

from msgspec import Struct, field


class Failures(Struct):
    """Connections that got no answer, by cause. All are counts of connections. `Tally.details` says which, where there are kinds.

    Args:
        refused: RST in answer to the SYN.
        connect_timeout: no open TCP connection in time.
        reset: RST after the connection was open, before an answer.
        closed_before_answer: FIN after the connection was open, before an answer (TLS: after the handshake).
        handshake_timeout: TCP was open, but the TLS or WebSocket handshake didn't finish in time: accepted, never served.
        no_answer: open, but no final response in time: accepted, never served.
        tls: the handshake failed: an alert, an end of stream in it, or no TLS at all.
        http_status: the WebSocket upgrade was refused with another status than 101.
        sip_status: a final response that says no: to OPTIONS one from 500 on or 408, to REGISTER one from 300 on.
        not_sip: something came back that is no SIP (WebSocket: no upgrade, no frame).
        local_ports: the generator's own source ports ran out or were taken.
        local_descriptors: the generator's own descriptors ran out.
        generator_slow: due, but not started before the end, or not looked at for so long that an answer may have been missed.
        abandoned: neither answered nor failed when the load was stopped.
        worker_ended: a process of the generator ended, and with it what it had not settled.
        other: any other error of the generator's system calls.
    """

    refused: int = 0
    connect_timeout: int = 0
    reset: int = 0
    closed_before_answer: int = 0
    handshake_timeout: int = 0
    no_answer: int = 0
    tls: int = 0
    http_status: int = 0
    sip_status: int = 0
    not_sip: int = 0
    local_ports: int = 0
    local_descriptors: int = 0
    generator_slow: int = 0
    abandoned: int = 0
    worker_ended: int = 0
    other: int = 0

    def total(self) -> int:
        return sum(getattr(self, name) for name in self.__struct_fields__)

    def add(self, more: Failures) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(more, name))

    def causes(self) -> dict[str, int]:
        """Those there were."""
        return {name: count for name in self.__struct_fields__ if (count := getattr(self, name))}


class Tally(Struct):
    """Counts of one group of connections.

    `offered == answered + failures.total()` at the end.

    Args:
        offered: connections that were due.
        connected: of these, open (TLS, WebSocket: handshakes complete).
        answered: of these, with the answer they asked for.
        statuses: final responses by status.
        failures: the others, by cause.
        details: cause to which to count: TLS alerts, HTTP and SIP statuses, names of errno.
        lost_closed: answered connections that the server then closed (FIN). lost_reset: that it reset.
        lost_silent: that left a keepalive unanswered.
        keepalives: sent; keepalives_answered: of these, answered.
        challenged: asked again with credentials. resumed: TLS sessions resumed.
        syn_retried: connections open only after 0.5 s and more, or never in time, by retransmissions of the SYN.
        answer_slow: connections whose answer took 0.9 s and more from the question on, by retransmissions (TCP_INFO).
            A SYN that met a full queue shows in `syn_retried`, a final ACK here.
        clients, served, given_up: of a storm: who lost a connection, who has one again, who hasn't; `offered` are their tries.
    """

    offered: int = 0
    connected: int = 0
    answered: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    failures: Failures = field(default_factory=Failures)
    details: dict[str, dict[str, int]] = field(default_factory=dict)
    lost_closed: int = 0
    lost_reset: int = 0
    lost_silent: int = 0
    keepalives: int = 0
    keepalives_answered: int = 0
    challenged: int = 0
    resumed: int = 0
    syn_retried: dict[int, int] = field(default_factory=dict)
    answer_slow: dict[int, int] = field(default_factory=dict)
    clients: int = 0
    served: int = 0
    given_up: int = 0

    @property
    def lost(self) -> int:
        """Answered connections that ended before the generator ended them."""
        return self.lost_closed + self.lost_reset + self.lost_silent

    def note(self, cause: str, which: str) -> None:
        """One more of a kind of failure."""
        kinds = self.details.setdefault(cause, {})
        kinds[which] = kinds.get(which, 0) + 1

    def add(self, more: Tally) -> None:
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(more, name)
            if isinstance(mine, int):
                setattr(self, name, mine + theirs)
        for mine, theirs in (
            (self.statuses, more.statuses),
            (self.syn_retried, more.syn_retried),
            (self.answer_slow, more.answer_slow),
        ):
            for key, count in theirs.items():
                mine[key] = mine.get(key, 0) + count
        for cause, kinds in more.details.items():
            into = self.details.setdefault(cause, {})
            for which, count in kinds.items():
                into[which] = into.get(which, 0) + count
        self.failures.add(more.failures)
