"""The configuration and the arguments of a Kamailio that is not started yet.

Reads   the file and its includes, on the machine of the reader, as Kamailio would read them
Source  Kamailio src/main.c main(): -l, --loadmodule and --modparam add to the file
"""

from __future__ import annotations

import posixpath
import shlex

from msgspec import Struct
from msgspec.structs import replace

from kamtcp.errors import ConfigError, UsageError
from kamtcp.host.door import Host
from kamtcp.kamailio import cmdline, versions, weight
from kamtcp.kamailio.cmdline import CommandLine
from kamtcp.kamailio.config import Config, Listen, ModParam, Module, read_config
from kamtcp.kamailio.listeners import place
from kamtcp.kamailio.modules import module_name
from kamtcp.kamailio.notes import Place
from kamtcp.kamailio.preprocess import Stream
from kamtcp.survey import start_limits, unit_arguments
from kamtcp.survey.config_file import opened


class Start(Struct, frozen=True):
    """What is to be started: the file, and the arguments as the operator gave them, or as `whose` unit does."""

    path: str
    arguments: str
    line: CommandLine
    whose: str = ""


def of_arguments(path: str, arguments: str) -> Start:
    """The file and the arguments of one start.

    Raises:
        UsageError: they are no arguments of Kamailio.
    """
    try:
        words = shlex.split(arguments)
    except ValueError as error:
        raise UsageError(f"--args {arguments!r}: {error}") from None
    line = cmdline.parse("\0".join(["kamailio", *words]).encode("utf-8", "surrogateescape"))
    if line.wrong:
        raise UsageError(
            f"--args: {line.wrong[0]!r} is not what kamailio(8) takes; Kamailio would not start as meant"
        )
    for text in line.listens:
        if place(text) is None:
            raise UsageError(f"--args: -l {text!r} is not [protocol:]address[:port]")
    if line.config_path not in (cmdline.DEFAULT_CONFIG, path):
        raise UsageError("--args: leave out -f; --kamailio-cfg names the file")
    return Start(path, arguments, line)


def of_unit(path: str, host: Host) -> Start:
    """The file with the arguments of kamailio.service; with none where there is no such unit."""
    given = unit_arguments.collect(host, start_limits.UNIT)
    if given is None:
        return of_arguments(path, "")
    try:
        return replace(of_arguments(path, given), whose=start_limits.UNIT)
    except UsageError as error:
        raise UsageError(
            f"{start_limits.UNIT}: {str(error).removeprefix('--args: ')}; state them with --args"
        ) from None


def read(start: Start, own: Host, version: versions.Version | None) -> tuple[Config, int]:
    """The configuration with what the arguments add to it, and what its route blocks weigh in bytes.

    Raises:
        UsageError: it can't be read. ConfigError: Kamailio would refuse it.
    """
    path, line = start.path, start.line
    numbers = None if version is None else version.numbers

    def open_file(name: str) -> bytes:
        return opened(own, name)

    try:
        data = open_file(path)
    except OSError as error:
        raise UsageError(f"--kamailio-cfg {path}: {error.strerror}") from None
    config = read_config(
        open_file, path, line.defines, version=numbers, substitutions=line.substitutions, modules=line.modules,
        directory=posixpath.dirname(path),
    )  # fmt: skip
    if config.refusals:
        raise ConfigError(tuple(tuple(each.shown.split("\n")) for each in config.refusals))
    stream = Stream(open_file, line.defines, environ=None, version=numbers, directory=posixpath.dirname(path))
    for kind, text in line.substitutions:
        stream.add_rule(kind, text, Place("command line", 0))
    stream.frames.push_file(path, data)
    return _with_arguments(config, line), weight.weigh(stream, path)


def _with_arguments(config: Config, line: CommandLine) -> Config:
    """The file, and what arguments add to it: listeners, modules, module parameters."""
    places = [place(text) for text in line.listens]
    return replace(
        config,
        listens=(*config.listens, *(
            Listen(found[0], found[1], found[2], "command line -l", 0, found[3]) for found in places if found is not None
        )),
        modules=(*config.modules, *(Module(module_name(each), "command line", 0) for each in line.modules)),
        modparams=(*config.modparams, *(
            ModParam(each.module, each.name, each.value, "command line", 0) for each in line.modparams
        )),
    )  # fmt: skip
