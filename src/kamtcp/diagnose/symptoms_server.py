"""Symptoms of Kamailio as a whole, and of the load that looks at it: restarted, gone, generator at its own limits."""

from __future__ import annotations

from kamtcp.capacity.change import Change
from kamtcp.capacity.ladder import Ladder
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.rule import Said
from kamtcp.diagnose.symptom import Symptom

_LOG = "journalctl -u kamailio -n 50; dmesg | tail"
_EVERYTHING = ("ACC050", "ACC051", "ACC052", "ACC055")


def gone(change: Change, _: Ladder) -> Said:
    """It ran at the first look and does not any more."""
    before = change.before.instance
    if before is not None and change.instance is None:
        evidence = (
            f"{before.name} (pid {before.attendant}) was running {change.seconds:,.0f} s before and is gone"
        )
        start = Cure("start it; its log and the kernel's say why it ended", "systemctl start kamailio")
        yield finding(BY_CODE["SRV051"], evidence, _LOG, start, start)


def restarted(change: Change, _: Ladder) -> Said:
    """Another main process than at the first look."""
    before, after = change.before.instance, change.instance
    if before is not None and after is not None and change.restarted:
        evidence = f"{after.name} was pid {before.attendant}, now pid {after.attendant}: all its connections were dropped"
        yield finding(
            BY_CODE["SRV050"], evidence, _LOG, no_cure("it has happened"), Cure("find out why: its log, the kernel's log, the unit's Restart=")
        )  # fmt: skip


def out_of_ports(change: Change, _: Ladder) -> Said:
    """The load had no source port left: that is its own limit, not the server's."""
    count = change.failed("local_ports")
    if count:
        more = Cure("more source addresses (--sources), or a wider ip_local_port_range where the load runs")
        evidence = f"{count:,} connections were not made: the load had no source port left"
        yield finding(BY_CODE["GEN050"], evidence, "sysctl net.ipv4.ip_local_port_range; ss -s", more, more)


def out_of_descriptors(change: Change, _: Ladder) -> Said:
    """The load had no descriptor left."""
    count = change.failed("local_descriptors")
    if count:
        more = Cure("more processes (--processes), or a higher hard limit on open files where the load runs")
        evidence = f"{count:,} connections were not made: the load had no descriptor left"
        yield finding(BY_CODE["GEN051"], evidence, "ulimit -Hn", more, more)


def late(change: Change, _: Ladder) -> Said:
    """The load was not on time, so that what it says of time is worth little."""
    if change.client is not None and change.client.late:
        more = Cure("more processes (--processes), a lower rate, or a machine of its own for the load")
        yield finding(BY_CODE["GEN052"], change.client.late, "uptime; top", more, more)


SYMPTOMS = (
    Symptom("SRV051", gone, silences=_EVERYTHING),
    Symptom("SRV050", restarted, silences=_EVERYTHING),
    Symptom("GEN050", out_of_ports),
    Symptom("GEN051", out_of_descriptors),
    Symptom("GEN052", late),
)
