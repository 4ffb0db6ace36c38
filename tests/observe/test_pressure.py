from __future__ import annotations

import errno

from fake_host import ThisHost, TreeHost
from kamtcp.model.absent import Absent, Why
from kamtcp.observe import pressure
from kamtcp.observe.pressure import Stall


def test_some_and_full(linux_6_18):
    found = pressure.collect(linux_6_18)
    assert found.cpu.some.total_us > 0
    assert found.memory.full == Stall(0.0, 0.0, 0.0, 0)


def test_cpu_had_no_full_line_before_5_13():
    found = pressure.parse(b"some avg10=1.66 avg60=1.20 avg300=0.38 total=5374531\n")
    assert found.some == Stall(1.66, 1.20, 0.38, 5374531)
    assert found.full.why is Why.MISSING


def test_switched_off_is_missing_not_zero():
    """The file is there and opening it says EOPNOTSUPP."""
    found = pressure.collect(TreeHost({"/proc/pressure/cpu": errno.EOPNOTSUPP}))
    assert found.cpu.why is Why.MISSING
    assert found.io.why is Why.MISSING


def test_this_kernel():
    found = pressure.collect(ThisHost()).memory
    assert isinstance(found, Absent) or found.some.avg10 >= 0
