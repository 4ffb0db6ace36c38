"""Connection tracking: settings of a table that isn't used, a table on too small a hash, lines that do nothing."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.lines import line_of, quoted, see
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.model.absent import Absent
from kamtcp.model.settings import ModuleLine

MAX = "net.netfilter.nf_conntrack_max"
#: the same number under an older name
ALIAS = "net.nf_conntrack_max"
BUCKETS = "net.netfilter.nf_conntrack_buckets"
#: more entries a bucket than any kernel sets by itself: 8 where the module was loaded with hashsize=
CROWDED = 8
#: the kernel rounds the number of buckets up to whole pages of pointers
ROUNDING = 512


def idle(s: Situation, ladder: Ladder) -> Said:
    """A line for the table, while nothing is tracked."""
    line = line_of(s, MAX) or line_of(s, ALIAS)
    if line is None:
        return
    active = s.namespace.conntrack_active
    if isinstance(active, Absent):
        yield active
    elif not active:
        yield finding(
            BY_CODE["SYS024"],
            f"{line.where} sets {line.name}={line.value}, but no rule of this namespace tracks connections: there is no table to fill",
            f"sysctl net.netfilter.nf_conntrack_count; sed -n {line.line}p {quoted(line.file)}",
            no_cure("nothing is wrong"),
            Cure("leave it for the day when a rule tracks (ct state, NAT), or take it out"),
            places=(line.where,),
        )


def crowded(s: Situation, ladder: Ladder) -> Said:
    """Many more entries allowed than the hash is made for."""
    most, buckets, active = s.sysctl(MAX), s.sysctl(BUCKETS), s.namespace.conntrack_active
    if active is False:
        return
    if isinstance(most, Absent) or isinstance(buckets, Absent) or isinstance(active, Absent):
        yield from lacking(most, buckets, active)
        return
    if buckets <= 0 or most <= CROWDED * buckets:
        return
    line = line_of(s, MAX)
    wanted = -(-(most // 2) // ROUNDING) * ROUNDING
    yield finding(
        BY_CODE["SYS025"],
        f"{MAX}={most:,}{f' ({line.where})' if line else ''} on {buckets:,} buckets: up to {most // buckets} entries are walked for"
        " every packet",
        see(s, BUCKETS),
        Cure(f"{wanted:,} buckets", f"sysctl -w {BUCKETS}={wanted}", "packets wait while all entries are hashed anew; in the initial network namespace only"),
        Cure(f"options nf_conntrack hashsize={wanted} in /etc/modprobe.d/nf_conntrack.conf, and {BUCKETS} = {wanted} beside {MAX}"),
        places=(line.where,) if line else (),
    )  # fmt: skip


def module_lines(s: Situation, ladder: Ladder) -> Said:
    """modprobe.d lines that are not what is in force."""
    boot = s.machine.boot_files
    yield from (each for each in boot.problems if "/modprobe.d" in each.source)
    sizes = [
        line for line in boot.modules if line.module == "nf_conntrack" and line.option("hashsize") is not None
    ]
    if sizes:
        yield from _hashsize(s, sizes[-1])
    kept_out = [line for line in boot.modules if line.command in ("blacklist", "install")]
    if not kept_out:
        return
    active = s.namespace.conntrack_active
    if isinstance(active, Absent):
        yield active
    for line in kept_out if active is True else ():
        if line.module in ("nf_conntrack", "ip_conntrack", "nf_conntrack_ipv4"):
            yield finding(
                BY_CODE["SYS026"],
                f"{line.where}: {line.command} {line.module}, and connections are tracked all the same: it keeps nothing from"
                " loading that a rule or another module needs" + _older(line),
                "nft list ruleset | grep -nE 'ct |masquerade|redirect|nat'; iptables-save | grep -E 'conntrack|state|MASQ|NAT'",
                no_cure("the rules decide"),
                Cure("notrack for the SIP ports (nft: table type raw, or iptables -j CT --notrack), or no rule that tracks"),
                places=(line.where,),
            )  # fmt: skip


def _older(line: ModuleLine) -> str:
    return "; since 2.6.20 it is called nf_conntrack" if line.module == "ip_conntrack" else ""


def _hashsize(s: Situation, line: ModuleLine) -> Said:
    live, text = s.sysctl(BUCKETS), line.option("hashsize") or ""
    if isinstance(live, Absent):
        yield live
        return
    if not text.isdecimal() or len(text) > 12 or int(text) <= live < int(text) + ROUNDING:
        return
    yield finding(
        BY_CODE["SYS026"],
        f"{line.where} asks for hashsize={text}, {live:,} buckets are in force: the module is built in, was loaded before that"
        " line was written, or another setting came later",
        f"cat /sys/module/nf_conntrack/parameters/hashsize; sed -n {line.line}p {quoted(line.file)}",
        Cure(f"{text} buckets", f"sysctl -w {BUCKETS}={text}", "packets wait while all entries are hashed anew"),
        Cure(f"{BUCKETS} = {text} in a file of sysctl.d; where the module is built in, nf_conntrack.hashsize={text} on the kernel's command line"),
        places=(line.where,),
    )  # fmt: skip


RULES = (
    Rule(("SYS024",), idle, needs_instance=False),
    Rule(("SYS025",), crowded, needs_instance=False),
    Rule(("SYS026",), module_lines, needs_instance=False),
)
