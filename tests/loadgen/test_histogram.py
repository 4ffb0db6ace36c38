from __future__ import annotations

import contextlib
import zlib
from array import array

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError
from kamtcp.loadgen.histogram import Histogram

PERCENTS = (0.0, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0)
durations = st.lists(st.integers(1, 3_600_000_000), min_size=1, max_size=60)  # us


def recorded(microseconds, **how) -> Histogram:
    made = Histogram(**how)
    made.record(np.array(microseconds, dtype=np.float64) / 1e6)
    return made


@settings(max_examples=50, deadline=None)
@given(durations, st.integers(1, 4))
def test_percentiles_are_those_of_hdrhistogram(values, digits):
    theirs = HdrHistogram(1, 3_600_000_000, digits)
    for value in values:
        theirs.record_value(value)
    ours = recorded(values, significant=digits)
    assert round(ours.percentile(0) * 1e6) == min(values)
    for percent in PERCENTS[1:]:
        expected = min(
            theirs.get_value_at_percentile(percent), max(values)
        )  # the largest is kept exactly here
        assert round(ours.percentile(percent) * 1e6) == expected


@settings(max_examples=50, deadline=None)
@given(durations)
def test_percentiles_are_those_of_numpy_within_a_thousandth(values):
    ours = recorded(values)
    for percent in PERCENTS:
        rank = max(1, int(percent / 100 * len(values) + 0.5))
        exact = sorted(values)[rank - 1] / 1e6
        assert exact <= ours.percentile(percent) + 1e-12
        assert ours.percentile(percent) <= exact * 1.001 + 1e-6


def test_a_real_distribution_against_numpy():
    values = np.random.default_rng(7).lognormal(-6, 1.5, 50_000)
    ours = Histogram()
    for part in np.array_split(values, 7):
        ours.record(part)
    for percent in (50, 90, 99, 99.9):
        exact = np.percentile(values, percent, method="inverted_cdf")
        assert ours.percentile(percent) == pytest.approx(exact, rel=2e-3)
    assert (ours.count, ours.maximum, ours.minimum) == (50_000, values.max(), values.min())


@settings(max_examples=50, deadline=None)
@given(durations, durations)
def test_merging_is_recording_both(first, second):
    one, other, both = recorded(first), recorded(second), recorded(first + second)
    one.merge(other)
    assert one.to_bytes() == both.to_bytes()
    assert one.percentiles(PERCENTS) == both.percentiles(PERCENTS)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 4_000_000_000), max_size=60), st.integers(1, 4))
def test_bytes_give_the_same_histogram_back(values, digits):
    made = recorded(values, significant=digits)
    again = Histogram.from_bytes(made.to_bytes())
    assert again.to_bytes() == made.to_bytes()
    assert (again.count, again.beyond, again.maximum) == (made.count, made.beyond, made.maximum)


@settings(max_examples=50, deadline=None)
@given(durations, st.integers(0, 200), st.binary(min_size=0, max_size=4))
def test_only_parse_errors_escape_from_any_bytes(values, place, wrong):
    data = recorded(values).to_bytes()
    for text in (data[:place], data[:place] + wrong + data[place + len(wrong) :], wrong):
        with contextlib.suppress(ParseError):
            Histogram.from_bytes(text)


def test_a_bomb_is_not_unpacked():
    data = recorded([5]).to_bytes()
    body = data.index(b"\x78")  # of zlib
    assert zlib.decompress(data[body:]) == (5).to_bytes(4, "little") + (1).to_bytes(8, "little")
    with pytest.raises(ParseError, match="1 counters"):
        Histogram.from_bytes(data[:body] + zlib.compress(bytes(50_000_000)))


def test_what_lies_outside_is_counted_and_not_hidden():
    made = Histogram(highest=10.0)
    made.record([-1e-9, 0.0, 9.0, 11.0, float("inf")])
    assert (made.count, made.beyond, made.minimum, made.maximum) == (5, 2, 0.0, float("inf"))
    assert made.percentile(50) == pytest.approx(9.0, rel=1e-3)
    assert made.percentile(100) == pytest.approx(10.0, rel=1e-3)
    with pytest.raises(ValueError, match="no number"):
        made.record([1.0, float("nan")])
    assert made.count == 5


def test_nothing_recorded_has_no_percentiles():
    made = Histogram()
    made.record([])
    with pytest.raises(ValueError, match="empty"):
        made.percentile(50)


def test_an_array_of_c_floats_is_taken_as_it_is():
    made = Histogram()
    made.record(array("f", [0.5, 0.25]))
    assert (made.count, made.maximum) == (2, 0.5)


def test_different_shapes_are_not_merged():
    with pytest.raises(ValueError, match="different shape"):
        Histogram().merge(Histogram(significant=2))
    with pytest.raises(ValueError, match="1 to 5"):
        Histogram(significant=6)
    with pytest.raises(ValueError, match="highest"):
        Histogram(highest=0.0)


def test_it_is_small():
    values = np.random.default_rng(7).lognormal(-6, 1.5, 100_000)
    made = Histogram()
    made.record(values)
    assert len(made.to_bytes()) < 20_000
