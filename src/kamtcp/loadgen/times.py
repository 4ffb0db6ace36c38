"""Durations of one kind, gathered by the connection and handed on as a histogram.

Cost    4 bytes a value up to `MANY`, then 188 KiB; numpy is loaded only by then, or by who reads the result
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kamtcp.loadgen.histogram import Histogram

MANY = 1 << 16  # values that are kept as they are
_RAW = b"f32 "


class Times:
    """Seconds, in the order they were seen. `fresh.append` is what a loop calls; `fold` now and then."""

    __slots__ = ("_whole", "fresh", "seen")

    def __init__(self) -> None:
        self.fresh = array("f")
        self.seen = 0  # of `fresh`, what `new` gave before
        self._whole: Histogram | None = None

    def fold(self) -> None:
        """Keep memory bounded; `new` begins anew."""
        if len(self.fresh) >= MANY:
            self._whole = self._whole or _histogram()
            self._whole.record(self.fresh)
            del self.fresh[:]
            self.seen = 0

    def new(self) -> array[float]:
        """The values since the last call or `fold`."""
        found = self.fresh[self.seen :]
        self.seen = len(self.fresh)
        return found

    def to_bytes(self) -> bytes:
        """All values: as they are, or as a histogram."""
        if self._whole is None:
            return _RAW + self.fresh.tobytes()
        self._whole.record(self.fresh)
        del self.fresh[:]
        return self._whole.to_bytes()


def gathered(parts: Iterable[bytes]) -> Histogram:
    """One histogram of what several `Times` handed on.

    Raises:
        ParseError: a part is neither form.
    """
    from kamtcp.loadgen.histogram import Histogram

    whole = _histogram()
    for part in parts:
        if part.startswith(_RAW):
            whole.record(array("f", part[len(_RAW) :]))
        else:
            whole.merge(Histogram.from_bytes(part))
    return whole


def _histogram() -> Histogram:
    from kamtcp.loadgen.histogram import Histogram

    return Histogram()
