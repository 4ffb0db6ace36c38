"""Values that are not numbers: what could not be seen, and what has no limit.

Absent, denied, zero and unlimited are four different values everywhere in kamtcp. A fact that could
not be read is an `Absent` with its reason; it is never 0, never None and never "fine".
"""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

from msgspec import Struct

T = TypeVar("T")


class Why(Enum):
    """Why a fact is absent."""

    MISSING = "missing"  # this kernel, host or Kamailio has no such thing
    DENIED = "denied"  # it is there; the reader may not see it
    GONE = "gone"  # the process vanished while it was being read
    TIMEOUT = "timeout"  # asked, no answer in time
    MALFORMED = "malformed"  # answered, but not in the form of this source
    NOT_VISIBLE = "not visible"  # it lives in another namespace than the reader can enter
    NOT_RECORDED = "not recorded"  # the recording was made without this read
    NOT_ASKED = "not asked"  # kamtcp chose not to look (cost, or nobody to ask)
    FAILED = "failed"  # any other error; the detail names errno


class Absent(Struct, frozen=True, tag="absent"):
    """A fact that is not there, with the reason.

    Args:
        source: what was looked at, as an operator would name it ("/proc/831/limits").
        why: the reason.
        detail: one more clause, for people; may be empty.
    """

    source: str
    why: Why
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.source}: {self.why.value}" + (f" ({self.detail})" if self.detail else "")


class Unlimited(Struct, frozen=True, tag="unlimited"):
    """There is explicitly no limit: "unlimited", "max", "infinity", -1 where that is its meaning."""

    def __str__(self) -> str:
        return "unlimited"


UNLIMITED = Unlimited()

Limit = int | Unlimited | Absent


def known(value: T | Absent | Unlimited, default: T) -> T:
    """The value itself, or `default` where it is absent or unlimited. For displays, never for judgement."""
    return default if isinstance(value, Absent | Unlimited) else value
