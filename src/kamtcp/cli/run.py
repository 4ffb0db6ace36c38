"""Run one command. Every failure becomes one clear line on stderr and a right exit code."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn, Protocol

from kamtcp.cli.exits import Exit
from kamtcp.errors import KamtcpError


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
    """argparse, with errors as one line."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message} (see {self.prog} --help)\n")
        raise SystemExit(int(Exit.USAGE))


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
        parser, module = parser_of(name)
        return int(module.run(parser.parse_args(arguments)))
    except SystemExit as stop:
        return int(stop.code or 0) if isinstance(stop.code, int | None) else int(Exit.USAGE)
    except KamtcpError as error:
        return _fail(name, str(error))
    except BrokenPipeError:
        # the reader of our output went away (head, less): nothing is wrong, and nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OK)
    except KeyboardInterrupt:
        return _fail(name, "interrupted; nothing was changed")
    except OSError as error:
        return _fail(name, f"{error.filename or 'system call'}: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001  (the last net: an operator never sees a traceback)
        return _fail(name, f"internal error, please report: {type(error).__name__}: {error}{_where(error)}")


def _fail(name: str, text: str) -> int:
    sys.stderr.write(f"kamtcp {name}: {' '.join(text.split())}\n")
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
