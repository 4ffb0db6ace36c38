"""Values that are no numbers stay what they are; snapshots survive being stored; prices between two of them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.model.absent import UNLIMITED, Absent, Limit, Unlimited, Why, known
from kamtcp.model.growth import prices_between
from kamtcp.model.instance import SharedMemory
from kamtcp.model.machine import Counters, counter
from kamtcp.model.origin import Figure, Origin, softest
from kamtcp.model.price import Conditions, Measured, conditions_of, differences, measured
from kamtcp.model.snapshot import Snapshot
from kamtcp.model.target import Mix, Target
from situations import DENIED, situation, snapshot

limits = (
    st.integers(-(2**63), 2**64 - 1)
    | st.just(UNLIMITED)
    | st.builds(Absent, st.text(), st.sampled_from(Why), st.text())
)


@given(limits)
@settings(max_examples=60, deadline=None)
def test_absent_unlimited_and_numbers_are_told_apart_when_stored(value):
    """Zero, denied, and no limit are three different values, on disk too."""
    assert msgspec.json.decode(msgspec.json.encode(value), type=Limit) == value


def test_known_is_for_displays():
    assert (known(5, 1), known(DENIED, 1), known(UNLIMITED, 1)) == (5, 1, 1)


def test_a_reason_reads_as_a_sentence():
    assert str(Absent("/proc/831/limits", Why.DENIED, "EACCES")) == "/proc/831/limits: denied (EACCES)"
    assert str(Absent("net.ipv4.tcp_mem", Why.NOT_VISIBLE)) == "net.ipv4.tcp_mem: not visible"
    assert str(Unlimited()) == "unlimited"


def test_a_counter_that_is_not_there_is_absent_and_not_zero():
    counters = Counters({"TCP.orphan": 0})
    assert counter(counters, "TCP.orphan") == 0
    assert counter(counters, "TCP.mem") == Absent("TCP.mem", Why.MISSING)
    assert counter(DENIED, "TCP.mem") == DENIED


def test_a_result_is_as_soft_as_its_softest_number():
    figures = [Figure(1, "x", origin) for origin in (Origin.READ, Origin.DEFAULT, Origin.MEASURED)]
    assert softest(tuple(figures)) is Origin.DEFAULT
    assert softest(()) is Origin.READ
    assert [origin.name for origin in Origin] == [
        "READ", "PROBED", "MEASURED", "TARGET", "DEFAULT", "REFERENCE", "ASSUMED",
    ]  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"opened": DENIED, "cgroup": DENIED, "unit": DENIED, "files_max": UNLIMITED},
                                     {"kamailio": False}], ids=str)  # fmt: skip
def test_a_snapshot_reads_back_as_it_was_stored(changes):
    found = snapshot(situation(**changes))
    assert msgspec.json.decode(msgspec.json.encode(found), type=Snapshot) == found
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Snapshot) == found


class TestMix:
    @given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
    @settings(max_examples=60, deadline=None)
    def test_shares_of_a_target_add_up_to_one(self, tcp, tls, ws, wss):
        from kamtcp.diagnose.verdict import mix_of

        total = tcp + tls + ws + wss
        mix = mix_of(Target(connections=total or None, tls=tls, ws=ws, wss=wss), None)
        assert sum((mix.tcp, mix.tls, mix.ws, mix.wss)) == pytest.approx(1)
        assert all(0 <= share <= 1 for share in (mix.tcp, mix.tls, mix.ws, mix.wss))

    @pytest.mark.parametrize(
        ("opened", "tls", "websocket", "shares"),
        [
            (100, 0, 0, (1.0, 0.0, 0.0, 0.0)),
            (100, 25, 0, (0.75, 0.25, 0.0, 0.0)),
            # of the WebSockets nobody says how many are secure: as many as there is TLS
            (100, 25, 10, (0.75, 0.15, 0.0, 0.1)),
            (100, 5, 10, (0.9, 0.0, 0.05, 0.05)),
            (10, 12, 0, (0.0, 1.0, 0.0, 0.0)),  # counted at two moments
            (0, 0, 0, (1.0, 0.0, 0.0, 0.0)),
        ],
    )
    def test_present_use_makes_it_where_there_is_no_target(self, opened, tls, websocket, shares):
        mix = situation(opened=opened, opened_tls=tls, websocket=websocket).mix
        assert (mix.tcp, mix.tls, mix.ws, mix.wss) == pytest.approx(shares)

    def test_nothing_seen_is_plain_tcp_and_says_so(self):
        assert situation(opened=DENIED).mix == Mix(
            1.0, 0.0, 0.0, 0.0, "plain TCP, for want of a target or of open connections"
        )


def pool(used: int) -> SharedMemory:
    return SharedMemory(64 << 20, (64 << 20) - used, used, used, used, 10)


def pair(first: dict[str, object], last: dict[str, object]) -> dict[str, dict[str, float]]:
    basis = {
        "opened": 100,
        "opened_tls": 0,
        "websocket": 0,
        "shared_memory": pool(5_000_000),
        "uptime_seconds": 10,
    }
    later = {**basis, "opened": 1100, "shared_memory": pool(22_000_000), "uptime_seconds": 20}
    found = prices_between(
        snapshot(situation(**{**basis, **first})), snapshot(situation(**{**later, **last}))
    )
    return {pid: {name: each.middle for name, each in prices.items()} for pid, prices in found.items()}


class TestPricesBetweenTwoSnapshots:
    def test_a_thousand_connections_and_17_mb_more_are_17_kb_each(self):
        assert pair({}, {}) == {"812": {"tcp": 17_000.0}}

    def test_connections_that_went_away_tell_it_as_well(self):
        assert pair({"opened": 2100, "shared_memory": pool(39_000_000)}, {}) == {"812": {"tcp": 17_000.0}}

    def test_all_of_them_tls_is_the_price_of_tls(self):
        assert pair({}, {"opened_tls": 1000, "shared_memory": pool(81_000_000)}) == {"812": {"tls": 76_000.0}}

    def test_so_do_ws_and_wss(self):
        assert pair({}, {"websocket": 1000, "shared_memory": pool(88_000_000)}) == {"812": {"ws": 83_000.0}}
        both = {"websocket": 1000, "opened_tls": 1000, "shared_memory": pool(147_000_000)}
        assert pair({"shared_memory": pool(5_000_000)}, both) == {"812": {"wss": 142_000.0}}

    @pytest.mark.parametrize(
        ("first", "last"),
        [
            ({}, {"opened": 299}),  # too few to tell
            ({}, {"opened_tls": 400}),  # two transports at once
            ({}, {"websocket": 5}),
            ({}, {"websocket": 1000, "opened_tls": 400}),
            ({}, {"websocket": DENIED}),
            ({}, {"uptime_seconds": 5}),  # another process: it was restarted
            ({}, {"attendant": 900}),
            ({}, {"shared_memory": DENIED}),
            ({"opened": DENIED}, {}),
            ({"opened_tls": DENIED}, {}),
            ({}, {"shared_memory": pool(5_900_000)}),  # 900 bytes a connection is something else
            ({}, {"shared_memory": pool(4_000_000)}),  # it shrank meanwhile
        ],
        ids=str,
    )
    def test_anything_less_clear_gives_no_price(self, first, last):
        assert pair(first, last) == {}


class TestConditionsOfAPrice:
    def here(self, **changes: object) -> Conditions | Absent:
        s = situation(**changes)
        assert s.instance is not None
        return conditions_of(s.machine, s.instance)

    def test_they_are_what_the_price_hangs_on(self):
        assert self.here() == Conditions("6.18.0", "x86_64", "6.1.4", 3, "qm", 16_384, tls=True)
        assert self.here(parameters={"shm_manager": "f_malloc"}) == self.here(
            parameters={"shm_manager": "fm"}
        )

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"release": "6.19.1"}, "kernel 6.18.0 then, 6.19.1 now"),
            ({"architecture": "aarch64"}, "machine x86_64 then, aarch64 now"),
            ({"version": "5.6.3"}, "kamailio 6.1.4 then, 5.6.3 now"),
            ({"openssl": 1}, "openssl 3 then, 1 now"),
            ({"parameters": {"shm_manager": "tlsf"}}, "allocator qm then, tlsf now"),
            ({"parameters": {"tcp_rd_buf_size": 4096}}, "read buffer 16384 then, 4096 now"),
            ({"modules": ("tm",), "openssl": 0}, "openssl 3 then, 0 now; tls on then, off now"),
        ],
    )
    def test_each_of_them_makes_a_difference_that_is_named(self, changes, said):
        then, now = self.here(), self.here(**changes)
        assert isinstance(then, Conditions) and isinstance(now, Conditions)
        assert then != now
        assert differences(then, now) == said

    @pytest.mark.parametrize(
        "changes", [{"version": DENIED}, {"openssl": DENIED}, {"modules": DENIED}, {"command_line": DENIED},
                    {"parameters": {"tcp_rd_buf_size": None}}],
    )  # fmt: skip
    def test_what_can_not_be_told_holds_for_nothing(self, changes):
        assert isinstance(self.here(**changes), Absent)

    def test_the_middle_of_an_even_number_lies_between(self):
        assert measured([3.0, 1.0, 2.0, 10.0], "so") == Measured(2.5, 1.0, 10.0, 4, "so")
