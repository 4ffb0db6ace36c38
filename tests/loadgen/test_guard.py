"""When a load ends by itself."""

from __future__ import annotations

import pytest

from kamtcp.host.door import DiskSpace, Stat
from kamtcp.loadgen.guard import FLOOD_BYTES, Bounds, Guard

NETSTAT = b"TcpExt: ListenOverflows ListenDrops\nTcpExt: 0 %d\n"
SNMP = b"Tcp: CurrEstab\nTcp: 4\n"


class Machine:
    """A disk, a log and a kernel that do as they are told."""

    def __init__(self) -> None:
        self.available, self.log, self.drops, self.softnet = 50, 0, 0, 0
        self.denied = False

    def disk(self, path: str) -> DiskSpace:
        return DiskSpace(100, self.available)

    def stat(self, path: str) -> Stat:
        if self.denied:
            raise PermissionError(13, "Permission denied")
        return Stat(self.log, 1, 0, 0, 0o100644, 0.0)

    def read(self, path: str, limit: int = 0) -> bytes:
        if path.endswith("softnet_stat"):
            return (
                b"00000001 %08x 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n"
                % self.softnet
            )
        return NETSTAT % self.drops if path.endswith("netstat") else SNMP


@pytest.fixture
def machine():
    return Machine()


def guard(machine: Machine, **bounds: object) -> Guard:
    return Guard(machine, None, ("/var/log/kamailio.log",), Bounds(**bounds), 0.0)  # type: ignore[arg-type]


def test_a_quiet_load_goes_on(machine):
    watch = guard(machine, drops=0)
    assert [watch.look(float(second)) for second in range(30)] == [None] * 30
    assert not watch.unseen()


def test_a_disk_that_fills_ends_it(machine):
    watch = guard(machine)
    machine.available = 9
    assert "9.0% left, below 10.0%" in (watch.look(1.0) or "")


def test_a_disk_that_was_full_before_may_only_lose_a_little(machine):
    machine.available = 5
    watch = guard(machine)
    assert watch.look(1.0) is None
    machine.available = 3
    assert "before the load: 5.0%" in (watch.look(2.0) or "")


def test_a_flooded_log_ends_it_and_a_busy_one_does_not(machine):
    watch = guard(machine)
    for second in range(1, 6):
        machine.log += FLOOD_BYTES // 2
        assert watch.look(float(second)) is None
    for second in range(6, 12):
        machine.log += 3 * FLOOD_BYTES
        said = watch.look(float(second))
        if said:
            break
    assert said
    assert "/var/log/kamailio.log grows by" in said
    assert second <= 8


def test_all_its_logs_together_have_a_cap(machine):
    watch = guard(machine, log_bytes=1000)
    machine.log = 1001
    assert "more than the" in (watch.look(0.1) or "")


def test_a_log_that_is_rotated_is_no_flood(machine):
    machine.log = 1 << 30
    watch = guard(machine)
    machine.log = 10
    assert [watch.look(float(second)) for second in range(1, 5)] == [None] * 4


@pytest.mark.parametrize("where", ["drops", "softnet"])
def test_drops_beyond_those_allowed_end_it(machine, where):
    watch = guard(machine, drops=10)
    setattr(machine, where, 10)
    assert watch.look(1.0) is None
    setattr(machine, where, 11)
    assert "dropped 11" in (watch.look(2.0) or "")


def test_a_load_that_means_to_make_drops_may(machine):
    watch = guard(machine)
    machine.drops = 10_000
    assert watch.look(1.0) is None


def test_a_log_that_can_not_be_seen_ends_nothing(machine):
    watch = guard(machine)
    machine.denied = True
    assert watch.look(1.0) is None


def test_no_log_known_is_said():
    assert "none is known" in Guard(Machine(), None, (), Bounds(), 0.0).unseen()[0]
