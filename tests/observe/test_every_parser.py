"""What holds for every parser alike."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError
from kamtcp.observe import (
    boot,
    cgroup,
    conntrack,
    descriptors,
    files,
    hashes,
    limits,
    links,
    memory,
    namespaces,
    pressure,
    processes,
    slabs,
    snmp,
    sockstat,
    softnet,
    sysctl,
)
from kamtcp.observe.kernel_text import text

FIXTURES = Path(__file__).parent / "fixtures"


def _text(parse):
    return lambda data: parse(text(data))


# parser, what it takes on a current kernel, its broken twin
PARSERS = {
    "snmp": (snmp.parse, "proc/net/snmp", "snmp"),
    "netstat": (snmp.parse, "proc/net/netstat", "netstat"),
    "sockstat": (lambda data: sockstat.parse(data, b""), "proc/net/sockstat", "sockstat"),
    "sockstat6": (sockstat.parse_fields, "proc/net/sockstat6", "sockstat6"),
    "softnet_stat": (softnet.parse, "proc/net/softnet_stat", "softnet_stat"),
    "nf_conntrack": (conntrack.parse, "proc/net/stat/nf_conntrack", "nf_conntrack"),
    "dev": (links.parse_dev, "proc/net/dev", "dev"),
    "links": (links.parse_links, "rtm_getlink.bin", "rtm_getlink"),
    "qdiscs": (links.parse_qdiscs, "rtm_getqdisc.bin", "rtm_getqdisc"),
    "limits": (limits.parse, "proc/831/limits", "limits"),
    "stat": (processes.parse_stat, "proc/831/stat", "stat"),
    "status": (processes.parse_status, "proc/831/status", "status"),
    "schedstat": (processes.parse_schedstat, "proc/831/schedstat", "schedstat"),
    "cgroup": (cgroup.parse_membership, "proc/831/cgroup", "cgroup"),
    "mountinfo": (cgroup.parse_mountinfo, "proc/self/mountinfo", "mountinfo"),
    "cgroup limit": (cgroup.parse_limit, b"9223372036854771712\n", "cgroup_limit"),
    "pressure": (pressure.parse, "proc/pressure/memory", "pressure"),
    "meminfo": (memory.parse, "proc/meminfo", "meminfo"),
    "slabinfo": (slabs.parse, "proc/slabinfo", "slabinfo"),
    "file-nr": (files.parse_file_nr, "proc/sys/fs/file-nr", "file-nr"),
    "inode-state": (files.parse_inode_state, "proc/sys/fs/inode-state", "inode-state"),
    "dentry-state": (files.parse_dentry_state, "proc/sys/fs/dentry-state", "dentry-state"),
    "boot_id": (boot.parse_boot_id, "proc/sys/kernel/random/boot_id", "boot_id"),
    "uptime": (boot.parse_uptime, "proc/uptime", "uptime"),
    "btime": (boot.parse_btime, "proc/stat", "proc_stat"),
    "sysctl": (sysctl.parse, b"4096\t131072\t33554432\n", "sysctl"),
    "ehash": (hashes.parse, b"-262144\n", "tcp_ehash_entries"),
    "as_int": (_text(lambda value: sysctl.as_int("x", value)), b"-1", b"1_000"),
    "as_ints": (_text(lambda value: sysctl.as_ints("x", value)), b"4096\t131072\t33554432", b"4096 max"),
    "fd target": (_text(descriptors.parse_target), b"socket:[4711]", b"socket:[]"),
    "ns link": (_text(namespaces.parse_link), b"net:[4026531833]", b"net:4026531833"),
}
EXTREMES = (
    b"-1",
    b"max",
    b"unlimited",
    b"18446744073709551616",
    b"",
    b"9" * 5000,
    b"0x10",
    b"1_0",
    "٣".encode(),
)


def _bytes(given_as, folder, suffix=""):
    return given_as if isinstance(given_as, bytes) else (FIXTURES / folder / (given_as + suffix)).read_bytes()


def _good(name):
    return _bytes(PARSERS[name][1], "linux-6.18")


@pytest.mark.parametrize("name", PARSERS)
def test_what_a_current_kernel_prints_is_read(name):
    """The recorded file of a 6.18 kernel is taken."""
    assert PARSERS[name][0](_good(name)) is not None


@pytest.mark.parametrize("name", PARSERS)
def test_the_broken_twin_is_refused(name):
    """A damaged file is a ParseError that names its source, in one line."""
    with pytest.raises(ParseError) as caught:
        PARSERS[name][0](_bytes(PARSERS[name][2], "broken", ".broken"))
    assert caught.value.source
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", PARSERS)
def test_only_parse_errors_escape(name):
    """Arbitrary bytes, and the real file with a piece of it replaced, give facts or a ParseError."""
    parse, good = PARSERS[name][0], _good(name)

    @settings(max_examples=60, deadline=None)
    @given(st.binary(max_size=300))
    def arbitrary(data):
        with contextlib.suppress(ParseError):
            parse(data)

    @settings(max_examples=60, deadline=None)
    @given(st.integers(0, len(good)), st.integers(0, 40), st.binary(max_size=12))
    def damaged(at, length, data):
        with contextlib.suppress(ParseError):
            parse(good[:at] + data + good[at + length :])

    arbitrary()
    damaged()


@pytest.mark.parametrize("name", PARSERS)
def test_extreme_values_are_facts_or_parse_errors(name):
    """Each word of the file in turn is -1, max, 2**64, empty, 5000 digits, …"""
    parse, good = PARSERS[name][0], _good(name)
    words = good.split()[:60]
    for word in words:
        for extreme in EXTREMES:
            with contextlib.suppress(ParseError):
                parse(good.replace(word, extreme, 1))


@pytest.mark.parametrize("name", PARSERS)
def test_a_cut_file_is_facts_or_a_parse_error(name):
    """A read that was cut at any byte gives facts or a ParseError."""
    parse, good = PARSERS[name][0], _good(name)
    for at in range(0, len(good), 1 + len(good) // 200):
        with contextlib.suppress(ParseError):
            parse(good[:at])
