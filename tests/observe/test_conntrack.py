from __future__ import annotations

import errno

import pytest

from fake_host import TreeHost
from kamtcp.model.absent import Absent, Why
from kamtcp.observe import conntrack
from kamtcp.observe.conntrack import ConntrackStat

MISSING = Absent("x", Why.MISSING)
DENIED = Absent("x", Why.DENIED)
IDLE = ConntrackStat(0, {"insert": 0, "found": 0, "drop": 0}, 2)
USED = ConntrackStat(0, {"insert": 5, "found": 9, "drop": 0}, 2)
USED_MORE = ConntrackStat(0, {"insert": 6, "found": 9, "drop": 0}, 2)


def test_counters_are_summed_over_cpus_and_wrap(linux_3_10):
    """`entries` is the same total in each row; the others add up modulo 2**32."""
    found = conntrack.collect(linux_3_10)
    assert (found.entries, found.cpus) == (23, 2)
    assert found.get("insert") == 0x200
    assert found.get("found") == 0xFF
    assert found.get("drop") == 2


def test_names_differ_between_kernels(linux_6_18, linux_3_10):
    assert conntrack.collect(linux_6_18).get("searched").why is Why.MISSING
    assert conntrack.collect(linux_3_10).get("searched") == 0xA1B2
    assert conntrack.collect(linux_6_18).get("chainlength") == 0


def test_without_root_it_is_denied():
    host = TreeHost({"/proc/net/stat/nf_conntrack": errno.EACCES})
    with pytest.raises(PermissionError):
        conntrack.collect(host)


@pytest.mark.parametrize(
    ("count", "now", "before", "expected"),
    [
        (10, IDLE, None, True),
        (10, DENIED, None, True),
        (0, USED_MORE, USED, True),
        (0, USED, USED, False),
        (0, IDLE, None, False),
        (0, IDLE, DENIED, False),
        (MISSING, MISSING, None, False),
        (MISSING, ConntrackStat(4, {}, 1), None, True),
    ],
)
def test_loaded_is_not_active(count, now, before, expected):
    """Entries, or counters that move, and nothing else."""
    assert conntrack.active(count, now, before) is expected


def test_what_can_not_be_told_is_not_told():
    assert conntrack.active(0, DENIED).why is Why.DENIED
    assert conntrack.active(0, USED).why is Why.NOT_ASKED
