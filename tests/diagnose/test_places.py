"""A finding about a Kamailio parameter points at what is to change, wherever that stands."""

from __future__ import annotations

import pytest

from kamtcp.diagnose.places import change
from kamtcp.host.door import Endpoint
from kamtcp.kamailio import cmdline
from kamtcp.kamailio.config import read_config
from kamtcp.kamailio.rpc import Rpc
from kamtcp.survey import parameters
from situations import situation, verdict

MAIN = "/etc/kamailio/kamailio.cfg"
FILES = {
    MAIN: b"""#!KAMAILIO
#!trydef LIMIT 900
include_file "tcp.cfg"
loadmodule "websocket"
modparam("tm|websocket", "timer_interval", 1)
""",
    "/etc/kamailio/tcp.cfg": b"""tcp_poll_method=select
tcp_max_connections=LIMIT
tcp_max_connections=1000
tcp_children=1
msg_recv_max_size=1000
tcp_msg_data_timeout=0
mlock_pages=yes
""",
}


class Silent:
    """A host on which no Kamailio answers."""

    def call(self, endpoint: Endpoint, request: bytes, timeout: float = 2.0) -> bytes:
        raise ConnectionRefusedError


def derived(*options: str):
    """Parameters as they come from FILES and options."""
    line = cmdline.parse("\0".join(["kamailio", *options, ""]).encode())

    def open_file(path: str) -> bytes:
        if path not in FILES:
            raise FileNotFoundError(2, "No such file or directory", path)
        return FILES[path]

    config = read_config(open_file, MAIN, line.defines, environ={}, version=(6, 1, 4))
    return parameters.collect(Rpc(Silent(), []), line, config, "6.1.4")


def found(code: str, *options: str):
    """The finding of a code."""
    judged = verdict(parameters=derived(*options), target={"connections": 30_000, "ws": 20_000})
    return next(each for each in judged.findings if each.code == code)


@pytest.mark.parametrize(
    ("code", "places"),
    [
        ("CFG006", ("/etc/kamailio/tcp.cfg:1",)),  # tcp_poll_method
        ("CFG020", ("/etc/kamailio/tcp.cfg:5",)),  # msg_recv_max_size
        ("CFG005", ("/etc/kamailio/tcp.cfg:6",)),  # tcp_msg_data_timeout
        ("TIM004", (f"{MAIN}:5",)),  # websocket's timer_interval, in a module list
    ],
)
def test_a_line_of_an_included_file_or_a_modparam_is_named(code, places):
    finding = found(code)
    assert finding.places == places


def test_the_cure_names_the_line_that_counts_not_the_first_one():
    assert "tcp_max_connections=33000 in /etc/kamailio/tcp.cfg:3;" in found("CFG010").for_good.text


def test_an_option_that_overrules_the_file_is_named_in_place_of_it():
    finding = found("CFG006", "-W", "select")
    assert "(command line -W)" in finding.evidence
    assert finding.places == ()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "in /etc/kamailio/tcp.cfg:4"),
        (("-N", "1"), "in place of -N 1 of its command line"),
        (("-N0",), "in /etc/kamailio/kamailio.cfg"),
    ],
)
def test_a_cure_names_the_line_or_the_option(options, said):
    assert change(situation(parameters=derived(*options)), "tcp_children") == said
