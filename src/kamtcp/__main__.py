"""Start of the command line: find the command, import only what it needs, turn failures into one line.

`kamtcp --help` is the slowest thing an operator in trouble should wait for, so nothing is imported here
that it doesn't need (ADR 0002).
"""

from __future__ import annotations

import sys

from kamtcp.cli.commands import COMMANDS

EXIT_USAGE = 2

_HELP = """Usage: kamtcp COMMAND [OPTIONS]

Tunes and monitors Linux hosts that run Kamailio with very many TCP, TLS and
WebSocket connections.

Commands:
{commands}

Options:
  --version  show the version
  --help     show this; `kamtcp COMMAND --help` shows a command's options

Exit codes: 0 well, 1 findings, 2 usage or own error, 3 could not see enough.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code. Never raises, never shows a traceback."""
    argv = sys.argv[1:] if arguments is None else arguments
    if not argv or argv[0] in ("--help", "-h", "help"):
        width = max(map(len, COMMANDS))
        listed = "\n".join(f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
        return _shown(_HELP.format(commands=listed), 0 if argv else EXIT_USAGE)
    if argv[0] in ("--version", "-V"):
        from kamtcp import __version__

        return _shown(f"kamtcp {__version__}\n", 0)
    if argv[0] not in COMMANDS:
        close = [name for name in COMMANDS if name.startswith(argv[0][:2])] or list(COMMANDS)
        from kamtcp.cli.out import complain

        complain(
            f"kamtcp: no command {argv[0]!r}; did you mean: {', '.join(close)}? (kamtcp --help lists all)"
        )
        return EXIT_USAGE
    _load_msgspec()
    from kamtcp.cli.run import run

    return run(argv[0], argv[1:])


def _load_msgspec() -> None:
    """Load it without typing_extensions, which it prefers where that is installed (as for these tests) and which
    takes half as long to load as the interpreter; typing has all that is needed.
    """
    name = "typing_extensions"
    if name in sys.modules:
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        import msgspec  # noqa: F401
    except ImportError:
        return  # whoever needs it says so
    finally:
        del sys.modules[name]


def _shown(text: str, code: int) -> int:
    from kamtcp.cli.out import complain, say
    from kamtcp.errors import UsageError

    try:
        say(text)
    except UsageError as error:
        complain(f"kamtcp: {error}")
        return EXIT_USAGE
    return code


def start() -> None:
    """The program: `main`, then out at once.

    A look makes tens of thousands of objects and keeps them to its end. Searching them for garbage again and again,
    and taking them apart one by one at the end, were a sixth of its time. So nothing may wait for `atexit` here.
    """
    import gc
    import os

    gc.set_threshold(200_000)
    try:
        code = main()
    except KeyboardInterrupt:  # while the command was still being loaded
        code = EXIT_USAGE
    os._exit(code)  # what was said is flushed: cli/out.py sees to it


if __name__ == "__main__":
    start()
