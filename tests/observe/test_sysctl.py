from __future__ import annotations

import errno
import os

import pytest

from fake_host import ThisHost, TreeHost
from kamtcp.errors import ParseError
from kamtcp.model.absent import Absent, Why
from kamtcp.observe import hashes, sysctl

INITIAL = {
    "/proc/sys/net/core/somaxconn": b"4096\n",
    "/proc/sys/net/core/netdev_max_backlog": b"1000\n",
    "/proc/sys/net/core/wmem_default": b"212992\n",
    "/proc/sys/net/ipv4/tcp_mem": b"287898\t383867\t575796\n",
    "/proc/sys/net/ipv4/tcp_rmem": b"4096\t131072\t33554432\n",
    "/proc/sys/net/ipv4/ip_local_reserved_ports": b"\n",
    "/proc/sys/kernel/threads-max": b"192730\n",
    "/proc/sys/vm/swappiness": errno.EACCES,
}
CHILD = {
    "/proc/sys/net/core/somaxconn": b"128\n",
    "/proc/sys/net/ipv4/tcp_ehash_entries": b"-262144\n",
    "/proc/sys/kernel/threads-max": b"192730\n",
}


def test_a_name_is_a_path_with_points():
    assert sysctl.path_of("fs.epoll.max_user_watches") == "/proc/sys/fs/epoll/max_user_watches"


def test_each_value_comes_from_where_it_is_in_force():
    """The server's namespace for its own settings, the initial one for those of the machine."""
    found = sysctl.collect(TreeHost(INITIAL), inside=TreeHost(CHILD))
    assert found["net.core.somaxconn"] == "128"
    assert found["net.core.netdev_max_backlog"] == "1000"
    assert found["kernel.threads-max"] == "192730"
    assert sysctl.numbers(found, "net.ipv4.tcp_mem") == (287898, 383867, 575796)


def test_a_setting_that_an_old_kernel_keeps_for_all_is_taken_from_the_initial_namespace():
    """Before 4.15 tcp_rmem is missing in a child namespace, and in force there all the same."""
    found = sysctl.collect(TreeHost(INITIAL), inside=TreeHost(CHILD))
    assert sysctl.numbers(found, "net.ipv4.tcp_rmem") == (4096, 131072, 33554432)


def test_what_only_the_initial_namespace_shows_is_not_visible_from_a_child():
    """Seen from a container, a missing global file says nothing about the kernel."""
    found = sysctl.collect(TreeHost(CHILD))
    assert found["net.ipv4.tcp_mem"].why is Why.NOT_VISIBLE
    assert found["net.core.netdev_max_backlog"].why is Why.NOT_VISIBLE
    assert found["net.core.wmem_default"].why is Why.NOT_VISIBLE
    assert found["net.ipv4.tcp_tw_recycle"].why is Why.MISSING


def test_absent_denied_and_empty_are_three_things():
    found = sysctl.collect(TreeHost(INITIAL))
    assert found["net.ipv4.tcp_tw_recycle"].why is Why.MISSING
    assert found["vm.swappiness"].why is Why.DENIED
    assert found["net.ipv4.ip_local_reserved_ports"] == ""


def test_a_name_that_was_not_collected_says_so():
    assert sysctl.number({}, "net.core.somaxconn") == Absent("net.core.somaxconn", Why.NOT_ASKED)


def test_a_malformed_number_is_absent_with_its_reason():
    assert sysctl.number({"x": "many"}, "x").why is Why.MALFORMED


def test_an_empty_row_of_numbers_is_refused():
    with pytest.raises(ParseError):
        sysctl.as_ints("net.ipv4.tcp_mem", "")


def test_names_are_listed_once():
    names = sysctl.NETNS_NAMES + sysctl.GLOBAL_NAMES
    assert len(names) == len(set(names))


def test_a_shared_hash_table_prints_a_negative_size():
    assert hashes.parse(b"-262144\n") == hashes.EstablishedHash(262144, own=False)
    assert hashes.parse(b"4096\n").chain(8192) == 2.0


def test_every_name_reads_on_this_kernel_or_is_missing():
    """No read is too large for /proc/sys, and none is malformed."""
    for name, value in sysctl.collect(ThisHost()).items():
        assert isinstance(value, str) or value.why in (Why.MISSING, Why.NOT_VISIBLE, Why.DENIED), name


def _modes():
    found = {}
    for name in sysctl.NETNS_NAMES + sysctl.GLOBAL_NAMES:
        try:
            found[name] = os.stat(sysctl.path_of(name)).st_mode & 0o777
        except FileNotFoundError:
            found[name] = None
    return found, sysctl.collect(ThisHost())


@pytest.mark.netns
def test_the_scope_of_every_name_is_what_this_kernel_does(in_netns):
    """A child namespace may write its own settings, only read the read-only ones, and lacks the global ones.

    The kernel itself keeps writable files of a child to values of the namespace (ensure_safe_net_sysctl()).
    """
    here = sysctl.collect(ThisHost())
    modes, child = in_netns(_modes)
    read_only = {"net.ipv4.tcp_ehash_entries", "net.netfilter.nf_conntrack_count"}
    for name in sysctl.NETNS_NAMES:
        if not isinstance(here[name], Absent):
            assert modes[name] is not None, name
            assert bool(modes[name] & 0o222) != (name in read_only), name
    for name in sysctl.GLOBAL_READ_ONLY_NAMES:
        assert modes[name] is None or not modes[name] & 0o222, name
        assert modes[name] is None or child[name] == here[name], name
    for name in sysctl.GLOBAL_NET_NAMES:
        assert modes[name] is None, name
        assert child[name].why is Why.NOT_VISIBLE, name
    for name in sysctl.HOST_NAMES:
        if name != "kernel.pid_max":
            assert child[name] == here[name], name


def _write_and_collect():
    with open("/proc/sys/net/core/somaxconn", "w") as file:
        file.write("1023")
    return sysctl.collect(ThisHost())


@pytest.mark.netns
def test_a_setting_of_a_namespace_is_read_inside_it(in_netns):
    """Writing somaxconn in a namespace shows there and leaves the machine's own value alone."""
    before = sysctl.read_sysctl(ThisHost(), "net.core.somaxconn")
    child = in_netns(_write_and_collect)
    assert (before, "1023") == (
        sysctl.read_sysctl(ThisHost(), "net.core.somaxconn"),
        child["net.core.somaxconn"],
    )


@pytest.mark.netns
def test_a_child_namespace_shares_the_hash_table(in_netns):
    here = hashes.collect(ThisHost())
    child = in_netns(lambda: hashes.collect(ThisHost()))
    assert (child.buckets, child.own) == (here.buckets, False)
