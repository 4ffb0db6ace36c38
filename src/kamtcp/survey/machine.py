"""Facts that exist once per machine."""

from __future__ import annotations

from kamtcp.errors import ParseError
from kamtcp.host.door import Host, Reader
from kamtcp.model.absent import UNLIMITED, Absent, Limit
from kamtcp.model.machine import Machine
from kamtcp.model.settings import BootFiles
from kamtcp.observe import (
    files,
    managerconf,
    memory,
    modprobe,
    pamlimits,
    slabs,
    softnet,
    sysctl,
    sysctlfiles,
)
from kamtcp.observe.attempt import attempt

#: file-max of systemd and of 64-bit kernels that mean "no limit"
NO_FILE_LIMIT = 2**62


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
        files_allocated=file_nr if isinstance(file_nr, Absent) else file_nr.allocated,
        files_max=_file_max(file_nr),
        connection_slab_bytes=_slab_bytes(host, reader.page_size),
        handoff_messages=probe if isinstance(probe, Absent) else probe[0],
        handoff_sndbuf=probe if isinstance(probe, Absent) else probe[1],
        softnet_dropped=cpus if isinstance(cpus, Absent) else sum(cpu.dropped for cpu in cpus),
        softnet_time_squeeze=cpus if isinstance(cpus, Absent) else sum(cpu.time_squeeze for cpu in cpus),
        settings=sysctlfiles.collect(host),
        boot_files=_boot_files(host),
    )


def _boot_files(host: Host) -> BootFiles:
    limits, unread = pamlimits.collect(host)
    modules, unknown = modprobe.collect(host)
    manager, unseen = managerconf.collect(host)
    return BootFiles(limits, modules, manager, (*unread, *unknown, *unseen))


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
    found = slabs.geometry(host)
    unseen = [slab for slab in found.values() if isinstance(slab, Absent)]
    if len(unseen) == len(found):
        return unseen[0]
    return round(sum(slabs.price(found, page_size).parts.values()))
