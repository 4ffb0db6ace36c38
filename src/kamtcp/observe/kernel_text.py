"""Numbers and names as the kernel prints them: stricter than int(), and always a ParseError.

int() takes "1_000", " 7" and "+7", which no kernel prints; a recording that holds them is damaged.
"""

from __future__ import annotations

from kamtcp.errors import ParseError

# 2**64 has 20 digits. The margin is for what comes; the bound keeps a damaged file from costing seconds
# (conversion of n digits takes n**2) and from meeting Python's own limit of 4300 digits.
MAX_DIGITS = 40
_HEX = frozenset(b"0123456789abcdefABCDEF")


def text(data: bytes) -> str:
    """Bytes of a foreign name (process, interface, path) as text; what isn't UTF-8 is escaped."""
    return data.decode("utf-8", "backslashreplace")


def integer(source: str, data: bytes, line: int | None = None) -> int:
    """A decimal number, perhaps negative.

    Raises:
        ParseError: anything else, or more than 40 digits.
    """
    digits = data[1:] if data[:1] == b"-" else data
    if not digits.isdigit() or len(digits) > MAX_DIGITS:
        raise ParseError(source, "a decimal number", text(data), line)
    return int(data)


def natural(source: str, data: bytes, line: int | None = None) -> int:
    """A decimal number without a sign.

    Raises:
        ParseError: anything else, or more than 40 digits.
    """
    if not data.isdigit() or len(data) > MAX_DIGITS:
        raise ParseError(source, "a decimal number, 0 or more", text(data), line)
    return int(data)


def hexadecimal(source: str, data: bytes, line: int | None = None) -> int:
    """A hexadecimal number without a prefix, as in /proc/net/softnet_stat.

    Raises:
        ParseError: anything else, or more than 40 digits.
    """
    if not data or len(data) > MAX_DIGITS or not _HEX.issuperset(data):
        raise ParseError(source, "a hexadecimal number", text(data), line)
    return int(data, 16)


def decimal(source: str, data: bytes, line: int | None = None) -> float:
    """A number with a point ("12.34") or without one, as in /proc/uptime and /proc/pressure.

    Raises:
        ParseError: anything else, or more than 40 digits.
    """
    whole, point, fraction = data.partition(b".")
    if not whole.isdigit() or len(data) > MAX_DIGITS or (point and not fraction.isdigit()):
        raise ParseError(source, "a number such as 12.34", text(data), line)
    return float(data)


def rows(data: bytes) -> list[bytes]:
    """Lines without their newlines; only a newline ends one (names may hold other controls)."""
    lines = data.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return lines


def net_path(name: str, pid: int | None) -> str:
    """Where a file of /proc/net stands for the network namespace of `pid` (None: the reader's own).

    /proc/net follows the *leader* of the reading process, so a thread that has entered another
    namespace still reads its old one there: the namespace must be named by a process.

    Source: Linux fs/proc/proc_net.c get_proc_task_net().
    """
    return f"/proc/net/{name}" if pid is None else f"/proc/{pid}/net/{name}"
