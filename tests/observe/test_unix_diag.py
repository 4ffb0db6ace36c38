"""Unix-domain sockets, from a recorded dump."""

import contextlib
import pathlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError
from kamtcp.model.absent import Absent
from kamtcp.observe import unix_diag

DUMP = (pathlib.Path(__file__).parent / "dumps" / "unix.bin").read_bytes()


def test_a_recorded_namespace_is_read_whole():
    """A socketpair with SO_SNDBUF 50000 and 100 bytes on the way, an abstract name, and a listening path."""
    left, right, control, named = unix_diag.parse(DUMP)
    assert (left.peer, right.peer) == (right.inode, left.inode)
    assert left.sndbuf == 2 * 50000
    assert (left.wmem_alloc, right.rqueue) == (768, 100)
    assert (control.path, control.type, control.peer) == ("@kamtcp-test", unix_diag.Type.DGRAM, 0)
    assert (named.path, named.state, named.wqueue) == ("kamailio_ctl", 10, 5)


def test_what_the_kernel_did_not_send_is_absent():
    bare = struct.pack("=IHHIIBBBxIII", 32, 20, 2, 1, 9, 1, 1, 1, 77, 0, 0)
    [one] = unix_diag.parse(bare)
    assert (one.inode, one.path, one.peer) == (77, "", 0)
    assert all(
        isinstance(value, Absent)
        for value in (one.rqueue, one.wqueue, one.sndbuf, one.rcvbuf, one.wmem_alloc)
    )


@pytest.mark.parametrize(
    ("raw", "text"), [(b"/run/a\0", "/run/a"), (b"/x\xff", "/x\\xff"), (b"\0a\0b", "@a\0b")]
)
def test_names_are_text_whatever_their_bytes(raw, text):
    padded = raw.ljust((len(raw) + 3) & ~3, b"\0")
    size = 32 + 4 + len(padded)
    data = struct.pack("=IHHIIBBBxIII", size, 20, 2, 1, 9, 1, 1, 1, 77, 0, 0)
    [one] = unix_diag.parse(data + struct.pack("=HH", 4 + len(raw), 0) + padded)
    assert one.path == text


@settings(max_examples=100)
@given(
    st.binary(max_size=200)
    | st.builds(
        lambda at, value, keep: DUMP[:at] + bytes([value]) + DUMP[at + 1 : keep],
        st.integers(0, len(DUMP) - 1),
        st.integers(0, 255),
        st.integers(0, len(DUMP)),
    )
)
def test_only_parse_error_escapes_on_any_bytes(data):
    with contextlib.suppress(ParseError):
        unix_diag.parse(data)
