from __future__ import annotations

import errno
import os
import socket

import pytest

from fake_host import ThisHost, TreeHost
from kamtcp.model.absent import Absent, Why
from kamtcp.observe import slabs
from kamtcp.observe.slabs import Slab

PAGE = 4096


def test_geometry_and_counts(linux_6_18):
    found = slabs.collect(linux_6_18)["TCP"]
    assert (found.object_bytes, found.objects_per_slab, found.pages_per_slab, found.shared_as) == (
        2368,
        13,
        8,
        "",
    )
    assert found.effective_bytes(PAGE) == pytest.approx(2520.6, abs=0.1)


def test_a_shared_cache_is_found_through_its_link(linux_6_18):
    """tcp_bind_bucket isn't in slabinfo: eventpoll_epi stands there for both."""
    found = slabs.collect(linux_6_18)
    assert (found["tcp_bind_bucket"].object_bytes, found["tcp_bind_bucket"].shared_as) == (128, ":A-0000128")
    assert found["tcp_bind_bucket"].objects.why is Why.NOT_VISIBLE
    assert found["eventpoll_epi"].shared_as == ":A-0000128"
    assert found["eventpoll_epi"].objects > 0


def test_the_price_of_a_connection_is_the_measured_one(linux_6_18):
    """3.83 KB accepted, 4.08 KB connecting, 208 B for epoll on Linux 6.18."""
    found = slabs.collect(linux_6_18)
    accepted = slabs.price(found, PAGE, epoll=0)
    assert accepted.bytes == pytest.approx(3830, abs=10)
    assert slabs.price(found, PAGE, epoll=0, outbound=True).bytes == pytest.approx(4085, abs=10)
    assert slabs.price(found, PAGE).bytes - accepted.bytes == 208
    assert slabs.price(found, PAGE, ipv6=True).parts["TCPv6"] == pytest.approx(2520.6, abs=0.1)
    assert accepted.assumed == ()


def test_without_root_the_reference_stands_and_says_so():
    found = slabs.collect(TreeHost({"/proc/slabinfo": errno.EACCES}))
    assert found["TCP"].why is Why.DENIED
    price = slabs.price(found, PAGE, epoll=0)
    assert price.bytes == pytest.approx(3830, abs=10)
    assert set(price.assumed) == set(price.parts)


def test_a_kernel_without_security_module_does_not_pay_for_one(linux_6_18):
    """Known to be missing is 0; merely not asked for is the reference."""
    found = dict(slabs.collect(linux_6_18))
    full = slabs.price(found, PAGE).bytes
    found["lsm_inode_cache"] = Absent("lsm_inode_cache", Why.MISSING)
    assert slabs.price(found, PAGE).bytes == full - 32
    assert slabs.price(found, PAGE).assumed == ()
    del found["lsm_inode_cache"]
    assert slabs.price(found, PAGE).assumed == ("lsm_inode_cache",)


def test_pages_of_another_size_count():
    """64 KiB pages: a slab of one page holds 27 objects of 2368 bytes."""
    assert Slab(2368, 27, 1, 0, 0).effective_bytes(65536) == pytest.approx(2427.3, abs=0.1)


def test_an_empty_file_system_gives_absent_caches():
    assert all(isinstance(slab, Absent) for slab in slabs.collect(TreeHost()).values())


def _growth_of_500_connections():
    before = slabs.collect(ThisHost(), ("TCP",))["TCP"]
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        clients = [socket.create_connection(server.getsockname()) for _ in range(500)]
        served = [server.accept()[0] for _ in range(500)]
        after = slabs.collect(ThisHost(), ("TCP",))["TCP"]
        for one in clients + served:
            one.close()
    free = before.objects - before.active_objects
    return after.objects - before.objects + free


def test_500_connections_are_1000_sockets_in_the_slabs():
    """Others use the machine too: one round of five that shows them is enough."""
    if os.getuid() != 0:
        pytest.skip("slabinfo is root's")
    assert any(_growth_of_500_connections() >= 950 for _ in range(5))


def test_sizes_alone_give_the_same_price(linux_6_18):
    """From sysfs, without the counts for which slabinfo holds up allocations."""
    assert slabs.price(slabs.geometry(ThisHost()), PAGE) == slabs.price(slabs.collect(ThisHost()), PAGE)
    assert slabs.geometry(linux_6_18)["TCP"].object_bytes == 2368


def test_without_sysfs_sizes_come_from_slabinfo():
    """A kernel built without SYSFS, or a container that doesn't show it."""
    table = b"slabinfo - version: 2.1\n# name\nTCP 10 13 2368 13 8 : tunables 0 0 0 : slabdata 1 1 0\n"
    found = slabs.geometry(TreeHost({"/proc/slabinfo": table}))
    assert found["TCP"].effective_bytes(PAGE) == pytest.approx(2520.6, abs=0.1)
    assert found["filp"].why is Why.MISSING
