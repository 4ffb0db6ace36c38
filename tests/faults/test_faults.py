"""Each fault ends with the right causes counted, totals that add up, the right exit code, nothing left."""

from __future__ import annotations

import pytest
from cases_kamailio import CASES as WITH_KAMAILIO
from cases_load import CASES as OF_THE_LOAD
from cases_responder import CASES as WITH_RESPONDER
from fault_case import Case, Row, row
from fault_rig import Found, Stage
from fault_state import State

CASES = (*WITH_RESPONDER, *WITH_KAMAILIO, *OF_THE_LOAD)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fault(case: Case, tmp_path, state: State | None, rows: dict[str, Row]) -> None:
    known = None if state is None else state.get(case)
    if known is not None:
        rows[case.name] = known
        return
    folder, own = tmp_path / "reports", tmp_path / "state"
    folder.mkdir()
    own.mkdir()
    found = case.play(Stage(folder, own))
    _sound(case, found)
    rows[case.name] = row(found)
    if state is not None:
        state.keep(case, rows[case.name])


def _sound(case: Case, found: Found) -> None:
    """What holds after every fault."""
    assert not found.left
    assert "Traceback" not in found.said + found.report
    if case.code is not None:
        assert found.code == case.code, found.said
    if found.document is None:
        return
    assert found.adds_up, found.document
    assert found.report.startswith(("All ", "0 of ", f"{found.result.served:,} of "))
    assert max(map(len, found.report.splitlines())) <= 80
