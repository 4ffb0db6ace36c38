"""Whether a Kamailio that is not started yet would start, and findings as they read before a start."""

from __future__ import annotations

import re

from msgspec import Struct
from msgspec.structs import replace

from kamtcp.capacity import reference
from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE, RANK, Severity
from kamtcp.diagnose.finding import Cure, Finding, finding, no_cure
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.diagnose.see import quoted
from kamtcp.model.instance import Instance

#: findings with which Kamailio ends at start
REFUSE = ("FDS003", "MEM001", "MEM030")
#: what can't be run before there is a process
# text, compiled when first used: a check of what runs needs neither
_NEEDS_PROCESS = r"kamcmd|/proc/0\b|/proc/PID|/proc/\$p|\bss -|top -H|nsenter|prlimit|grep -n .* $"
_PARAMETER = r"\b(?:tcp|tls|open|shm|mlock|msg|enable|children)_?\w*"


class Starting(Struct, frozen=True):
    """Whether it starts.

    Args:
        starts: True, False, or None where the figures lie too close together to tell.
        why: what it hangs on, one clause each; empty where it starts.
    """

    starts: bool | None
    why: tuple[str, ...]


def judge(s: Situation, findings: tuple[Finding, ...]) -> Starting | None:
    """Of an instance that is not started; None of all others."""
    if s.instance is None or s.instance.foreseen is None:
        return None
    if not s.require().processes:
        return Starting(True, ("TCP is switched off (disable_tcp, -T): it takes no connection at all",))
    private, shared = _private(s), _shared(s)
    certain = [each.evidence for each in findings if each.code in REFUSE and each.code != "MEM001"]
    certain += [private[1]] if private[0] is False else []
    certain += s.instance.foreseen.taken
    if certain:
        return Starting(False, tuple(certain))
    close = [text for sure, text in (private, shared, _memory(s)) if sure is None]
    return Starting(None if close else True, tuple(close))


def _private(s: Situation) -> tuple[bool | None, str]:
    """Tables of descriptors and what else is used, against -M: in tcp main and in every worker."""
    foreseen, pool, wanted = s.require().foreseen, s.number("pkg_bytes"), s.number("tcp_max_connections_file")
    limit = s.number("tcp_max_connections") if not isinstance(wanted, int) else wanted
    if foreseen is None or not isinstance(pool, int) or not isinstance(limit, int):
        return None, "private memory: tcp_max_connections or -M could not be told"
    table = reference.PKG_BYTES_PER_DESCRIPTOR * (limit + 5 * s.require().process_count)
    text = (
        f"private memory: the tables for tcp_max_connections={limit:,} ({_where(s, 'tcp_max_connections')}) take"
        f" {table:,} bytes, and {foreseen.private_low:,} to {foreseen.private_high:,} more are used, of {pool:,}"
        f" ({_where(s, 'pkg_bytes')})"
    )
    if table + foreseen.private_low > pool:
        return False, text
    return (None if table + foreseen.private_high > pool else True), text


def _memory(s: Situation) -> tuple[bool | None, str]:
    """Pools that are larger than the machine."""
    total, shm, pkg = s.machine.memory_total_bytes, s.number("shm_megabytes"), s.number("pkg_megabytes")
    if not isinstance(total, int) or not isinstance(shm, int) or not isinstance(pkg, int):
        return True, ""
    if max(shm, pkg) << 20 <= total:
        return True, ""
    return None, (
        f"-m {shm} or -M {pkg} is more than the machine's memory of {total >> 20:,} MB: whether the kernel grants it"
        " hangs on swap and vm.overcommit_memory"
    )


def _where(s: Situation, name: str) -> str:
    """Where a parameter is set; ask `number` first."""
    return s.require().parameters[name].where


def _shared(s: Situation) -> tuple[bool | None, str]:
    foreseen, megabytes = s.require().foreseen, s.number("shm_megabytes")
    if foreseen is None or not isinstance(megabytes, int):
        return None, "shared memory: -m could not be told"
    pool = megabytes << 20
    text = (
        f"shared memory: {foreseen.shared_low:,} to {foreseen.shared_high:,} bytes are used at start, of {pool:,}"
        f" ({_where(s, 'shm_megabytes')})"
    )
    if foreseen.shared_low > pool:
        return False, text
    return (None if foreseen.shared_high > pool else True), text


def shared_memory_too_small(s: Situation, ladder: Ladder) -> Said:
    """The shared pool of one that is not started doesn't hold what modules take at start."""
    if s.require().foreseen is None:
        return
    yield from lacking(s.number("shm_megabytes"))
    sure, text = _shared(s)
    if sure is False:
        yield finding(
            BY_CODE["MEM030"],
            text,
            "",
            no_cure("not started"),
            Cure("a larger -m (SHM_MEMORY in /etc/default/kamailio)"),
        )


RULES = (Rule(("MEM030",), shared_memory_too_small),)


def as_before_start(findings: tuple[Finding, ...], s: Situation) -> tuple[Finding, ...]:
    """Of one that is not started: nothing can be cured in a running process, and nothing be asked of it."""
    instance = s.instance
    if instance is None or instance.foreseen is None:
        return findings
    close = _private(s)[0] is None
    read = (_before_start(_softened(each) if close else each, instance) for each in findings)
    return tuple(sorted(read, key=lambda each: (RANK[each.severity], each.code)))


def _softened(found: Finding) -> Finding:
    """Not fatal where the figures lie too close together to tell."""
    if found.code != "MEM001":
        return found
    return replace(found, severity=Severity.HIGH, evidence=f"likely, but too close to tell: {found.evidence}")


def _before_start(found: Finding, instance: Instance) -> Finding:
    now = found.now
    if re.search(_NEEDS_PROCESS, now.line) or (not now.line and not found.code.startswith("SYS")):
        now = no_cure("it is not started; mend it before the start")
    good = replace(found.for_good, risk="", text=found.for_good.text.replace("; takes a restart", ""))
    return replace(found, see=_see(found, instance), now=now, for_good=good)


def _see(found: Finding, instance: Instance) -> str:
    """What can be run now: the parts of the line that need no process, else the lines of the file."""
    kept = [each for each in found.see.split("; ") if each and not re.search(_NEEDS_PROCESS, each)]
    if kept and not re.search(r"\b(?:do|done)\b", found.see):
        return "; ".join(kept)
    names = [
        each for each in dict.fromkeys(re.findall(_PARAMETER, found.evidence)) if each in instance.parameters
    ]
    path = quoted(instance.config_path)
    if names:
        return f"grep -nE '{'|'.join(names)}' {path}"
    return f"kamtcp explain {found.code}"
