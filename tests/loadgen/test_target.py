"""What a load is aimed at."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamtcp.errors import UsageError
from kamtcp.loadgen.target import Aim, parse


@pytest.mark.parametrize(
    ("text", "aim"),
    [
        ("tcp:127.0.0.1:5060", Aim("tcp", "127.0.0.1", 5060)),
        ("tls:[::1]:5061", Aim("tls", "::1", 5061)),
        ("ws:127.0.0.1:8080/sip/x?y=1", Aim("ws", "127.0.0.1", 8080, "/sip/x?y=1")),
        ("wss:127.0.0.1:443", Aim("wss", "127.0.0.1", 443, "/")),
    ],
)
def test_a_target_is_read(text, aim):
    assert parse(text) == aim
    assert parse(str(aim)) == aim


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected tcp:ADDR:PORT"),
        ("127.0.0.1:5060", "expected tcp:ADDR:PORT"),
        ("udp:127.0.0.1:5060", "expected tcp:ADDR:PORT"),
        ("tcp:127.0.0.1", "no port"),
        ("tcp::5060", "no port"),
        ("tcp:127.0.0.1:0", "'0' is no port"),
        ("tcp:127.0.0.1:65536", "is no port"),
        ("tcp:127.0.0.1:sip", "'sip' is no port"),
        ("tcp:127.0.0.1:٥", "is no port"),
        ("tcp:::1:5060", "in brackets"),
        ("tcp:[::1:5060", "in brackets"),
        ("tcp:sip.example.org:5060", "names are not looked up"),
        ("tcp:0.0.0.0:5060", "nobody can be connected to"),
        ("tcp:224.0.0.1:5060", "nobody can be connected to"),
        ("tcp:127.0.0.1:5060/x", "has no path"),
        ("ws:127.0.0.1:80/a b", "printable ASCII"),
        ("ws:127.0.0.1:80/a\r\nHost: x", "printable ASCII"),
    ],
)
def test_what_is_none_is_told_in_one_line(text, says):
    with pytest.raises(UsageError) as error:
        parse(text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(UsageError):
        parse(text)
