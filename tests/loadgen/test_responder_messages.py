from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError
from kamtcp.loadgen.digest import parse
from kamtcp.loadgen.responder.answers import Answers
from kamtcp.loadgen.responder.messages import LARGEST, Request, cut
from kamtcp.loadgen.responder.registrar import Door, Guard
from kamtcp.loadgen.responder.sessions import BROKEN, ENDED, GOING, Stream, WebSocket
from kamtcp.loadgen.sip import Requests
from kamtcp.loadgen.sip import Stream as Client
from kamtcp.loadgen.websocket import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    Frame,
    Frames,
    Upgrade,
    client_request,
    frame,
    new_key,
)

OPTIONS = Requests("OPTIONS", "TCP", "192.0.2.1", "k")
REGISTER = Requests("REGISTER", "WS", "192.0.2.1", "k")
MASK = b"abcd"


def request(
    method: str = "REGISTER", *lines: str, via: str = "SIP/2.0/TCP h;branch=z9hG4bK1;rport"
) -> Request:
    head = f"{method} sip:x SIP/2.0\r\nVia: {via}\r\nf: <sip:a@x>;tag=1\r\nt: <sip:a@x>\r\ni: 7@h\r\nCSeq: 1 {method}"
    return Request("\r\n".join((head, *lines)).encode())


def said(answers: Answers, *lines: str, method: str = "REGISTER") -> str:
    return answers.answer(request(method, *lines), "198.51.100.7", 4000).decode()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["ask", "ping", "crlf", "answer", "body"]), max_size=8),
    st.lists(st.integers(1, 90), min_size=1, max_size=8),
)
def test_requests_and_pings_are_cut_out_however_the_stream_is_split(sent, sizes):
    """A single CRLF stands only where a message follows it: two of them would be a ping."""
    text = {
        "ask": OPTIONS.build(5),
        "ping": b"\r\n\r\n",
        "crlf": b"\r\n" + OPTIONS.build(6),
        "answer": b"SIP/2.0 200 OK\r\nl: 3\r\n\r\nabc",
        "body": OPTIONS.build(7).replace(b"Length: 0", b"Length: 4") + b"\r\n\r\n",
    }
    data, rest, found, place = b"".join(text[each] for each in sent), b"", [], 0
    for size in itertools.cycle(sizes):
        if place >= len(data):
            break
        some, rest = cut(rest + data[place : place + size])
        found += [each and each.call_id for each in some]
        place += size
    ids = {"ask": b"k5@load.invalid", "ping": None, "crlf": b"k6@load.invalid", "body": b"k7@load.invalid"}
    assert found == [ids[each] for each in sent if each in ids]
    assert rest == b""


pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            OPTIONS.build(1),
            REGISTER.build(1)[:-2],
            b"\r\n",
            b"OPTIONS ",
            b" SIP/2.0\r\n",
            b"Content-Length: 99999\r\n\r\n",
            b"Via: \r\n",
            b"Authorization: Digest x\r\n",
            b"Expires: -1\r\n",
            b"SIP/2.0 200 OK\r\n\r\n",
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(pieces, max_size=8))
def test_nothing_escapes_from_a_session_whatever_comes(parts):
    answers = Answers(b"t", Door(Guard("pw"), b"t"))
    key = new_key()
    upgraded = WebSocket(lambda each: answers.answer(each, "h", 1))
    assert b" 101 " in upgraded.feed(client_request("h", "/", key))
    plain = Stream(lambda each: answers.answer(each, "h", 1))
    fresh = WebSocket(lambda each: answers.answer(each, "h", 1))
    for part in parts:
        for session, data in ((plain, part), (fresh, part), (upgraded, frame(TEXT, part, MASK))):
            if session.over == GOING:
                session.feed(data)
    with contextlib.suppress(ParseError):
        cut(b"".join(parts))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x16\x03\x01", "a SIP message"),
        (b"GET / HTTP/1.1\r\n\r\n", "METHOD URI SIP/2.0"),
        (b"OPTIONS sip:x SIP/2.0\r\n\r\n", "Via, From, To, Call-ID and CSeq"),
        (b"OPTIONS sip:x SIP/2.0\r\nnothing\r\n\r\n", "a header"),
        (OPTIONS.build(1).replace(b"Content-Length: 0\r\n", b""), "a Content-Length"),
        (OPTIONS.build(1).replace(b"Length: 0", b"Length: 60000"), "at most 49152"),
        (OPTIONS.build(1).replace(b"Length: 0", b"Length: x"), "at most 49152"),
        (b"OPTIONS " + b"x" * 17000, "a head of at most 16384"),
        (b"\rx", "a SIP message"),
    ],
)
def test_what_is_no_request_is_named(data, says):
    with pytest.raises(ParseError, match=says):
        cut(data)
    assert LARGEST == 65536


def test_an_answer_is_one_that_the_generator_understands():
    for requests in (OPTIONS, REGISTER):
        ((asked,), _) = cut(requests.build(3))
        assert asked is not None
        (response,) = Client().feed(Answers(b"t").answer(asked, "192.0.2.9", 40000))
        assert (response.status, response.cseq, response.method) == (200, 1, requests.method)


usual = st.tuples(
    st.sampled_from(["h;rport", "h;rport=5", "h", "a, b", "h;rport;x"]),
    st.sampled_from(["<sip:a@x>", "<sip:a@x>;tag=7"]),
    st.sampled_from(
        ["", "Contact: <sip:a@h>\r\n", "User-Agent: x\r\nSupported: y\r\n", "Via: z\r\n", "l: 5\r\n"]
    ),
    st.sampled_from(["Content-Length: 0", "content-length: 0", "Content-Length: 4"]),
)


@settings(max_examples=100, deadline=None)
@given(usual)
def test_the_short_way_answers_as_the_long_one(parts):
    """Or leaves it to that one; it does take what this generator sends."""
    via, to, more, length = parts
    data = (
        f"OPTIONS sip:x SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: <sip:b@x>;tag=1\r\nTo: {to}\r\n"
        f"Call-ID: 9\r\nCSeq: 3 OPTIONS\r\n{more}{length}\r\n\r\n"
    ).encode()
    answers = Answers(b"t")
    for each in (data, OPTIONS.build(77)):
        short = answers.usual(each, "192.0.2.9", 40000)
        if short:
            ((asked,), rest) = cut(each)
            assert asked is not None
            assert (short, rest) == (answers.answer(asked, "192.0.2.9", 40000), b"")
    assert short
    assert answers.usual(data + b"\r\n\r\n", "h", 1) == b""
    assert Answers(b"t", refuse=503).usual(OPTIONS.build(1), "h", 1) == b""


def test_headers_come_back_and_the_way_is_noted():
    """RFC 3261 sections 8.2.6.2 and 18.2.1, RFC 3581 section 4."""
    answer = said(Answers(b"t"), "Via: SIP/2.0/TCP second", "Record-Route: <sip:p>", method="OPTIONS")
    assert answer.startswith("SIP/2.0 200 OK\r\n")
    assert (
        "Via: SIP/2.0/TCP h;branch=z9hG4bK1;rport=4000;received=198.51.100.7\r\nVia: SIP/2.0/TCP second\r\n"
        in answer
    )
    assert "From: <sip:a@x>;tag=1\r\n" in answer
    assert "Call-ID: 7@h\r\nCSeq: 1 OPTIONS\r\n" in answer
    assert ";tag=" in answer.partition("\r\nTo: ")[2].partition("\r\n")[0]
    joined = Answers(b"t").answer(
        request("OPTIONS", via="SIP/2.0/TCP a;rport=1, SIP/2.0/TCP b;rport"), "h", 1
    )
    assert b"Via: SIP/2.0/TCP a;rport=1;received=h, SIP/2.0/TCP b;rport\r\n" in joined


def test_the_same_request_gets_the_same_tag_and_a_dialogue_keeps_its_own():
    """RFC 3261 section 8.2.7."""
    answers = Answers(b"t")
    assert said(answers) == said(answers)
    assert said(answers) != said(Answers(b"another"))
    dialogue = Request(
        b"OPTIONS sip:x SIP/2.0\r\nv: SIP/2.0/TCP h\r\nf: <sip:a@x>;tag=1\r\nt: <sip:b@x>;tag=2\r\ni: 7\r\nCSeq: 1 OPTIONS"
    )
    assert b"To: <sip:b@x>;tag=2\r\n" in answers.answer(dialogue, "h", 1)


def test_folded_and_compact_headers():
    folded = request("REGISTER", "m: <sip:a@h>", "  ;q=0.5", "Expires:", "\t60")
    assert folded.contacts == [b"<sip:a@h> ;q=0.5"]
    assert folded.expires == b"60"


@pytest.mark.parametrize(
    ("lines", "granted"),
    [
        (["Contact: <sip:a@h>", "Expires: 60"], "Contact: <sip:a@h>;expires=60\r\n"),
        (["Contact: <sip:a@h;ob>;expires=30", "Expires: 60"], "Contact: <sip:a@h;ob>;expires=30\r\n"),
        (["Contact: sip:a@h;expires=30"], "Contact: <sip:a@h>;expires=30\r\n"),
        (["Contact: <sip:a@h>", "Expires: 999999"], "Contact: <sip:a@h>;expires=3600\r\n"),
        (["Contact: <sip:a@h>"], "Contact: <sip:a@h>;expires=3600\r\n"),
        (["Contact: *", "Expires: 0"], ""),
        (["Contact: <sip:a@h>", "Expires: 0"], ""),
        ([], ""),
    ],
)
def test_what_a_registrar_grants(lines, granted):
    answer = said(Answers(b"t"), *lines)
    assert answer.startswith("SIP/2.0 200 OK\r\n")
    assert "".join(f"{line}\r\n" for line in answer.split("\r\n") if line.startswith("Contact")) == granted


def test_what_it_does_not():
    assert said(Answers(b"t"), "Contact: <sip:a@h>", "Expires: soon").startswith("SIP/2.0 400 ")
    assert said(Answers(b"t"), "Contact: <sip:a@h>;expires=x").startswith("SIP/2.0 400 ")
    assert "405 Method Not Allowed" in said(Answers(b"t"), method="INVITE")
    assert said(Answers(b"t"), method="ACK") == ""
    assert said(Answers(b"t", refuse=503), method="OPTIONS").startswith("SIP/2.0 503 ")


@pytest.mark.parametrize("algorithm", [None, "SHA-256"])
def test_a_password_is_asked_for_and_checked(algorithm):
    now = [100.0]
    answers = Answers(
        b"t", Door(Guard("pw", "bob", algorithm=algorithm, lifetime=10), b"t", clock=lambda: now[0])
    )

    def status(
        user: str = "bob", password: str = "pw", realm: str | None = None, change: str = ""
    ) -> tuple[str, bool]:
        first = said(answers).partition("WWW-Authenticate: ")[2].partition("\r\n")[0]
        challenge = parse(first)
        answer = challenge.answer(
            user=user, password=password, method="REGISTER", uri="sip:x", count=1, cnonce="c"
        )
        if change:
            answer = answer.replace(challenge.nonce, change + challenge.nonce[1:])
        now[0] += waited[0]
        second = said(answers, f"Authorization: {answer}")
        return second.split(" ", 2)[1], "stale=true" in second

    waited = [1.0]
    assert status() == ("200", False)
    assert status(password="wrong") == ("401", False)
    assert status(user="eve") == ("401", False)
    assert status(change="f")[0] == "401"  # a nonce that it didn't make
    waited = [11.0]
    assert status() == ("401", True)
    waited = [0.0]
    assert said(answers, "Authorization: Digest nonsense").startswith("SIP/2.0 401 ")
    assert (answers.challenged, answers.answered > answers.challenged) == (answers.answered - 1, True)


def test_any_user_with_one_password():
    answers = Answers(b"t", Door(Guard("pw"), b"t"))
    challenge = parse(said(answers).partition("WWW-Authenticate: ")[2].partition("\r\n")[0])
    for user in ("alice", "bob"):
        answer = challenge.answer(
            user=user, password="pw", method="REGISTER", uri="sip:x", count=1, cnonce="c"
        )
        assert said(answers, f"Authorization: {answer}").startswith("SIP/2.0 200 ")


def test_a_websocket_from_upgrade_to_close():
    answers = Answers(b"t")
    session = WebSocket(lambda each: answers.answer(each, "h", 1))
    key, frames = new_key(), Frames(masked=False)
    first = client_request("h", "/", key) + frame(PING, b"x", MASK)
    rest = Upgrade(key).feed(session.feed(first[:30]) + session.feed(first[30:]))
    assert rest is not None
    assert frames.feed(rest) == (Frame(PONG, b"x"),)
    (answer,) = frames.feed(session.feed(frame(TEXT, REGISTER.build(1), MASK)))
    assert answer.opcode == TEXT
    assert answer.payload.startswith(b"SIP/2.0 200 ")
    (pong,) = frames.feed(session.feed(frame(TEXT, b"\r\n\r\n", MASK)))
    assert pong.payload == b"\r\n"
    assert session.feed(frame(PONG, b"", MASK)) == b""
    (close,) = frames.feed(session.feed(frame(CLOSE, b"\x03\xe8", MASK)))
    assert (close.opcode, close.close_code, session.over) == (CLOSE, 1000, ENDED)


def test_a_websocket_that_breaks_the_protocol_is_told_so():
    fresh = WebSocket(lambda _: b"")
    assert fresh.feed(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert fresh.over == BROKEN
    upgraded = WebSocket(lambda _: b"")
    upgraded.feed(client_request("h", "/", new_key()))
    (close,) = Frames(masked=False).feed(upgraded.feed(frame(TEXT, b"not masked")))
    assert (close.close_code, upgraded.over) == (1002, BROKEN)
