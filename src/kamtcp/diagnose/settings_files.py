"""Files against what is in force: lines that don't count, values that no file keeps, namespaces they don't reach."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE, Severity
from kamtcp.diagnose.finding import Cure, Finding, finding, no_cure
from kamtcp.diagnose.harmless import NOTES
from kamtcp.diagnose.kernel_defaults import NAMES, default_of
from kamtcp.diagnose.lines import (
    OF_PACKAGES,
    at_home,
    numbers,
    per_namespace,
    quoted,
    set_now,
    take_out,
    written,
)
from kamtcp.diagnose.rule import Rule, Said
from kamtcp.diagnose.settings_ports import RESERVED, ports_of
from kamtcp.model.absent import Absent
from kamtcp.model.settings import Assignment

#: a ceiling or a lost service hangs on these
MATTERS = frozenset({
    "fs.epoll.max_user_watches", "fs.file-max", "fs.nr_open", "net.core.somaxconn", "net.core.wmem_default",
    "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_max_orphans", "net.ipv4.tcp_mem",
    "net.ipv4.tcp_syncookies", "net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_tcp_timeout_established",
})  # fmt: skip
#: the kernel rounds what is written to these up
ROUNDED = {"net.netfilter.nf_conntrack_buckets": 512, "net.core.rps_sock_flow_entries": 0}
SHOWN = 6
#: found in lines of files alone: a file that could not be read may have one
FROM_FILES = (
    "MEM006", "SYS020", "SYS021", "SYS022", "SYS023", "SYS024", "SYS027", "SYS030", "SYS031", "SYS032", "SYS033", "SYS035", "SYS036",
    "SYS038", "SYS039",
)  # fmt: skip


def same(name: str, filed: str, live: str) -> bool:
    """Whether a value that was written reads back so."""
    if name == RESERVED:
        return ports_of(filed) == ports_of(live)
    wrote, reads = numbers(filed), numbers(live)
    if not wrote or not reads:
        return " ".join(filed.split()) == " ".join(live.split())
    if name in ROUNDED and len(wrote) == len(reads) == 1:
        step = ROUNDED[name]
        return wrote[0] <= reads[0] < (wrote[0] + step if step else max(1, 2 * wrote[0]))
    return wrote == reads[: len(wrote)]


def _judged(s: Situation, name: str) -> bool:
    known = name in s.namespace.sysctls or name in s.machine.sysctls
    return known and not name.startswith("kernel.")


def _listed(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more


def not_kept(s: Situation, ladder: Ladder) -> Said:
    """Values that were set by hand, and that no file would set again."""
    found: list[tuple[str, str, str]] = []
    for name in NAMES:
        if per_namespace(s, name) and not at_home(s):
            continue  # set where the namespace was made, as far as anybody can tell
        live, usual = s.sysctl_text(name), default_of(name, s)
        if isinstance(live, Absent) or usual is None or s.machine.settings.winner(name) is not None:
            continue
        shown = " ".join(live.split())
        if shown not in usual and not any(same(name, each, live) for each in usual):
            found.append((name, shown, usual[0]))
    if not found:
        return
    if s.machine.settings.problems:  # a file that could not be read may set them
        yield from s.machine.settings.problems
        return
    first = found[0]
    yield finding(
        BY_CODE["SYS030"],
        _listed([f"{name}={live} (kernel's own: {usual or 'empty'})" for name, live, usual in found])
        + ": no file of sysctl.d sets this, so the next boot does not bring it back, unless a tool of its own does (tuned, a start script)",
        "sysctl " + " ".join(name for name, _, _ in found[:SHOWN]) + "; grep -rn " + quoted(first[0].rpartition(".")[2])
        + " /etc/sysctl* /etc/tuned /etc/rc.local",
        no_cure("it is in force"),
        Cure("write down what is wanted", "printf '%s\\n' " + " ".join(quoted(f"{name} = {live}") for name, live, _ in found)
             + " >>/etc/sysctl.d/60-kamtcp.conf", "none: nothing changes now"),
    )  # fmt: skip


def not_live(s: Situation, ladder: Ladder) -> Said:
    """Lines whose value is not what the kernel has now."""
    others: list[tuple[Assignment, str]] = []
    for name in s.machine.settings.names:
        line, live = s.machine.settings.winner(name), s.machine.settings.live.get(name)
        if line is None or live is None or line.value is None:
            continue
        if isinstance(live, Absent):
            if _judged(s, name):
                yield live
            continue
        if same(name, line.value, live):
            continue
        if _judged(s, name) and name not in NOTES:
            yield _not_live(s, line, " ".join(live.split()))
        else:
            others.append((line, " ".join(live.split())))
    if others:
        shown = [f"{line.where} {line.name}={written(line)} (now {live})" for line, live in others]
        yield finding(
            BY_CODE["SYS031"], f"not in force: {_listed(shown)}", f"sysctl {' '.join(line.name for line, _ in others[:SHOWN])}",
            no_cure("no connection depends on them"), Cure("apply the files (sysctl --system), or take the lines out"),
            severity=Severity.INFO, places=tuple(line.where for line, _ in others),
        )  # fmt: skip


def _not_live(s: Situation, line: Assignment, live: str) -> Finding:
    late = line.name.startswith(("net.netfilter.", "net.nf_conntrack"))
    why = (
        "written after the last boot, overruled by a tool, or the module was loaded after the files were read"
        " (a line nf_conntrack in /etc/modules-load.d/ loads it first)"
        if late
        else "written after the last boot and never applied, or overruled by a tool (tuned, a start script)"
    )
    command = f"sysctl -w {quoted(f'{line.name}={written(line)}')}"
    return finding(
        BY_CODE["SYS031"],
        f"{line.where} sets {line.name}={written(line)}, in force is {live or 'nothing'}: {why}",
        f"sysctl {line.name}; sed -n {line.line}p {quoted(line.file)}",
        Cure(f"{line.name}={written(line)}, at once, if that is what is wanted", command, "what works with the present value may not with the other"),
        Cure(f"decide which of the two is right: the next boot brings {written(line)} ({line.where})"),
        severity=Severity.HIGH if line.name in MATTERS else None, places=(line.where,),
    )  # fmt: skip


def overridden(s: Situation, ladder: Ladder) -> Said:
    """Lines that another line undoes."""
    settings = s.machine.settings
    for name in settings.names:
        lines, winner = settings.of(name), settings.winner(name)
        last = lines[-1] if winner is None else winner
        lost = [
            each
            for each in lines
            if each.where != last.where and each.value is not None and written(each) != written(last)
        ]
        # that a file of the administrator goes before a package's is what files are for
        lost = [
            each
            for each in lost
            if not each.file.startswith(OF_PACKAGES) or last.file.startswith(OF_PACKAGES)
        ]
        lost = [
            each
            for each in lost
            if not (each.file.startswith(OF_PACKAGES) and last.file.startswith(OF_PACKAGES))
        ]
        if not lost:
            continue
        said = " and ".join(f"{each.where} sets {written(each)}" for each in lost[:3])
        by = f"{last.where} {'takes it out' if winner is None else f'sets {written(last)}'}"
        order = (
            "later in the same file" if all(each.file == last.file for each in lost)
            else f"{settings.reader} goes by file name, whatever the directory"
        )  # fmt: skip
        yield finding(
            BY_CODE["SYS032"],
            f"{name}: {said}, but {by} and is applied after it ({order})",
            f"grep -rnE {quoted(_pattern(name))} {' '.join(quoted(each) for each in dict.fromkeys(one.file for one in (*lost, last)))}",
            no_cure("the value in force is that of the last line"),
            take_out(lost[0], f"none: it does not count; if it is the one that is wanted, take out {last.where}"),
            severity=None if _judged(s, name) else Severity.INFO,
            places=(*(each.where for each in lost), last.where),
        )  # fmt: skip


def _pattern(name: str) -> str:
    return name.replace(".", "[./]")


def last_file_unread(s: Situation, ladder: Ladder) -> Said:
    """/etc/sysctl.conf says something, and systemd doesn't read it."""
    settings = s.machine.settings
    lines = [
        each
        for each in settings.unread
        if each.value is not None and _unlike(settings.winner(each.name), each)
    ]
    if not lines:
        return
    shown = _listed([f"line {each.line} {each.name}={written(each)}" for each in lines])
    yield finding(
        BY_CODE["SYS033"],
        f"/etc/sysctl.conf is not read at boot: systemd reads sysctl.d only, and no link there leads to it; {shown}",
        "ls -l /etc/sysctl.d; systemd-analyze cat-config sysctl.d",
        no_cure("what is wanted of it can be set with sysctl -w"),
        Cure("let systemd read it, after everything else", "ln -s ../sysctl.conf /etc/sysctl.d/99-sysctl.conf",
             "all of its lines count from the next boot on: read them first"),
        places=tuple(each.where for each in lines),
    )  # fmt: skip


def _unlike(winner: Assignment | None, line: Assignment) -> bool:
    return winner is None or written(winner) != written(line)


def namespace_untuned(s: Situation, ladder: Ladder) -> Said:
    """What the machine's files set, and the namespace of this Kamailio doesn't have."""
    if at_home(s):
        return
    yield from s.machine.settings.problems
    found: list[tuple[Assignment, str]] = []
    for name in s.machine.settings.names:
        line = s.machine.settings.winner(name)
        if line is None or line.value is None or not per_namespace(s, name):
            continue
        live = s.namespace.sysctls[name]
        if isinstance(live, Absent):
            yield live
        elif not same(name, line.value, live):
            found.append((line, " ".join(live.split())))
    if not found:
        return
    pairs = [f"{line.name}={written(line)} ({line.where}), here {live or 'empty'}" for line, live in found]
    cures = [set_now(s, line.name, written(line)).line for line, _ in found]
    yield finding(
        BY_CODE["SYS034"],
        f"a network namespace starts from the kernel's own values, not from the machine's: {_listed(pairs)}",
        f"nsenter -t {s.require().attendant} -n sysctl {' '.join(line.name for line, _ in found[:SHOWN])}",
        Cure("the machine's values, in this namespace", "; ".join(cures), "open listeners and sockets keep theirs until a restart"),
        Cure("where the namespace is made: docker run --sysctl NAME=VALUE, sysctls: of a pod, or the unit that makes it"),
        places=tuple(line.where for line, _ in found),
    )  # fmt: skip


def unread(s: Situation, ladder: Ladder) -> Said:
    """Files that could not be read keep all rules on files from judging them."""
    yield from s.machine.settings.problems


RULES = (
    Rule(("SYS030",), not_kept, needs_instance=False),
    Rule(("SYS031",), not_live, needs_instance=False),
    Rule(("SYS032",), overridden, needs_instance=False),
    Rule(("SYS033",), last_file_unread, needs_instance=False),
    Rule(("SYS034",), namespace_untuned),
    Rule(FROM_FILES, unread, needs_instance=False),
)
