"""`#!subst` and `#!substdef`: replacements inside the strings of a kamailio.cfg.

Source  Kamailio src/core/re.c subst_parser(), src/core/ppcfg.c pp_subst_add(), pp_substdef_add()
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping

from msgspec import Struct

_SPECIAL = frozenset(".^$*+?()[]{}|\\")
_LONGEST = 4096  # characters of a string that a pattern with repetitions is tried on


class Rule(Struct, frozen=True):
    """One substitution.

    Args:
        name: the pattern as written, the name that a substdef defines.
        plain: the replacement as text, the value that a substdef defines.
        pattern: for `re`; "" where the rule can't be applied.
        repeated: replace every match (flag g).
        doubt: why the rule, or its value, isn't certain; "" if it is.
    """

    name: str
    plain: str
    pattern: str
    flags: int = 0
    repeated: bool = False
    doubt: str = ""

    def apply(self, text: str) -> str:
        """The text with the rule applied, or as it was where the rule can't be."""
        if not self.pattern or len(text) > _LONGEST:
            return text
        return re.sub(
            self.pattern, lambda _: self.plain, text, count=0 if self.repeated else 1, flags=self.flags
        )


def parse_rule(text: str, environ: Mapping[str, str] | None) -> Rule | None:
    """One rule "/pattern/replacement/flags" (any separator but a backslash); None if it isn't one.

    Patterns that could run away (a repeated group) and replacements that need a SIP message or a group are kept
    but not applied; `doubt` says so. `$env(NAME)` is looked up in `environ`.
    """
    if len(text) < 3 or text[0] == "\\":
        return None
    separator = text[0]
    first = _unescaped(text, separator, 1)
    second = _unescaped(text, separator, first + 1) if first > 1 else -1
    if second < 0 or not set(text[second + 1 :]) <= set("gis"):
        return None
    name, plain, letters = text[1:first], text[first + 1 : second], text[second + 1 :]
    plain, doubt = _evaluated(plain, environ)
    pattern = name
    if "(" in name and _SPECIAL & set(name.replace("(", "").replace(")", "")):
        pattern, doubt = "", doubt or "a pattern with groups is not applied to strings"
    elif doubt:
        pattern = ""
    flags = re.MULTILINE | (re.IGNORECASE if "i" in letters else 0) | (re.DOTALL if "s" in letters else 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # [[:digit:]] means another thing to Python, which warns
            re.compile(pattern, flags)
    except (re.error, Warning, RecursionError, OverflowError):
        pattern, doubt = (
            "",
            "a pattern that only Kamailio's regular expressions know is not applied to strings",
        )
    return Rule(name, plain, pattern, flags, "g" in letters, doubt)


def _unescaped(text: str, separator: str, start: int) -> int:
    for index in range(start, len(text)):
        if text[index] == separator and text[index - 1] != "\\":
            return index
    return -1


def _evaluated(plain: str, environ: Mapping[str, str] | None) -> tuple[str, str]:
    doubt = ""

    def look(found: re.Match[str]) -> str:
        nonlocal doubt
        if environ is None:
            doubt = "the environment of Kamailio is not known"
            return ""
        return environ.get(found.group(1), "")

    plain = re.sub(r"\$env\((\w+)\)", look, plain)
    if "$" in plain or "\\" in plain:
        doubt = doubt or "its replacement is computed when Kamailio starts"
    return plain, doubt
