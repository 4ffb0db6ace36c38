"""A name -> what it stands for: settings and counters, ceilings, findings; or names that are close to it."""

from __future__ import annotations

from msgspec import Struct

from kamtcp.capacity import catalogue as ceilings
from kamtcp.capacity.ceiling import Spec
from kamtcp.catalogue import names
from kamtcp.catalogue.entry import Entry
from kamtcp.diagnose import codes
from kamtcp.diagnose.codes import Code

Subject = Entry | Spec | Code
#: more than so many matches of a short name are listed, not explained
MOST = 3


class Unknown(Struct, frozen=True):
    """No such name; `close` are spellings like it, best first."""

    close: tuple[str, ...]


def find(name: str) -> tuple[Subject, ...] | Unknown:
    """What a name stands for.

    A spelling that is exactly one thing's wins over one that only sounds like it: tcp_max_connections is the
    parameter, tcp-max-connections the ceiling; file-max is both the ceiling and, in short, fs.file-max.
    """
    exact = _exact(name)
    if exact is not None:
        return (exact, *(each for each in names.find(name) if each.id.endswith(f".{name}")))
    code = codes.BY_CODE.get(name.strip().upper())
    if code is not None:
        return (code,)
    found: list[Subject] = list(names.find(name))
    key = names.fold(name)
    if not found:
        found += [
            each.spec
            for each in ceilings.ALL
            if key in (names.fold(each.spec.name), names.fold(each.spec.title))
        ]
        found += [each for each in codes.ALL if names.fold(each.name) == key]
    if 0 < len(found) <= MOST:
        return tuple(found)
    return Unknown(tuple(map(name_of, found)) or _close(name))


def name_of(subject: Subject) -> str:
    """The name that finds it again."""
    if isinstance(subject, Entry):
        return subject.id
    return subject.code if isinstance(subject, Code) else subject.name


def subjects() -> tuple[Subject, ...]:
    """Everything that can be explained, in the order of --list."""
    from kamtcp.catalogue.load import entries

    return (*entries().values(), *(each.spec for each in ceilings.ALL), *codes.ALL)


def _exact(name: str) -> Subject | None:
    if name in ceilings.BY_NAME:
        return ceilings.BY_NAME[name].spec
    return codes.BY_CODE.get(name) or codes.BY_NAME.get(name)


def _close(name: str) -> tuple[str, ...]:
    import difflib

    known = {names.fold(each): each for each in names.spellings()}
    for subject in subjects():
        known.setdefault(names.fold(name_of(subject)), name_of(subject))
        if isinstance(subject, Code):
            known.setdefault(names.fold(subject.name), subject.name)
    wanted = names.fold(name)
    best = difflib.get_close_matches(wanted, known, n=4, cutoff=0.6)
    inside = [each for each in known if len(wanted) > 3 and wanted in each]
    return tuple(dict.fromkeys(known[each] for each in (*best, *inside)))[:5]
