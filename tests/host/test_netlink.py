"""Netlink dumps from the running kernel, and the judging of datagrams that are not what they should be."""

import contextlib
import errno
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.host import netlink
from kamtcp.observe import inet_diag


def message(kind, payload=b"", *, flags=2, sequence=1):
    return netlink.HEADER.pack(16 + len(payload), kind, flags, sequence, 99) + payload


DONE = message(netlink.NLMSG_DONE, struct.pack("=i", 0))


class Scripted:
    """A socket that has these datagrams to give: the real kernel never sends most of them."""

    def __init__(self, *datagrams, claim=0):
        self.datagrams, self.claim = list(datagrams), claim

    def recv_into(self, view, size, flags):
        one = self.datagrams.pop(0)
        view[: len(one)] = one
        return self.claim or len(one)


def received(*datagrams, bound=1 << 20):
    return netlink._receive(Scripted(*datagrams), 1, bound)


def test_links_of_this_namespace_are_dumped_whole():
    """RTM_GETLINK answers at least the loopback, without the final NLMSG_DONE."""
    data = netlink.dump(0, struct.pack("=IHHIIBxHiII", 32, 18, 0x301, 1, 0, 0, 0, 0, 0, 0))
    assert b"lo\0" in bytes(data)
    assert struct.unpack_from("=H", data, 4)[0] == 16  # RTM_NEWLINK


def test_the_kernels_refusal_is_its_errno():
    """A family without sockets to list is ENOENT: also why both IP families are not asked for with type 20."""
    request = struct.pack("=IHHIIBBBxI48x", 72, 20, 0x301, 1, 0, 0, 6, 0, 0xFFF)
    with pytest.raises(OSError) as caught:
        netlink.dump(inet_diag.NETLINK_SOCK_DIAG, request)
    assert caught.value.errno == errno.ENOENT


def test_a_bad_filter_is_refused():
    """The kernel checks bytecode before it runs it."""
    with pytest.raises(OSError) as caught:
        netlink.dump(4, inet_diag.request(inet_diag.EVERY, bytecode=struct.pack("=BBH", 99, 4, 4)))
    assert caught.value.errno == errno.EINVAL


def test_silence_is_a_timeout():
    """A request that isn't flagged as one is never answered."""
    with pytest.raises(TimeoutError):
        netlink.dump(4, struct.pack("=IHHII", 16, 20, 0, 1, 0), timeout=0.02)


def test_a_request_without_a_header_is_refused():
    with pytest.raises(ValueError):
        netlink.dump(4, b"short")


def test_messages_of_several_datagrams_are_joined():
    one, two = message(20, b"abcd"), message(20, b"efgh")
    assert received(one + two, one, DONE) == one + two + one


def test_the_end_may_stand_in_the_last_datagram():
    one = message(20, b"abcd")
    assert received(one, one + DONE) == one + one


def test_data_that_look_like_the_end_are_data():
    """The last 20 bytes of a message may be anything, a whole NLMSG_DONE included."""
    lure = message(20, DONE)
    assert received(lure, DONE) == lure


def test_strays_of_another_sequence_are_left_out():
    one = message(20, b"abcd")
    assert received(message(20, b"zzzz", sequence=7), one, message(3, b"\0\0\0\0", sequence=7), DONE) == one


def test_an_error_at_the_end_of_a_dump_is_raised():
    with pytest.raises(PermissionError):
        received(message(20, b"abcd"), message(netlink.NLMSG_DONE, struct.pack("=i", -errno.EPERM)))


def test_an_acknowledgement_ends_an_empty_answer():
    assert received(message(netlink.NLMSG_ERROR, struct.pack("=i", 0) + bytes(16), flags=0)) == b""


def test_a_single_answer_needs_no_end():
    one = message(16, b"abcd", flags=0)
    assert received(one) == one


def test_an_answer_beyond_the_bound_is_an_error():
    with pytest.raises(OSError) as caught:
        received(message(20, bytes(4096)), bound=1000)
    assert caught.value.errno == errno.EMSGSIZE


def test_a_cut_datagram_is_an_error():
    with pytest.raises(OSError) as caught:
        netlink._receive(Scripted(message(20), claim=1 << 30), 1, 1 << 20)
    assert caught.value.errno == errno.EMSGSIZE


def test_the_buffer_grows_without_losing_anything():
    """3 MB in datagrams of 32 KiB."""
    parts = [message(20, bytes([number]) * 32000) for number in range(100)]
    assert received(*parts, DONE, bound=1 << 30) == b"".join(parts)


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: DONE + tail), max_size=5))
def test_arbitrary_datagrams_end_in_bytes_or_oserror(datagrams):
    """Whatever comes, there is an answer or an OSError; nothing hangs."""
    with contextlib.suppress(OSError):
        received(*datagrams, DONE)
