"""Every row: predicted, made to happen, compared."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable

import pytest
from truth_row import NotProven, Result, Row
from truth_rows import ROWS
from truth_state import State

from kamtcp.capacity.catalogue import BY_NAME
from kamtcp.errors import KamtcpError
from stop_rig import ServerEnded


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS])
def test_what_was_predicted_is_what_happens(
    row: Row,
    state: State | None,
    again: bool,
    results: dict[str, Result],
    record_property: Callable[[str, object], None],
) -> None:
    kept = state.get(row) if state is not None and not again else None
    result = kept if kept is not None else measure(row)
    results[row.name] = result
    if state is not None and kept is None and not result.not_proven and not result.failed:
        state.keep(row, result)
    if result.not_proven:
        pytest.skip(f"not proven here: {result.not_proven}")
    assert not result.failed, f"{row.case}: {result.failed}"
    found = result.outcome
    assert found is not None
    record_property("predicted", found.predicted)
    record_property("measured", found.measured)


def measure(row: Row) -> Result:
    """Make it happen; what went wrong is part of the result, so that the table has it too."""
    try:
        found = row.measure()
    except NotProven as reason:
        return Result(None, not_proven=str(reason))
    except (AssertionError, ServerEnded, KamtcpError) as error:
        return Result(None, failed=f"{(str(error) or 'no words').splitlines()[0]} ({where(error)})")
    if abs(found.error) > row.allowed:
        return Result(
            found, failed=f"predicted {found.predicted:g}, measured {found.measured:g} {found.unit}"
        )
    return Result(found)


def where(error: BaseException) -> str:
    """The line of a row's module that failed."""
    mine = [each for each in traceback.extract_tb(error.__traceback__) if "/truth/" in each.filename]
    return f"{os.path.basename(mine[-1].filename)}:{mine[-1].lineno}" if mine else type(error).__name__


def test_names_of_rows_are_distinct() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)


def test_every_ceiling_has_a_row_or_a_reason() -> None:
    from truth_rows import TIMERS, WITHOUT_ROW

    proven = {row.ceiling for row in ROWS}
    assert proven <= BY_NAME.keys() | TIMERS
    assert BY_NAME.keys() - proven == WITHOUT_ROW.keys()
