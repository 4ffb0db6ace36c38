from __future__ import annotations

import errno
import os
import select
import socket

import pytest

from fake_host import ThisHost, TreeHost
from kamtcp.model.absent import Why
from kamtcp.observe import descriptors
from kamtcp.observe.descriptors import Descriptor, Kind

LINKS = {
    "/proc/831/fd/0": "/dev/null",
    "/proc/831/fd/2": "/var/log/kamailio.log (deleted)",
    "/proc/831/fd/9": "socket:[4711]",
    "/proc/831/fd/10": "anon_inode:[eventpoll]",
    "/proc/831/fd/1023": "pipe:[12]",
    "/proc/831/fd/1024": "net:[4026531833]",
}


def test_the_size_of_the_directory_is_the_count():
    """Since 6.2; nothing is listed then, which would leave an inode in the kernel for each name."""
    host = TreeHost(links=LINKS, sizes={"/proc/831/fd": 6})
    host.listdir = None
    assert descriptors.count(host, 831) == 6


def test_before_that_the_names_are_counted():
    assert descriptors.count(TreeHost(links=LINKS), 831) == 6


def test_the_highest_number_is_a_number():
    """Not the last name: "9" sorts behind "1024"."""
    assert descriptors.highest(TreeHost(links=LINKS), 831) == 1024


def test_targets():
    found = descriptors.collect(TreeHost(links=LINKS), 831).by_number
    assert found[0] == Descriptor(Kind.FILE, "/dev/null")
    assert found[2] == Descriptor(Kind.FILE, "/var/log/kamailio.log", deleted=True)
    assert found[9] == Descriptor(Kind.SOCKET, "socket:[4711]", 4711)
    assert found[10] == Descriptor(Kind.ANON_INODE, "eventpoll")
    assert found[1023].inode == 12
    assert found[1024].kind is Kind.OTHER


def test_one_that_closes_meanwhile_is_absent_by_itself():
    host = TreeHost(files={"/proc/831/fd/5": errno.ENOENT}, links=LINKS)
    assert descriptors.collect(host, 831).by_number[5].why is Why.MISSING


def test_a_foreign_process_is_denied():
    with pytest.raises(PermissionError):
        descriptors.numbers(TreeHost({"/proc/831/fd": errno.EACCES}), 831)


def test_23_more_sockets_and_an_epoll_are_seen():
    """Counted by the size, by the names, and by os.listdir as the second witness."""
    host, me = ThisHost(), os.getpid()
    before = descriptors.count(host, me)
    held = [socket.socket() for _ in range(23)]
    with select.epoll() as epoll:
        assert descriptors.count(host, me) == before + 24
        # the list holds its own descriptor
        assert len(descriptors.numbers(host, me)) == len(os.listdir("/proc/self/fd")) == before + 25
        assert descriptors.highest(host, me) >= max(one.fileno() for one in held)
        found = descriptors.collect(host, me).by_number
        for one in held:
            assert found[one.fileno()] == Descriptor(
                Kind.SOCKET, f"socket:[{os.fstat(one.fileno()).st_ino}]", os.fstat(one.fileno()).st_ino
            )
        assert found[epoll.fileno()] == Descriptor(Kind.ANON_INODE, "eventpoll")
    for one in held:
        one.close()
