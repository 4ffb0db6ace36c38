"""All exceptions of kamtcp.

    KamtcpError
     ├─ UsageError         the caller asked for something that can't be meant   (exit 2)
     │   └─ ConfigError    a configuration that Kamailio would refuse
     ├─ ParseError         a text or message is not what its source should print
     ├─ NotRecorded        the recording doesn't hold this read
     ├─ RecordingError     a file is no recording, is cut, or is damaged        (exit 2)
     ├─ RpcError           Kamailio's socket answered nothing usable
     │   └─ RpcFault       Kamailio answered with a fault: code and text
     └─ StandInError       a test host or its Kamailio could not be started

Reads of a host raise OSError as the kernel gave it; `observe.attempt` turns all of these into
`Absent` facts. Libraries never print and never exit; the command line prints one line.
"""

from __future__ import annotations


class KamtcpError(Exception):
    """Base of all errors that are kamtcp's own."""


class UsageError(KamtcpError):
    """An option or file of the caller is wrong; the text says what was expected."""


class ConfigError(UsageError):
    """A configuration that Kamailio would refuse.

    Args:
        shown: for each thing that is wrong: FILE:LINE and what, the line, and a caret below the word.
    """

    def __init__(self, shown: tuple[tuple[str, ...], ...]) -> None:
        self.shown = shown
        more = f" (and {len(shown) - 1} more)" if len(shown) > 1 else ""
        super().__init__(f"{shown[0][0]}{more}")


class ParseError(KamtcpError):
    """A source printed something that its parser doesn't know.

    Args:
        source: file or command, as an operator would name it ("/proc/net/softnet_stat").
        expected: what should have stood there.
        found: what stood there; shortened to 80 characters.
        line: 1-based line or record number, where there is one.
    """

    def __init__(self, source: str, expected: str, found: object, line: int | None = None) -> None:
        text = repr(found)
        self.source, self.expected, self.line = source, expected, line
        self.found = text if len(text) <= 80 else text[:77] + "..."
        where = source if line is None else f"{source}:{line}"
        super().__init__(f"{where}: expected {expected}, got {self.found}")


class NotRecorded(KamtcpError):
    """The recording holds no answer to this read: it was made by a kamtcp that didn't ask."""


class RecordingError(KamtcpError):
    """A file given as a recording can't be used as one."""


class RpcError(KamtcpError):
    """A Kamailio RPC socket gave no usable answer (cut, foreign, too large)."""


class RpcFault(RpcError):
    """Kamailio refused a command.

    Args:
        code: as sent (400, 500, …).
        text: as sent.
    """

    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, text
        super().__init__(f"{code} {text}")


class StandInError(KamtcpError):
    """A stand-in host (namespaces) or the Kamailio in it could not be started."""
