"""Servers that do it wrong, played by the built-in responder: what its clients count."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fault_case import Case
from fault_rig import PORT, TLS_PORT, Found, Stage

from kamtcp.rehearse.standin import StandIn

COUNT = 40
WORDS = ("--connections", str(COUNT), "--rate", "200", "--duration", "1", "--answer-timeout", "2", "--connect-timeout", "2")  # fmt: skip
Wanted = Callable[[dict[str, int]], bool]


def place(carrier: str) -> str:
    """The target of a carrier."""
    port = TLS_PORT if carrier in ("tls", "wss") else PORT
    return f"{carrier}:127.0.0.1:{port}{'/' if carrier in ('ws', 'wss') else ''}"


def against(stage: Stage, fault: str, carrier: str, wanted: Wanted, more: tuple[str, ...] = ()) -> Found:
    """One load on a responder with a fault."""
    with StandIn() as host, stage.responder(host, place(carrier), fault=fault, more=more):
        found = stage.loaded(host, "hold", place(carrier), *WORDS)
    assert wanted(found.result.failures), found.result.failures
    assert found.result.offered == COUNT
    assert not found.codes  # there is no Kamailio to blame
    return found


def only(*causes: str, count: int = COUNT) -> Wanted:
    """All of them failed for these causes, and no other."""
    return lambda failures: sum(failures.get(cause, 0) for cause in causes) == count == sum(failures.values())


def nothing(failures: dict[str, int]) -> bool:
    """Nothing failed."""
    return not failures


def nobody_listens(stage: Stage) -> Found:
    """No server at all: every SYN is answered with RST."""
    with StandIn() as host:
        found = stage.loaded(host, "hold", place("tcp"), "--i-own-this-host", "--no-probe", *WORDS)
    assert found.result.failures == {"refused": COUNT}
    return found


def no_room(stage: Stage) -> Found:
    """Nobody accepts, and the queue holds 11: the rest sends its SYN again, in vain."""
    with (
        StandIn() as host,
        stage.responder(host, place("tcp"), fault="stall-accept", more=("--backlog", "10")),
    ):
        found = stage.loaded(host, "hold", place("tcp"), *WORDS)
    assert found.result.failures == {"no_answer": 11, "connect_timeout": COUNT - 11}
    assert sum(found.result.syn_retried.values()) == COUNT - 11
    return found


def ten_a_second(stage: Stage) -> Found:
    """Accepts 10 a second: those are served whose turn comes in time."""
    with StandIn() as host, stage.responder(host, place("tcp"), fault="slow-accept"):
        found = stage.loaded(host, "hold", place("tcp"), *WORDS)
    failures = found.result.failures
    assert set(failures) == {"no_answer"}
    assert 5 <= found.result.served <= 30
    return found


def expired(stage: Stage, *, verify: bool) -> Found:
    """A certificate of January 2020: matters to those who look."""
    target = place("tls")
    with StandIn() as host, stage.responder(host, target, fault="expired"):
        shown = host.run(["openssl", "s_client", "-connect", f"127.0.0.1:{TLS_PORT}"], check=False).stdout
        begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----\n"
        file = stage.state / "ca.pem"
        file.write_bytes(begin + shown.partition(begin)[2].partition(end)[0] + end)
        found = stage.loaded(host, "hold", target, *WORDS, *(("--verify", str(file)) if verify else ()))
    if not verify:
        assert found.result.served == COUNT
        return found
    assert found.result.failures == {"tls": COUNT}
    (reason,) = found.result.details["tls"]
    assert "expired" in reason
    assert "expired" in found.report
    return found


def _case(  # noqa: PLR0917
    name: str, told: str, fault: str, carrier: str, wanted: Wanted, code: int | None = 1, quick: bool = False
) -> Case:
    return Case(
        name,
        f"{told} ({carrier})",
        partial(against, fault=fault, carrier=carrier, wanted=wanted),
        code,
        quick,
    )


CASES = (
    Case("nobody-listens", "nobody listens", nobody_listens, quick=True),
    _case("silent-tcp", "never answers", "silent", "tcp", only("no_answer"), quick=True),
    _case("silent-tls", "never answers", "silent", "tls", only("no_answer")),
    _case("silent-ws", "never answers", "silent", "ws", only("no_answer")),
    _case("silent-wss", "never answers", "silent", "wss", only("no_answer")),
    _case("dribble-tcp", "answers byte by byte", "dribble", "tcp", nothing, 0, quick=True),
    # a TLS handshake takes it about the 2 s that it is given
    _case("dribble-wss", "answers byte by byte", "dribble", "wss", lambda found: set(found) <= {"handshake_timeout"}, None),
    # what is unread when a server closes turns its FIN into a RST
    _case("close-tcp", "closes after accept", "close", "tcp", only("reset", "closed_before_answer"), quick=True),
    _case("close-tls", "closes after accept", "close", "tls", only("reset", "tls")),
    _case("close-ws", "closes after accept", "close", "ws", only("reset", "closed_before_answer")),
    _case("reset-tcp", "resets after accept", "reset", "tcp", only("reset")),
    _case("reset-wss", "resets after accept", "reset", "wss", only("reset")),
    _case("garbage-tcp", "answers garbage", "garbage", "tcp", only("not_sip"), quick=True),
    _case("garbage-tls", "answers garbage", "garbage", "tls", only("not_sip")),
    _case("garbage-ws", "answers garbage", "garbage", "ws", only("not_sip")),
    _case("garbage-wss", "answers garbage", "garbage", "wss", only("not_sip")),
    _case("deaf-tcp", "accepts, never reads", "deaf", "tcp", only("no_answer")),
    _case("deaf-tls", "accepts, never reads", "deaf", "tls", only("handshake_timeout"), quick=True),
    _case("deaf-ws", "accepts, never reads", "deaf", "ws", only("handshake_timeout")),
    _case("never-accepts", "never accepts, queue of 4,097", "stall-accept", "tcp", only("no_answer")),
    Case("never-accepts-no-room", "never accepts, queue of 11", no_room, quick=True),
    Case("accepts-ten", "accepts 10 a second", ten_a_second),
    _case("http-403-ws", "HTTP 403", "http-403", "ws", only("http_status"), quick=True),
    _case("http-403-wss", "HTTP 403", "http-403", "wss", only("http_status")),
    _case("sip-503-tcp", "SIP 503", "sip-503", "tcp", only("sip_status"), quick=True),
    Case("expired-verified", "certificate expired, verified", partial(expired, verify=True), quick=True),
    Case("expired-unverified", "certificate expired, not verified", partial(expired, verify=False), 0),
)  # fmt: skip
