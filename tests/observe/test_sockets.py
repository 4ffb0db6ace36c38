"""Listeners, states and outbound connections, from dumps recorded by make_dumps.py and made-up ones."""

import pathlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError
from kamtcp.model.absent import Absent
from kamtcp.observe import inet_diag, sockets

DUMPS = pathlib.Path(__file__).parent / "dumps"


def dump(name):
    return (DUMPS / f"{name}.bin").read_bytes()


def damaged(data):
    """The dump with some bytes changed, and cut somewhere."""
    changes = st.lists(st.tuples(st.integers(0, len(data) - 1), st.integers(0, 255)), max_size=6)
    return st.builds(_damage, st.just(data), changes, st.integers(0, len(data)))


def _damage(data, changes, keep):
    changed = bytearray(data)
    for at, value in changes:
        changed[at] = value
    return bytes(changed[:keep])


class Recorded:
    """A host that holds one answer, for the request it was given to."""

    def __init__(self, request, answer):
        self.request, self.answer = request, answer

    def netlink(self, protocol, request):
        assert (protocol, request) == (4, self.request)
        return self.answer


def test_listeners_of_both_families_are_read():
    """Four listeners: IPv4, IPv6 only, dual stack, and one that defers; a connection waits in the first."""
    found = sockets.listeners(Recorded(sockets.LISTENERS, dump("listeners")))
    assert [(one.address, one.port, one.rqueue, one.wqueue, one.v6only) for one in found] == [
        ("127.0.0.1", 5060, 1, 100, False),
        ("::1", 5061, 0, 8, True),
        ("127.0.0.1", 5070, 0, 8, False),
        ("::", 5080, 0, 8, False),
    ]
    assert [one.drops for one in found] == [0, 0, 1, 0]
    assert all(one.inode and one.uid == 0 and one.interface == 0 for one in found)


def test_a_listener_without_attributes_says_what_is_missing():
    """Drops that were not reported are absent, never 0."""
    whole = dump("every")
    [first, *_] = [bytes(m[:132]) for length, m in inet_diag.groups(whole) if length == 132]
    bare = struct.pack("=I", 88) + first[4:88]
    [found] = sockets.parse_listeners(bare)
    assert isinstance(found.drops, Absent)
    assert isinstance(found.v6only, Absent)


def test_states_are_counted_by_state_and_port():
    """SYN_RECV stands with its listening port; CLOSE_WAIT is taken off CurrEstab where the kernel counts it."""
    host = Recorded(sockets.NOT_ESTABLISHED, dump("not_established"))
    found = sockets.states(host, 24, close_wait_counted=True)
    assert found.established == 23
    assert found.by_state == {"CLOSE_WAIT": 1, "FIN_WAIT2": 1, "LISTEN": 4, "SYN_RECV": 1, "TIME_WAIT": 1}
    assert found.by_port[5070] == {"LISTEN": 1, "SYN_RECV": 1}
    assert found.by_port[5060] == {"LISTEN": 1, "CLOSE_WAIT": 1}
    assert sockets.states(host, 24, close_wait_counted=False).established == 24
    assert isinstance(sockets.states(host, 24, close_wait_counted=None).established, Absent)


def test_without_close_wait_nobody_has_to_probe():
    assert sockets.parse_states(b"", 7, close_wait_counted=None).established == 7


def test_outbound_connections_are_counted_by_source_and_peer():
    """Mapped IPv4 comes as IPv4; TIME_WAIT holds a port too and is told apart."""
    found = sockets.parse_outbound(dump("outbound"), keep=4)
    assert (found.sockets, found.pairs, found.destinations) == (14, 6, 4)
    assert [(one.source, one.address, one.port, one.ports, one.time_wait) for one in found.top] == [
        ("127.0.0.9", "127.0.0.1", 5060, 3, 1),
        ("127.0.1.9", "127.0.0.1", 5060, 3, 0),
        ("127.0.0.7", "127.0.0.1", 5080, 3, 0),
        ("::1", "::1", 5061, 3, 0),
    ]


def test_outbound_asks_the_kernel_to_leave_listening_ports_out():
    """The same ports give the same bytes, by which a recording finds the answer."""
    assert inet_diag.CONNECTED == 0xB7E
    request = inet_diag.request(0xB7E, bytecode=inet_diag.not_from_ports({5060, 5061}))
    assert sockets.outbound(Recorded(request, b""), [5061, 5060, 5060]).sockets == 0


def test_an_unknown_state_is_a_parse_error():
    data = bytearray(dump("outbound")[:124])
    data[inet_diag.STATE] = 14
    for parse in (
        sockets.parse_outbound,
        lambda data: sockets.parse_states(data, 0, close_wait_counted=True),
    ):
        with pytest.raises(ParseError):
            parse(data)


PARSERS = [
    sockets.parse_listeners,
    sockets.parse_outbound,
    lambda data: sockets.parse_states(data, 5, close_wait_counted=None),
    lambda data: list(sockets.sockets(data)),
]


@settings(max_examples=100)
@given(st.binary(max_size=400) | damaged(dump("memory")) | damaged(dump("listeners")))
def test_only_parse_error_escapes_on_any_bytes(data):
    for parse in PARSERS:
        try:
            parse(data)
        except ParseError:
            continue


@settings(max_examples=50)
@given(st.binary(min_size=16, max_size=16))
def test_addresses_are_written_as_the_system_writes_them(raw):
    import ipaddress

    text = sockets.address_text(inet_diag.AF_INET6, raw, unmap=False)
    assert ipaddress.ip_address(text).packed == raw
    assert sockets.address_text(inet_diag.AF_INET, raw) == str(ipaddress.IPv4Address(raw[:4]))


def test_neither_numpy_nor_the_socket_module_is_needed():
    """`kamtcp check` imports this module; numpy would cost it as much as all the rest."""
    import subprocess
    import sys

    code = "import sys, kamtcp.observe.sockets, kamtcp.observe.unix_diag; print([m for m in ('numpy', 'socket') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
