from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError
from kamtcp.kamailio import versions
from kamtcp.kamailio.versions import Version, has_parameter, parse_version


@pytest.mark.parametrize(
    ("text", "numbers", "devel"),
    [
        ("kamailio 5.6.3 (x86_64/linux) ", (5, 6, 3), False),
        ("version: kamailio 6.2.0-dev1 (x86_64/linux) a1b2c3", (6, 2, 0), True),
        ("kamailio 6.0.0-pre1 (aarch64/linux)", (6, 0, 0), True),
        ("5.6.3-2+deb12u1", (5, 6, 3), False),
        ("kamailio 5.8.0-rc0", (5, 8, 0), True),
        ("5.7", (5, 7, 0), False),
    ],
)
def test_versions_as_they_are_printed(text, numbers, devel):
    found = parse_version(text)
    assert (found.numbers, found.devel, found.text) == (numbers, devel, text.strip())


def test_texts_without_a_version_are_parse_errors():
    for text in ("", "kamailio", "1", "kamailio\n5.6.3"):
        with pytest.raises(ParseError):
            parse_version(text)


def at(*numbers: int) -> Version:
    return Version(numbers, ".".join(map(str, numbers)))


def test_versions_compare():
    assert at(5, 7, 3).at_least(5, 7)
    assert at(6, 0, 0).at_least(5, 8, 9)
    assert not at(5, 6, 3).at_least(5, 6, 4)


def test_parameters_appear_in_the_releases_that_brought_them():
    assert not has_parameter(at(5, 7, 2), "tcp_accept_iplimit")
    assert has_parameter(at(5, 7, 3), "tcp_accept_iplimit")
    assert has_parameter(at(5, 8, 0), "tcp_accept_iplimit")
    assert not has_parameter(at(5, 6, 6), "tcp_accept_iplimit")
    for numbers, known in (
        ((5, 8, 7), False),
        ((5, 8, 8), True),
        ((6, 0, 6), False),
        ((6, 0, 7), True),
        ((6, 1, 0), False),
        ((6, 1, 1), True),
        ((6, 2, 0), True),
        ((5, 7, 7), False),
    ):
        assert has_parameter(at(*numbers), "tcp_accept_protocols") == known, numbers
    assert has_parameter(at(3, 3, 5), "tcp_max_connections")


def test_figures_say_whether_they_were_measured_on_this_version():
    found = versions.connection_bytes(at(5, 6, 3))
    assert (found.value, found.measured) == (928, True)
    found = versions.connection_bytes(at(5, 8, 2))
    assert (found.value, found.measured, found.basis) == (952, False, "5.7.7")
    assert versions.connection_bytes(at(6, 1, 4)).value == 984


@settings(max_examples=100)
@given(st.text(max_size=40))
def test_only_parse_error_escapes(text):
    try:  # noqa: SIM105
        parse_version(text)
    except ParseError:
        pass


@given(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)))
def test_every_version_has_figures(numbers):
    assert parse_version("kamailio " + ".".join(map(str, numbers))).numbers == numbers
    assert versions.connection_bytes(at(*numbers)).value
