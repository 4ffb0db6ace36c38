"""Shared by the tests of sources: the two recorded trees, and a network namespace of one's own."""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

FIXTURES = Path(__file__).parent / "fixtures"
CLONE_NEWNET = 0x40000000

# kept here and not as files: names with ":" can't be unpacked everywhere
SHARED_SLABS = {
    "tcp_bind_bucket": ":A-0000128",
    "tcp_bind2_bucket": ":A-0000128",
    "eventpoll_epi": ":A-0000128",
    "eventpoll_pwq": ":A-0000064",
    "ep_head": ":A-0000016",
    "lsm_inode_cache": ":0000032",
    "lsm_file_cache": ":0000024",
}


@pytest.fixture
def fixtures():
    return FIXTURES


@pytest.fixture
def linux_6_18():
    """A host with everything that a current kernel prints."""
    from fake_host import TreeHost

    root = FIXTURES / "linux-6.18"
    netlink = {18: (root / "rtm_getlink.bin").read_bytes(), 38: (root / "rtm_getqdisc.bin").read_bytes()}
    host = TreeHost.below(root, netlink=netlink)
    for name, common in SHARED_SLABS.items():
        host.links[f"/sys/kernel/slab/{name}"] = common
        size = int(common.rpartition("-")[2].lstrip(":"))
        for attribute, value in (("slab_size", size), ("objs_per_slab", 4096 // size), ("order", 0)):
            host.files[f"/sys/kernel/slab/{name}/{attribute}"] = b"%d\n" % value
    return host


@pytest.fixture
def linux_3_10():
    """A host that lacks what kernels before 4.0 lack."""
    from fake_host import TreeHost

    return TreeHost.below(FIXTURES / "linux-3.10")


@pytest.fixture
def in_netns():
    """Runs a function in a child process with a network namespace of its own; gives what it returns."""

    def run(function, *arguments):
        import ctypes
        import subprocess

        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(reader)
                libc = ctypes.CDLL(None, use_errno=True)
                assert libc.unshare(CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
                with open(writer, "wb") as out:
                    pickle.dump(function(*arguments), out)
                status = 0
            except BaseException:  # noqa: BLE001  (a test must never go on in the child)
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(writer)
        with open(reader, "rb") as answer:
            data = answer.read()
        _, status = os.waitpid(pid, 0)
        assert status == 0, "the child failed; its traceback stands above"
        return pickle.loads(data)

    return run
