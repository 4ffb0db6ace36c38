"""Which default a release had, and whether it had the setting at all."""

from __future__ import annotations

import pytest

from kamtcp.catalogue.load import entries
from kamtcp.catalogue.versions import default_on, exists_on, numbers


@pytest.mark.parametrize(
    ("release", "parts"),
    [
        ("6.18.44-1-amd64", (6, 18, 44)),
        ("5.4", (5, 4)),
        ("6.2.0-dev1", (6, 2, 0)),
        ("", ()),
        ("never was", ()),
        ("6.x", (6,)),
    ],
)
def test_a_release_as_numbers(release, parts):
    assert numbers(release) == parts


@pytest.mark.parametrize(
    ("name", "release", "default"),
    [
        ("net.core.somaxconn", "5.3.18", "128"),
        ("net.core.somaxconn", "5.4.0", "4096"),
        ("net.core.somaxconn", "6.18.0", "4096"),
        ("net.core.somaxconn", "", "4096"),
        ("net.ipv4.tcp_challenge_ack_limit", "4.4.1", "100"),
        ("net.ipv4.tcp_challenge_ack_limit", "5.10.2", "1000"),
        ("net.ipv4.tcp_challenge_ack_limit", "6.1.0", "2147483647"),
        ("net.core.rmem_max", "6.12.9", "212992"),
        ("tcp_rd_buf_size", "4.1.0", "4096"),
        ("tcp_rd_buf_size", "5.6.3", "16384"),
        ("tls_threads_mode", "5.8.2", "0"),
    ],
)
def test_the_default_of_a_release(name, release, default):
    assert default_on(entries()[name], release) == default


@pytest.mark.parametrize(
    ("name", "release", "there"),
    [
        ("net.ipv4.tcp_tw_recycle", "3.10.0", True),
        ("net.ipv4.tcp_tw_recycle", "4.12.0", False),
        ("fs.epoll.max_user_instances", "2.6.28", True),
        ("fs.epoll.max_user_instances", "2.6.27", False),
        ("net.ipv4.tcp_tw_reuse_delay", "6.12.0", False),
        ("net.ipv4.tcp_tw_reuse_delay", "6.14.1", True),
        ("net.core.somaxconn", "6.1.0", True),
        ("net.core.somaxconn", "", None),
        ("net.ipv4.tcp_thin_dupack", "4.1.0", None),
        ("tcp_accept_iplimit", "5.6.3", False),
        ("tcp_accept_iplimit", "5.7.3", True),
    ],
)
def test_whether_a_release_has_it(name, release, there):
    assert exists_on(entries()[name], release) is there
