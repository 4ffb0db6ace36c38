from __future__ import annotations

from kamtcp.model.absent import Why
from kamtcp.observe import sockstat


def test_time_wait_of_the_recorded_namespace(linux_6_18):
    found = sockstat.collect(linux_6_18)
    assert (found.tcp_tw, found.tcp_mem_pages, found.tcp6_inuse) == (23, 264, 0)


def test_a_kernel_without_ipv6_says_so(linux_3_10):
    found = sockstat.collect(linux_3_10)
    assert found.tcp_inuse == 12
    assert found.tcp6_inuse.why is Why.MISSING
