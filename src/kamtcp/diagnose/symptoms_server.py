"""Symptoms of Kamailio as a whole, and of the load that looks at it: restarted, gone, generator at its own limits."""

from __future__ import annotations

from kamtcp.capacity.change import Change
from kamtcp.capacity.ladder import Ladder
from kamtcp.diagnose.finding import Cure, no_cure
from kamtcp.diagnose.symptom import Cured, Signs, Symptom

_LOG = "journalctl -u kamailio -n 50; dmesg | tail"
_EVERYTHING = ("ACC050", "ACC051", "ACC052", "ACC055")


def gone(change: Change, _: Ladder) -> Signs:
    """It ran at the first look and does not any more."""
    before = change.before.instance
    after = change.instance
    if before is not None and after is None:
        yield f"{before.name} (pid {before.attendant}) was running {change.seconds:,.0f} s before and is gone"
    elif before is not None and after is not None and change.orphaned:
        yield (
            f"the main process of {before.name} (pid {before.attendant}) is gone; others of it (pid {after.attendant})"
            " run on without one: none that ends is noticed, and a new Kamailio can't have their ports"
        )


def restarted(change: Change, _: Ladder) -> Signs:
    """Another main process than at the first look."""
    before, after = change.before.instance, change.instance
    if before is not None and after is not None and change.restarted:
        yield f"{after.name} was pid {before.attendant}, now pid {after.attendant}: all its connections were dropped"


def out_of_ports(change: Change, _: Ladder) -> Signs:
    """The load had no source port left: that is its own limit, not the server's."""
    if count := change.failed("local_ports"):
        yield f"{count:,} connections were not made: the load had no source port left"


def out_of_descriptors(change: Change, _: Ladder) -> Signs:
    """The load had no descriptor left."""
    if count := change.failed("local_descriptors"):
        yield f"{count:,} connections were not made: the load had no descriptor left"


def late(change: Change, _: Ladder) -> Signs:
    """The load was not on time, so that what it says of time is worth little."""
    if change.client is not None and change.client.late:
        yield change.client.late


def _of_gone(change: Change) -> Cured:
    if change.instance is None:
        return Cured(_LOG, _START, _WHY)
    clear = Cure(
        "end those that are left, then start it", "systemctl restart kamailio", "drops every connection"
    )
    return Cured(_ORPHANS, no_cure("a process can't be given back its parent"), clear)


_START = Cure("start it; its log and the kernel's say why it ended", "systemctl start kamailio")
_ORPHANS = "pgrep -a kamailio; journalctl -u kamailio -n 50; dmesg | tail"
_WHY = Cure("find out why: its log, the kernel's log, the unit's Restart=")
_SOURCES = Cure("more source addresses (--sources), or a wider ip_local_port_range where the load runs")
_PROCESSES = Cure("more processes (--processes), or a higher hard limit on open files where the load runs")
_ELSEWHERE = Cure("more processes (--processes), a lower rate, or a machine of its own for the load")

SYMPTOMS = (
    Symptom("SRV051", "", gone, _EVERYTHING, cured=_of_gone),
    Symptom("SRV050", "", restarted, _EVERYTHING, Cured(_LOG, no_cure("it has happened"), _WHY)),
    Symptom("GEN050", "", out_of_ports, (), Cured("sysctl net.ipv4.ip_local_port_range; ss -s", _SOURCES, _SOURCES)),
    Symptom("GEN051", "", out_of_descriptors, (), Cured("ulimit -Hn", _PROCESSES, _PROCESSES)),
    Symptom("GEN052", "", late, (), Cured("uptime; top", _ELSEWHERE, _ELSEWHERE)),
)  # fmt: skip
