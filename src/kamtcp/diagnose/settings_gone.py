"""Names in files that this kernel doesn't have, that do nothing, or that no connection depends on."""

from __future__ import annotations

from collections.abc import Iterator

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, Finding, finding, no_cure
from kamtcp.diagnose.lines import enter, numbers, quoted, take_out
from kamtcp.diagnose.rule import Rule, Said
from kamtcp.model.absent import Absent, Why
from kamtcp.model.settings import Assignment, fits

RECYCLE = "net.ipv4.tcp_tw_recycle"
#: it is in the initial network namespace of every kernel, so it tells where the reader stands
WITNESS = "net.core.netdev_max_backlog"

HIDDEN = Absent(
    "names below net. that are not here", Why.NOT_VISIBLE, "the reader is in a child network namespace"
)
#: it came with 6.1, and each namespace has it: where it is, all of GONE are gone, wherever the reader stands
LATER = "net.ipv4.tcp_ehash_entries"

#: name or glob -> since when it is gone, and what took its place
GONE: tuple[tuple[str, str, str], ...] = (
    (
        "fs.epoll.max_user_instances",
        "2.6.29 (it lived in 2.6.28 only)",
        "fs.epoll.max_user_watches bounds epoll",
    ),
    ("net.ipv4.ip_conntrack_max", "4.9 (compatibility names of 2.6.20)", "net.netfilter.nf_conntrack_max"),
    ("net.ipv4.netfilter.*", "4.9 (compatibility names of 2.6.20)", "net.netfilter.nf_conntrack_*"),
    ("net.netfilter.nf_conntrack_helper", "6.0", "a ruleset names helpers itself (ct helper)"),
    ("net.ipv4.tcp_[rt]x_skb_cache", "between 5.10 and 6.1", "nothing: sockets keep no such cache"),
    ("net.ipv4.tcp_max_ssthresh", "before 5.10", "nothing"),
    ("net.ipv4.tcp_dma_copybreak", "before 5.10", "nothing"),
    ("net.ipv4.tcp_thin_dupack", "before 5.10", "nothing"),
    ("net.ipv4.tcp_bic*", "before 5.10", "net.ipv4.tcp_congestion_control"),
    ("net.ipv4.tcp_vegas*", "before 5.10", "net.ipv4.tcp_congestion_control"),
    ("net.ipv4.tcp_westwood", "before 5.10", "net.ipv4.tcp_congestion_control"),
    ("net.ipv4.route.secret_interval", "before 5.10", "nothing: there is no route cache since 3.6"),
    ("kernel.sched_*_ns", "5.13", "/sys/kernel/debug/sched"),
    ("kernel.sched_migration_cost", "5.13", "/sys/kernel/debug/sched"),
)
#: still there and writable, and nobody reads them
DEAD: tuple[tuple[str, str], ...] = (
    ("net.ipv4.tcp_low_latency", "nothing reads it since Linux 4.14"),
    ("net.ipv4.tcp_fack", "nothing reads it since Linux 4.15"),
    ("net.ipv4.tcp_adv_win_scale", "nothing reads it since Linux 6.6"),
    ("net.ipv4.route.gc_*", "the route cache it was for went with Linux 3.6"),
    ("net.ipv4.route.max_size", "the route cache it was for went with Linux 3.6"),
    ("net.ipv4.route.flush", "the route cache it flushed went with Linux 3.6"),
    ("net.core.warnings", "nothing reads it"),
)
SHARED_MEMORY = ("kernel.shmmax", "kernel.shmall", "kernel.shmmni", "kernel.sem", "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni")  # fmt: skip


def tw_recycle(s: Situation, ladder: Ladder) -> Said:
    """tcp_tw_recycle switched on, where the kernel still has it, or written in a file that is read at boot."""
    live = s.sysctl(RECYCLE)
    if isinstance(live, Absent) and live.why is not Why.MISSING:
        yield live
    lines = s.machine.settings.of(RECYCLE)
    on = isinstance(live, int) and live != 0
    told = [
        line
        for line in lines
        if line.value is not None and (isinstance(live, Absent) or numbers(line.value)[:1] != (0,))
    ]
    if not on and not told:
        return
    where = ", ".join(line.where for line in told)
    set_by = f" ({where})" if where else ", which no file of sysctl.d sets"
    if on:
        evidence = f"tcp_tw_recycle is on{set_by}: clients behind NAT are dropped"
    elif isinstance(live, int):
        evidence = f"{where} switches tcp_tw_recycle on at the next boot: clients behind NAT are dropped"
    else:
        evidence = (
            f"{where} sets {RECYCLE}: this kernel has no such setting (gone since 4.12), and sysctl reports an error for"
            " it; nothing takes its place, TIME-WAIT costs 256 bytes"
        )
    yield finding(
        BY_CODE["SYS001"], evidence,
        f"{enter(s, RECYCLE)}sysctl {RECYCLE}" + "".join(f"; sed -n {line.line}p {quoted(line.file)}" for line in told),
        Cure("off, at once", f"{enter(s, RECYCLE)}sysctl -w {RECYCLE}=0", "none known") if on else no_cure("nothing is in force"),
        take_out(told[-1]) if told else Cure(f"{RECYCLE} = 0 in a file of sysctl.d, and no tool that sets it"),
        places=tuple(line.where for line in told),
    )  # fmt: skip


def _named(s: Situation) -> Iterator[Assignment]:
    """Lines that set something by its name, with what counts for that name; packages' own files are theirs."""
    for name in s.machine.settings.names:
        line = s.machine.settings.winner(name)
        if line is not None and not line.file.startswith(("/usr/lib/", "/lib/")):
            yield line


def _live(s: Situation, name: str) -> str | Absent:
    found = s.machine.settings.live.get(name, Absent(name, Why.NOT_ASKED))
    if isinstance(found, Absent) and found.why is Why.MISSING and name.startswith("net."):
        witness = s.machine.sysctls.get(WITNESS)
        if isinstance(witness, Absent):
            return HIDDEN
    return found


def gone(s: Situation, ladder: Ladder) -> Said:
    """Names that an older kernel had."""
    for line in _named(s):
        entry = next((entry for entry in GONE if fits(entry[0], line.name)), None)
        if entry is None or line.name == RECYCLE:
            continue
        live = _live(s, line.name)
        if isinstance(live, str):
            continue  # this kernel is old enough
        hidden = live.why is Why.NOT_VISIBLE and isinstance(s.namespace.sysctls.get(LATER), str)
        if live.why is not Why.MISSING and not hidden:
            yield live
            continue
        yield _finding(
            "SYS020",
            line,
            f"sets {line.name}: this kernel has no such setting, gone since {entry[1]}; instead: {entry[2]}",
        )


def dead(s: Situation, ladder: Ladder) -> Said:
    """Names that are still there and do nothing."""
    for line in _named(s):
        why = next((why for name, why in DEAD if fits(name, line.name)), None)
        if why is not None:
            yield _finding("SYS021", line, f"sets {line.name}={line.value}, which does nothing: {why}")


def unknown(s: Situation, ladder: Ladder) -> Said:
    """Names that this kernel doesn't have, and that kamtcp knows of no other."""
    for line in _named(s):
        if line.name == RECYCLE or any(fits(entry[0], line.name) for entry in GONE):
            continue
        live = _live(s, line.name)
        if isinstance(live, str) or live.why is Why.NOT_ASKED or line.ignores_errors:
            continue
        if live.why is Why.NOT_VISIBLE:
            yield live
        elif live.why is Why.MISSING:
            module = line.name.startswith(("net.netfilter.", "net.nf_conntrack", "net.bridge."))
            why = "its module isn't loaded" if module else "misspelt, or of another kernel"
            yield _finding(
                "SYS022", line, f"sets {line.name}={line.value}: this kernel has no such setting ({why})"
            )


def shared_memory(s: Situation, ladder: Ladder) -> Said:
    """Limits of System V shared memory, semaphores and message queues."""
    for line in _named(s):
        if line.name in SHARED_MEMORY:
            yield _finding(
                "SYS023", line, f"sets {line.name}={line.value}, which Kamailio doesn't meet: its shared memory (-m) is an"
                " anonymous mapping, bounded by memory and -m only",
            )  # fmt: skip


def _finding(code: str, line: Assignment, text: str) -> Finding:
    return finding(
        BY_CODE[code], f"{line.where} {text}", f"sysctl {line.name}; sed -n {line.line}p {quoted(line.file)}",
        no_cure("nothing is in force"), take_out(line, "none: nothing depends on it"), places=(line.where,),
    )  # fmt: skip


RULES = (
    Rule(("SYS001",), tw_recycle, needs_instance=False),
    Rule(("SYS020",), gone, needs_instance=False),
    Rule(("SYS021",), dead, needs_instance=False),
    Rule(("SYS022",), unknown, needs_instance=False),
    Rule(("SYS023",), shared_memory, needs_instance=False),
)
