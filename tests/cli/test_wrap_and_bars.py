"""Lines that fit, bars that say the same without colour."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.cli.bars import ASCII, UNICODE, bar
from kamtcp.cli.wrap import NARROWEST, WIDEST, screen, wrapped

SHORT = settings(max_examples=100, deadline=None)
words = st.lists(st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=90), max_size=30)


@given(words, st.integers(20, 120), st.integers(0, 15), st.none() | st.text("xy ", max_size=120))
@SHORT
def test_no_line_is_too_long_and_no_character_is_lost(text, width, depth, first):
    """Whatever the words are, but for a first beginning that is itself too long."""
    indent = " " * depth
    lines = wrapped(" ".join(text), width, indent, first)
    assert all(len(line) <= max(width, len(first or "")) for line in lines)
    joined = "".join(
        line.removeprefix(indent) if number or first is None else line for number, line in enumerate(lines)
    )
    beginning = "" if first is None or not text else first
    assert joined.replace(" ", "") == (beginning + "".join(text)).replace(" ", "")


def test_words_stay_whole_where_they_fit():
    assert wrapped("one two three", 10, "  ") == ["  one two", "  three"]


def test_a_beginning_longer_than_a_line_stands_alone():
    assert wrapped("abcdefghij", 20, "  ", "x" * 25) == ["x" * 25, "  abcdefghij"]


def test_a_word_longer_than_a_line_is_cut():
    assert wrapped("a " + "b" * 25, 10, "  ") == ["  a", "  bbbbbbbb", "  bbbbbbbb", "  bbbbbbbb", "  b"]


@given(
    st.integers(-5, 2**64),
    st.integers(0, 2**64) | st.just(float("inf")),
    st.none() | st.integers(0, 2**31),
    st.integers(1, 40),
)
@SHORT
def test_a_bar_is_as_wide_as_asked_and_shows_target_and_use(now, ceiling, goal, width):
    drawn = bar(now, ceiling, goal, width, ASCII)
    assert len(drawn) == width
    assert set(drawn) <= set(ASCII)
    assert ("|" in drawn) == bool(goal)
    if now > 0 and not goal:
        assert drawn[0] == "#"
    assert bar(now, ceiling, goal, width).translate(str.maketrans("".join(UNICODE), "".join(ASCII))) == drawn


@pytest.mark.parametrize(
    ("now", "ceiling", "goal", "drawn"),
    [
        (0, 100, None, ".........."),
        (50, 100, None, "#####....."),
        (100, 100, None, "##########"),
        (20, 50, 100, "##...----|"),  # beyond the ceiling up to the target
        (0, 100, 50, "....|....."),  # room beyond the target
        (1, 10**9, None, "#........."),  # some use is never none
        (3, float("inf"), 10, "###......|"),
        (0, 0, None, ".........." ),
    ],
)  # fmt: skip
def test_a_bar_reads_from_use_over_room_to_what_is_missing(now, ceiling, goal, drawn):
    if ceiling == 0:
        drawn = "----------"  # no room at all
    assert bar(now, ceiling, goal, 10, ASCII) == drawn


class Stdout(io.StringIO):
    def __init__(self, encoding: str = "utf-8", *, tty: bool = False) -> None:
        super().__init__()
        self._encoding, self._tty = encoding, tty

    @property
    def encoding(self) -> str:
        return self._encoding

    def isatty(self) -> bool:
        return self._tty

    def fileno(self) -> int:
        raise OSError(25, "not a terminal")


@pytest.fixture
def terminal(monkeypatch):
    for name in ("NO_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)

    def give(**settings: str):
        monkeypatch.setattr(
            "sys.stdout", Stdout(settings.pop("encoding", "utf-8"), tty=settings.pop("tty", "") == "yes")
        )
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return screen()

    return give


class TestTheScreen:
    def test_a_pipe_is_80_columns_without_colour(self, terminal):
        found = terminal()
        assert (found.width, found.colour, found.unicode) == (80, False, True)

    def test_a_terminal_has_colour(self, terminal):
        assert terminal(tty="yes").colour

    @pytest.mark.parametrize("setting", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
    def test_unless_it_is_not_wanted(self, terminal, setting):
        assert not terminal(tty="yes", **setting).colour

    @pytest.mark.parametrize(
        ("columns", "width"),
        [
            ("100", 100),
            ("20", NARROWEST),
            ("9" * 5000, WIDEST),
            ("0", NARROWEST),
            ("-5", 80),
            ("²", 80),
            ("", 80),
            ("wide", 80),
        ],
    )
    def test_columns_decide_within_reason(self, terminal, columns, width):
        assert terminal(COLUMNS=columns).width == width

    @pytest.mark.parametrize(
        ("encoding", "blocks"), [("utf-8", True), ("UTF8", True), ("ascii", False), ("iso8859-1", False)]
    )
    def test_blocks_are_drawn_where_the_encoding_has_them(self, terminal, encoding, blocks):
        assert terminal(encoding=encoding).unicode is blocks

    def test_style_is_left_out_without_colour(self, terminal):
        assert terminal().style("x", "red") == "x"
        assert terminal(tty="yes").style("x", "red") == "\033[31mx\033[0m"
