"""The order of the ladder, what can be binding, and what is a blind spot."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from kamtcp.capacity.catalogue import ALL, BY_NAME
from kamtcp.capacity.ceiling import Effect, Kind
from kamtcp.capacity.ladder import blind_spots, build, slows_first, stops
from kamtcp.model.absent import UNLIMITED, Absent, Unlimited
from situations import DENIED, situation, verdict


def test_the_lowest_stands_first_and_what_limits_nothing_last():
    ladder = build(situation(main={"nofile_soft": 1024}))
    assert [each.name for each in ladder.held[:3]] == [
        "tcp-main-descriptors",
        "tcp-max-connections",
        "descriptor-table",
    ]
    assert isinstance(ladder.held[-1].at, Unlimited)


def test_what_this_mix_never_meets_stands_by_its_own_limit_above_all_that_it_meets():
    ladder = build(situation())
    for part in (ladder.held, ladder.rates):
        met = [isinstance(each.at, int) for each in part]
        assert met == sorted(met, reverse=True)
        limits = [each.limit for each in part if not isinstance(each.at, int) and isinstance(each.limit, int)]
        assert len(limits) > 1
        assert limits == sorted(limits)


def test_ceilings_at_the_same_number_keep_the_order_of_the_catalogue():
    ladder = build(situation(parameters={"tcp_max_connections": 994}, main={"nofile_soft": 1024}))
    assert [each.name for each in ladder.held[:2]] == ["tcp-max-connections", "tcp-main-descriptors"]


def test_held_and_rates_stand_apart():
    ladder = build(situation())
    assert {each.kind for each in ladder.held} == {Kind.HELD}
    assert {each.kind for each in ladder.rates} == {Kind.RATE, Kind.INSTANT}


def test_only_what_stops_connections_can_be_binding():
    """Orphans, hash chains and tcp_mem lie lower here, and refuse nobody."""
    lower = {"net.ipv4.tcp_max_orphans": "5", "net.ipv4.tcp_ehash_entries": "2", "net.ipv4.tcp_mem": "1 2 3"}
    found = verdict(sysctls=lower, main={"nofile_soft": 1024})
    assert {"orphans", "hash-chains", "tcp-mem"} >= {each.name for each in found.ladder.held[:3]}
    assert found.binding is not None
    assert found.binding.name == "tcp-main-descriptors"
    assert {each.effect for each in stops(found.ladder)} == {Effect.STOPS}


def test_what_this_mix_never_meets_can_not_be_binding():
    """Twenty local ports stop nobody who comes in."""
    found = verdict(sysctls={"net.ipv4.ip_local_port_range": "1024 1043"})
    assert found.binding is not None
    assert found.binding.name == "tcp-max-connections"


def test_a_rate_that_loses_protection_is_no_bound():
    """A SYN queue of one with cookies on refuses nobody; with cookies off it does."""
    from situations import listener

    small = (listener(5060, 0),)
    assert "syn-queue" not in {each.name for each in slows_first(build(situation(listeners=small)))}
    off = build(situation(listeners=small, sysctls={"net.ipv4.tcp_syncookies": "0"}))
    assert "syn-queue" in {each.name for each in slows_first(off)}


class TestBlindSpots:
    def test_a_ceiling_that_stops_and_can_not_be_told_is_one(self):
        found = verdict(shared_memory=DENIED)
        assert "shared-memory" in {each.name for each in found.blind}

    def test_one_that_only_slows_is_none(self):
        found = verdict(sysctls={"net.ipv4.tcp_ehash_entries": DENIED, "net.ipv4.tcp_max_orphans": DENIED})
        assert {each.name for each in found.ladder.unseen} == {"hash-chains", "orphans"}
        assert found.blind == ()

    def test_a_healthy_host_has_none(self):
        assert verdict().blind == ()

    @pytest.mark.parametrize(
        ("floor", "target", "blind"),
        [
            (19_999, 20_000, True),  # could lie just below the target
            (20_000, 20_000, False),
            (99_999, None, True),  # no target: the binding ceiling, 100,000, is the water line
            (100_000, None, False),
            (None, 20_000, True),  # nothing is sure
        ],
    )
    def test_one_that_surely_lies_high_enough_is_none(self, floor, target, blind):
        ladder = build(situation())
        spec = BY_NAME["nr-open"].spec
        dark = replace(ladder, unseen=(spec.unseen(DENIED, floor=floor),))
        assert bool(blind_spots(dark, target)) is blind

    def test_without_any_binding_ceiling_everything_unseen_counts(self):
        ladder = build(situation())
        spec = BY_NAME["nr-open"].spec
        dark = replace(ladder, held=(), unseen=(spec.unseen(DENIED, floor=10**9),))
        assert blind_spots(dark, None)

    def test_tls_max_connections_unseen_matters_only_where_tls_is_wanted(self):
        gone = {"parameters": {"tls_max_connections": None}}
        assert not verdict(target={"connections": 1000}, **gone).blind
        assert verdict(target={"connections": 1000, "tls": 1}, **gone).blind


class TestMet:
    def test_exactly_the_target_is_met(self):
        s = situation(parameters={"tcp_max_connections": 20_000}, target={"connections": 20_000})
        assert BY_NAME["tcp-max-connections"].compute(s).met is True

    def test_one_less_is_not(self):
        s = situation(parameters={"tcp_max_connections": 19_999}, target={"connections": 20_000})
        assert BY_NAME["tcp-max-connections"].compute(s).met is False

    def test_no_limit_is_met(self):
        s = situation(target={"connections": 20_000}, main={"nofile_soft": UNLIMITED})
        found = replace(BY_NAME["tcp-main-descriptors"].compute(s), goal=20_000)
        assert found.met is True

    def test_without_a_target_or_a_number_nobody_can_say(self):
        s = situation(main={"nofile_soft": DENIED})
        assert BY_NAME["tcp-max-connections"].compute(s).met is None
        wanted = situation(main={"nofile_soft": DENIED}, target={"connections": 5})
        found = BY_NAME["tcp-main-descriptors"].compute(wanted)
        assert found.goal == 5
        assert found.met is None


def test_a_ceiling_is_no_firmer_than_its_softest_number():
    from kamtcp.model.origin import Origin

    assert BY_NAME["tcp-max-connections"].compute(situation()).origin is Origin.READ
    assert BY_NAME["shared-memory"].compute(situation()).origin is Origin.REFERENCE
    assert BY_NAME["kernel-memory"].compute(situation()).origin is Origin.ASSUMED
    assert BY_NAME["hand-off"].compute(situation()).origin is Origin.PROBED


def test_names_in_the_catalogue_are_unique_and_every_row_names_its_source():
    assert len(BY_NAME) == len(ALL)
    for entry in ALL:
        assert entry.spec.source
        assert entry.spec.group
        assert entry.spec.raised_by


def test_without_kamailio_the_kernels_ceilings_alone_are_on_it():
    ladder = build(situation(kamailio=False))
    assert {each.name for each in ladder.all} == {
        entry.spec.name for entry in ALL if not entry.needs_instance
    }
    assert ladder.timers == ()


def test_the_healthy_host_hides_nothing():
    assert build(situation()).unseen == ()
    assert not any(isinstance(timer.seconds, Absent) for timer in build(situation()).timers)


def test_an_unseen_hand_off_is_a_blind_spot_only_where_a_rate_is_wanted():
    gap = {"handoff_messages": DENIED}
    wanted, quiet = (
        situation(target={"connections": 500, "rate": 100}, **gap),
        situation(target={"connections": 500}, **gap),
    )
    assert "hand-off" in [each.name for each in blind_spots(build(wanted), 500)]
    assert "hand-off" not in [each.name for each in blind_spots(build(quiet), 500)]
