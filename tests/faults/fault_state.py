"""Cases that have passed, kept below .cache, so that an interrupted run goes on where it was.

A case is kept while the source of kamtcp, the rig and its own module are the same; `--anew` plays all again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from pathlib import Path

import msgspec
from fault_case import Case, Row

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
FILE = CHECKOUT / ".cache" / "faults.json"


class Kept(msgspec.Struct, frozen=True):
    """A row, and the digest of what it was played with."""

    digest: str
    row: Row


class State:
    """The file: read once, replaced after every case."""

    def __init__(self, file: Path = FILE, *, anew: bool = False) -> None:
        self._file, self._anew = file, anew
        self._kept: dict[str, Kept] = {}
        with contextlib.suppress(OSError, msgspec.MsgspecError):  # none yet, or of another form: play all
            self._kept = msgspec.json.decode(file.read_bytes(), type=dict[str, Kept])

    def get(self, case: Case) -> Row | None:
        """What came of it with the very same things, else None."""
        kept = None if self._anew else self._kept.get(case.name)
        return kept.row if kept is not None and kept.digest == digest(case) else None

    def keep(self, case: Case, row: Row) -> None:
        """Write it down."""
        self._kept[case.name] = Kept(digest(case), row)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(self._kept)))
        os.replace(fresh, self._file)


def digest(case: Case) -> str:
    """Of all that a case depends on."""
    total = hashlib.sha256(f"{platform.release()} {platform.machine()}".encode())
    code = getattr(case.play, "func", case.play).__code__
    for path in (
        *sorted((CHECKOUT / "src" / "kamtcp").rglob("*.py")),
        HERE / "fault_rig.py",
        Path(code.co_filename),
    ):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]
