"""Names that are defined while a kamailio.cfg is read.

Source  Kamailio src/core/cfg.lex (pp_define(), pp_define_env()), src/core/ppcfg.c (pp_define_core())
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from kamtcp.kamailio.conditions import evaluate
from kamtcp.kamailio.notes import Notes, Place

# first version that knows the directive; to older ones it is a comment
_SINCE = {
    "defenv": (5, 5),
    "defenvs": (5, 6),
    "trydefenv": (5, 6),
    "trydefenvs": (5, 6),
    "ifexp": (5, 7),
    "defexp": (5, 7),
    "defexps": (5, 7),
    "undef": (6, 2),
    "undefine": (6, 2),
    "tryundef": (6, 2),
    "tryundefine": (6, 2),
}


class Define(Struct, frozen=True):
    """What a name stands for; `value` is None where it is only defined."""

    value: str | None
    sure: bool = True


class Definitions:
    """The defined names.

    Args:
        given: of the command line (-A), name -> value; None or "" without one.
        environ: environment Kamailio was started with; None if not known.
        version: of Kamailio; None if not known.
        notes: takes what goes wrong.

    Attributes:
        blind: part of the configuration could not be read: what isn't defined may well be.
    """

    def __init__(
        self,
        given: Mapping[str, str | None],
        environ: Mapping[str, str] | None,
        version: tuple[int, ...] | None,
        notes: Notes,
    ) -> None:
        self.names = {name: Define(value or None) for name, value in {**_core(version), **given}.items()}
        self.environ, self.version, self.notes = environ, version, notes
        self.blind = False

    def has(self, name: str) -> bool | None:
        """Whether a name is defined; None where that isn't known."""
        found = self.names.get(name)
        if found is not None:
            return True if found.sure else None
        if self.blind or (self.version is None and name.startswith("KAMAILIO_")):
            return None
        return False

    def value(self, name: str) -> str | int | None:
        """The value of a name in an expression, as `conditions.evaluate` wants it."""
        known = self.has(name)
        if known is None:
            return None
        value = self.names[name].value if known else None
        if not value:
            return int(known)
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        return value[1:-1] if quoted else value

    def knows(self, word: str, place: Place) -> bool:
        """Whether this version follows a directive; where it does not, that is noted."""
        since = _SINCE.get(word)
        if since is None or self.version is None or self.version[:2] >= since:
            return True
        self.notes.problem(place, f"#!{word} is a comment to Kamailio before {since[0]}.{since[1]}")
        return False

    def directive(self, word: str, rest: str, place: Place, *, sure: bool) -> None:
        """Follow one of the directives that define.

        Args:
            word: "define", "trydef", "defenv", "undef", "defexp", ….
            rest: what follows it.
            place: where it stands.
            sure: False in a branch that may not be read by Kamailio.
        """
        if not self.knows(word, place):
            return
        name = rest.split(maxsplit=1)[0] if rest else ""
        value = rest[len(name) :].strip(" \t\b\r")
        if "env" in word:
            self._from_environment(word, name, place, sure=sure)
        elif not name.replace("_", "a").isalnum():
            self.notes.refuse(place, f"#!{word} without a name", sure=sure)
        elif word.startswith("defexp"):
            result = evaluate(value, self.value)
            if result is None:
                self.notes.doubt(place, f"#!{word} {name}: the expression was not evaluated")
            shown = str(int(result)) if isinstance(result, float) else result
            shown = f'"{shown}"' if word == "defexps" and shown is not None else shown
            self.define("define", name, shown, place, sure=sure and result is not None)
        elif "undef" in word:
            self._undefine(word, name, place, sure=sure)
        else:
            self.define(word, name, value or None, place, sure=sure)

    def define(self, word: str, name: str, value: str | None, place: Place, *, sure: bool) -> None:
        """Define a name; `word` says what happens if it is defined already."""
        old = self.names.get(name)
        if old is not None and word.startswith("try"):
            return
        again = word.startswith("redef")
        if old is not None and old.sure and sure and not again:
            self.notes.refuse(place, f"{name} is already defined: Kamailio does not start")
            return
        self.names[name] = Define(value, sure and (old is None or old.sure or again))

    def _undefine(self, word: str, name: str, place: Place, *, sure: bool) -> None:
        old = self.names.get(name)
        if old is None and not word.startswith("try"):
            text = f"{name} is undefined but was not defined: Kamailio does not start"
            self.notes.refuse(place, text, sure=sure)
        if sure:
            self.names.pop(name, None)
        elif old is not None:
            self.names[name] = Define(old.value, sure=False)

    def _from_environment(self, word: str, text: str, place: Place, *, sure: bool) -> None:
        name, _, variable = text.partition("=")
        if self.environ is None:
            self.notes.doubt(place, f"#!{word} {text}: the environment of Kamailio is not known")
            self.define("trydef", name, None, place, sure=False)
            return
        value = self.environ.get(variable or name)
        if value is not None:
            self.define("define", name, f'"{value}"' if word.endswith("s") else value, place, sure=sure)
        elif not word.startswith("try"):
            self.notes.refuse(
                place,
                f"environment variable {variable or name} is not set: Kamailio does not start",
                sure=sure,
            )


def _core(version: tuple[int, ...] | None) -> dict[str, str | None]:
    """Names that Kamailio defines by itself: KAMAILIO_5, KAMAILIO_5_6, … and, from 5.7, KAMAILIO_VERSION."""
    if version is None or len(version) < 3:
        return {}
    major, minor, patch = version[:3]
    names: dict[str, str | None] = {
        f"KAMAILIO_{major}": None,
        f"KAMAILIO_{major}_{minor}": None,
        f"KAMAILIO_{major}_{minor}_{patch}": None,
    }
    if (major, minor) >= (5, 7):
        names["KAMAILIO_VERSION"] = str(major * 1_000_000 + minor * 1000 + patch)
        names["OS_NAME"] = '"linux"'
    return names
