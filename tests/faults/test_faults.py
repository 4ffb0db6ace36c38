"""Each fault ends with the right causes counted, totals that add up, the right exit code, nothing left."""

from __future__ import annotations

import pytest
from cases_kamailio import CASES as WITH_KAMAILIO
from cases_load import CASES as OF_THE_LOAD
from cases_responder import CASES as WITH_RESPONDER
from fault_case import Case, Row, row
from fault_rig import Found, Stage
from fault_state import State

from kamtcp.cli.load_retries import moments

_SHELL = ("        see: ", " " * 18)  # lines to be copied are never broken
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
    wide = [line for line in found.report.splitlines() if len(line) > 80]
    assert all(line.startswith(_SHELL) for line in wide), wide


@pytest.mark.parametrize(
    ("linear", "moments_of_seven"),
    [(4, [1, 2, 3, 4, 5, 7, 11]), (0, [1, 3, 7, 15, 31, 63, 127])],
)
def test_moments_at_which_a_syn_is_sent_again(linear, moments_of_seven):
    assert moments(7, linear) == moments_of_seven
