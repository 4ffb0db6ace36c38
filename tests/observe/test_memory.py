from __future__ import annotations

import os

from fake_host import ThisHost
from kamtcp.model.absent import Why
from kamtcp.observe import memory


def test_bytes_not_kilobytes(linux_6_18):
    found = memory.collect(linux_6_18)
    assert found.total == 24684084 * 1024
    assert found.hugepages_total == 0
    assert found.hugepage_bytes == 2 << 20


def test_an_old_kernel_does_not_say_what_is_available(linux_3_10):
    assert memory.collect(linux_3_10).available.why is Why.MISSING
    assert memory.collect(linux_3_10).percpu.why is Why.MISSING


def test_this_machine_has_the_memory_that_sysconf_says():
    assert memory.collect(ThisHost()).total == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
