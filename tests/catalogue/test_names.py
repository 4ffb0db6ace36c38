"""Spellings: what people write finds the entry they mean."""

from __future__ import annotations

import pytest

from kamtcp.catalogue.load import entries
from kamtcp.catalogue.names import find, fold, spellings


@pytest.mark.parametrize(
    ("spelling", "meant"),
    [
        ("net.core.somaxconn", "net.core.somaxconn"),
        ("net/core/somaxconn", "net.core.somaxconn"),
        ("/proc/sys/net/core/somaxconn", "net.core.somaxconn"),
        ("sysctl:net.core.somaxconn", "net.core.somaxconn"),
        ("net.core.somaxconn=4096", "net.core.somaxconn"),
        (" somaxconn ", "net.core.somaxconn"),
        ("core/somaxconn", "net.core.somaxconn"),
        ("epoll.max_user_instances", "fs.epoll.max_user_instances"),
        ("SOMAXCONN", "net.core.somaxconn"),
        ("ListenOverflows", "TcpExt.ListenOverflows"),
        ("TcpExt.ListenOverflows", "TcpExt.ListenOverflows"),
        ("TcpExtListenOverflows", "TcpExt.ListenOverflows"),
        ("listenoverflows", "TcpExt.ListenOverflows"),
        ("TCP_BUF_SIZE", "TCP_BUF_SIZE"),
        ("tcp_rd_buf_size", "tcp_rd_buf_size"),
        ("tcp-rd-buf-size", "tcp_rd_buf_size"),
        ("kamailio:tls low_mem_threshold1 (now)", "tls.low_mem_threshold1"),
        ("kamailio:tcp_accept_iplimit=0 (5.8.0 and later)", "tcp_accept_iplimit"),
        ("-m", "-m"),
        ("-M", "-M"),
        ("-n", "children"),
        ("-N", "tcp_children"),
        ("LimitNOFILE=", "LimitNOFILE"),
        ("systemd:LimitNOFILE", "LimitNOFILE"),
        ("prlimit --nofile (now)", "RLIMIT_NOFILE"),
        ("boot:thash_entries=", "thash_entries"),
        ("thash_entries=1048576", "thash_entries"),
        ("tcp:local_reject", "tcp:local_reject"),
        ("local_reject", "tcp:local_reject"),
        ("keepidle", "tcp_keepidle"),
        ("max_connections(soft)", "tcp_max_connections"),
        ("max_tls_connections(soft)", "tls_max_connections"),
        ("tcp_source_ipv6", "tcp_source_ipv4"),
        ("ip_local_port_range", "net.ipv4.ip_local_port_range"),
        ("IP_LOCAL_PORT_RANGE", "IP_LOCAL_PORT_RANGE"),
        ("fs/file-nr", "fs.file-nr"),
        ("file_nr", "fs.file-nr"),
        ("time_squeeze", "softnet_stat.time_squeeze"),
        ("connection_timeout", "tls.connection_timeout"),
        ("TIME-WAIT", "TCP_TIMEWAIT_LEN"),
    ],
)
def test_a_spelling_finds_its_entry(spelling, meant):
    assert [each.id for each in find(spelling)] == [meant]


def test_every_id_and_alias_finds_its_own_entry():
    for entry in entries().values():
        for name in (entry.id, *entry.aliases):
            assert find(name) == (entry,), name


def test_options_that_differ_by_case_only_are_told_apart():
    assert find("-m") != find("-M")
    assert find("-n") != find("-N")


def test_a_short_name_of_several_finds_them_all():
    assert [each.id for each in find("gc_thresh3")] == [
        "net.ipv4.neigh.default.gc_thresh3", "net.ipv6.neigh.default.gc_thresh3",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["", " ", "somaxcon", "=", "(", "net.core", "/proc/sys/", "\0", "x" * 10_000]
)
def test_what_is_no_name_finds_nothing(name):
    assert find(name) == ()


def test_suggestions_know_short_names_too():
    assert {"somaxconn", "net.core.somaxconn", "ulimit -n"} <= set(spellings())
    assert fold("Net/Core/Somaxconn=") == "net.core.somaxconn"
