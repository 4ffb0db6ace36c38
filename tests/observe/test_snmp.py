from __future__ import annotations

import errno
import re
import socket
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_host import ThisHost, TreeHost
from kamtcp.model.absent import Why
from kamtcp.observe import snmp, sockstat


def test_counters_are_found_by_name(linux_6_18):
    """23 connections had been opened in the recorded namespace, both ends in it."""
    found = snmp.collect(linux_6_18)
    assert found.get("Tcp.ActiveOpens") == 23
    assert found.get("Tcp.PassiveOpens") == 23
    assert found.get("TcpExt.ListenOverflows") == 0
    assert found.get("Tcp.MaxConn") == -1


def test_a_counter_that_the_kernel_lacks_is_missing(linux_6_18):
    assert snmp.collect(linux_6_18).get("TcpExt.PAWSPassive").why is Why.MISSING


def test_a_kernel_without_netstat_costs_those_counters_only(linux_3_10):
    found = snmp.collect(linux_3_10)
    assert found.get("Tcp.CurrEstab") == 11
    assert found.get("TcpExt.ListenDrops").why is Why.MISSING


def test_a_denied_file_is_denied(linux_6_18):
    linux_6_18.files["/proc/831/net/netstat"] = errno.EACCES
    assert snmp.collect(linux_6_18, 831).get("TcpExt.ListenDrops").why is Why.DENIED


def test_with_a_pid_the_files_of_its_namespace_are_read():
    host = TreeHost({"/proc/831/net/snmp": b"Tcp: ActiveOpens\nTcp: 7\n"})
    assert snmp.collect(host, 831).get("Tcp.ActiveOpens") == 7


NAMES = st.text("ABCDEFabcdef", min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(-1, 2**64), min_size=1), min_size=1))
def test_reads_back_what_the_kernel_prints(tables):
    text = "".join(
        f"{prefix}: {' '.join(fields)}\n{prefix}: {' '.join(map(str, fields.values()))}\n"
        for prefix, fields in tables.items()
    )
    expected = {
        f"{prefix}.{name}": value for prefix, fields in tables.items() for name, value in fields.items()
    }
    assert snmp.parse(text.encode()).values == expected


def _counters_of_23():
    """Open 23 connections, close 7 of them from the client's side; count by kamtcp, nstat and ss."""
    before = snmp.collect(ThisHost())
    with socket.create_server(("127.0.0.1", 5060), backlog=64) as server:
        pairs = []
        for _ in range(23):
            client = socket.create_connection(("127.0.0.1", 5060))
            pairs.append((client, server.accept()[0]))
        for client, served in pairs[:7]:
            client.close()
            served.recv(1)
            served.close()
        after, gauges = snmp.collect(ThisHost()), sockstat.collect(ThisHost())
        nstat = subprocess.run(["nstat", "-asz"], capture_output=True, text=True, check=True).stdout
        established = subprocess.run(
            ["ss", "-Htan", "state", "established"], capture_output=True, text=True, check=True
        )
        waiting = subprocess.run(
            ["ss", "-Htan", "state", "time-wait"], capture_output=True, text=True, check=True
        )
        for client, served in pairs[7:]:
            client.close()
            served.close()
    return (
        before,
        after,
        gauges,
        nstat,
        len(established.stdout.splitlines()),
        len(waiting.stdout.splitlines()),
    )


@pytest.mark.netns
def test_23_connections_are_counted_as_nstat_and_ss_count_them(in_netns):
    before, after, gauges, nstat, established, waiting = in_netns(_counters_of_23)
    for name in ("Tcp.PassiveOpens", "Tcp.ActiveOpens"):
        assert after.get(name) - before.get(name) == 23
        assert int(re.search(rf"^{name.replace('.', '')}\s+(\d+)", nstat, re.MULTILINE)[1]) == after.get(name)
    assert after.get("Tcp.CurrEstab") == 2 * 16 == established
    assert gauges.tcp_tw == 7 == waiting
    assert gauges.tcp_inuse == 2 * 16 + 1
    assert after.get("TcpExt.TW") - before.get("TcpExt.TW") == 7


def _overflow():
    """Nobody accepts: a backlog of 4 holds 5."""
    host = ThisHost()
    before = snmp.collect(host)
    with socket.create_server(("127.0.0.1", 5060), backlog=4):
        clients = []
        for _ in range(5 + 7):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", 5060))
            clients.append(client)
        after = snmp.collect(host)
        nstat = subprocess.run(["nstat", "-asz"], capture_output=True, text=True, check=True).stdout
        for client in clients:
            client.close()
    return before, after, nstat


@pytest.mark.netns
def test_connections_beyond_the_accept_queue_are_overflows(in_netns):
    """Each of the 7 SYNs that found the queue full is one ListenOverflows and one ListenDrops."""
    before, after, nstat = in_netns(_overflow)
    for name in ("TcpExt.ListenOverflows", "TcpExt.ListenDrops"):
        assert after.get(name) - before.get(name) == 7
        # nstat ran a little later: a retransmitted SYN may have come in
        assert int(re.search(rf"^{name.replace('.', '')}\s+(\d+)", nstat, re.MULTILINE)[1]) >= after.get(name)
