"""The options that a running Kamailio was started with.

Reads   /proc/PID/cmdline: the arguments, each ended by a NUL
Source  Kamailio src/main.c main() (getopt_long with the options listed below); getopt(3) for the rules
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from kamtcp.errors import ParseError

DEFAULT_CONFIG = "/etc/kamailio/kamailio.cfg"

_WITH_VALUE = frozenset("fMBbmlLnNWwtugPGQOaAxXYs")
_WITHOUT = frozenset("cdVIhEevKrRDTS")
_LONG = {
    "help": False,
    "version": False,
    "alias": True,
    "domain": True,
    "subst": True,
    "substdef": True,
    "substdefs": True,
    "server-id": True,
    "loadmodule": True,
    "modparam": True,
    "log-engine": True,
    "debug": True,
    "cfg-print": False,
    "atexit": True,
    "all-errors": False,
    "iuid": True,
}
_TEXTS = {
    "W": "poll_method",
    "x": "shm_manager",
    "X": "pkg_manager",
    "Y": "runtime_dir",
    "P": "pid_file",
    "G": "pgid_file",
    "u": "user",
    "g": "group",
    "t": "chroot",
    "w": "workdir",
    "L": "module_path",
    "f": "config_path",
    "log-engine": "log_engine",
}
_NUMBERS = {
    "m": "shm_mb",
    "M": "pkg_mb",
    "n": "children",
    "N": "tcp_children",
    "server-id": "server_id",
    "debug": "debug",
}


class GivenModParam(Struct, frozen=True):
    """A `--modparam=module:name:type:value`."""

    module: str
    name: str
    value: int | str


class CommandLine(Struct, frozen=True):
    """The options of one Kamailio. None: not given, so Kamailio's own default or the file decides.

    Args:
        program: argument 0.
        config_path: -f, as given; the packaged default without it (`kamailio -I` prints the compiled one).
        shm_mb, pkg_mb: -m, -M in MiB.
        children, tcp_children: -n, -N.
        listens: -l, as given; they add to the file's.
        defines: -A, name -> value (None without one).
        substitutions: ("subst" | "substdef" | "substdefs", expression).
        shm_manager, pkg_manager: -x, -X; without -X private memory uses what -x names.
        disable_tcp: -T. log_stderr: -E. stay_in_front: number of D.
        debug: level by --debug, or the number of -d; None if neither.
        wrong: arguments that Kamailio would not have accepted, or that this reader doesn't know.
    """

    program: str
    config_path: str = DEFAULT_CONFIG
    shm_mb: int | None = None
    pkg_mb: int | None = None
    children: int | None = None
    tcp_children: int | None = None
    listens: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    defines: dict[str, str | None] = {}
    substitutions: tuple[tuple[str, str], ...] = ()
    modules: tuple[str, ...] = ()
    modparams: tuple[GivenModParam, ...] = ()
    poll_method: str | None = None
    shm_manager: str | None = None
    pkg_manager: str | None = None
    runtime_dir: str | None = None
    pid_file: str | None = None
    pgid_file: str | None = None
    user: str | None = None
    group: str | None = None
    chroot: str | None = None
    workdir: str | None = None
    module_path: str | None = None
    log_engine: str | None = None
    server_id: int | None = None
    debug: int | None = None
    disable_tcp: bool = False
    log_stderr: bool = False
    stay_in_front: int = 0
    wrong: tuple[str, ...] = ()


def parse(data: bytes, source: str = "/proc/PID/cmdline") -> CommandLine:
    """Take a command line apart.

    Args:
        data: the arguments, separated by NULs.
        source: what to name in an error.

    Raises:
        ParseError: there are no arguments (a kernel thread, or the process is gone).
    """
    arguments = [part.decode("utf-8", "replace") for part in data.removesuffix(b"\0").split(b"\0")]
    if not arguments[0]:
        raise ParseError(source, "a command line", data[:80])
    wrong: list[str] = []
    options = list(_options(arguments[1:], wrong.append))
    fields: dict[str, int | str] = {}
    defines: dict[str, str | None] = {}
    modparams: list[GivenModParam] = []
    for name, value in options:
        if name in _TEXTS:
            fields[_TEXTS[name]] = value
        elif name in _NUMBERS:
            _add_number(fields, name, value, wrong)
        elif name == "A":
            key, equals, text = value.partition("=")
            if key in defines:
                wrong.append(f"-A {value}")
            defines.setdefault(key, text if equals else None)
        elif name == "modparam":
            modparam = _modparam(value)
            modparams.extend([modparam] if modparam else [])
            wrong.extend([] if modparam else [f"--modparam={value}"])
    names = [name for name, _ in options]
    if "d" in names and "debug" not in fields:
        fields["debug"] = names.count("d")
    return CommandLine(
        program=arguments[0],
        listens=tuple(value for name, value in options if name == "l"),
        aliases=tuple(value for name, value in options if name in ("alias", "domain")),
        substitutions=tuple((name, value) for name, value in options if name.startswith("subst")),
        modules=tuple(value for name, value in options if name == "loadmodule"),
        defines=defines,
        modparams=tuple(modparams),
        disable_tcp="T" in names,
        log_stderr="E" in names,
        stay_in_front=names.count("D"),
        wrong=tuple(wrong),
        **fields,  # type: ignore[arg-type]  # the two tables name fields of the right type
    )


def _options(arguments: list[str], refuse: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Each option with its value, "" where it has none; the rules of getopt_long(3)."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            return
        if argument.startswith("--"):
            written, equals, value = argument[2:].partition("=")
            name = _long_name(written)
            if name is None or (equals and not _LONG[name]):
                refuse(argument)
                continue
            given = value if equals or not _LONG[name] else next(rest, None)
            if given is None:
                refuse(argument)
                return
            yield name, given
            continue
        if not argument.startswith("-") or argument == "-":
            refuse(argument)  # Kamailio passes over it
            continue
        yield from _letters(argument, rest, refuse)


def _letters(argument: str, rest: Iterator[str], refuse: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    for index, letter in enumerate(argument[1:], start=2):
        if letter in _WITHOUT:
            yield letter, ""
        elif letter in _WITH_VALUE:
            value = argument[index:] or next(rest, None)
            if value is None:
                refuse(f"-{letter}")
            else:
                yield letter, value
            return
        else:
            refuse(f"-{letter}")


def _long_name(written: str) -> str | None:
    """The long option meant: whole, or cut as long as only one begins so."""
    if written in _LONG:
        return written
    found = [name for name in _LONG if name.startswith(written)]
    return found[0] if len(found) == 1 and written else None


def _add_number(fields: dict[str, int | str], name: str, value: str, wrong: list[str]) -> None:
    text = value.strip()
    digits = text[1:] if text[:1] in ("-", "+") else text
    if digits.isascii() and digits.isdigit() and len(digits) < 19:
        fields[_NUMBERS[name]] = int(text)
    else:
        wrong.append(f"{'-' if len(name) == 1 else '--'}{name} {value}")


def _modparam(text: str) -> GivenModParam | None:
    parts = text.split(":", 3)
    if len(parts) < 4 or not parts[2]:
        return None
    module, name, kind, value = parts
    if kind[0] in "sS":
        return GivenModParam(module, name, value)
    digits = value[1:] if value[:1] == "-" else value
    if kind[0] in "iI" and digits.isascii() and digits.isdigit() and len(digits) < 19:
        return GivenModParam(module, name, int(value))
    return None
