"""The syntax of systemd unit files, and which of several files and drop-ins wins.

Source  systemd.unit(5), systemd.syntax(7); systemd src/shared/conf-parser.c, dropin.c, src/basic/cgroup-util.c
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

# Highest priority first. systemd.unit(5), "System Unit Search Path".
DIRECTORIES = (
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
)


class Directive(Struct, frozen=True):
    """One line of a unit file: `name=text`, in `section`, and where it stands."""

    section: str
    name: str
    text: str
    file: str
    line: int


def names_of(unit: str) -> tuple[str, ...]:
    """Names under which a unit's file is looked for: its own, then that of its template."""
    template = _template(unit)
    return (unit, template) if template else (unit,)


def drop_in_names(unit: str) -> tuple[str, ...]:
    """Drop-in directory names of a unit without ".d", the most specific first: own, template, prefixes, type."""
    stem, dot, kind = unit.rpartition(".")
    names = list(names_of(unit))
    prefix = stem.partition("@")[0]
    while "-" in prefix.strip("-"):
        prefix = prefix.rstrip("-").rpartition("-")[0]
        names.append(f"{prefix}-{dot}{kind}")
    return (*names, kind)


def ordered(files: Sequence[tuple[str, bytes]]) -> tuple[str, list[tuple[str, bytes]]]:
    """The main file and the drop-ins that count, in the order systemd applies them.

    Args:
        files: path and contents of any unit files and drop-ins of one unit, masked ones and duplicates too.

    Returns:
        Path of the main file ("" if there is none), and what to apply: main file first, then drop-ins sorted by
        file name wherever they are; of several with one name only that of the highest directory.
    """
    main: tuple[tuple[int, int], str, bytes] | None = None
    drop_ins: dict[str, tuple[tuple[int, int, int], str, bytes]] = {}
    for path, data in files:
        folder, _, name = path.rpartition("/")
        if folder.endswith(".d"):
            if not name.endswith(".conf"):
                continue
            base, _, owner = folder.removesuffix(".d").rpartition("/")
            rank = (int("." not in owner), _rank(base), _breadth(owner))
            if name not in drop_ins or rank < drop_ins[name][0]:
                drop_ins[name] = (rank, path, data)
        else:
            place = (int("@." in name), _rank(folder))
            if main is None or place < main[0]:
                main = (place, path, data)
    applied = [(path, data) for _, (_, path, data) in sorted(drop_ins.items())]
    return (main[1], [(main[1], main[2]), *applied]) if main else ("", applied)


def directives(path: str, data: bytes) -> Iterator[Directive]:
    """The assignments of one file in order; lines that are none are passed over, as systemd does."""
    section, begun, start = "", "", 0
    for number, raw in enumerate(data.decode("utf-8", "replace").split("\n"), start=1):
        line = raw.strip(" \t\r")
        if line[:1] in ("#", ";"):
            continue  # also between lines that are joined
        if not begun:
            start = number
        if line.endswith("\\"):
            begun += line[:-1] + " "
            continue
        line, begun = begun + line, ""
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
            continue
        name, equals, text = line.partition("=")
        if equals and name.strip():
            yield Directive(section, name.strip(), text.strip(), path, start)


def words(text: str) -> list[str]:
    """Words of a value; quotes hold words together and a backslash takes the next character as it is."""
    found: list[str] = []
    word, quote, inside, escaped = "", "", False, False
    for letter in text:
        if escaped:
            word, escaped = word + letter, False
        elif letter == "\\" and quote != "'":
            inside = escaped = True
        elif quote:
            if letter == quote:
                quote = ""
            else:
                word += letter
        elif letter in "\"'":
            quote, inside = letter, True
        elif letter in " \t":
            if inside:
                found.append(word)
            word, inside = "", False
        else:
            word, inside = word + letter, True
    return [*found, word] if inside else found


def _template(unit: str) -> str:
    stem, at, rest = unit.partition("@")
    instance, dot, kind = rest.rpartition(".")
    return f"{stem}@.{kind}" if at and dot and instance else ""


def _rank(folder: str) -> int:
    # a mount root or recording may stand before the directory
    for rank, directory in enumerate(DIRECTORIES):
        if folder == directory:
            return rank
    return len(DIRECTORIES)


def _breadth(owner: str) -> int:
    """0 for the unit's own directory, 1 for its template's, more for shorter prefixes."""
    stem = owner.rpartition(".")[0]
    if stem.endswith("@"):
        return 1
    return 1000 - len(stem) if stem.endswith("-") else 0
