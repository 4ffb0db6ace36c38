"""Sockets as the interpreter's own C module makes them, for what every check opens.

The module `socket` wraps that one in enumerations and imports `selectors`, none of which is used here: 3 ms, a
quarter of the start of a bare interpreter. Calls, arguments and errors are those of `socket`.
"""

from __future__ import annotations

import _socket
from typing import Self


class Socket(_socket.socket):
    """A socket that closes at the end of its `with`; (family, type, protocol) as socket(2)."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
