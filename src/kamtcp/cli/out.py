"""Writing to the operator: what is said must arrive, or be owned up to, and a reader may leave early."""

from __future__ import annotations

import os
import sys

from kamtcp.cli.wrap import STYLES, screen
from kamtcp.errors import UsageError

_OWN = tuple(f"\033[{code}m" for code in ("0", *STYLES.values()))


def harmless(text: str, *, styles: bool) -> str:
    """Text as a terminal may be given it: what is not printable is escaped, but for line ends and (`styles`) our styles.

    Names of processes and files, log lines and RPC replies are written by others; a control character among them
    could repaint the screen, or hide what stands there. The escape is JSON's, so that a document stays one.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    lines = text.split("\n")
    return "\n".join(
        line if line.isprintable() else _escaped(line) if styles else _printable(line) for line in lines
    )


def _escaped(line: str) -> str:
    first, *rest = line.split("\033[")
    parts = [_printable(first)]
    for part in rest:  # each began with ESC [
        code = next((own for own in _OWN if part.startswith(own[2:])), "")
        parts += [code, _printable(part[len(code) - 2 :])] if code else [_printable("\033[" + part)]
    return "".join(parts)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def _escape(each: str) -> str:
    """As JSON writes it: UTF-16, a pair of escapes beyond the first plane."""
    units = each.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _unencodable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_escape, error.object[error.start : error.end])), error.end


def say(text: str) -> None:
    """Write to stdout, all of it; characters that its encoding doesn't know are escaped.

    Raises:
        UsageError: stdout is closed, or can't be written (full disk).
    """
    if sys.stdout is None:
        raise UsageError("standard output is closed; nothing can be shown")
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        import codecs

        codecs.register_error("kamtcp", _unencodable)
        reconfigure(errors="kamtcp")
    try:
        sys.stdout.write(harmless(text, styles=screen().colour))
        sys.stdout.flush()
    except BrokenPipeError:
        _give_up()  # the reader went away (head, less): nothing is wrong, and nothing more can be said
    except OSError as error:
        _give_up()
        raise UsageError(f"standard output: {error.strerror}") from None


def complain(text: str) -> None:
    """One line on stderr, if anybody can read it."""
    line = _printable(" ".join(text.split()))
    try:
        if sys.stderr is not None:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
    except OSError:
        return


def complain_as_is(line: str) -> None:
    """One line on stderr with its blanks as they are: a caret below it points at a column."""
    try:
        if sys.stderr is not None:
            sys.stderr.write(_printable(line) + "\n")
            sys.stderr.flush()
    except OSError:
        return


def _give_up() -> None:
    """Let what is still in the buffer go nowhere: the interpreter would try again, and complain, when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
