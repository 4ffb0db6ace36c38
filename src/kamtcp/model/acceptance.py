"""What the operator accepts: findings that are known, with the reason, and until when."""

from __future__ import annotations

from datetime import date

from msgspec import Struct

from kamtcp.model.absent import Absent


class Acceptance(Struct, frozen=True):
    """One entry of accept.toml.

    Args:
        code: of the finding, as written.
        reason: why it may stay; never empty.
        instance: name or configuration file of one Kamailio; "" for all, and for the machine.
        until: last day on which it holds, in UTC; None for good.
        file, line: where the entry begins.
    """

    code: str
    reason: str
    instance: str
    until: date | None
    file: str
    line: int

    @property
    def where(self) -> str:
        """As editors and grep write it: "FILE:LINE"."""
        return f"{self.file}:{self.line}"

    def holds_on(self, day: date) -> bool:
        """Whether it has not expired; the last day counts."""
        return self.until is None or day <= self.until


class AcceptFile(Struct, frozen=True, tag="accepted"):
    """accept.toml of one machine.

    Args:
        path: "" where there is none.
        entries: those that could be understood, in order.
        problems: entries, or a whole file, that could not; `source` is "FILE:LINE". Nothing is accepted by them.
    """

    path: str = ""
    entries: tuple[Acceptance, ...] = ()
    problems: tuple[Absent, ...] = ()
