"""Which Kamailio is calibrated, with which of its settings, and whether this machine has room for it."""

from __future__ import annotations

import filecmp
import os
import resource
from pathlib import Path

from msgspec import Struct

from kamtcp.cli.judge import choose
from kamtcp.errors import UsageError
from kamtcp.host.live import Live
from kamtcp.model.absent import Absent
from kamtcp.model.instance import Instance
from kamtcp.model.price import TRANSPORTS, Conditions, allocator, conditions_of
from kamtcp.model.snapshot import Snapshot
from kamtcp.rehearse.kamailio import packages_root
from kamtcp.survey.take import take

MIB = 1 << 20
_PROGRAM = "/usr/sbin/kamailio"
_OTHERS = 500  # descriptors of a process that are no connection of the load, and some to spare
_BYTES = 250_000  # more than a WSS connection costs, its read buffer left aside
_BASE_MB = 96  # what a server uses before the first connection, and the TLS guard on it


class Plan(Struct, frozen=True):
    """What is started, and for which transports.

    Args:
        root: where its packages are ("/" if installed). program: the binary below it.
        transports: to be measured. tls: whether the server of tcp and ws has TLS too.
        connections: of each round. read_buffer: tcp_rd_buf_size, None for its default.
        arguments: command line options beside the configuration.
        instance: the running Kamailio that it follows, None without one. conditions: of that one.
    """

    root: str
    program: str
    transports: tuple[str, ...]
    tls: bool
    connections: int
    read_buffer: int | None
    arguments: tuple[str, ...]
    instance: str
    conditions: Conditions | Absent | None


def plan(wanted: tuple[str, ...], connections: int, name: str | None) -> Plan:
    """Follow the running Kamailio (the one called `name`, where several run), else what is installed.

    Args:
        wanted: transports; empty: those that it has modules for.
        connections: of each round.
        name: --instance.

    Raises:
        UsageError: no Kamailio, another one than can be started, no such module, or no room.
    """
    snapshot = take(Live(), only=name if name and name.isdecimal() else "")
    found = choose(snapshot.instances, name)
    if len(found) > 1:
        names = ", ".join(f"{each.name} (pid {each.attendant})" for each in found)
        raise UsageError(f"several Kamailios are running: say which one with --instance NAME ({names})")
    instance = found[0] if found else None
    root, program = _installed() if instance is None else _of_instance(instance)
    modules = _modules_below(root)
    if instance is None:
        loaded: tuple[str, ...] | frozenset[str] = modules
    elif isinstance(instance.modules, Absent):
        raise UsageError(f"which modules {instance.name} has could not be seen: {instance.modules}")
    else:
        loaded = instance.modules
    transports = wanted or tuple(each for each in TRANSPORTS if _needs(each) <= set(loaded))
    for each in transports:
        if missing := _needs(each) - modules:
            raise UsageError(
                f"{each}: no {' and no '.join(sorted(missing))}.so below {os.path.join(root, 'usr')}"
            )
    read_buffer = _read_buffer(instance)
    return Plan(
        root=root,
        program=program,
        transports=transports,
        tls="tls" in loaded,
        connections=connections,
        read_buffer=read_buffer,
        arguments=_arguments(connections, read_buffer, instance, snapshot),
        instance="" if instance is None else f"{instance.name} (pid {instance.attendant})",
        conditions=None if instance is None else conditions_of(snapshot.machine, instance),
    )


def _needs(transport: str) -> set[str]:
    """Modules that a transport needs."""
    return ({"tls"} if transport in ("tls", "wss") else set()) | (
        {"websocket"} if transport in ("ws", "wss") else set()
    )


def _installed() -> tuple[str, str]:
    root = packages_root("")
    if root is None:
        raise UsageError(
            f"no Kamailio is running, and none is installed ({_PROGRAM}); KAMTCP_KAMAILIO_ROOT may name where one is unpacked"
        )
    return root, _PROGRAM


def _of_instance(instance: Instance) -> tuple[str, str]:
    """Where the very program of a running Kamailio can be started from."""
    running = f"/proc/{instance.attendant}/exe"
    try:
        name = os.readlink(running)
    except OSError as error:
        raise UsageError(f"{running}: {error.strerror}; which Kamailio runs could not be seen") from None
    path = name.removesuffix(" (deleted)")
    for root in dict.fromkeys(("/", packages_root("") or "/")):
        here = os.path.join(root, path.lstrip("/"))
        if _same(running, here):
            return root, path
    raise UsageError(
        f"{instance.name} (pid {instance.attendant}) runs {name}, and no program here is the same:"
        " it was replaced since, or is another root's; KAMTCP_KAMAILIO_ROOT may name where it is unpacked"
    )


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other) or filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _modules_below(root: str) -> frozenset[str]:
    """Modules of an installation: Debian's lib/ARCH/kamailio/modules, others' lib64/kamailio/modules."""
    places = ("usr/lib/*/kamailio/modules", "usr/lib*/kamailio/modules", "usr/local/lib*/kamailio/modules")
    return frozenset(file.stem for place in places for file in Path(root).glob(f"{place}/*.so"))


def _read_buffer(instance: Instance | None) -> int | None:
    found = None if instance is None else instance.parameters.get("tcp_rd_buf_size")
    return found.value if found is not None and isinstance(found.value, int) else None


def _arguments(
    connections: int, read_buffer: int | None, instance: Instance | None, snapshot: Snapshot
) -> tuple[str, ...]:
    """Options for a server with room for the connections.

    Raises:
        UsageError: this machine has not that room.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and nofile(connections) > hard:
        raise UsageError(
            f"{connections:,} connections need {nofile(connections):,} descriptors in one process, and the hard limit"
            f" here is {hard:,}: --connections {max(1, hard - _OTHERS):,} fits"
        )
    megabytes = _BASE_MB + -(-connections * (_BYTES + (read_buffer or 16_384)) // MIB)
    available = snapshot.machine.memory_available_bytes
    if isinstance(available, int) and 2 * megabytes * MIB > available:
        raise UsageError(
            f"{connections:,} connections may take {megabytes:,} MiB, and this machine has {available // MIB:,} MiB"
            " available, of which half is left alone: fewer --connections"
        )
    manager = () if instance is None else ("-x", allocator(instance))
    return ("-m", str(megabytes), "-M", "8", *manager)


def nofile(connections: int) -> int:
    """Descriptors that tcp main may need, and so the load."""
    return connections + _OTHERS
