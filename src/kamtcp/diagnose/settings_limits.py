"""Limits on open files: where they come from, and lines that never reach a service."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.cures import lasting_descriptors
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.lines import Wrong, judged, quoted
from kamtcp.diagnose.prlimit import raise_descriptors
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.model.absent import Absent, Unlimited, Why
from kamtcp.model.settings import PamLimit

#: RAM in KiB / 10, which is what the kernel takes by itself: Linux fs/file_table.c files_maxfiles_init()
BYTES_PER_FILE = 10_240
#: memory at boot is a little more than what is seen later
SLACK = 0.9


def _needed(s: Situation) -> int | Absent:
    """What it promises or is wanted to hold, and five for each process."""
    limit = s.number("tcp_max_connections")
    if isinstance(limit, Absent):
        return limit
    return max(limit, s.target.connections or 0) + 5 * s.require().process_count + 64


def unit_without_limit(s: Situation, ladder: Ladder) -> Said:
    """A systemd unit that leaves LimitNOFILE to the manager's default."""
    unit = s.require().unit
    if isinstance(unit, Absent):
        yield unit
        return
    if not isinstance(unit.nofile_soft, Absent):
        return
    if unit.nofile_soft.why is not Why.MISSING:
        yield unit.nofile_soft
        return
    need = _needed(s)
    if isinstance(need, Absent):
        need = 65_536
    main, default = s.tcp_main, "soft 1,024 as shipped"
    if s.machine.boot_files.manager:
        last = s.machine.boot_files.manager[-1]
        if isinstance(last.soft, Unlimited) or last.soft >= need:
            return  # the manager gives enough
        default = f"soft {last.soft:,} ({last.where})"
    soft = (
        ""
        if isinstance(main, Absent) or not isinstance(main.nofile_soft, int)
        else f" (soft {main.nofile_soft:,} now)"
    )
    yield finding(
        BY_CODE["FDS005"],
        f"{unit.name} sets no LimitNOFILE: it gets the manager's default, which is {default}{soft}; kamailio.cfg's"
        " open_files_limit raises it up to the hard limit only",
        f"systemctl show {quoted(unit.name)} -p LimitNOFILE -p LimitNOFILESoft; systemctl cat {quoted(unit.name)}",
        raise_descriptors(s, need), lasting_descriptors(need, s, ladder),
    )  # fmt: skip


def soft_below_hard(s: Situation, ladder: Ladder) -> Said:
    """A soft limit below the hard one: Kamailio doesn't raise it by itself."""
    main = s.tcp_main
    if isinstance(main, Absent):
        yield main
        return
    soft, hard = main.nofile_soft, main.nofile_hard
    if isinstance(soft, Absent) or isinstance(hard, Absent):
        yield from lacking(soft, hard)
        return
    if isinstance(soft, Unlimited) or soft == hard:
        return
    promised = s.number("tcp_max_connections")
    if isinstance(promised, int) and soft < promised + 5 * s.require().process_count:
        return  # FDS001 says so, with the same cure
    shown = "unlimited" if isinstance(hard, Unlimited) else f"{hard:,}"
    need = _needed(s)
    yield finding(
        BY_CODE["FDS006"],
        f"tcp main ({main.label}) may open {soft:,} files, and could raise that to {shown}: Kamailio does so only with"
        " open_files_limit",
        f"grep 'open files' /proc/{main.pid}/limits",
        no_cure("nothing is wrong as long as the soft limit is enough"),
        lasting_descriptors(need, s, ladder) if isinstance(need, int) else Cure("open_files_limit takes effect at the next start"),
    )  # fmt: skip


def _user(s: Situation) -> str:
    """Who Kamailio runs as, as far as it was told; the packages' user otherwise."""
    found = s.parameter("user")
    return "kamailio" if isinstance(found, Absent) else str(found.value)


def limits_conf(s: Situation, ladder: Ladder) -> Said:
    """Lines of limits.conf that were meant for the service."""
    main, boot = s.tcp_main, s.machine.boot_files
    yield from (each for each in boot.problems if each.source.startswith("/etc/security"))
    if isinstance(main, Absent):
        yield main
        return
    service = not isinstance(s.require().unit, Absent)
    domains = {_user(s), *(("*",) if service else ())}
    lines = [each for each in boot.pam_limits if each.item == "nofile" and each.domain in domains]
    lost = [each for each in lines if not _in_force(each, main.nofile_soft, main.nofile_hard)]
    if not lost or isinstance(main.nofile_soft, Absent):
        if lost and isinstance(main.nofile_soft, Absent):
            yield main.nofile_soft
        return
    said = ", ".join(f"{each.where} ({each.domain} {each.kind} nofile {each.value})" for each in lost[:4])
    soft = str(main.nofile_soft) if isinstance(main.nofile_soft, Unlimited) else f"{main.nofile_soft:,}"
    yield finding(
        BY_CODE["FDS007"],
        f"{said}: limits.conf is for login sessions (PAM); a service doesn't get it: soft {soft} is in force in {main.label}",
        f"grep 'open files' /proc/{main.pid}/limits; grep -rn nofile /etc/security/limits.conf /etc/security/limits.d",
        no_cure("prlimit raises a running process; these lines never do"),
        Cure("LimitNOFILE= in a drop-in of its unit; then the lines can go"),
        places=tuple(each.where for each in lost),
    )  # fmt: skip


def _in_force(line: PamLimit, soft: object, hard: object) -> bool:
    wanted: object = int(line.value) if line.value.isdecimal() and len(line.value) < 19 else line.value
    return wanted in {"soft": (soft,), "hard": (hard,)}.get(line.kind, (soft, hard))


def _lowered(found: tuple[int, ...], s: Situation) -> bool | Absent:
    memory = s.machine.memory_total_bytes
    return memory if isinstance(memory, Absent) else found[0] < SLACK * memory / BYTES_PER_FILE


def _own_file_max(s: Situation) -> str:
    memory = s.machine.memory_total_bytes
    return "" if isinstance(memory, Absent) else str(memory // BYTES_PER_FILE)


FILE_MAX = Wrong(
    "FDS008", "fs.file-max", _lowered,
    lambda found, s: f"that is less than the {int(_own_file_max(s) or 0):,} that this kernel takes by itself: at {found[0]:,} open"
    " files of all programs together, accept() and open() fail for everyone but root",
    _own_file_max,
)  # fmt: skip


def file_max_lowered(s: Situation, ladder: Ladder) -> Said:
    """fs.file-max below what the kernel would have."""
    return judged(s, FILE_MAX)


RULES = (
    Rule(("FDS005",), unit_without_limit),
    Rule(("FDS006",), soft_below_hard),
    Rule(("FDS007",), limits_conf),
    Rule(("FDS008",), file_max_lowered, needs_instance=False),
)
