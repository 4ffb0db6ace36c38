"""Facts that exist once per machine."""

from __future__ import annotations

from kamtcp.errors import ParseError
from kamtcp.host.door import Host, Reader
from kamtcp.model.absent import UNLIMITED, Absent, Limit
from kamtcp.model.machine import Machine
from kamtcp.observe import files, memory, slabs, softnet, sysctl
from kamtcp.observe.attempt import attempt

#: file-max of systemd and of 64-bit kernels that mean "no limit"
NO_FILE_LIMIT = 2**62
#: files that are read at boot, in the order of sysctl.d(5); looked at for names that must not be there
SYSCTL_FILES = ("/etc/sysctl.conf",)
SYSCTL_DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/lib/sysctl.d")
JUDGED_NAMES = ("tcp_tw_recycle",)


def collect(host: Host, reader: Reader) -> Machine:
    """Everything that doesn't depend on a namespace or a Kamailio."""
    meminfo = attempt("/proc/meminfo", lambda: memory.collect(host))
    file_nr = attempt(
        "/proc/sys/fs/file-nr", lambda: files.parse_file_nr(host.read("/proc/sys/fs/file-nr", 4096))
    )
    cpus = attempt("/proc/net/softnet_stat", lambda: softnet.collect(host))
    probe = attempt("socketpair probe", lambda: _handoff(host.probe("handoff-messages")))
    return Machine(
        node=reader.node,
        release=reader.release,
        architecture=reader.machine,
        cpus=reader.cpus,
        page_size=reader.page_size,
        clock_ticks=reader.clock_ticks,
        realtime=reader.realtime,
        boottime=reader.boottime,
        uid=reader.uid,
        gid=reader.gid,
        capabilities=reader.capabilities,
        netns=reader.netns,
        memory_total_bytes=meminfo if isinstance(meminfo, Absent) else meminfo.total,
        memory_available_bytes=meminfo if isinstance(meminfo, Absent) else meminfo.available,
        sysctls=sysctl.where_it_stands({name: _sysctl(host, name) for name in sysctl.GLOBAL_NAMES}),
        sysctl_files=_sysctl_files(host),
        files_allocated=file_nr if isinstance(file_nr, Absent) else file_nr.allocated,
        files_max=_file_max(file_nr),
        connection_slab_bytes=_slab_bytes(host, reader.page_size),
        handoff_messages=probe if isinstance(probe, Absent) else probe[0],
        handoff_sndbuf=probe if isinstance(probe, Absent) else probe[1],
        softnet_dropped=cpus if isinstance(cpus, Absent) else sum(cpu.dropped for cpu in cpus),
        softnet_time_squeeze=cpus if isinstance(cpus, Absent) else sum(cpu.time_squeeze for cpu in cpus),
    )


def _sysctl(host: Host, name: str) -> str | Absent:
    return attempt(name, lambda: sysctl.read_sysctl(host, name))


def _handoff(answer: bytes) -> tuple[int, int]:
    """Messages that fitted and the buffer they filled, both more than 0, from probes.py's answer."""
    words = answer.split()
    numbers = [int(word) for word in words if word.isdigit() and len(word) < 19]
    if len(words) != 2 or len(numbers) != 2 or not all(numbers):
        raise ParseError("socketpair probe", "MESSAGES SNDBUF, both above 0", answer)
    return numbers[0], numbers[1]


def _file_max(file_nr: files.FileNr | Absent) -> Limit:
    if isinstance(file_nr, Absent):
        return file_nr
    return UNLIMITED if file_nr.maximum >= NO_FILE_LIMIT else file_nr.maximum


def _slab_bytes(host: Host, page_size: int) -> int | Absent:
    """Kernel memory of one accepted connection; absent where none of the slabs it is made of can be seen."""
    found = slabs.collect(host)
    unseen = [slab for slab in found.values() if isinstance(slab, Absent)]
    if len(unseen) == len(found):
        return unseen[0]
    return round(sum(slabs.price(found, page_size).parts.values()))


def _sysctl_files(host: Host) -> dict[str, tuple[str, ...]]:
    """Judged names that stand in files read at boot."""
    paths = list(SYSCTL_FILES)
    for directory in SYSCTL_DIRECTORIES:
        names = attempt(directory, lambda directory=directory: host.listdir(directory))  # type: ignore[misc]
        if not isinstance(names, Absent):
            paths.extend(f"{directory}/{name}" for name in names if name.endswith(".conf"))
    found: dict[str, tuple[str, ...]] = {}
    for path in paths:
        data = attempt(path, lambda path=path: host.read(path, 1 << 20))  # type: ignore[misc]
        if isinstance(data, Absent):
            continue
        lines = [line.strip() for line in data.splitlines()]
        live = [line for line in lines if line and not line.startswith((b"#", b";"))]
        names_here = tuple(name for name in JUDGED_NAMES if any(name.encode() in line for line in live))
        if names_here:
            found[path] = names_here
    return found
