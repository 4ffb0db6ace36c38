"""What a kamailio.cfg says: core parameters, listeners, modules and their parameters, each with file and line.

Route blocks are passed over. The reader is tolerant: what Kamailio would refuse is noted in `problems` and read
as it seems to be meant; what can't be told (an expression, the environment) is noted in `unsure`, and settings
that hang on it carry `sure=False`. What a *running* server uses is what RPC reports; the file may be newer.

Reads   kamailio.cfg and the files it includes
Source  Kamailio src/core/cfg.lex, cfg.y; the wiki's core cookbook
Cost    about 4 ms for the stock file of 1,000 lines, 20 ms more the first time (regular expressions)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from kamtcp.model.absent import Absent

Value = int | bool | str


class Setting(Struct, frozen=True):
    """One assignment of a core parameter.

    Args:
        name: as kamtcp spells it (`tcp_buf_write` is `tcp_async`); "group.name" for a custom variable.
        value: bool where one of the words yes, no, on, … stands; text where it is neither word nor number.
        file, line: where it stands.
        sure: False if it stands in, or uses, something that could not be evaluated.
    """

    name: str
    value: Value
    file: str
    line: int
    sure: bool = True

    @property
    def where(self) -> str:
        """As editors and grep write it: "FILE:LINE"."""
        return f"{self.file}:{self.line}"


class Listen(Struct, frozen=True):
    """One listener as configured; an address or interface may stand for several sockets.

    Args:
        protocol: "udp", "tcp", "tls", "sctp"; "" means UDP and TCP, and TLS where that is enabled.
        addresses: host names, addresses or interface names as written; several are one multi-homed socket.
        port: 0 = the default one. port_end: last of a range (6.0+), else 0.
        advertise: "ADDRESS[:PORT]" or "".
        name: of the socket, or "".
        workers: TCP or UDP workers of its own (`socket_workers`, `workers =`); 0 = the shared ones.
        virtual: the address may come and go (keepalived).
    """

    protocol: str
    addresses: tuple[str, ...]
    port: int
    file: str
    line: int
    port_end: int = 0
    advertise: str = ""
    name: str = ""
    workers: int = 0
    virtual: bool = False
    sure: bool = True


class Module(Struct, frozen=True):
    """A `loadmodule`: its name without path and ".so"."""

    name: str
    file: str
    line: int
    sure: bool = True


class ModParam(Struct, frozen=True):
    """A `modparam`; `modules` is an extended regular expression over whole module names, case ignored."""

    modules: str
    name: str
    value: int | str
    file: str
    line: int
    sure: bool = True


class Config(Struct, frozen=True):
    """A configuration.

    Args:
        path: the main file.
        params: core parameter -> its last assignment, which is the one that counts (but see effective.py on
            `shm_mem_size`).
        assignments: all of them, in order.
        defines: names defined at the end, with their values (None: defined without one).
        includes: files read, in order, the main one first.
        problems: what could not be read or is wrong; `source` is "FILE:LINE" or the file that is missing.
        unsure: what this reader could not tell, "FILE:LINE: why".
    """

    path: str
    params: dict[str, Setting]
    assignments: tuple[Setting, ...] = ()
    listens: tuple[Listen, ...] = ()
    aliases: tuple[str, ...] = ()
    modules: tuple[Module, ...] = ()
    modparams: tuple[ModParam, ...] = ()
    defines: dict[str, str | None] = {}
    includes: tuple[str, ...] = ()
    problems: tuple[Absent, ...] = ()
    unsure: tuple[str, ...] = ()


def read_config(
    open_file: Callable[[str], bytes],
    path: str,
    defines: Mapping[str, str | None],
    *,
    environ: Mapping[str, str] | None = None,
    version: tuple[int, ...] | None = None,
    substitutions: Iterable[tuple[str, str]] = (),
    modules: Iterable[str] = (),
    directory: str | None = "/",
) -> Config:
    """Read a configuration with everything it includes.

    Args:
        open_file: gives the contents of a file; OSError (or NotRecorded) where it can't.
        path: the main file, absolute.
        defines: of the command line (-A NAME[=VALUE]); None or "" where there is no value.
        environ: environment that Kamailio was started with (/proc/PID/environ); None if not known.
        version: of Kamailio, for the names it defines itself (KAMAILIO_5_6); None if not known.
        substitutions: of the command line, ("subst" | "substdef" | "substdefs", expression).
        modules: of the command line (--loadmodule).
        directory: working directory Kamailio was started in: relative includes are looked for there before the
            directory of the including file. "/" under systemd; None if not known.

    Returns:
        Whatever the bytes of the files are, a Config: trouble is noted in it.

    Raises:
        OSError, NotRecorded: the main file can't be read.
    """
    from kamtcp.kamailio.preprocess import Stream
    from kamtcp.kamailio.statements import module_name, parse

    data = open_file(path)
    stream = Stream(open_file, defines, environ=environ, version=version, directory=directory)
    for kind, text in substitutions:
        stream.add_rule(kind, text, "command line", 0)
    for name in modules:
        stream.define_module(module_name(name), sure=True)
    stream.push_file(path, data)
    return parse(stream, path)


def depends_on_version(data: bytes) -> bool:
    """Whether a file may be read differently by different versions: it uses names that Kamailio defines, or #!ifexp."""
    return any(word in data for word in (b"KAMAILIO_", b"OS_NAME", b"!ifexp", b"!defexp"))


def modparam(config: Config, module: str, name: str) -> ModParam | None:
    """The module parameter that counts: the last one for this module, or None."""
    for param in reversed(config.modparams):
        if param.name == name and _fits(param.modules, module):
            return param
    return None


def loads(config: Config, module: str) -> bool:
    """Whether the configuration loads a module."""
    return any(loaded.name == module for loaded in config.modules)


def _fits(pattern: str, module: str) -> bool:
    names = pattern.split("|")
    if all(name.replace("_", "a").isalnum() for name in names):
        return module.lower() in (name.lower() for name in names)
    if "(" in pattern and set("*+{") & set(pattern):
        return False  # a repeated group can run away; nobody writes module lists so
    try:
        return re.fullmatch(pattern, module, re.IGNORECASE) is not None
    except (re.error, RecursionError, OverflowError, Warning):
        return False
