"""What is a process, what has it used, and as whom does it run?

Reads   /proc/PID/stat, /proc/PID/status, /proc/PID/schedstat, /proc
Source  Linux fs/proc/array.c do_task_stat(), proc_pid_status(); fs/proc/base.c proc_pid_schedstat(); man proc(5)
Needs   no privilege (hidepid= hides processes of others as ENOENT)
Cost    0.1 ms a process
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import attempt
from kamtcp.observe.kernel_text import hexadecimal, integer, natural, text

_STAT = "/proc/PID/stat"
_STATUS = "/proc/PID/status"
_SCHEDSTAT = "/proc/PID/schedstat"
_KIB = 1024
_WANTED = b"Name Threads Uid Gid NSpid CapEff CapBnd VmRSS VmSize voluntary_ctxt_switches nonvoluntary_ctxt_switches".split()
_LEAST_STAT_FIELDS = 22  # after the name, up to rss


class ProcessStat(Struct, frozen=True, tag=True):
    """/proc/PID/stat, the fields that kamtcp uses.

    Args:
        pid: as the reader sees it. comm: at most 15 bytes, any characters.
        state: "R", "S", "D", "Z", …
        utime_ticks, stime_ticks, starttime_ticks: in clock ticks (`Reader.clock_ticks` a second); the last since
            boot. pid and starttime_ticks together name a process for good.
        rss_pages: resident memory, inexact on many CPUs.
        processor: CPU it ran on last; absent before 2.2.8.
    """

    pid: int
    comm: str
    state: str
    ppid: int
    session: int
    utime_ticks: int
    stime_ticks: int
    threads: int
    starttime_ticks: int
    vsize_bytes: int
    rss_pages: int
    processor: int | Absent


class ProcessStatus(Struct, frozen=True, tag=True):
    """/proc/PID/status, the lines that kamtcp uses.

    Args:
        name: as comm, controls escaped.
        uids, gids: real, effective, saved, file system.
        ns_pids: numbers of the process in each pid namespace, outermost first (4.1).
        cap_effective, cap_bounding: bit masks.
        vm_rss_bytes, vm_size_bytes: absent for kernel threads and for processes that have ended.
        voluntary_ctxt_switches, nonvoluntary_ctxt_switches: since its start.
    """

    name: str
    threads: int
    uids: tuple[int, ...]
    gids: tuple[int, ...]
    ns_pids: tuple[int, ...] | Absent
    cap_effective: int
    vm_rss_bytes: int | Absent
    vm_size_bytes: int | Absent
    voluntary_ctxt_switches: int | Absent
    nonvoluntary_ctxt_switches: int | Absent
    cap_bounding: int | Absent = Absent("CapBnd", Why.MISSING)


class Schedstat(Struct, frozen=True, tag=True):
    """Time of a process's first thread since its start; the share of waiting is starvation of CPU."""

    run_ns: int
    wait_ns: int
    slices: int


class Process(Struct, frozen=True, tag=True):
    """The three together."""

    stat: ProcessStat
    status: ProcessStatus | Absent
    schedstat: Schedstat | Absent


def parse_stat(data: bytes) -> ProcessStat:
    """Parse the whole file. The name stands in parentheses and may hold spaces, parentheses and newlines.

    Raises:
        ParseError: no name, too few fields, or a field that is no number.
    """
    start, end = data.find(b"("), data.rfind(b")")
    if start < 0 or end < start:
        raise ParseError(_STAT, "a name in parentheses", text(data))
    words = data[end + 1 :].split()
    if len(words) < _LEAST_STAT_FIELDS:
        raise ParseError(_STAT, f"{_LEAST_STAT_FIELDS} fields after the name", len(words))

    def field(number: int) -> int:
        return integer(_STAT, words[number - 3])  # numbered as in proc(5): 3 is the state

    return ProcessStat(
        pid=natural(_STAT, data[:start].strip()),
        comm=text(data[start + 1 : end]),
        state=text(words[0]),
        ppid=field(4),
        session=field(6),
        utime_ticks=field(14),
        stime_ticks=field(15),
        threads=field(20),
        starttime_ticks=field(22),
        vsize_bytes=field(23),
        rss_pages=field(24),
        processor=field(39) if len(words) > 36 else Absent(f"{_STAT} field 39", Why.MISSING),
    )


def parse_status(data: bytes) -> ProcessStatus:
    """Parse the whole file: "Name:" and its value, a line each; unknown names are passed over.

    Raises:
        ParseError: Name, Uid, Gid, Threads or CapEff is not there, or a value is malformed.
    """
    known: dict[bytes, bytes] = {}
    lines = b"\n" + data
    for name in _WANTED:  # eleven of sixty lines, and found faster than all are taken apart
        _, found, rest = lines.partition(b"\n" + name + b":")
        if found:
            known[name] = rest.partition(b"\n")[0].strip()

    def need(name: bytes) -> bytes:
        if name not in known:
            raise ParseError(_STATUS, text(name), text(data))
        return known[name]

    def ids(name: bytes) -> tuple[int, ...]:
        values = tuple(natural(_STATUS, word) for word in need(name).split())
        if len(values) != 4:
            raise ParseError(_STATUS, f"four ids of {text(name)}", text(known[name]))
        return values

    def count(name: bytes, value: bytes | None) -> int | Absent:
        return Absent(f"{_STATUS} {text(name)}", Why.MISSING) if value is None else natural(_STATUS, value)

    def kib(name: bytes) -> int | Absent:
        value = known.get(name)
        if value is not None and not value.endswith(b" kB"):
            raise ParseError(_STATUS, f"{text(name)} in kB", text(value))
        number = count(name, value and value[:-3].strip())
        return number if isinstance(number, Absent) else number * _KIB

    ns_pids: tuple[int, ...] | Absent = Absent(f"{_STATUS} NSpid", Why.MISSING)
    if b"NSpid" in known:
        ns_pids = tuple(natural(_STATUS, word) for word in known[b"NSpid"].split())
    return ProcessStatus(
        name=text(need(b"Name")),
        threads=natural(_STATUS, need(b"Threads")),
        uids=ids(b"Uid"),
        gids=ids(b"Gid"),
        ns_pids=ns_pids,
        cap_effective=hexadecimal(_STATUS, need(b"CapEff")),
        vm_rss_bytes=kib(b"VmRSS"),
        vm_size_bytes=kib(b"VmSize"),
        voluntary_ctxt_switches=count(b"voluntary_ctxt_switches", known.get(b"voluntary_ctxt_switches")),
        nonvoluntary_ctxt_switches=count(
            b"nonvoluntary_ctxt_switches", known.get(b"nonvoluntary_ctxt_switches")
        ),
        cap_bounding=(
            hexadecimal(_STATUS, known[b"CapBnd"])
            if b"CapBnd" in known
            else Absent(f"{_STATUS} CapBnd", Why.MISSING)
        ),
    )


def parse_schedstat(data: bytes) -> Schedstat:
    """Parse "run_ns wait_ns slices".

    Raises:
        ParseError: not three numbers.
    """
    words = data.split()
    if len(words) != 3:
        raise ParseError(_SCHEDSTAT, "three numbers", text(data))
    return Schedstat(*(natural(_SCHEDSTAT, word) for word in words))


def pids(host: Host) -> tuple[int, ...]:
    """Numbers of all processes the reader may see, ascending.

    Raises:
        OSError: /proc can't be listed.
    """
    return tuple(sorted(int(name) for name in host.listdir("/proc") if name.isascii() and name.isdigit()))


def collect(host: Host, pid: int) -> Process:
    """One process.

    Raises:
        OSError: ENOENT or ESRCH where it is gone. ParseError: its stat is malformed.
    """
    stat = parse_stat(host.read(f"/proc/{pid}/stat"))
    path = f"/proc/{pid}"
    return Process(
        stat,
        attempt(f"{path}/status", lambda: parse_status(host.read(f"{path}/status"))),
        attempt(f"{path}/schedstat", lambda: parse_schedstat(host.read(f"{path}/schedstat"))),
    )
