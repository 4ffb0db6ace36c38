"""Files in kamtcp's own state directory: read through the Host, so that a recording carries its own host's.

What is read there decides what an operator is told, so it counts only where nobody but root and the reader could
have written it. A file that can't be used is left as it is: nothing of it is lost, and nothing is written over it.
"""

from __future__ import annotations

import os
from typing import TypeVar

import msgspec

from kamtcp.errors import NotRecorded
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import attempt

T = TypeVar("T", bound=msgspec.Struct)

#: KAMTCP_STATE names another directory (tests, stand-ins)
DIRECTORY = os.environ.get("KAMTCP_STATE") or "/var/lib/kamtcp"
_OTHERS = 0o022  # group and others may write


def path(name: str) -> str:
    """Of a file in the state directory."""
    return os.path.join(DIRECTORY, name)


def read(host: Host, where: str, form: type[T], schema: int) -> T | Absent | None:
    """A file of the state directory; None where there is none, Absent where it can't be used.

    Args:
        host: whose it is.
        where: its path.
        form: what it holds; a Struct with a field `schema`.
        schema: the newest that this kamtcp knows.
    """
    try:
        data = host.read(where, 4 << 20)
    except (FileNotFoundError, NotADirectoryError, NotRecorded):
        return None
    except OSError as error:
        return Absent(where, Why.DENIED, f"{error.strerror}; nothing in it is used")
    doubt = written_by_others(host, where) or written_by_others(host, os.path.dirname(where))
    if doubt:
        return Absent(where, Why.DENIED, f"{doubt}; nothing in it is used")
    try:
        found = msgspec.json.decode(data, type=form)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # msgspec.ValidationError is a DecodeError: a newer kamtcp's file may well look like that
        return Absent(where, Why.MALFORMED, f"{error}; nothing in it is used, remove it to begin anew")
    if not 1 <= getattr(found, "schema", 0) <= schema:
        return Absent(where, Why.MALFORMED, "written by a newer kamtcp; nothing in it is used")
    return found


def written_by_others(host: Host, where: str) -> str:
    """Why somebody but root and the reader may have written a file or directory; "" if nobody could."""
    found = attempt(where, lambda: host.stat(where))
    if isinstance(found, Absent):
        return str(found)
    if found.uid not in (0, host.reader().uid):
        return f"{where} belongs to uid {found.uid}"
    if found.mode & _OTHERS:
        return f"{where} is writable by others (mode {found.mode & 0o7777:04o})"
    return ""


def write(where: str, content: object) -> None:
    """Write a file of the state directory beside the old one and put it in its place.

    Raises:
        OSError: it can't be written; the old one is as it was.
        UnicodeEncodeError: a name in it is not UTF-8.
    """
    text = msgspec.json.encode(content)
    os.makedirs(os.path.dirname(where), mode=0o755, exist_ok=True)
    beside = f"{where}.{os.getpid()}.{os.urandom(4).hex()}"
    # Never through a link that lies in wait: KAMTCP_STATE may name a directory that others write to.
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)  # whatever the umask: other users may read it, none may write it
            file.write(text)
        os.replace(beside, where)
    except OSError:
        os.unlink(beside)
        raise
