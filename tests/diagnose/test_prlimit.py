"""The line that raises descriptors of running processes: right for the privilege that is there, or an honest no."""

from __future__ import annotations

from msgspec.structs import replace

from kamtcp.diagnose.finding import Cure
from kamtcp.diagnose.prlimit import raise_descriptors
from kamtcp.model.absent import UNLIMITED
from situations import DENIED, ROOT, situation

NO_RESOURCE = ROOT & ~(1 << 24)
PIDS = "831 821 822 823 824"


def cure(need: int, soft: int = 1024, hard: object = 20_000, **changes: object) -> Cure:
    limits = {"nofile_soft": soft, "nofile_hard": hard}
    return raise_descriptors(situation(main=limits, workers=limits, **changes), need)


def test_with_the_privilege_both_limits_are_raised():
    found = cure(50_000)
    assert found.line == f"for p in {PIDS}; do prlimit --pid $p --nofile=50000:50000; done"
    assert found.text == "soft limit 50,000 for tcp main and its 4 workers; nothing is dropped"


def test_a_hard_limit_that_is_high_enough_is_left_alone():
    assert cure(20_000).line == f"for p in {PIDS}; do prlimit --pid $p --nofile=20000:; done"


def test_different_hard_limits_are_raised_to_the_highest_and_none_is_lowered():
    s = situation(
        main={"nofile_soft": 1024, "nofile_hard": 4096}, workers={"nofile_soft": 1024, "nofile_hard": 524_288}
    )
    assert raise_descriptors(s, 50_000).line.endswith("--nofile=50000:524288; done")


def test_beyond_fs_nr_open_that_is_raised_first():
    found = cure(2_000_000)
    assert found.line == (
        f"sysctl -w fs.nr_open=2000000 && for p in {PIDS}; do prlimit --pid $p --nofile=2000000:2000000; done"
    )
    assert "fs.nr_open first, which is 1,048,576" in found.text


class TestWithoutCapSysResource:
    def test_the_same_user_and_group_may_raise_the_soft_limit(self):
        found = cure(5000, capabilities=NO_RESOURCE, uid=990, gid=990)
        assert found.line == f"for p in {PIDS}; do prlimit --pid $p --nofile=5000:; done"

    def test_another_user_becomes_that_user(self):
        found = cure(5000, capabilities=NO_RESOURCE, uid=0, gid=0)
        assert found.line == (
            f"for p in {PIDS}; do setpriv --reuid=990 --regid=990 --clear-groups prlimit --pid $p --nofile=5000:; done"
        )
        assert found.text.endswith("as its own user, since CAP_SYS_RESOURCE is missing")

    def test_the_same_user_with_another_group_is_not_enough(self):
        """prlimit(2) compares group ids as well."""
        assert "setpriv --reuid=990 --regid=990" in cure(5000, capabilities=NO_RESOURCE, uid=990, gid=0).line

    def test_a_hard_limit_below_the_need_is_all_that_can_be_had(self):
        found = cure(50_000, capabilities=NO_RESOURCE)
        assert "--nofile=20000:; done" in found.line
        assert "all that the hard limit allows; 50,000 are wanted" in found.text

    def test_a_soft_limit_at_the_hard_one_can_not_be_raised(self):
        found = cure(50_000, soft=20_000, capabilities=NO_RESOURCE)
        assert (found.possible, found.line) == (False, "")
        assert (
            found.text == "not possible here: the hard limit is 20,000 and raising it needs CAP_SYS_RESOURCE"
        )

    def test_processes_of_different_users_can_not_be_raised_by_one_line(self):
        s = situation(main={"nofile_soft": 1024, "uid": 0, "gid": 0}, workers={"nofile_soft": 1024},
                      capabilities=NO_RESOURCE)  # fmt: skip
        found = raise_descriptors(s, 5000)
        assert not found.possible
        assert "different ids" in found.text

    def test_ids_that_can_not_be_seen_are_not_guessed(self):
        s = situation(main={"nofile_soft": 1024, "uid": DENIED}, workers={"nofile_soft": 1024, "uid": DENIED},
                      capabilities=NO_RESOURCE)  # fmt: skip
        assert not raise_descriptors(s, 5000).possible


def test_an_unlimited_hard_limit_bounds_nothing():
    assert cure(50_000, hard=UNLIMITED, capabilities=NO_RESOURCE, uid=990, gid=990).line.endswith(
        "--nofile=50000:; done"
    )
    assert cure(50_000, hard=UNLIMITED).line.endswith("--nofile=50000:; done")


def test_nobody_is_lowered():
    """tcp main has more already: it stays out of the line."""
    s = situation(main={"nofile_soft": 20_000, "nofile_hard": 20_000}, workers={"nofile_soft": 512, "nofile_hard": 1024},
                  capabilities=NO_RESOURCE, uid=990, gid=990)  # fmt: skip
    found = raise_descriptors(s, 20_000)
    assert found.line == "for p in 821 822 823 824; do prlimit --pid $p --nofile=1024:; done"
    assert found.text.startswith("soft limit 1,024 for 4 workers")


def test_one_worker_that_lags_is_raised_alone():
    s = situation(main={"nofile_soft": 20_000}, workers={"nofile_soft": 20_000})
    assert s.instance is not None
    lagging = tuple(replace(p, nofile_soft=1024) if p.pid == 822 else p for p in s.instance.processes)
    found = raise_descriptors(replace(s, instance=replace(s.instance, processes=lagging)), 20_000)
    assert found.line == "for p in 822; do prlimit --pid $p --nofile=20000:; done"


def test_limits_that_can_not_be_read_give_no_line():
    s = situation(main={"nofile_soft": 1024}, workers={"nofile_hard": DENIED, "nofile_soft": DENIED})
    assert not raise_descriptors(s, 5000).possible
    assert not raise_descriptors(situation(processes=()), 5000).possible
