from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.loadgen.schedule import AtOnce, Poisson, Ramp, Schedule, Steady, share, share_count

rates = st.floats(0.5, 1e5)
counts = st.integers(0, 300)
schedules = st.one_of(
    st.builds(AtOnce, counts),
    st.builds(Steady, counts, rates),
    st.builds(Ramp, st.floats(1, 200), st.floats(0, 2), st.floats(0, 2)),
    st.builds(Poisson, counts, rates, st.integers(0, 9)),
)


@settings(max_examples=100)
@given(schedules)
def test_moments_never_fall_and_are_as_many_as_counted(schedule: Schedule) -> None:
    moments = list(schedule.moments())
    assert len(moments) == schedule.count
    assert all(early <= late for early, late in pairwise(moments))
    assert all(moment >= 0 for moment in moments)


@settings(max_examples=60)
@given(schedules, st.integers(1, 7))
def test_shares_of_workers_are_the_whole_schedule(schedule: Schedule, workers: int) -> None:
    shares = [list(share(schedule, worker, workers)) for worker in range(workers)]
    assert sorted(moment for mine in shares for moment in mine) == list(schedule.moments())
    assert [len(mine) for mine in shares] == [share_count(schedule.count, w, workers) for w in range(workers)]


@settings(max_examples=40)
@given(schedules)
def test_a_schedule_survives_its_way_to_a_worker(schedule: Schedule) -> None:
    assert msgspec.json.decode(msgspec.json.encode(schedule), type=Schedule) == schedule


def test_a_ramp_reaches_its_rate_and_keeps_it() -> None:
    moments = list(Ramp(top=100, over=2, stay=3).moments())
    assert len(moments) == 400
    assert sum(moment < 2 for moment in moments) == 100
    assert sum(2 <= moment < 3 for moment in moments) == 100
    assert moments[-1] == pytest.approx(4.99)


def test_poisson_arrivals_have_the_rate_asked_for() -> None:
    assert list(Poisson(5000, 100.0).moments())[-1] == pytest.approx(50, rel=0.1)
