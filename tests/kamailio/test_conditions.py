from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.kamailio.conditions import evaluate, truth

NAMES: dict[str, str | int | None] = {"N": "5007001", "T": "abc", "SET": 1, "UNSET": 0, "FAR": None}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("-2 - -3", 1),
        ("7 / 2", 3.5),
        ("!UNSET", 1),
        ("SET && UNSET", 0),
        ("N >= 5007000", 1),
        ('T == "abc"', 1),
        ('T + "d"', "abcd"),
        ("T + 1", "abc1"),
        ("1 < 2", 1),
        ("2 <= 1 || 3 > 2", 1),
        ("1 != 1", 0),
    ],
)
def test_what_is_understood(text, value):
    assert evaluate(text, NAMES.get) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FAR",
        "FAR || 1",
        "1 +",
        "f(1)",
        "(1",
        "1 2",
        "7 % 2",
        "1 / 0",
        "!T",
        "T * 2",
        "1 ? 2",
        "1 == T",
        "a = 1",
    ],
)
def test_what_is_not_understood_is_not_known(text):
    assert evaluate(text, NAMES.get) is None
    assert truth(None) is None


@settings(max_examples=100)
@given(
    st.lists(st.sampled_from("1 2.5 N T ( ) ! - + * / && || == < 'x' \"y z\" FAR = ? .".split(" "))).map(  # noqa: SIM905
        " ".join
    )
)
def test_any_text_has_a_value_or_none(text):
    assert truth(evaluate(text, NAMES.get)) in (True, False, None)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_numbers_compare_as_numbers(left, right):
    assert truth(evaluate(f"{left} < {right}", NAMES.get)) == (left < right)
