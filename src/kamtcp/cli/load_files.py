"""--out DIR: result, rows and report of a load as files."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING

from kamtcp.cli.load_document import document
from kamtcp.cli.load_text import text
from kamtcp.cli.wrap import Screen
from kamtcp.errors import UsageError
from kamtcp.loadgen.result import Row

if TYPE_CHECKING:
    from kamtcp.cli.load_run import Outcome


def keep(directory: str, outcome: Outcome, exit_code: int) -> None:
    """Write result.json, report.txt and rows.csv into a directory of their own.

    Raises:
        UsageError: it can't be made or written.
    """
    try:
        os.makedirs(directory, exist_ok=False)
        with open(os.path.join(directory, "result.json"), "xb") as file:
            file.write(document(outcome, exit_code))
        with open(os.path.join(directory, "report.txt"), "x", encoding="utf-8") as page:
            page.write(text(outcome, Screen(80, colour=False, unicode=True)))
        with open(os.path.join(directory, "rows.csv"), "x", encoding="utf-8", newline="") as table:
            rows = csv.writer(table)
            names = Row.__struct_fields__
            rows.writerow(names)
            rows.writerows([getattr(row, name) for name in names] for row in outcome.result.rows)
    except OSError as error:
        raise UsageError(f"--out {error.filename or directory}: {error.strerror}") from error
