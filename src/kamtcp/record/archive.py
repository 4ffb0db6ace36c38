r"""One portable file that holds what a host answered: written once, whole, and checked when it is read.

Layout (all integers little-endian):

    kamtcp-recording 1 kamtcp=0.1 created=1763795498 scrubbed=yes samples=2 body=5120\n   <- `head -1`
    body       zlib stream of: u64 length of the index, index (msgpack), answers one after the other
    end mark   "\nkamtcp-end " + 16 hex digits: bytes before the end mark + " " + their sha256 + "\n"

The index holds every key once and the length of every different answer; a sample is pairs (u32 key, u32 answer).
So a file that says the same in a hundred samples is stored once.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import zlib
from array import array
from itertools import accumulate
from typing import BinaryIO

import msgspec
from msgspec import Raw, Struct

from kamtcp.errors import NotRecorded, RecordingError, RpcError
from kamtcp.host.door import DiskSpace, Reader, Stat

FORMAT = 1
UNPACKED_LIMIT = 1 << 30  # bytes; a whole census of a million sockets is a tenth of that
INDEX_LIMIT = 64 << 20  # bytes; bounds what the index can become in memory
KEY_LIMIT = 1_000_000  # questions; a host of 64 instances has a tenth of that
KEY_BYTES = 1 << 20  # of one question, RPC request or pattern included
SAMPLE_LIMIT = 100_000
NAMES_BYTES = 32 << 20  # of one directory: a name of no letters takes 1 byte in the file and 8 in memory
PAIR_LIMIT = 20_000_000  # answers in all samples together

_MAGIC = b"kamtcp-recording "
_END = b"\nkamtcp-end "
_END_SIZE = len(_END) + 16 + 1 + 64 + 1

Key = tuple[str | int | bytes, ...]
"""(view, operation, *arguments); view is "" or "within:PID"."""


class Failed(Struct, frozen=True):
    """The kernel said no.

    Args:
        number: errno.
    """

    number: int


class TimedOut(Struct, frozen=True):
    """A peer did not answer in time."""

    text: str = ""


class RpcFailed(Struct, frozen=True):
    """A reply was cut, foreign or too large."""

    text: str = ""


class Withheld(Struct, frozen=True):
    """There was an answer, but it could not be made free of secrets; it was not stored."""

    reason: str


Value = bytes | str | tuple[str, ...] | Stat | DiskSpace | Reader
Failure = Failed | TimedOut | RpcFailed | Withheld
Answer = Value | Failure

# Operations not named here give bytes.
_RESULTS: dict[str, object] = {
    "listdir": tuple[str, ...],
    "readlink": str,
    "stat": Stat,
    "disk": DiskSpace,
    "reader": Reader,
}
_FAILURES: tuple[type[Failure], ...] = (Failed, TimedOut, RpcFailed, Withheld)


class Header(Struct, frozen=True):
    """What the recording says about itself.

    Args:
        kamtcp: version that made it.
        created: seconds since the epoch.
        scrubbed: addresses, users and secrets were replaced before storage.
        note: the operator's own words.
        format: version of the file format.
    """

    kamtcp: str
    created: float
    scrubbed: bool
    note: str = ""
    format: int = FORMAT


class Recording(Struct, frozen=True):
    """A recording in memory: one dictionary per sample, oldest first."""

    header: Header
    samples: list[dict[Key, Answer]]


class _Index(Struct, frozen=True, array_like=True):
    header: Header
    keys: Raw  # a list of keys; not decoded before it is known how many: 60 KB can unpack to 4 GB of empty lists
    lengths: bytes  # u64 each
    samples: Raw  # a list of bytes, each pairs of u32


class _Stored(Struct, frozen=True, array_like=True):
    kind: int  # 0: a value; n: _FAILURES[n - 1]
    body: Raw


def answer_of(error: OSError | RpcError) -> Failure:
    """The answer that stands for an error of a read."""
    if isinstance(error, RpcError):
        return RpcFailed(str(error))
    if isinstance(error, TimeoutError):
        return TimedOut(str(error))
    return Failed(error.errno or 0)


def result(answer: Answer) -> Value:
    """Give the recorded value, or raise what the live read raised.

    Raises:
        OSError, TimeoutError, RpcError: as recorded.
        NotRecorded: the answer was withheld.
    """
    if isinstance(answer, Failed):
        raise OSError(answer.number, os.strerror(answer.number))
    if isinstance(answer, TimedOut):
        raise TimeoutError(answer.text)
    if isinstance(answer, RpcFailed):
        raise RpcError(answer.text)
    if isinstance(answer, Withheld):
        raise NotRecorded(answer.reason)
    return answer


# -- writing -------------------------------------------------------------------------------------------------


def write(
    target: str | os.PathLike[str] | BinaryIO, recording: Recording, *, overwrite: bool = False
) -> None:
    """Write a recording, whole or not at all (temporary file, fsync, mode 0600, then its name).

    Args:
        target: a path, or a binary file that is open for writing.
        recording: what to store.
        overwrite: an existing file may be replaced.

    Raises:
        RecordingError: the file exists, can't be written, or the recording is larger than a reader would take.
    """
    if isinstance(target, str | os.PathLike):
        _write_path(os.fspath(target), recording, overwrite)
    else:
        for part in _pack(recording):
            target.write(part)


def _pack(recording: Recording) -> tuple[bytes, bytes, bytes]:
    import hashlib  # loads OpenSSL

    keys: dict[Key, int] = {}
    answers: dict[bytes, int] = {}
    samples: list[bytes] = []
    try:
        for sample in recording.samples:
            pairs = array("I")
            for key, answer in sample.items():
                if sum(len(part) for part in key if not isinstance(part, int)) > KEY_BYTES // 8:
                    continue  # a path that nobody can mean; the reader would refuse the whole file for it
                packed = _encode(answer)
                clean = tuple(_encodable(part) if isinstance(part, str) else part for part in key)
                pairs.append(keys.setdefault(clean, len(keys)))
                pairs.append(answers.setdefault(packed, len(answers)))
            samples.append(_little(pairs).tobytes())
        lengths = struct.pack(f"<{len(answers)}Q", *map(len, answers))
        index = msgspec.msgpack.encode(
            _Index(recording.header, _packed([list(key) for key in keys]), lengths, _packed(samples))
        )
    except (TypeError, OverflowError, ValueError) as error:
        raise RecordingError(f"can't be stored in a recording: {error}") from None
    size = 8 + len(index) + sum(map(len, answers))
    if size > UNPACKED_LIMIT or len(index) > INDEX_LIMIT:
        raise RecordingError(
            f"recording too large: {size} bytes unpacked, at most {UNPACKED_LIMIT}; take fewer samples"
        )
    squeeze = zlib.compressobj(6)
    chunks = [squeeze.compress(struct.pack("<Q", len(index))), squeeze.compress(index)]
    chunks += [squeeze.compress(packed) for packed in answers]
    body = b"".join((*chunks, squeeze.flush()))
    header = recording.header
    first = (
        f"{_MAGIC.decode()}{FORMAT} kamtcp={header.kamtcp.split()[0] if header.kamtcp.split() else '?'}"
        f" created={header.created:.0f} scrubbed={'yes' if header.scrubbed else 'no'}"
        f" samples={len(samples)} body={len(body)}\n"
    ).encode("ascii", "replace")
    digest = hashlib.sha256(first)
    digest.update(body)
    end = _END + f"{len(first) + len(body):016x} {digest.hexdigest()}\n".encode()
    return first, body, end


def _encode(answer: Answer) -> bytes:
    if isinstance(answer, str):
        answer = _encodable(answer)
    elif isinstance(answer, tuple):
        answer = tuple(map(_encodable, answer))
    kind = _FAILURES.index(type(answer)) + 1 if isinstance(answer, Failure) else 0
    return msgspec.msgpack.encode(_Stored(kind, Raw(msgspec.msgpack.encode(answer))))


def _encodable(text: str) -> str:
    """File names that are not UTF-8 are kept in an escaped form, in keys and answers alike."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return text


def _little(numbers: array[int]) -> array[int]:
    import sys

    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _write_path(path: str, recording: Recording, overwrite: bool) -> None:
    if not overwrite and os.path.lexists(path):
        raise RecordingError(f"{path}: exists already; not overwritten")
    writable(path)
    parts = _pack(recording)
    folder = os.path.dirname(path) or "."
    temporary = os.path.join(folder, f".{os.path.basename(path)}.{os.getpid()}.{os.urandom(4).hex()}")
    made = False
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        made = True
        with open(descriptor, "wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(temporary, path)
        else:
            _name_it(temporary, path)
        made = False
        _sync_folder(folder)
    except FileExistsError:
        raise RecordingError(f"{path}: exists already; not overwritten") from None
    except OSError as error:
        raise RecordingError(f"{path}: can't be written: {error.strerror or error}") from None
    finally:
        if made:
            with _ignored():
                os.unlink(temporary)


def writable(path: str) -> None:
    """Raise RecordingError for a place where no recording can be put: asked before the samples are taken.

    Only a regular file is ever replaced: `-o /dev/null --force` by root must not leave a file in the device's place.
    """
    folder = os.path.dirname(path) or "."
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            raise RecordingError(f"{path}: not a regular file; not overwritten")
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise RecordingError(
            f"{path}: can't be written: {getattr(error, 'strerror', None) or error}"
        ) from None
    if not os.path.isdir(folder):
        raise RecordingError(f"{path}: can't be written: {os.strerror(errno.ENOENT)}: {folder}")
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise RecordingError(f"{path}: can't be written: {folder} is not writable")


def _name_it(temporary: str, path: str) -> None:
    """Give the file its name unless somebody else took it meanwhile: link(2) never replaces."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # no hard links here (vfat, some network file systems)
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        os.rename(temporary, path)
    else:
        os.unlink(temporary)


def _sync_folder(folder: str) -> None:
    with _ignored():  # not every file system lets a directory be synced
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _ignored:  # noqa: N801  (reads as a phrase; contextlib would cost an import)
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


# -- reading -------------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str]) -> Recording:
    """Read a recording.

    Raises:
        RecordingError: one line: no such file, not a recording, cut, damaged, made by a newer kamtcp, too large.
    """
    name = os.fspath(path)
    try:
        # non-blocking, because a FIFO without a writer would keep us for ever
        with open(os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise RecordingError(
                    f"{name}: {'a directory' if stat.S_ISDIR(mode) else 'not a regular file'}"
                )
            data = file.read(len(_MAGIC))
            if data == _MAGIC:  # a disk image need not be read to its end to be none
                data += file.read(UNPACKED_LIMIT + 1)
    except OSError as error:
        raise RecordingError(f"{name}: {error.strerror or error}") from None
    except ValueError as error:  # a path with a NUL
        raise RecordingError(f"{name!r}: {error}") from None
    except MemoryError:
        raise RecordingError(f"{name}: too large for this machine's memory") from None
    return unpack(data, name)


def unpack(data: bytes, name: str = "recording") -> Recording:
    """Read a recording that is already in memory; `name` stands in messages. Raises: as `load`."""
    body = _checked(data, name)
    payload = _inflated(body, name)
    try:
        return _decoded(payload)
    except RecordingError as error:
        raise RecordingError(f"{name}: {error}") from None
    except (
        msgspec.MsgspecError,
        struct.error,
        RecursionError,
        MemoryError,
        ValueError,
        OverflowError,
    ) as error:
        raise RecordingError(f"{name}: damaged: contents are not what a recording holds ({error})") from None


def _checked(data: bytes, name: str) -> memoryview:
    """The body, after first line, length and checksum have been found right."""
    import hashlib

    if not data:
        raise RecordingError(f"{name}: empty file, not a recording")
    if not data.startswith(_MAGIC):
        if _MAGIC.startswith(data):
            raise RecordingError(f"{name}: cut: only {len(data)} bytes are there")
        raise RecordingError(f"{name}: not a recording of kamtcp (begins with {data[:12]!r})")
    if len(data) > UNPACKED_LIMIT:
        raise RecordingError(f"{name}: larger than {UNPACKED_LIMIT} bytes")
    line, newline, _ = data[:4096].partition(b"\n")
    words = line.decode("ascii", "replace").split()
    fields = dict(word.split("=", 1) for word in words[2:] if "=" in word)
    if not newline:
        if len(data) >= 4096:
            raise RecordingError(f"{name}: damaged: its first line has no end")
        raise RecordingError(f"{name}: cut: only {len(data)} bytes are there")
    version = words[1] if len(words) > 1 else ""
    if not (version.isascii() and version.isdigit()):
        raise RecordingError(f"{name}: damaged: format {version!r} in its first line is no number")
    if len(version) > 9 or int(version) > FORMAT:
        raise RecordingError(
            f"{name}: format {version[:9]}, made by a newer kamtcp; this one reads up to format {FORMAT}"
        )
    if int(version) < 1 or not (fields.get("body", "").isascii() and fields.get("body", "").isdigit()):
        raise RecordingError(f"{name}: damaged: its first line is not a recording's")
    whole = len(line) + 1 + int(fields["body"][:18]) + _END_SIZE
    if len(data) < whole:
        raise RecordingError(f"{name}: cut: {len(data)} of {whole} bytes are there")
    view, end = memoryview(data)[: len(data) - _END_SIZE], data[-_END_SIZE:]
    if len(data) > whole or not end.startswith(_END):
        raise RecordingError(f"{name}: damaged: {len(data)} bytes, but its end mark is not at {whole}")
    said = f"{len(view):016x} {hashlib.sha256(view).hexdigest()}\n".encode()
    if end[len(_END) :] != said:
        raise RecordingError(f"{name}: damaged: checksum does not match")
    return view[len(line) + 1 :]


def _inflated(body: memoryview, name: str) -> bytes:
    inflate = zlib.decompressobj()
    try:
        payload = inflate.decompress(body, UNPACKED_LIMIT + 1)
    except zlib.error as error:
        raise RecordingError(f"{name}: damaged: {error}") from None
    except MemoryError:
        raise RecordingError(f"{name}: too large for this machine's memory") from None
    if len(payload) > UNPACKED_LIMIT:
        raise RecordingError(f"{name}: unpacks to more than {UNPACKED_LIMIT} bytes")
    if not inflate.eof or inflate.unused_data:
        raise RecordingError(f"{name}: damaged: its compressed part does not end where it should")
    return payload


def _decoded(payload: bytes) -> Recording:
    (size,) = struct.unpack_from("<Q", payload)
    if size > min(INDEX_LIMIT, len(payload) - 8):
        raise RecordingError(f"damaged: index of {size} bytes in {len(payload)}")
    view = memoryview(payload)
    index = msgspec.msgpack.decode(view[8 : 8 + size], type=_Index)
    lengths = struct.unpack(f"<{len(index.lengths) // 8}Q", index.lengths)
    ends = list(accumulate(lengths, initial=8 + size))
    if ends[-1] != len(payload):
        raise RecordingError("damaged: its answers are not as long as its index says")
    packed_samples = msgspec.msgpack.decode(_bounded(index.samples, SAMPLE_LIMIT), type=list[bytes])
    if sum(map(len, packed_samples)) > 8 * PAIR_LIMIT:
        raise RecordingError(f"holds more than {PAIR_LIMIT} answers")
    keys = list(map(_key, msgspec.msgpack.decode(_bounded(index.keys, KEY_LIMIT), type=list[Raw])))
    known: dict[tuple[object, int], Answer] = {}
    samples: list[dict[Key, Answer]] = []
    for packed in packed_samples:
        pairs = array("I")
        pairs.frombytes(packed)
        _little(pairs)
        sample: dict[Key, Answer] = {}
        for key_number, number in zip(pairs[::2], pairs[1::2], strict=True):
            if key_number >= len(keys) or number >= len(lengths):
                raise RecordingError("damaged: a sample points outside the index")
            key = keys[key_number]
            kind = _RESULTS.get(str(key[1]), bytes)
            if (kind, number) not in known:
                known[kind, number] = _decode(view[ends[number] : ends[number + 1]], kind)
            sample[key] = known[kind, number]
        samples.append(sample)
    return Recording(index.header, samples)


def _packed(values: list[list[str | int | bytes]] | list[bytes]) -> Raw:
    return Raw(msgspec.msgpack.encode(values))


def _bounded(packed: Raw, most: int) -> Raw:
    """A packed list of at most `most` items."""
    head = bytes(memoryview(packed)[:5])
    size = {0xDC: 2, 0xDD: 4}.get(head[0], 0)
    count = int.from_bytes(head[1 : 1 + size], "big") if size else head[0] & 0xF
    if not (size or 0x90 <= head[0] <= 0x9F) or count > most:
        raise RecordingError(f"damaged: a list of more than {most} items in its index, or none")
    return packed


def _key(packed: Raw) -> Key:
    if len(memoryview(packed)) > KEY_BYTES:
        raise RecordingError("damaged: one of its keys is none")
    # msgspec does not tell str from bytes in a union; the next line does
    parts = msgspec.msgpack.decode(packed, type=list[object])
    key = tuple(part for part in parts if type(part) is str or type(part) is int or type(part) is bytes)
    if len(key) != len(parts) or len(key) < 2 or not isinstance(key[0], str) or not isinstance(key[1], str):
        raise RecordingError("damaged: one of its keys is none")
    return key


def _decode(packed: memoryview, kind: object) -> Answer:
    stored = msgspec.msgpack.decode(packed, type=_Stored)
    if stored.kind == 0:
        if kind == tuple[str, ...] and len(packed) > NAMES_BYTES:
            raise RecordingError(f"damaged: a directory of {len(packed)} bytes")
        value: Value = msgspec.msgpack.decode(stored.body, type=kind)
        return value
    if not 0 < stored.kind <= len(_FAILURES):
        raise RecordingError(f"damaged: answer of kind {stored.kind}")
    failure: Failure = msgspec.msgpack.decode(stored.body, type=_FAILURES[stored.kind - 1])
    return failure
