"""The recording file: it comes back as it was, and no damage to it goes unnoticed or unexplained."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import stat as modes
import struct
import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import NotRecorded, RecordingError, RpcError
from kamtcp.host.door import DiskSpace, Reader, Stat
from kamtcp.record import archive
from kamtcp.record.archive import (
    Failed,
    Header,
    Recording,
    RpcFailed,
    TimedOut,
    Withheld,
    answer_of,
    load,
    result,
    unpack,
    write,
)

HEADER = Header("0.1.0", 1763795498.5, True, "a note")
READER = Reader(
    0, 0, 0x1FFFFFFFFFF, 4096, 100, 2, "6.18.44", "x86_64", "host-0102030405", 1.5, 2.5, "net:[4026531840]"
)
SMALL = Recording(
    HEADER,
    [
        {
            ("", "read", "/proc/net/sockstat", 4096): b"TCP: inuse 5\n",
            ("within:831", "read", "/gone", 10): Failed(errno.ENOENT),
            ("", "listdir", "/proc/831/fd"): ("0", "1", "10"),
            ("", "readlink", "/proc/831/exe"): "/usr/sbin/kamailio",
            ("", "stat", "/x"): Stat(1, 2, 3, 4, 0o100644, 5.25),
            ("", "disk", "/"): DiskSpace(100, 50),
            ("", "reader"): READER,
            ("", "call", "binrpc tcp", "10.0.0.1:2049", "/tmp", b"\xa1\x03"): TimedOut("2 s"),
            ("", "netlink", 4, b"\0\1\2"): b"\xff" * 100,
            ("", "probe", "skb"): RpcFailed("cut"),
            ("", "read", "/etc/key.pem", 10): Withheld("holds a key"),
        },
        {("", "read", "/proc/net/sockstat", 4096): b"TCP: inuse 6\n"},
    ],
)


def packed(recording=SMALL):
    file = io.BytesIO()
    write(file, recording)
    return file.getvalue()


def test_a_recording_comes_back_as_it_was_written(tmp_path):
    write(tmp_path / "r", SMALL)
    assert load(tmp_path / "r") == SMALL
    assert modes.S_IMODE(os.stat(tmp_path / "r").st_mode) == 0o600
    assert os.listdir(tmp_path) == ["r"]


keys = st.tuples(
    st.sampled_from(["", "within:1"]),
    st.sampled_from(["read", "tail", "call", "netlink"]),
    st.text(),
    st.integers(-(2**63), 2**63 - 1),
    st.binary(),
)
answers = st.one_of(
    st.binary(),
    st.builds(Failed, st.integers(0, 133)),
    st.builds(TimedOut, st.text()),
    st.builds(Withheld, st.text()),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(keys, answers, max_size=8), max_size=4), st.text())
def test_any_recording_survives_the_round_trip(samples, note):
    recording = Recording(Header("0.1", 0.0, False, note), samples)
    assert unpack(packed(recording)).samples == samples
    assert unpack(packed(recording)).header.note == note


def test_the_first_line_can_be_read_by_people():
    line = packed().split(b"\n", 1)[0]
    assert line.startswith(b"kamtcp-recording 1 kamtcp=0.1.0 created=1763795498 scrubbed=yes samples=2 body=")


def test_the_same_file_in_many_samples_is_stored_once():
    blob = os.urandom(100_000)
    one = Recording(HEADER, [{("", "read", "/etc/kamailio/kamailio.cfg", 1 << 22): blob}])
    many = Recording(HEADER, one.samples * 50)
    assert len(packed(many)) < len(packed(one)) + 2000


def test_file_names_that_are_not_utf_8_do_not_stop_a_recording():
    name = b"/tmp/\xff".decode("utf-8", "surrogateescape")
    back = unpack(packed(Recording(HEADER, [{("", "listdir", name): (name,)}])))
    assert back.samples == [{("", "listdir", "/tmp/\\xff"): ("/tmp/\\xff",)}]


def test_every_truncation_is_named_as_such():
    data = packed()
    for size in range(len(data)):
        with pytest.raises(RecordingError) as caught:
            unpack(data[:size])
        assert "\n" not in str(caught.value)
        assert "empty file" in str(caught.value) if size == 0 else "cut" in str(caught.value)


def test_every_flipped_bit_raises_a_recording_error_and_nothing_else():
    data = packed()
    for position in range(len(data)):
        for bit in (1, 0x10, 0x80):
            damaged = bytearray(data)
            damaged[position] ^= bit
            with pytest.raises(RecordingError) as caught:
                unpack(bytes(damaged))
            assert "\n" not in str(caught.value)


def sealed(payload):
    """A file whose checksum is right whatever is in it."""
    body = zlib.compress(payload)
    first = f"kamtcp-recording 1 kamtcp=0 created=0 scrubbed=no samples=0 body={len(body)}\n".encode()
    digest = hashlib.sha256(first + body).hexdigest()
    return first + body + b"\nkamtcp-end " + f"{len(first + body):016x} {digest}\n".encode()


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_forged_contents_under_a_right_checksum_raise_only_recording_errors(data):
    blob = bytearray(inner())
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RecordingError):
        unpack(sealed(bytes(blob)))


def inner():
    data = packed()
    head = data.index(b"\n") + 1
    return zlib.decompress(data[head : -archive._END_SIZE])


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_any_payload_and_any_file_raise_only_recording_errors(payload):
    for data in (payload, b"kamtcp-recording " + payload, b"kamtcp-recording 1 " + payload):
        with pytest.raises(RecordingError):
            unpack(data)
    with pytest.raises(RecordingError):
        unpack(sealed(payload))


def test_a_decompression_bomb_is_refused_at_its_limit(monkeypatch):
    monkeypatch.setattr(archive, "UNPACKED_LIMIT", 1 << 20)
    with pytest.raises(RecordingError, match="unpacks to more than"):
        unpack(sealed(bytes(5 << 20)))


def test_an_index_that_promises_more_than_there_is_is_refused():
    index = msgspec.msgpack.encode(
        archive._Index(HEADER, [["", "read"]], struct.pack("<Q", 1 << 60), [struct.pack("<2I", 0, 0)])
    )
    with pytest.raises(RecordingError, match="damaged"):
        unpack(sealed(struct.pack("<Q", len(index)) + index))


def test_the_errors_say_what_is_wrong_with_the_file(tmp_path):
    def message(data):
        (tmp_path / "f").write_bytes(data)
        with pytest.raises(RecordingError) as caught:
            load(tmp_path / "f")
        return str(caught.value)

    assert "not a recording" in message(b"\x7fELF....")
    assert "cut: 400 of" in message(packed()[:400])
    assert "format 2, made by a newer kamtcp" in message(
        packed().replace(b"kamtcp-recording 1", b"kamtcp-recording 2", 1)
    )
    assert "end mark" in message(packed() + b"more")
    with pytest.raises(RecordingError, match="No such file"):
        load(tmp_path / "absent")
    with pytest.raises(RecordingError, match="Is a directory"):
        load(tmp_path)


def test_an_existing_file_is_never_overwritten_unless_told(tmp_path):
    path = tmp_path / "r"
    path.write_bytes(b"precious")
    with pytest.raises(RecordingError, match="exists already"):
        write(path, SMALL)
    assert path.read_bytes() == b"precious"
    write(path, SMALL, overwrite=True)
    assert load(path) == SMALL
    assert os.listdir(tmp_path) == ["r"]


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(RecordingError, match=r"can't be written: No such file"):
        write(tmp_path / "no" / "r", SMALL)


def test_failures_are_raised_again_as_they_were():
    with pytest.raises(PermissionError):
        result(answer_of(PermissionError(errno.EACCES, "x")))
    with pytest.raises(TimeoutError):
        result(answer_of(TimeoutError("2 s")))
    with pytest.raises(RpcError, match="cut"):
        result(answer_of(RpcError("cut")))
    with pytest.raises(NotRecorded):
        result(Withheld("secret"))
    assert result(b"x") == b"x"


def index(keys: bytes, samples: bytes = b"\x90", lengths: bytes = b"", answers: bytes = b"") -> bytes:
    """A recording whose parts are given as msgpack, with right lengths and checksum."""
    parts = (msgspec.msgpack.encode(HEADER), keys, msgspec.msgpack.encode(lengths), samples)
    packed = b"\x94" + b"".join(parts)
    body = zlib.compress(struct.pack("<Q", len(packed)) + packed + answers)
    whole = b"kamtcp-recording 1 kamtcp=0.1 created=1 scrubbed=yes samples=1 body=%d\n" % len(body) + body
    return whole + b"\nkamtcp-end %016x %s\n" % (len(whole), hashlib.sha256(whole).hexdigest().encode())


MANY = 30_000_000


@pytest.mark.parametrize(
    "hostile",
    [
        lambda: index(b"\xdd" + struct.pack(">I", MANY) + b"\x90" * MANY),
        lambda: index(b"\x91\xdd" + struct.pack(">I", MANY) + b"\x90" * MANY),
        lambda: index(b"\x90", b"\xdd" + struct.pack(">I", MANY) + b"\xc4\0" * MANY),
        lambda: index(b"\x80"),
        lambda: index(b"\xc0"),
    ],
    ids=["keys", "one key", "samples", "map", "nil"],
)
def test_a_small_file_can_not_fill_the_memory(hostile):
    """60 KB unpacked to 4 GB of empty lists."""
    import resource
    import time

    data, began = hostile(), time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RecordingError, match="damaged"):
        unpack(data)
    assert time.monotonic() - began < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


def test_a_directory_of_empty_names_is_refused():
    many = 40 << 20
    names = b"\xdd" + struct.pack(">I", many) + b"\xa0" * many
    stored = b"\x92\0" + names
    keys = msgspec.msgpack.encode([["", "listdir", "/"]])
    samples = msgspec.msgpack.encode([struct.pack("<II", 0, 0)])
    with pytest.raises(RecordingError, match="damaged: a directory"):
        unpack(index(keys, samples, struct.pack("<Q", len(stored)), stored))


def test_a_question_that_is_too_long_is_left_out():
    """A path of a hostile configuration must not make the whole recording unreadable."""
    long = ("", "read", "/" + "a" * archive.KEY_BYTES)
    stored = io.BytesIO()
    write(stored, Recording(HEADER, [{long: b"x", ("", "reader"): READER}]))
    assert list(unpack(stored.getvalue()).samples[0]) == [("", "reader")]


@pytest.mark.parametrize("place", ["fifo", "folder", "link", "/dev/zero"])
def test_only_a_regular_file_is_read_or_replaced(tmp_path, place):
    """`-o /dev/null --force` by root put a file in the device's place; a FIFO kept --from waiting for ever."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    path = os.path.join(tmp_path, place)
    before = os.lstat(path)
    with pytest.raises(RecordingError, match=r"not a regular file|a directory"):
        load(path)
    with pytest.raises(RecordingError, match="not a regular file; not overwritten"):
        archive.writable(path)
    if place != "/dev/zero":
        with pytest.raises(RecordingError, match="not a regular file; not overwritten"):
            write(path, SMALL, overwrite=True)
    assert os.path.samestat(before, os.lstat(path))
