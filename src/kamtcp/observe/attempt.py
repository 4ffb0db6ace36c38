"""One failing source costs its own facts, not the run.

`attempt` is the only place where errors of reading and parsing become `Absent` facts.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TypeVar

from kamtcp.errors import KamtcpError, NotRecorded, ParseError, RpcFault
from kamtcp.model.absent import Absent, Why

T = TypeVar("T")

_BY_ERRNO = {
    errno.ENOENT: Why.MISSING,
    errno.ENOTDIR: Why.MISSING,
    errno.ENODEV: Why.MISSING,
    errno.EOPNOTSUPP: Why.MISSING,
    errno.EACCES: Why.DENIED,
    errno.EPERM: Why.DENIED,
    errno.ESRCH: Why.GONE,
    errno.ETIMEDOUT: Why.TIMEOUT,
    errno.ECONNREFUSED: Why.GONE,
}


def attempt(source: str, read: Callable[[], T]) -> T | Absent:
    """Run one read-and-parse; turn its failure into an `Absent` that says why.

    Args:
        source: what is looked at, as an operator would name it.
        read: does the reading and the parsing.
    """
    try:
        return read()
    except ParseError as error:
        return Absent(source, Why.MALFORMED, str(error))
    except NotRecorded as error:
        return Absent(source, Why.NOT_RECORDED, str(error))
    except RpcFault as fault:
        return Absent(source, Why.FAILED, f"fault {fault.code}: {fault.text}")
    except KamtcpError as error:
        return Absent(source, Why.MALFORMED, str(error))
    except OSError as error:
        return absent_of(source, error)


def absent_of(source: str, error: OSError) -> Absent:
    """The `Absent` that stands for an error of the kernel, errno named."""
    if isinstance(error, TimeoutError):
        return Absent(source, Why.TIMEOUT, str(error))
    number = error.errno or 0
    why = _BY_ERRNO.get(number, Why.FAILED)
    detail = "" if why is Why.MISSING else f"{errno.errorcode.get(number, str(number))} {os.strerror(number)}"
    return Absent(source, why, detail)
