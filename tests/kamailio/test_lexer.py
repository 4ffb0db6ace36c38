from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamtcp.kamailio.lexer import end_of_comment, end_of_parenthesis, number, unquote


@given(st.integers(0, 2**31 - 1))
def test_numbers_in_every_base(value):
    texts = [str(value), hex(value), f"{value:b}b" if value < 2**20 else str(value)]
    texts += [f"0{value:o}"] if value else []
    assert {number(text).value for text in texts} == {value}


@pytest.mark.parametrize("text", ["", "08", "1x", "0x", "12b", "1.5", "-1", "x", "9" * 41])
def test_what_is_no_number(text):
    assert number(text) is None


def test_numbers_wrap_at_32_bits():
    assert (number("4294967295").value, number("4294967295").wrapped) == (-1, True)
    assert (number("2147483647").value, number("2147483647").wrapped) == (2147483647, False)


def test_comments_and_parentheses_nest():
    assert end_of_comment("/* a /* b */ c */ d", 0) == 17
    assert end_of_comment("/* a /* b */", 0) == -1
    assert end_of_parenthesis("a(b)c)d", 0) == 6
    assert end_of_parenthesis("a(b)c", 0) == -1


def test_escapes_count_between_double_quotes_only():
    assert unquote('"a\\n\\x41\\\n\\061b"') == "a\nA1b"
    assert unquote("'a\\n'") == "a\\n"
    assert unquote('"\\q"') == "\\q"
