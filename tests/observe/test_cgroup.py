from __future__ import annotations

import errno
import os

import pytest

from fake_host import ThisHost, TreeHost
from kamtcp.model.absent import UNLIMITED, Absent, Why
from kamtcp.observe import cgroup
from kamtcp.observe.cgroup import Level

V2_MOUNT = b"29 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V2 = {
    "/proc/831/cgroup": b"0::/system.slice/kamailio.service\n",
    "/proc/self/mountinfo": V2_MOUNT,
    "/sys/fs/cgroup/cgroup.controllers": b"memory pids\n",
    "/sys/fs/cgroup/system.slice/memory.max": b"1073741824\n",
    "/sys/fs/cgroup/system.slice/memory.current": b"1000000000\n",
    "/sys/fs/cgroup/system.slice/kamailio.service/memory.max": b"536870912\n",
    "/sys/fs/cgroup/system.slice/kamailio.service/memory.current": b"100000000\n",
    "/sys/fs/cgroup/system.slice/kamailio.service/pids.max": b"max\n",
    "/sys/fs/cgroup/system.slice/kamailio.service/pids.current": b"14\n",
}


def test_version_2_walks_up_to_the_root():
    """The lowest limit is the service's, the one that is full first its slice's."""
    found = cgroup.collect(TreeHost(V2), 831)
    assert [level.path for level in found.memory.levels] == [
        "/sys/fs/cgroup/system.slice/kamailio.service",
        "/sys/fs/cgroup/system.slice",
        "/sys/fs/cgroup",
    ]
    assert found.memory.limit == 536870912
    assert found.memory.tightest() == Level("/sys/fs/cgroup/system.slice", 1073741824, 1000000000)
    assert found.pids.limit == UNLIMITED
    assert found.pids.tightest() == UNLIMITED


def test_a_limit_that_is_denied_is_not_unlimited():
    files = V2 | {"/sys/fs/cgroup/system.slice/memory.max": errno.EACCES}
    found = cgroup.collect(TreeHost(files), 831).memory
    assert found.limit.why is Why.DENIED
    assert found.tightest().why is Why.DENIED


def test_an_unknown_usage_is_not_zero():
    files = V2 | {"/sys/fs/cgroup/system.slice/memory.current": errno.EIO}
    assert cgroup.collect(TreeHost(files), 831).memory.tightest().why is Why.FAILED


V1 = "/sys/fs/cgroup/memory"


def test_version_1_prints_a_huge_number_for_none(linux_6_18):
    service = f"{V1}/system.slice/kamailio.service"
    linux_6_18.files |= {
        f"{service}/memory.limit_in_bytes": b"9223372036854771712\n",
        f"{service}/memory.usage_in_bytes": b"90165248\n",
        f"{V1}/system.slice/memory.limit_in_bytes": b"268435456\n",
        f"{V1}/system.slice/memory.usage_in_bytes": b"100000000\n",
        f"{V1}/memory.limit_in_bytes": b"9223372036854771712\n",
        f"{V1}/memory.usage_in_bytes": b"300000000\n",
    }
    found = cgroup.collect(linux_6_18, 831)
    assert found.memory.version == 1
    assert [level.limit for level in found.memory.levels] == [UNLIMITED, 268435456, UNLIMITED]
    assert found.memory.limit == 268435456
    assert found.pids.levels[0].path == "/sys/fs/cgroup/pids"
    assert found.pids.limit == UNLIMITED


def test_an_old_group_without_hierarchy_does_not_bound_its_children(linux_3_10):
    """Before 5.11 a parent with use_hierarchy=0 counts its own tasks only."""
    service = f"{V1}/system.slice/kamailio.service"
    linux_3_10.files |= {
        f"{service}/memory.limit_in_bytes": b"9223372036854775807\n",
        f"{service}/memory.usage_in_bytes": b"1\n",
        f"{V1}/system.slice/memory.limit_in_bytes": b"4096\n",
        f"{V1}/system.slice/memory.use_hierarchy": b"0\n",
    }
    assert cgroup.collect(linux_3_10, 831).memory.limit == UNLIMITED


def test_a_container_sees_its_own_group_at_the_mount_point():
    files = {
        "/proc/831/cgroup": b"4:memory:/docker/abc/worker\n",
        "/proc/self/mountinfo": b"35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
        f"{V1}/worker/memory.limit_in_bytes": b"1000000\n",
        f"{V1}/worker/memory.usage_in_bytes": b"10\n",
    }
    found = cgroup.collect(TreeHost(files), 831).memory
    assert [level.path for level in found.levels] == [f"{V1}/worker", V1]
    assert found.limit == 1000000


@pytest.mark.parametrize("path", [b"/../other", b"/elsewhere"])
def test_a_group_outside_of_what_is_mounted_is_not_visible(path):
    files = {
        "/proc/831/cgroup": b"4:memory:" + path + b"\n",
        "/proc/self/mountinfo": b"35 31 0:32 /docker /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
    }
    assert cgroup.collect(TreeHost(files), 831).memory.why is Why.NOT_VISIBLE


def test_nothing_mounted_is_not_visible():
    files = {"/proc/831/cgroup": b"0::/\n", "/proc/self/mountinfo": b""}
    assert cgroup.collect(TreeHost(files), 831).pids.why is Why.NOT_VISIBLE


def test_blanks_in_mount_points_are_escaped():
    line = rb"35 31 0:32 / /mnt/my\040groups rw - cgroup2 none rw" + b"\n"
    assert cgroup.parse_mountinfo(line)[0].point == "/mnt/my groups"


def test_other_mounts_are_passed_over(linux_6_18):
    mounts = cgroup.parse_mountinfo(linux_6_18.read("/proc/self/mountinfo"))
    assert {mount.version for mount in mounts} == {1, 2}
    assert next(m for m in mounts if "memory" in m.controllers).point == V1


def test_this_process_has_a_group_on_this_machine():
    """A limit that the kernel shows for the innermost group is no lower than what was found."""
    found = cgroup.collect(ThisHost(), os.getpid()).memory
    if isinstance(found, Absent):
        pytest.skip("no memory controller on this machine")
    stat = f"{found.levels[0].path}/memory.stat"
    if not os.path.exists(stat) or b"hierarchical_memory_limit" not in ThisHost().read(stat):
        pytest.skip("only version 1 prints a second witness")
    lines = dict(line.split() for line in ThisHost().read(stat).splitlines())
    assert cgroup.parse_limit(lines[b"hierarchical_memory_limit"]) == found.limit
