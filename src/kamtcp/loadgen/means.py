"""What there is to load with, read where the load will run.

Reads   getrlimit(2); net.ipv4.ip_local_port_range; /proc/meminfo; bind(2) of the target's address
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterable

from kamtcp.capacity.reference import KERNEL_CONNECTION_BYTES
from kamtcp.host.door import Host
from kamtcp.loadgen.budget import Means
from kamtcp.loadgen.sources import Block
from kamtcp.loadgen.target import Aim
from kamtcp.model.absent import Absent
from kamtcp.model.machine import Machine
from kamtcp.observe.attempt import attempt
from kamtcp.observe.sysctl import read_sysctl

_EVERY_PORT = 64_512


def means(host: Host, aim: Aim, blocks: Iterable[Block], machine: Machine, *, here: bool) -> Means:
    """What a load on `aim` from these source addresses has.

    Args:
        host: as seen from the namespace that the load will run in.
        aim: the target.
        blocks: the sources that are planned; none: as many loopback addresses as it takes.
        machine: facts of the machine that runs the load.
        here: whether that namespace is the caller's own, so that bind(2) can tell if the server is on this machine.
    """
    slab, memory = machine.connection_slab_bytes, machine.memory_available_bytes
    kernel_chooses = any(block.first == 0 for block in blocks)
    return Means(
        nofile_hard=resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        ports=_port_range(host) if kernel_chooses else _EVERY_PORT,
        addresses=len({block.address for block in blocks}) or 1 << 16,
        memory_available=None if isinstance(memory, Absent) else memory,
        connection_bytes=slab if isinstance(slab, int) and slab > 0 else KERNEL_CONNECTION_BYTES,
        local=not here or _is_local(aim),
    )


def _port_range(host: Host) -> int:
    text = attempt("ip_local_port_range", lambda: read_sysctl(host, "net.ipv4.ip_local_port_range"))
    words = [] if isinstance(text, Absent) else text.split()
    return int(words[1]) - int(words[0]) + 1 if len(words) == 2 else 28_232


def _is_local(aim: Aim) -> bool:
    """Whether the address is one of this machine's."""
    try:
        with socket.socket(
            socket.AF_INET6 if aim.ip.version == 6 else socket.AF_INET, socket.SOCK_STREAM
        ) as mine:
            mine.bind((aim.address, 0))
    except OSError:
        return False
    return True
