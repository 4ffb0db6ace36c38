"""One timer of the chain: when it fires, who does what then, and how that came about."""

from __future__ import annotations

from msgspec import Struct

from kamtcp.model.absent import Absent
from kamtcp.model.origin import Origin

KAMAILIO, KERNEL, PHONE = "Kamailio", "kernel", "phone"
#: the kernel rounds a timer up to the slot of its wheel, at most an eighth late: Linux kernel/time/timer.c LVL_GRAN()
WHEEL = 9 / 8


class Timer(Struct, frozen=True):
    """One timer of the chain.

    Args:
        name: stable. title: for people.
        seconds: when it fires at the earliest after the last traffic; Absent where it can't be told, None where it
            doesn't run.
        does: what happens when it fires.
        working: how the seconds came about.
        latest: seconds when it fires at the latest; None where that is the same, or not bounded by what is known.
        who: Kamailio, kernel, phone, or the name of a box on the way; "" where it doesn't run.
    """

    name: str
    title: str
    seconds: float | Absent | None
    does: str
    working: str
    origin: Origin
    latest: float | None = None
    who: str = ""

    @property
    def end(self) -> float | None:
        """The latest moment: `latest`, else `seconds`; None where it doesn't run or can't be told."""
        if self.latest is not None:
            return self.latest
        return self.seconds if isinstance(self.seconds, int | float) else None


def off(name: str, title: str, why: str, origin: Origin = Origin.READ) -> Timer:
    """A timer that doesn't run, and why."""
    return Timer(name, title, None, "", why, origin)


def hidden(name: str, title: str, does: str, absent: Absent, who: str) -> Timer:
    """A timer that can't be told."""
    return Timer(name, title, absent, does, str(absent), Origin.READ, who=who)


def named(timers: tuple[Timer, ...], name: str) -> Timer:
    """The timer of that name; the chain always has all of them."""
    return next(each for each in timers if each.name == name)
