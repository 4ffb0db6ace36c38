"""Listeners that a kamtcp command of this user started: the only targets that a load may have for the asking.

A command that listens (`kamtcp load responder`, a rehearsal) leaves a card: its pid and start time, the network
namespace, the inodes of its listening sockets. A card is believed only if nobody else could have written it, and if
that very process still lives, in that namespace, as this user.

Reads   the cards; /proc/PID/stat, /proc/PID/ns/net
Source  man proc(5): starttime tells a process from a later one of the same number
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import msgspec
from msgspec import Struct

_LARGEST = 1 << 16


class Card(Struct, frozen=True):
    """One process that listens.

    Args:
        pid, started: of the process; clock ticks since boot (field 22 of /proc/PID/stat).
        netns: "net:[…]" of its network namespace.
        inodes: of its listening sockets.
        what: for people: "responder".
    """

    pid: int
    started: int
    netns: str
    inodes: tuple[int, ...]
    what: str


def folder() -> str:
    """Where this user's cards are kept."""
    state = os.environ.get("KAMTCP_STATE")
    if not state and os.geteuid() == 0:
        state = "/var/lib/kamtcp"
    if not state:
        home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        state = os.path.join(home, "kamtcp")
    return os.path.join(state, "listeners")


def leave(inodes: tuple[int, ...], what: str, pid: int | None = None) -> str:
    """Leave a card for a process that listens (this one); returns its path, to be removed at the end.

    Raises:
        OSError: it can't be written, or there is no such process.
    """
    process = os.getpid() if pid is None else pid
    card = Card(process, started(process), os.readlink(f"/proc/{process}/ns/net"), inodes, what)
    os.makedirs(folder(), mode=0o700, exist_ok=True)
    path = os.path.join(folder(), f"{process}.json")
    beside = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(msgspec.json.encode(card))
    os.replace(beside, path)
    return path


def cards() -> Iterator[Card]:
    """Cards that can be believed, of processes that live."""
    try:
        names = sorted(os.listdir(folder()))
    except OSError:
        return
    for name in names:
        card = _read(os.path.join(folder(), name)) if name.endswith(".json") else None
        if card is not None and _lives(card):
            yield card


def owner(netns: str, inode: int) -> Card | None:
    """The card of whoever listens with this socket, if it is ours."""
    return next((card for card in cards() if card.netns == netns and inode in card.inodes), None)


def started(pid: int) -> int:
    """When a process started, in clock ticks since boot.

    Raises:
        OSError: there is none.
    """
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[19])


def _read(path: str) -> Card | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            return None  # somebody else could have written it
        try:
            return msgspec.json.decode(file.read(_LARGEST), type=Card)
        except (msgspec.MsgspecError, OSError, ValueError):
            return None


def _lives(card: Card) -> bool:
    try:
        mine = os.stat(f"/proc/{card.pid}").st_uid == os.geteuid()
        return (
            mine
            and started(card.pid) == card.started
            and os.readlink(f"/proc/{card.pid}/ns/net") == card.netns
        )
    except (OSError, ValueError, IndexError):
        return False
