"""What a kamailio.cfg holds: core parameters, listeners, modules and their parameters, each with file and line."""

from __future__ import annotations

import re

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


class Refusal(Struct, frozen=True):
    """A place that Kamailio does not read: it does not start from this configuration.

    Args:
        file, line, column: where, 1-based; column 0 if it is the whole line or file.
        text: what is wrong, and what was expected.
        code: the line as it stands in the file, cut to what a terminal shows; "" where there is none.
        caret: characters of `code` before the place; -1 without a column.
        sure: False in a branch of a condition that could not be evaluated.
    """

    file: str
    line: int
    column: int
    text: str
    code: str = ""
    caret: int = -1
    sure: bool = True

    @property
    def shown(self) -> str:
        """Three lines: FILE:LINE:COLUMN: text; the line; a caret below the place."""
        place = f"{self.file}:{self.line}" + (f":{self.column}" if self.column else "")
        lines = [f"{place}: {self.text}"]
        if self.caret >= 0:
            lines += [f"    {self.code}", "    " + " " * self.caret + "^"]
        return "\n".join(lines)


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
        refusals: those of them for which Kamailio does not start, in order.
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
    refusals: tuple[Refusal, ...] = ()
    unsure: tuple[str, ...] = ()


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
