"""What a stock Kamailio would add to a machine without one."""

from __future__ import annotations

from kamtcp.capacity.ladder import build, stops
from kamtcp.model.absent import Absent
from situations import DENIED, situation


def test_the_numbers_are_as_worked_out_by_hand():
    found = {each.name: each.limit for each in build(situation(kamailio=False)).defaults}
    assert found == {
        "tcp-main-descriptors": 984,  # 1,024 - (25 + 15)
        "accept-queue": 1025,  # min(1,024, 4,096) + 1
        "tcp-max-connections": 2048,
        "hand-off": 2224,  # 8 x 278
        "shared-memory": 3691,  # (64 MiB - 2,810,000) / 17,416
        "private-memory": 199_558,  # (8 MiB - 1,200,000) / 36 - 125
    }


def test_a_low_somaxconn_of_this_machine_counts():
    found = {
        each.name: each.limit
        for each in build(situation(kamailio=False, sysctls={"net.core.somaxconn": "128"})).defaults
    }
    assert found["accept-queue"] == 129


def test_what_can_not_be_seen_is_absent_there_too():
    s = situation(kamailio=False, sysctls={"net.core.somaxconn": DENIED}, handoff_messages=DENIED)
    assert sum(isinstance(each.limit, Absent) for each in build(s).defaults) == 2


def test_they_are_never_binding_and_not_there_beside_a_real_one():
    ladder = build(situation(kamailio=False))
    assert not {each.name for each in stops(ladder)} & {"tcp-main-descriptors", "tcp-max-connections"}
    assert build(situation()).defaults == ()
