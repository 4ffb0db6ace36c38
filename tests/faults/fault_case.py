"""What a case of the suite is, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable

from fault_rig import Found, Stage
from msgspec import Struct


class Case(Struct, frozen=True):
    """One fault.

    Args:
        name: of the test. fault: for people, a clause.
        play: makes it happen under a load, and asserts what is its own.
        code: the exit code that the load must have; None: it was killed.
        quick: runs with all other tests.
    """

    name: str
    fault: str
    play: Callable[[Stage], Found]
    code: int | None = 1
    quick: bool = False


class Row(Struct, frozen=True):
    """What came of it, as the page has it: counts of connections by cause, codes that were named, words for the rest."""

    offered: int
    served: int
    failures: dict[str, int]
    details: dict[str, dict[str, int]]
    named: tuple[str, ...]
    held: int
    lost: int
    ended: str
    code: int
    seconds: float


def row(found: Found) -> Row:
    """Of a load."""
    whole = found.document
    if whole is None:
        return Row(0, 0, {}, {}, (), 0, 0, "killed: nothing to report", found.code, found.seconds)
    return Row(
        whole.offered, whole.served, whole.failures, whole.details, found.codes, whole.held_end, whole.lost,
        whole.stopped or ("can't vouch: " + "; ".join(whole.doubts) if whole.doubts else ""), found.code, found.seconds,
    )  # fmt: skip
