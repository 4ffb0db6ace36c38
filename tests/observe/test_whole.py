"""All collectors together: they can be stored, and they cost little."""

from __future__ import annotations

import os
import time

import msgspec
import pytest

from fake_host import ThisHost, TreeHost
from kamtcp.model.absent import Absent
from kamtcp.observe import (
    boot,
    cgroup,
    conntrack,
    descriptors,
    files,
    limits,
    links,
    logs,
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
from kamtcp.observe.attempt import attempt

COLLECTORS = {
    "boot": (boot.collect, boot.Boot),
    "cgroup": (lambda host: cgroup.collect(host, 831), cgroup.Cgroups),
    "conntrack": (conntrack.collect, conntrack.ConntrackStat | Absent),
    "descriptors": (lambda host: descriptors.collect(host, 831), descriptors.Descriptors | Absent),
    "files": (files.collect, files.Files | Absent),
    "limits": (lambda host: limits.collect(host, 831), limits.Limits | Absent),
    "links": (links.collect, tuple[links.Device, ...]),
    "logs": (lambda host: logs.collect(host, 831), logs.Tail | Absent),
    "memory": (memory.collect, memory.Meminfo | Absent),
    "namespaces": (lambda host: namespaces.collect(host, 831), namespaces.Namespaces | Absent),
    "pressure": (pressure.collect, pressure.Pressures | Absent),
    "processes": (lambda host: processes.collect(host, 831), processes.Process | Absent),
    "slabs": (slabs.collect, dict[str, slabs.Slab | Absent]),
    "price": (lambda host: slabs.price(slabs.collect(host), 4096), slabs.Price | Absent),
    "snmp": (snmp.collect, snmp.Snmp | Absent),
    "sockstat": (sockstat.collect, sockstat.Sockstat | Absent),
    "softnet": (softnet.collect, tuple[softnet.SoftnetCpu, ...]),
    "sysctl": (sysctl.collect, dict[str, str | Absent]),
}


@pytest.mark.parametrize("name", COLLECTORS)
def test_facts_survive_being_stored(name, linux_6_18):
    """Facts written as JSON read back equal, absent ones included: each union can be told apart."""
    linux_6_18.links["/proc/831/fd/9"] = "socket:[4711]"
    linux_6_18.files["/var/log/syslog"] = b"one\n"
    collect, kind = COLLECTORS[name]
    facts = collect(linux_6_18)
    assert msgspec.json.decode(msgspec.json.encode(facts), type=kind) == facts


@pytest.mark.parametrize("name", COLLECTORS)
def test_an_old_kernel_gives_facts_or_reasons(name, linux_3_10):
    """Nothing but OSError and ParseError comes out of a collector."""
    attempt(name, lambda: COLLECTORS[name][0](linux_3_10))


@pytest.mark.parametrize("name", COLLECTORS)
def test_an_empty_machine_gives_facts_or_reasons(name):
    attempt(name, lambda: COLLECTORS[name][0](TreeHost()))


def test_everything_together_takes_milliseconds():
    """Best of 5 rounds, on a machine that others use too: measured 3 ms, and 25 allowed."""
    host, me = ThisHost(), os.getpid()

    def round_of_all():
        started = time.perf_counter()
        for collect in (
            boot,
            conntrack,
            files,
            links,
            memory,
            pressure,
            slabs,
            snmp,
            sockstat,
            softnet,
            sysctl,
        ):
            attempt("x", lambda collect=collect: collect.collect(host))
        for collect in (cgroup, limits, namespaces, processes, logs):
            attempt("x", lambda collect=collect: collect.collect(host, me))
        attempt("x", lambda: descriptors.count(host, me))
        return time.perf_counter() - started

    assert min(round_of_all() for _ in range(5)) < 0.025
