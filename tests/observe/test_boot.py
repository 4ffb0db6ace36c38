from __future__ import annotations

import time

from fake_host import ThisHost
from kamtcp.observe import boot


def test_a_recorded_boot(linux_6_18):
    assert boot.collect(linux_6_18).boot_id == "6ac8a9b5-0000-4000-8000-1234567890ab"


def test_boot_is_uptime_ago():
    found = boot.collect(ThisHost())
    assert abs(time.time() - found.uptime_seconds - found.booted_at) < 2
    assert found.boot_id == boot.collect(ThisHost()).boot_id
