"""The spellings an operator may use -> the entries meant.

Tried in order, the first that finds something counts: the id, an alias, or the last part of an id ("somaxconn",
"ListenOverflows") as written; without regard to case, with "/" for "." and "-" for "_"; as Kamailio's RPC spells what
the file calls tcp_something ("keepidle", "max_connections(soft)"); the last parts of an id ("epoll.max_user_watches").
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from kamtcp.catalogue.entry import Entry, Kind
from kamtcp.catalogue.load import entries

_PREFIXES = ("/proc/sys/", "proc/sys/", "sysctl:", "kamailio:", "systemd:", "boot:", "prlimit:", "nftables:")


def find(name: str) -> tuple[Entry, ...]:
    """Entries that a name stands for: none, one, or a few where the name is short for several."""
    exact, folded, last = _index()
    bare = _bare(name)
    for wanted in (name, bare):
        if wanted in exact:
            return exact[wanted]
    key = fold(bare).removesuffix("(soft)")
    return folded.get(key) or last.get(key) or folded.get(f"tcp_{key}", ()) or _ending(key)


def _ending(key: str) -> tuple[Entry, ...]:
    """Entries whose id ends in these parts, two or more: epoll.max_user_watches."""
    if not all(key.partition(".")[::2]):
        return ()
    return tuple(each for each in entries().values() if fold(each.id).endswith(f".{key}"))


def fold(name: str) -> str:
    """A name with the differences taken out that mean nothing."""
    return name.strip().lower().replace("/", ".").replace("-", "_").removesuffix("=")


def spellings() -> tuple[str, ...]:
    """Every spelling that finds something, for suggestions."""
    exact, _, last = _index()
    return tuple(dict.fromkeys((*exact, *last)))


def _bare(name: str) -> str:
    """Without what tells where a setting lives, without a value, and without a remark in brackets behind it."""
    text = name.strip()
    for prefix in _PREFIXES:
        text = text.removeprefix(prefix)
    for separator in (" (", "="):
        text = text.partition(separator)[0] or text
    return text.strip().replace(" ", ".") if name.startswith("kamailio:") else text.strip()


@functools.cache
def _index() -> tuple[Mapping[str, tuple[Entry, ...]], ...]:
    exact: dict[str, list[Entry]] = {}
    folded: dict[str, list[Entry]] = {}
    last: dict[str, list[Entry]] = {}
    for entry in entries().values():
        for name in (entry.id, *entry.aliases):
            _add(exact, (name,), entry)
            _add(folded, (fold(name),), entry)
        if entry.kind is Kind.COUNTER:
            _add(
                folded, (fold(entry.id.replace(".", "", 1)),), entry
            )  # as nstat prints it: TcpExtListenOverflows
        for short in _shorts(entry):
            _add(last, (fold(short),), entry)
    for key, found in _as_written().items():
        exact.setdefault(key, found)
    return tuple({key: tuple(found) for key, found in each.items()} for each in (exact, folded, last))


def _as_written() -> dict[str, list[Entry]]:
    """Last parts of ids, in their own case: ip_local_port_range is the sysctl, IP_LOCAL_PORT_RANGE a socket option."""
    found: dict[str, list[Entry]] = {}
    for entry in entries().values():
        for short in _shorts(entry):
            _add(found, (short,), entry)
    return found


def _shorts(entry: Entry) -> tuple[str, ...]:
    return tuple(entry.id.rpartition(separator)[2] for separator in (".", ":") if separator in entry.id)


def _add(index: dict[str, list[Entry]], keys: Iterable[str], entry: Entry) -> None:
    for key in keys:
        if entry not in index.setdefault(key, []):
            index[key].append(entry)
