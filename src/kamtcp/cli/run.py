"""Run one command. Every failure becomes one clear line on stderr and a right exit code."""

from __future__ import annotations

import argparse
import os
from typing import NoReturn, Protocol

from kamtcp.cli import out
from kamtcp.cli.exits import Exit
from kamtcp.errors import KamtcpError, UsageError


class Command(Protocol):
    """What a module of this package offers to be a command."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add its options."""

    def run(self, options: argparse.Namespace) -> Exit:
        """Do it."""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as all other output; argparse would import half of the archive formats to learn the width."""

    def __init__(self, prog: str) -> None:
        from kamtcp.cli.wrap import screen

        super().__init__(prog, width=screen().width - 2)


class Parser(argparse.ArgumentParser):
    """argparse, with errors as everybody else's, and help that is not lost without a word."""

    #: options whose value may begin with a dash, as the arguments of another program do
    dashed: frozenset[str] = frozenset()

    def print_help(self, file: object = None) -> None:  # noqa: ARG002  (argparse's own gives none)
        out.say(self.format_help())

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def parser_of(name: str) -> tuple[Parser, Command]:
    """A command's module and the parser with its options."""
    from importlib import import_module

    from kamtcp.cli.commands import COMMANDS

    module: Command = import_module(f"kamtcp.cli.{name}")
    parser = Parser(
        prog=f"kamtcp {name}", description=COMMANDS[name], allow_abbrev=False,
        formatter_class=Formatter,
    )  # fmt: skip
    module.configure(parser)
    return parser, module


def run(name: str, arguments: list[str]) -> int:
    """Run a command; returns its exit code."""
    try:
        return _do(name, arguments)
    except KamtcpError as error:
        return _fail(name, arguments, str(error))
    except KeyboardInterrupt:
        return _fail(name, arguments, "interrupted; nothing was changed")
    except OSError as error:
        return _fail(name, arguments, f"{error.filename or 'system call'}: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001  (the last net: an operator never sees a traceback)
        text = f"internal error, please report: {type(error).__name__}: {error}{_where(error)}"
        return _fail(name, arguments, text)


def _do(name: str, arguments: list[str]) -> int:
    parser, module = parser_of(name)
    try:
        options = parser.parse_args(_joined(arguments, parser.dashed))
    except SystemExit:  # of --help, which has been shown
        return int(Exit.OK)
    return int(module.run(options))


def _joined(arguments: list[str], dashed: frozenset[str]) -> list[str]:
    """With the values of these options joined to them: argparse would take "-T" for an option of its own."""
    joined: list[str] = []
    for each in arguments:
        if joined and joined[-1] in dashed:
            joined[-1] += f"={each}"
        else:
            joined.append(each)
    return joined


def _fail(name: str, arguments: list[str], text: str) -> int:
    """Usage or own error. A monitoring system reads stdout, and 2 means CRITICAL to it: there it is UNKNOWN."""
    if "--nagios" in arguments:
        from kamtcp.cli.nagios import unknown

        line, state = unknown(text)
        try:
            out.say(line + "\n")
        except UsageError:
            out.complain(line)
        return state
    out.complain(f"kamtcp {name}: {text}")
    return int(Exit.USAGE)


def _where(error: BaseException) -> str:
    """File and line of the failure, for the report; KAMTCP_DEBUG=1 shows the whole way."""
    if os.environ.get("KAMTCP_DEBUG"):
        raise error
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})"
