"""What a connection was seen to cost in Kamailio's shared memory, and for which kernel and Kamailio that holds."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import fields

from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Instance
from kamtcp.model.machine import Machine

TRANSPORTS = ("tcp", "tls", "ws", "wss")
_ALLOCATORS = {"q_malloc": "qm", "f_malloc": "fm", "tlsf_malloc": "tlsf"}


class Conditions(Struct, frozen=True):
    """What a price hangs on. One that was measured under others is no price here.

    Args:
        kernel, machine: uname -r and -m. kamailio: its version.
        openssl: major version of the mapped libssl, 0 without one. tls: whether the tls module is loaded.
        allocator: of shared memory ("qm", "fm", "tlsf"). read_buffer: tcp_rd_buf_size, bytes.
    """

    kernel: str
    machine: str
    kamailio: str
    openssl: int
    allocator: str
    read_buffer: int
    tls: bool


class Measured(Struct, frozen=True):
    """Bytes of shared memory of one connection of a transport.

    Args:
        middle: the median, which is what is reckoned with. lowest, highest: the spread.
        times: how often it was measured. how: where it comes from, for people.
    """

    middle: float
    lowest: float
    highest: float
    times: int
    how: str


def measured(values: Sequence[float], how: str) -> Measured:
    """The spread of one or more values."""
    return Measured(_median(values), min(values), max(values), len(values), how)


def allocator(instance: Instance) -> str:
    """What manages shared memory: the -x option, else "qm", as packages are compiled."""
    given = instance.parameters.get("shm_manager")
    name = "qm" if given is None else str(given.value)
    return _ALLOCATORS.get(name, name)


def conditions_of(machine: Machine, instance: Instance) -> Conditions | Absent:
    """The conditions here; Absent with the first that can't be told."""
    read_buffer = instance.parameters.get("tcp_rd_buf_size")
    if read_buffer is None or not isinstance(read_buffer.value, int):
        return Absent("tcp_rd_buf_size", Why.MISSING, "neither RPC nor a file names it")
    for fact in (instance.version, instance.openssl, instance.modules, instance.command_line):
        if isinstance(fact, Absent):
            return fact
    assert isinstance(instance.version, str) and isinstance(instance.openssl, int)
    assert isinstance(instance.modules, tuple)
    return Conditions(
        machine.release, machine.architecture, instance.version, instance.openssl, allocator(instance),
        read_buffer.value, "tls" in instance.modules,
    )  # fmt: skip


def differences(then: Conditions, now: Conditions) -> str:
    """What differs, for people: "kamailio 5.6.3 then, 6.1.4 now"; "" where nothing does."""
    said = [
        f"{each.name.replace('_', ' ')} {_word(old)} then, {_word(new)} now"
        for each in fields(Conditions)
        if (old := getattr(then, each.name)) != (new := getattr(now, each.name))
    ]
    return "; ".join(said)


def _word(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _median(values: Sequence[float]) -> float:
    """As `statistics.median`, which takes longer to load than a check has for it."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
