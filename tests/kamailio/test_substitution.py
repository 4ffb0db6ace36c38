from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.kamailio.substitution import parse_rule


def test_flags_say_how_often_and_how():
    assert parse_rule("/a/b/", {}).apply("aAa") == "bAa"
    assert parse_rule("/a/b/g", {}).apply("aAa") == "bAb"
    assert parse_rule("!a!b!gi", {}).apply("aAa") == "bbb"
    assert parse_rule("/[0-9]+/N/", {}).apply("x12y") == "xNy"


def test_what_is_no_rule_is_none():
    for text in ("", "//", "/a/b", "/a/b/x", "\\a\\b\\", "//b/", "abc"):
        assert parse_rule(text, {}) is None


def test_what_cannot_be_applied_says_so_and_changes_nothing():
    for text in ("/(a+)+/b/", "/a/$rU/", "/a/\\1/", "/[[:digit:]]/x/", "/a[/x/"):
        rule = parse_rule(text, {})
        assert rule.doubt
        assert rule.apply("aaa1") == "aaa1"


def test_the_environment_is_looked_up():
    assert parse_rule("/A/$env(X):5060/", {"X": "192.0.2.1"}).plain == "192.0.2.1:5060"
    assert "environment" in parse_rule("/A/$env(X)/", None).doubt


@settings(max_examples=100)
@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from("/ a b * + ( ) [ ] { } \\ $ $env(X) g ^ | ? 1".split(" "))).map("".join)  # noqa: SIM905
)
def test_any_text_is_a_rule_or_none(text):
    rule = parse_rule("/" + text, {})
    if rule is not None:
        rule.apply("a" * 60)
