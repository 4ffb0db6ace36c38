"""Writing to the operator: what is said must arrive, or be owned up to, and a reader may leave early."""

from __future__ import annotations

import os
import sys

from kamtcp.errors import UsageError


def say(text: str) -> None:
    """Write to stdout, all of it; characters that its encoding doesn't know are escaped.

    Raises:
        UsageError: stdout is closed, or can't be written (full disk).
    """
    if sys.stdout is None:
        raise UsageError("standard output is closed; nothing can be shown")
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up()  # the reader went away (head, less): nothing is wrong, and nothing more can be said
    except OSError as error:
        _give_up()
        raise UsageError(f"standard output: {error.strerror}") from None


def complain(text: str) -> None:
    """One line on stderr, if anybody can read it."""
    line = " ".join(text.split())
    try:
        if sys.stderr is not None:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
    except OSError:
        return


def _give_up() -> None:
    """Let what is still in the buffer go nowhere: the interpreter would try again, and complain, when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
