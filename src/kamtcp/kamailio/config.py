"""What a kamailio.cfg says: core parameters, listeners, modules and their parameters, each with file and line.

Route blocks are passed over. The reader is tolerant: what Kamailio would refuse is noted in `refusals` and read
as it seems to be meant; what can't be told (an expression, the environment) is noted in `unsure`, and settings
that hang on it carry `sure=False`. What a *running* server uses is what RPC reports; the file may be newer.

Reads   kamailio.cfg and the files it includes
Source  Kamailio src/core/cfg.lex, cfg.y; the wiki's core cookbook
Cost    about 4 ms for the stock file of 1,000 lines, 20 ms more the first time (regular expressions)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from kamtcp.kamailio.contents import (
    Config,
    Listen,
    ModParam,
    Module,
    Refusal,
    Setting,
    Value,
    loads,
    modparam,
)
from kamtcp.kamailio.notes import Place

__all__ = [
    "Config",
    "Listen",
    "ModParam",
    "Module",
    "Refusal",
    "Setting",
    "Value",
    "depends_on_version",
    "loads",
    "modparam",
    "read_config",
]


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
    # loaded when a configuration is read: start-up is measured
    from kamtcp.kamailio.modules import module_name
    from kamtcp.kamailio.preprocess import Stream
    from kamtcp.kamailio.statements import parse

    data = open_file(path)
    stream = Stream(open_file, defines, environ=environ, version=version, directory=directory)
    for kind, text in substitutions:
        stream.add_rule(kind, text, Place("command line", 0))
    for name in modules:
        stream.define_module(module_name(name), sure=True)
    stream.frames.push_file(path, data)
    return parse(stream, path)


def depends_on_version(data: bytes) -> bool:
    """Whether a file may be read differently by different versions.

    It uses names that Kamailio defines, or directives that came late.
    """
    return any(word in data for word in (b"KAMAILIO_", b"OS_NAME", b"!ifexp", b"!defexp", b"undef"))
