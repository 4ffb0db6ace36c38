"""Rows already measured, kept below .cache, so that an interrupted run goes on where it was.

A row is kept while what it measured is the same: this kernel, this Kamailio, this source of kamtcp, the rig, and the
module of the row. `--again` measures all anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from pathlib import Path

import msgspec
from truth_row import Result, Row

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
FILE = CHECKOUT / ".cache" / "truth.json"
RIG = ("truth_peers.py", "truth_wire.py", "truth_host.py", "truth_measure.py")


class Kept(msgspec.Struct, frozen=True):
    """A measured row and the digest of what it was measured with."""

    digest: str
    result: Result


class State:
    """The file, read once and written after every row.

    Args:
        file: where; made when the first row is kept.
        server: version of the Kamailio under test.
    """

    def __init__(self, file: Path = FILE, server: str = "") -> None:
        self._file, self._server = file, server
        self._kept: dict[str, Kept] = {}
        with contextlib.suppress(
            OSError, msgspec.DecodeError
        ):  # none yet, or of another form: measure all again
            self._kept = msgspec.json.decode(file.read_bytes(), type=dict[str, Kept])

    def get(self, row: Row) -> Result | None:
        """The row as it was measured with the very same things, else None."""
        kept = self._kept.get(row.name)
        return kept.result if kept is not None and kept.digest == self.digest(row) else None

    def keep(self, row: Row, result: Result) -> None:
        """Write it down; the file is replaced as a whole."""
        self._kept[row.name] = Kept(self.digest(row), result)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(self._kept)))
        os.replace(fresh, self._file)

    def digest(self, row: Row) -> str:
        """Of all that a measurement depends on."""
        total = hashlib.sha256(f"{platform.release()} {platform.machine()} {self._server}".encode())
        for path in (*_sources(), *_of_row(row)):
            total.update(path.read_bytes())
        return total.hexdigest()[:16]


def _sources() -> list[Path]:
    """What kamtcp predicts and loads with: everything but what only words it."""
    whole = CHECKOUT / "src" / "kamtcp"
    packages = ("host", "observe", "kamailio", "survey", "model", "capacity", "loadgen", "rehearse")
    found = [path for name in packages for path in (whole / name).rglob("*.py")]
    return sorted(found)


def _of_row(row: Row) -> list[Path]:
    code = getattr(row.measure, "func", row.measure).__code__
    rig = [CHECKOUT / "tests" / "stop_rig.py", *(HERE / name for name in RIG)]
    return [*(path for path in rig if path.exists()), Path(code.co_filename)]
