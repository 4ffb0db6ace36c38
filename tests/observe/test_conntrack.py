from __future__ import annotations

import errno
import os
import socket
import struct

import pytest

from fake_host import ThisHost, TreeHost
from kamtcp.model.absent import Absent, Why
from kamtcp.observe import conntrack
from kamtcp.observe.conntrack import ConntrackStat

MISSING = Absent("x", Why.MISSING)
DENIED = Absent("x", Why.DENIED)
IDLE = ConntrackStat(0, {"insert": 0, "found": 0, "drop": 0}, 2)
USED = ConntrackStat(0, {"insert": 5, "found": 9, "drop": 0}, 2)
USED_MORE = ConntrackStat(0, {"insert": 6, "found": 9, "drop": 0}, 2)


def test_counters_are_summed_over_cpus_and_wrap(linux_3_10):
    """`entries` is the same total in each row; the others add up modulo 2**32."""
    found = conntrack.collect(linux_3_10)
    assert (found.entries, found.cpus) == (23, 2)
    assert found.get("insert") == 0x200
    assert found.get("found") == 0xFF
    assert found.get("drop") == 2


def test_names_differ_between_kernels(linux_6_18, linux_3_10):
    assert conntrack.collect(linux_6_18).get("searched").why is Why.MISSING
    assert conntrack.collect(linux_3_10).get("searched") == 0xA1B2
    assert conntrack.collect(linux_6_18).get("chainlength") == 0


def test_without_root_it_is_denied():
    host = TreeHost({"/proc/net/stat/nf_conntrack": errno.EACCES})
    with pytest.raises(PermissionError):
        conntrack.collect(host)


@pytest.mark.parametrize(
    ("count", "now", "before", "expected"),
    [
        (10, IDLE, None, True),
        (10, DENIED, None, True),
        (0, USED_MORE, USED, True),
        (0, USED, USED, False),
        (0, IDLE, None, False),
        (0, IDLE, DENIED, False),
        (0, DENIED, None, False),
        (MISSING, MISSING, None, False),
        (MISSING, ConntrackStat(4, {}, 1), None, True),
    ],
)
def test_loaded_is_not_active(count, now, before, expected):
    """Entries, or counters that move, and nothing else."""
    assert conntrack.active(count, now, before) is expected


def test_what_can_not_be_told_is_not_told():
    assert conntrack.active(DENIED, DENIED).why is Why.DENIED
    assert conntrack.active(MISSING, DENIED).why is Why.DENIED
    assert conntrack.active(0, USED).why is Why.NOT_ASKED


def _attribute(kind, payload, *, nested=False):
    size = 4 + len(payload)
    return struct.pack("=HH", size, kind | (0x8000 if nested else 0)) + payload + bytes(-size % 4)


def _message(kind, flags, body, family=socket.AF_INET, resource=0):
    size = 20 + len(body)
    return struct.pack("=IHHIIBBH", size, kind, flags, 1, 0, family, 0, socket.htons(resource)) + body


def _add_a_ct_rule():
    """`nft add rule ip t c ct state ...`, as messages: a rule that looks at the state is enough."""
    nftables, create, append = 10, 0x405, 0x805  # NFNL_SUBSYS_NFTABLES; REQUEST|ACK|CREATE; |APPEND
    table, chain = b"t\0", b"c\0"
    hook = _attribute(1, struct.pack("!I", 1)) + _attribute(
        2, struct.pack("!i", 0)
    )  # NF_INET_LOCAL_IN, priority
    state = _attribute(1, struct.pack("!I", 1)) + _attribute(
        2, struct.pack("!I", 0)
    )  # register, NFT_CT_STATE
    expression = _attribute(1, b"ct\0") + _attribute(2, state, nested=True)
    batch = (
        _message(0x10, 1, b"", socket.AF_UNSPEC, nftables)
        + _message(nftables << 8 | 0, create, _attribute(1, table))
        + _message(
            nftables << 8 | 3,
            create,
            _attribute(1, table)
            + _attribute(3, chain)
            + _attribute(4, hook, nested=True)
            + _attribute(7, b"filter\0"),
        )
        + _message(
            nftables << 8 | 6,
            append | create,
            _attribute(1, table)
            + _attribute(2, chain)
            + _attribute(4, _attribute(1, expression, nested=True), nested=True),
        )
        + _message(0x11, 1, b"", socket.AF_UNSPEC, nftables)
    )
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as sock:
        sock.settimeout(2)
        sock.send(batch)
        for _ in range(3):
            kind, error = struct.unpack_from("=4xH10xi", sock.recv(4096))
            assert (kind, error) == (2, 0), f"nftables says errno {-error}"


def _connect(times):
    with socket.create_server(("127.0.0.1", 5060), backlog=64) as server:
        for _ in range(times):
            with socket.create_connection(("127.0.0.1", 5060)):
                server.accept()[0].close()


def _with_and_without_a_rule():
    host = ThisHost()

    def reading():
        count = int(host.read("/proc/sys/net/netfilter/nf_conntrack_count", 4096))
        return count, conntrack.collect(host)

    _connect(23)
    idle = reading()
    _add_a_ct_rule()
    _connect(23)
    return idle, reading()


@pytest.mark.netns
def test_23_connections_are_tracked_only_where_a_rule_asks_for_it(in_netns):
    """The same 23 connections without any rule, and with one that looks at their state."""
    if not os.path.exists("/proc/net/stat/nf_conntrack"):
        pytest.skip("no connection tracking in this kernel")
    (count, idle), (count_with_rule, busy) = in_netns(_with_and_without_a_rule)
    assert (count, idle.entries) == (0, 0)
    assert conntrack.active(count, idle) is False
    assert count_with_rule == busy.entries == 23
    # why the count decides: an ordinary connection moves none of the counters of this kernel
    assert busy.get("insert") in (0, 23)
    assert conntrack.active(count_with_rule, busy) is True
    assert conntrack.active(count_with_rule, busy, idle) is True
