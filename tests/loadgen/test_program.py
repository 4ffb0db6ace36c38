"""Orders and profiles as programs, shares of workers, pauses of a back-off, steps of a ramp: all pure."""

from __future__ import annotations

import itertools
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamtcp.errors import UsageError
from kamtcp.loadgen import phases
from kamtcp.loadgen.climbing import Climbing
from kamtcp.loadgen.dealing import at_once, deal
from kamtcp.loadgen.merge import merge
from kamtcp.loadgen.order import Carrier, Climb, Mode, Order
from kamtcp.loadgen.ordered import of_order
from kamtcp.loadgen.population import Population
from kamtcp.loadgen.profile import Profile
from kamtcp.loadgen.profiled import of_profile
from kamtcp.loadgen.result import Row, Stretch, WorkerResult
from kamtcp.loadgen.schedule import AtOnce, Steady
from kamtcp.loadgen.sources import Block
from kamtcp.loadgen.storm import pause
from kamtcp.loadgen.tally import Failures, Tally
from kamtcp.loadgen.times import Times, gathered

HERE = Order("127.0.0.1", 5070, AtOnce(0))


def order(**more: object) -> Order:
    more.setdefault("schedule", Steady(3000, 100.0))
    return Order("127.0.0.1", 5070, **more)  # type: ignore[arg-type]


def worker(tally: Tally, rows: list[Row], **more: object) -> WorkerResult:
    times = Times()
    times.fresh.extend([0.1] * tally.answered)
    stretch = Stretch(0, "ramp", "", tally=tally, seconds=2.0, times={"answer": times.to_bytes()})
    values: dict[str, object] = {
        "held_min": 1, "held_end": 2, "seconds": 2.0, "cpu_seconds": 0.5, "rows": rows, "row_seconds": 1,
        "losses": [], "longest_gap": 0.0, "peak_bytes": 10
    } | more  # fmt: skip
    return WorkerResult([stretch], **values)  # type: ignore[arg-type]


@given(
    st.sampled_from(["none", "fixed", "exponential"]),
    st.integers(1, 5000),
    st.floats(0.001, 10.0),
    st.floats(0.0, 1.0),
    st.integers(),
)
def test_a_pause_keeps_to_its_policy(
    backoff: str, failed: int, first: float, jitter: float, seed: int
) -> None:
    how = phases.Storm(within=1.0, backoff=backoff, first=first, highest=60.0, jitter=jitter)  # type: ignore[arg-type]
    wait = pause(how, failed, Random(seed))
    full = {"none": 0.0, "fixed": first, "exponential": min(first * 2.0 ** min(failed - 1, 60), 60.0)}[
        backoff
    ]
    assert full * (1 - jitter) - 1e-9 <= wait <= full + 1e-9


def test_pauses_double_up_to_the_highest() -> None:
    how = phases.Storm(within=1.0, first=1.0, highest=5.0, jitter=0.0)
    assert [pause(how, failed, Random(1)) for failed in (1, 2, 3, 4, 5)] == [1, 2, 4, 5, 5]


def test_modes_lack_nothing_that_they_need() -> None:
    with pytest.raises(UsageError, match=r"Order\.storm"):
        of_order(order(mode=Mode.STORM))
    with pytest.raises(UsageError, match=r"Order\.climb"):
        of_order(order(mode=Mode.RAMP))
    with pytest.raises(UsageError, match="say crlf"):
        of_order(order(question="ping"))
    assert of_order(order(question="ping", carrier=Carrier.WSS)).clients[0].question == "ping"


@given(st.floats(1.0, 1000.0), st.floats(1.01, 4.0), st.floats(1.0, 1e6))
def test_steps_of_a_ramp_rise_and_end_at_the_highest(first: float, factor: float, highest: float) -> None:
    steps = Climb(first=first, factor=factor, highest=highest).steps()
    assert steps[-1] == highest
    assert len(steps) <= 200
    assert all(low < high for low, high in itertools.pairwise(steps))


def test_workers_share_clients_and_sources() -> None:
    programs = deal(of_order(order()), 3, None)
    assert [each.of_worker(0) for each in programs] == [1000, 1000, 1000]
    taken = [
        (b.address, b.first + n) for each in programs for b in each.clients[0].blocks for n in range(b.count)
    ]
    assert len(taken) == len(set(taken)) == 3000
    assert all(port != 5070 for _, port in taken)


def test_churning_clients_get_ports_from_the_kernel_and_kinds_addresses_of_their_own() -> None:
    (churn,) = deal(of_order(order(mode=Mode.CHURN)), 1, None)
    assert [(b.first, b.count) for b in churn.clients[0].blocks] == [(0, 1000)] * 3
    profile = Profile((Population("a", 1500), Population("b", 10)), (phases.Ramp(rate=10.0),))
    (both,) = deal(of_profile(profile, HERE), 1, None)
    one, other = ({b.address for b in each.blocks} for each in both.clients)
    assert not one & other


def test_sources_of_a_server_elsewhere_are_the_kernels_choice() -> None:
    (there,) = deal(of_order(Order("192.0.2.1", 5060, AtOnce(5))), 1, None)
    assert there.clients[0].blocks == ()
    (given_,) = deal(of_order(Order("192.0.2.1", 5060, AtOnce(5))), 1, (Block("192.0.2.9", 0, 5),))
    assert given_.clients[0].blocks == (Block("192.0.2.9", 0, 5),)


def test_what_comes_and_goes_needs_few_descriptors() -> None:
    assert at_once(of_order(order(schedule=Steady(500_000, 100.0), mode=Mode.CHURN))) == 10_000
    assert at_once(of_order(order(schedule=Steady(500_000, 100.0)))) == 500_000


def test_a_profile_has_a_bound_on_phases() -> None:
    many = Profile((Population("a", 1),), (phases.Ramp(rate=1.0),) * 1025)
    with pytest.raises(UsageError, match="1024 phases, not 1025"):
        of_profile(many, HERE)


@given(st.lists(st.lists(st.floats(0.0, 100.0, width=32), max_size=30), max_size=4))
def test_durations_of_several_workers_are_one_histogram(parts: list[list[float]]) -> None:
    handed = []
    for part in parts:
        times = Times()
        times.fresh.extend(part)
        handed.append(times.to_bytes())
    whole = gathered(handed)
    assert whole.count == sum(map(len, parts))
    if whole.count:
        assert whole.maximum == max(value for part in parts for value in part)


def test_many_durations_are_folded_and_none_is_lost() -> None:
    times = Times()
    for _ in range(3):
        times.fresh.extend([0.25] * 40_000)
        assert len(times.new()) == 40_000
        times.fold()
    assert len(times.fresh) < 65_536
    assert gathered([times.to_bytes(), b"f32 "]).count == 120_000


def test_rows_of_workers_add_up_to_differences_of_seconds() -> None:
    one = worker(Tally(offered=5, answered=5), [Row(1, 2, 2, 0, 0, 1, 2), Row(2, 5, 5, 0, 1, 3, 4)])
    other = worker(
        Tally(offered=7, answered=6, failures=Failures(reset=1)),
        [Row(1, 4, 3, 0, 0, 0, 3), Row(3, 7, 6, 1, 0, 0, 6)],
    )
    program = of_order(order())
    result = merge(program, [one, other])
    assert result.rows == (
        Row(1, 6, 5, 0, 0, 1, 5),
        Row(2, 3, 3, 0, 1, 2, 7),
        Row(3, 3, 3, 1, 0, 0, 10),
    )
    assert (result.load.offered, result.load.answered, result.load.failures.causes()) == (
        12,
        11,
        {"reset": 1},
    )
    assert result.latency is not None and result.latency.count == 11
    assert (result.held_min, result.held_end, result.workers) == (2, 4, 2)
    assert result.doubts == ()


def test_what_the_generator_cannot_vouch_for_is_said_with_its_bound() -> None:
    busy = worker(
        Tally(offered=3, failures=Failures(local_ports=1, generator_slow=2)),
        [],
        longest_gap=0.5,
        cpu_seconds=1.99,
    )
    doubts = merge(of_order(order()), [busy], ended=1).doubts
    for part in (
        "0.5 s (bound 0.1 s)",
        "computed for 2.0 s of 2.0 s",
        "2 connections could not",
        "own ports",
        "1 of 1 workers",
    ):
        assert any(part in each for each in doubts), part


def test_a_step_is_judged_by_what_happened_in_it_alone() -> None:
    climb = Climb(first=10, factor=2, highest=40, seconds=1.0)
    climbing = Climbing(of_order(order(mode=Mode.RAMP, climb=climb)))
    clean = dict.fromkeys(
        ("offered", "connected", "answered", "held", "failed", "lost", "settled", "ready", "keepalives",
         "keepalives_answered", "out", "late", "slow"), 0,
    )  # fmt: skip
    from kamtcp.loadgen.board import Progress

    def now(failures: dict[str, int] | None = None, **counts: int) -> Progress:
        return Progress(**(clean | counts), failures=failures or {}, phase=0, ended=0, recent=())

    assert climbing.gave_before(1, now(offered=10, answered=10)) is None
    assert climbing.gave_before(2, now({"refused": 1}, offered=30, answered=29, failed=1)) == 2
    assert climbing.outcome(now(), stopped=False) == (
        "at 20 per second: 1 of 20 connections failed (1 refused)",
        10,
    )
    slow = Climbing(climbing.program)
    assert slow.gave_before(1, now(offered=10, answered=10, slow=1)) == 2
    assert slow.gave == "at 10 per second: 1 of 10 answers came later than 1 s"
