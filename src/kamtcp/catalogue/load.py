"""The catalogue's files -> entries. Read on first use, once in the life of the process.

A file holds a table for each entry, named by its id. Its `defaults` table stands for fields that an entry leaves out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import msgspec

from kamtcp.catalogue.entry import Entry
from kamtcp.errors import ParseError

SUBJECTS = (
    "listen", "closing", "outbound", "memory", "descriptors", "packets", "conntrack", "neighbours", "protocol",
    "kamailio_core", "kamailio_tls", "kamailio_websocket", "systemd", "links", "modules", "counters",
)  # fmt: skip


@functools.cache
def entries() -> Mapping[str, Entry]:
    """Every entry by its id, subject after subject, in the order of the files."""
    found: dict[str, Entry] = {}
    for subject in SUBJECTS:
        for entry in parse(data(f"{subject}.toml"), subject):
            if entry.id in found:
                raise ParseError(f"{subject}.toml", "each id once", entry.id)
            found[entry.id] = entry
    return found


def parse(content: bytes, subject: str) -> tuple[Entry, ...]:
    """The entries of one file.

    Raises:
        ParseError: not TOML, or an entry lacks a field, or has one that is not known.
    """
    import tomllib

    source = f"{subject}.toml"
    try:
        tables = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ParseError(source, "TOML", str(error)) from None
    shared = tables.pop("defaults", {})
    found = []
    for name, table in tables.items():
        if not isinstance(table, dict) or not isinstance(shared, dict):
            raise ParseError(source, "a table for each entry", name)
        try:
            found.append(msgspec.convert({**shared, **table, "id": name, "subject": subject}, Entry))
        except msgspec.ValidationError as error:
            raise ParseError(f"{source}: {name}", "an entry", str(error)) from None
    return tuple(found)


def data(name: str) -> bytes:
    """One file of this package, wherever it is installed."""
    import pkgutil

    content = pkgutil.get_data("kamtcp.catalogue", name)
    assert content is not None
    return content
