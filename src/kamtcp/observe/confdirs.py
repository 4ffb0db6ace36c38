"""Files of several directories of one purpose: sysctl.d, modprobe.d, limits.d.

A file in an earlier directory hides all of the same name in later ones; what is left is applied in the order of
the names, whatever their directories.

Source  systemd src/basic/conf-files.c conf_files_list_strv(); procps src/sysctl.c PreloadSystem()
Cost    a listing per directory
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import attempt

#: a directory of settings holds a handful; more than this is not read, and said to be so
MOST_FILES = 500
MOST_BYTES = 256 * 1024


class Listed(Struct, frozen=True):
    """What is to be read.

    Args:
        paths: in the order in which they are applied.
        masked: a hidden file, and the one that hides it.
        problems: directories that could not be listed.
    """

    paths: tuple[str, ...]
    masked: tuple[tuple[str, str], ...]
    problems: tuple[Absent, ...]


def listed(host: Host, directories: Sequence[str], suffix: str = ".conf") -> Listed:
    """The files of several directories that count, the directory that goes first being named first."""
    chosen: dict[str, str] = {}
    masked: list[tuple[str, str]] = []
    problems: list[Absent] = []
    for directory in directories:
        names = attempt(directory, lambda directory=directory: host.listdir(directory))  # type: ignore[misc]
        if isinstance(names, Absent):
            if names.why is not Why.MISSING:
                problems.append(names)
            continue
        for name in names:
            if not name.endswith(suffix):
                continue
            path = f"{directory}/{name}"
            if name in chosen:
                masked.append((path, chosen[name]))
            elif len(chosen) < MOST_FILES:
                chosen[name] = path
            else:
                problems.append(Absent(path, Why.NOT_ASKED, f"more than {MOST_FILES} files"))
                break
    return Listed(tuple(chosen[name] for name in sorted(chosen, key=_bytes)), tuple(masked), tuple(problems))


def _bytes(name: str) -> bytes:
    """strcmp(3) compares bytes."""
    return name.encode("utf-8", "surrogateescape")


def contents(host: Host, path: str) -> bytes | Absent:
    """A file's text, or why there is none; a link to nowhere is MISSING, and /dev/null is empty."""
    data = attempt(path, lambda: host.read(path, MOST_BYTES))
    if not isinstance(data, Absent) and len(data) >= MOST_BYTES:
        return Absent(path, Why.NOT_ASKED, f"larger than {MOST_BYTES:,} bytes")
    return data
