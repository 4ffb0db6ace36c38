"""A setting as the rules see it: what is in force, which line of which file sets it at boot, and how to mend both.

Files are read for the machine. A name that each network namespace has for itself is set by them in the namespace
of the reader only: for a Kamailio that lives in another one they say nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE, Severity
from kamtcp.diagnose.finding import Cure, Finding, finding, no_cure
from kamtcp.diagnose.rule import Said
from kamtcp.model.absent import Absent
from kamtcp.model.settings import Assignment

NONE_KNOWN = "none known"
#: files of packages: an update brings them back, so they are overridden, not edited
OF_PACKAGES = ("/usr/lib/", "/lib/")
OWN_FILE = "/etc/sysctl.d/60-kamtcp.conf"
LAST_FILE = "/etc/sysctl.d/99-zz-kamtcp.conf"


def at_home(s: Situation) -> bool:
    """Whether this Kamailio lives in the network namespace that the files of this machine are applied to."""
    return s.namespace.id == s.machine.netns


def per_namespace(s: Situation, name: str) -> bool:
    """Whether each network namespace has a value of its own."""
    return name in s.namespace.sysctls and name not in s.machine.sysctls


def line_of(s: Situation, name: str) -> Assignment | None:
    """The line that sets a name at boot, where that concerns this situation."""
    if per_namespace(s, name) and not at_home(s):
        return None
    return s.machine.settings.winner(name)


def numbers(text: str) -> tuple[int, ...]:
    """The numbers of a value up to anything else, as the kernel takes them (0x and 0 prefixes too)."""
    found: list[int] = []
    for word in text.split():
        value = _number(word)
        if value is None:
            break
        found.append(value)
    return tuple(found)


def _number(word: str) -> int | None:
    digits = word[1:] if word[:1] == "-" else word
    if not digits.isascii() or not digits.isalnum() or len(digits) > 20:
        return None
    octal = len(digits) > 1 and digits[0] == "0" and digits.isdigit()
    try:
        value = int(digits, 8) if octal else int(digits, 0)
    except ValueError:
        return None
    return -value if word[:1] == "-" else value


def enter(s: Situation, name: str) -> str:
    """What goes before a line that reads or sets this name for this Kamailio."""
    if s.instance is None or at_home(s) or not per_namespace(s, name):
        return ""
    return f"nsenter -t {s.instance.attendant} -n "


def see(s: Situation, name: str, line: Assignment | None = None) -> str:
    """A shell line that shows the value in force, and the line in the file."""
    shown = f"{enter(s, name)}sysctl {name}"
    return f"{shown}; sed -n {line.line}p {quoted(line.file)}" if line is not None else shown


def quoted(word: str) -> str:
    """A word as the shell takes it."""
    if word and all(letter.isalnum() or letter in "_-./:=@%+," for letter in word) and word.isascii():
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def written(line: Assignment) -> str:
    """The value of a line, words parted by one space."""
    return " ".join((line.value or "").split())


def set_now(s: Situation, name: str, value: str, risk: str = NONE_KNOWN) -> Cure:
    """The value, at once."""
    return Cure(
        f"{name}={value}, at once",
        f"{enter(s, name)}sysctl -w {quoted(f'{name}={value}')}",
        f"{risk}; ends with the next boot",
    )


def take_out(line: Assignment, risk: str = "none: nothing changes before the next boot") -> Cure:
    """The line made a comment; the file as it was is kept beside it. A package's file is overridden instead."""
    if line.file.startswith(OF_PACKAGES):
        return Cure(f"a later file than {line.file} that sets {line.name} otherwise ({LAST_FILE})", risk=risk)
    return Cure(
        f"take out {line.where} (the file as it was is kept beside it, {_kept(line)})",
        f"sed -i.{line.line}.bak --follow-symlinks {quoted(f'{line.line}s/^/# /')} {quoted(line.file)}",
        risk,
    )


def keep(s: Situation, name: str, value: str, line: Assignment | None, *, set_by: str = "") -> Cure:
    """The value at every boot: in the line that is there, else in a file of kamtcp's own.

    Args:
        s: where it is to hold.
        name: of the setting.
        value: to be kept.
        line: that sets it now, if any does.
        set_by: a clause on what else may set it.
    """
    risk = "none: nothing changes before the next boot"
    if line is not None and line.file.startswith(OF_PACKAGES):
        return Cure(
            f"{name} = {value} in {LAST_FILE}, which goes after {line.where}",
            _append(name, value, LAST_FILE),
            risk,
        )
    if line is not None and not line.is_glob:
        change = quoted(f"{line.line}s|=.*|= {value}|")
        return Cure(f"{name} = {value} in {line.where} (the file as it was is kept beside it, {_kept(line)})",
                    f"sed -i.{line.line}.bak --follow-symlinks {change} {quoted(line.file)}", risk)  # fmt: skip
    if not at_home(s) and per_namespace(s, name):
        return Cure(
            f"{name}={value} where this network namespace is made (docker run --sysctl, or the unit's ExecStartPre=)"
        )
    return Cure(f"{name} = {value} in {OWN_FILE}{set_by}", _append(name, value, OWN_FILE), risk)


def _kept(line: Assignment) -> str:
    """A name of its own for each line, so that the next cure doesn't write over the file as it first was."""
    return f".{line.line}.bak"


def _append(name: str, value: str, file: str) -> str:
    return f"echo {quoted(f'{name} = {value}')} >>{file}"


class Wrong(Struct, frozen=True):
    """One setting and the values of it that are wrong.

    Args:
        is_wrong: from its numbers; Absent where that takes a fact that could not be seen.
        why: what a wrong value does, one clause.
        good: the value to have, from the situation; "" where the line is only taken out.
        risk: of setting the good value now.
        only_files: what is in force by itself is no finding, a line of a file is.
    """

    code: str
    name: str
    is_wrong: Callable[[tuple[int, ...], Situation], bool | Absent]
    why: Callable[[tuple[int, ...], Situation], str]
    good: Callable[[Situation], str]
    risk: str = NONE_KNOWN
    severity: Severity | None = None
    only_files: bool = False


def judged(s: Situation, wrong: Wrong) -> Said:
    """A finding where the value in force is wrong, or the one that a file sets at the next boot."""
    live, line = s.sysctl_text(wrong.name), line_of(s, wrong.name)
    if line is None and wrong.only_files:
        return
    now = wrong.is_wrong(numbers(live), s) if not isinstance(live, Absent) and numbers(live) else False
    filed = numbers(line.value) if line is not None and line.value is not None else ()
    then = wrong.is_wrong(filed, s) if filed else False
    for each in (now, then):
        if isinstance(each, Absent):
            yield each
            return
    if isinstance(live, Absent) and not then:
        yield live
        return
    if now or then:
        yield _finding(s, wrong, live, line, (bool(now), bool(then)))


def _finding(
    s: Situation, wrong: Wrong, live: str | Absent, line: Assignment | None, when: tuple[bool, bool]
) -> Finding:
    now, then = when
    good = wrong.good(s)
    shown = "not seen" if isinstance(live, Absent) else " ".join(live.split())
    bad = numbers(live if now and not isinstance(live, Absent) else (line.value or "" if line else ""))
    why = wrong.why(bad, s)
    if now and then and line is not None:
        evidence = f"{wrong.name}={shown} ({line.where}): {why}"
    elif now and line is not None:
        evidence = f"{wrong.name}={shown} now, {line.where} sets {line.value} at the next boot: {why}"
    elif now:
        evidence = f"{wrong.name}={shown}, which no file of sysctl.d sets: {why}"
    else:
        assert line is not None
        evidence = f"{line.where} sets {wrong.name}={line.value} at the next boot (now {shown}): {why}"
    if not now:
        cure = no_cure("it is not in force now")
    elif good:
        cure = set_now(s, wrong.name, good, wrong.risk)
    else:
        cure = no_cure("nothing is lost by leaving it until the next boot")
    if line is not None and then:
        lasting = take_out(line)
    elif good:
        by = "; and look for what sets it now (tuned, a start script): no file of sysctl.d does"
        lasting = keep(s, wrong.name, good, line, set_by=by)
    else:
        lasting = Cure("nothing sets it at boot: it is gone then")
    return finding(
        BY_CODE[wrong.code], evidence, see(s, wrong.name, line), cure, lasting, severity=wrong.severity,
        places=(line.where,) if line is not None else (),
    )  # fmt: skip
