"""Which network devices are there, how are they set, and do they drop?

Reads   netlink RTM_GETLINK and RTM_GETQDISC in the namespace of the host given, /proc/net/dev;
        for the number of queues in use /sys/class/net/NAME/queues
Source  Linux net/core/rtnetlink.c rtnl_fill_ifinfo(), net/sched/sch_api.c tc_fill_qdisc(),
        net/core/net-procfs.c dev_seq_show(); Documentation/networking/statistics.rst
Needs   no privilege
Cost    0.2 ms for four devices

sysfs shows the devices of the namespace that it was mounted in, netlink those of the caller's: so what can
come from netlink does.
"""

from __future__ import annotations

import struct

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import attempt
from kamtcp.observe.kernel_text import integer, net_path, rows, text
from kamtcp.observe.rtnetlink import NETLINK_ROUTE, attributes, dump_request, messages

RTM_NEWLINK, RTM_GETLINK = 16, 18
RTM_NEWQDISC, RTM_GETQDISC = 36, 38

LINK_REQUEST = dump_request(RTM_GETLINK, bytes(16))  # struct ifinfomsg, all families
QDISC_REQUEST = dump_request(RTM_GETQDISC, bytes(20))  # struct tcmsg, all devices

_LINK_SOURCE = "netlink RTM_GETLINK"
_QDISC_SOURCE = "netlink RTM_GETQDISC"
_DEV_SOURCE = "/proc/net/dev"

_IFINFOMSG = struct.Struct("<BxHiII")  # family, device type, index, flags, change
_TCMSG = struct.Struct("<BxxxiIII")  # family, device index, handle, parent, info
_U32 = struct.Struct("<I")
_QUEUE = struct.Struct("<IIIII")  # struct gnet_stats_queue: length, backlog, drops, requeues, overlimits

_IFLA_IFNAME, _IFLA_MTU, _IFLA_QDISC, _IFLA_TXQLEN = 3, 4, 6, 13
_TCA_KIND, _TCA_STATS2, _TCA_STATS_QUEUE = 1, 7, 3
_ROOT = 0xFFFFFFFF
_IFF_UP, _IFF_LOOPBACK = 0x1, 0x8

_DEV_COLUMNS = 16


class Qdisc(Struct, frozen=True):
    """One queueing discipline, as `tc -s qdisc` prints it.

    Args:
        kind: "fq_codel", "pfifo_fast", "noqueue", …
        handle, parent: 32-bit numbers MAJOR:MINOR. root: it is the device's own, no child.
        queued_packets, backlog_bytes: waiting now. drops, requeues, overlimits: since it was made, 32 bits.
    """

    kind: str
    handle: int
    parent: int
    root: bool
    queued_packets: int
    backlog_bytes: int
    drops: int
    requeues: int
    overlimits: int


class DeviceCounters(Struct, frozen=True, tag=True):
    """A row of /proc/net/dev: events since the device was made."""

    rx_bytes: int
    rx_packets: int
    rx_errs: int
    rx_drop: int  # by software: backlog full, no memory, unknown protocol
    rx_fifo: int  # ring of the card overrun
    rx_frame: int
    tx_bytes: int
    tx_packets: int
    tx_errs: int
    tx_drop: int
    tx_fifo: int


class Link(Struct, frozen=True):
    """A network device.

    Args:
        index, name: as `ip link` prints them.
        up, loopback: flags.
        mtu: bytes. tx_queue_len: packets (used by pfifo_fast and as default of pfifo).
        qdisc: kind of the root queueing discipline ("mq" over several queues).
    """

    index: int
    name: str
    up: bool
    loopback: bool
    mtu: int
    tx_queue_len: int
    qdisc: str


class Device(Struct, frozen=True):
    """Everything about one network device; each part fails by itself.

    Args:
        rx_queues, tx_queues: queues in use. Only seen for devices of the reader's own namespace.
        qdiscs: root first.
        steering: per receive queue the CPUs that receive packet steering spreads to (rps_cpus, hex mask as text).
    """

    link: Link
    counters: DeviceCounters | Absent
    qdiscs: tuple[Qdisc, ...] | Absent
    rx_queues: int | Absent
    tx_queues: int | Absent
    steering: tuple[str, ...] | Absent


def parse_links(data: bytes) -> tuple[Link, ...]:
    """Parse an answer to LINK_REQUEST.

    Returns:
        A row per device, in the kernel's order.

    Raises:
        ParseError: a length that doesn't fit, or a device without name or MTU.
    """
    found = []
    for body in messages(_LINK_SOURCE, data, RTM_NEWLINK):
        if len(body) < _IFINFOMSG.size:
            raise ParseError(_LINK_SOURCE, "a struct ifinfomsg", f"{len(body)} bytes")
        _, _, index, flags, _ = _IFINFOMSG.unpack_from(body)
        known = attributes(_LINK_SOURCE, body[_IFINFOMSG.size :])
        found.append(
            Link(
                index=index,
                name=_string(_LINK_SOURCE, known, _IFLA_IFNAME, "IFLA_IFNAME"),
                up=bool(flags & _IFF_UP),
                loopback=bool(flags & _IFF_LOOPBACK),
                mtu=_u32(_LINK_SOURCE, known, _IFLA_MTU, "IFLA_MTU"),
                tx_queue_len=_u32(_LINK_SOURCE, known, _IFLA_TXQLEN, "IFLA_TXQLEN"),
                qdisc=_string(_LINK_SOURCE, known, _IFLA_QDISC, "IFLA_QDISC"),
            )
        )
    return tuple(found)


def parse_qdiscs(data: bytes) -> dict[int, tuple[Qdisc, ...]]:
    """Parse an answer to QDISC_REQUEST.

    Returns:
        Index of the device to its queueing disciplines, roots first.

    Raises:
        ParseError: a length that doesn't fit, or a discipline without a kind.
    """
    found: dict[int, list[Qdisc]] = {}
    for body in messages(_QDISC_SOURCE, data, RTM_NEWQDISC):
        if len(body) < _TCMSG.size:
            raise ParseError(_QDISC_SOURCE, "a struct tcmsg", f"{len(body)} bytes")
        _, index, handle, parent, _ = _TCMSG.unpack_from(body)
        known = attributes(_QDISC_SOURCE, body[_TCMSG.size :])
        queue = attributes(_QDISC_SOURCE, known.get(_TCA_STATS2, b"")).get(_TCA_STATS_QUEUE, b"")
        if len(queue) < _QUEUE.size:
            raise ParseError(_QDISC_SOURCE, "TCA_STATS_QUEUE of 20 bytes", f"{len(queue)} bytes")
        kind = _string(_QDISC_SOURCE, known, _TCA_KIND, "TCA_KIND")
        found.setdefault(index, []).append(
            Qdisc(kind, handle, parent, parent == _ROOT, *_QUEUE.unpack_from(queue))
        )
    return {index: tuple(sorted(row, key=lambda q: not q.root)) for index, row in found.items()}


def parse_dev(data: bytes) -> dict[str, DeviceCounters]:
    """Parse /proc/net/dev: two lines of heading, then "NAME: 8 numbers received, 8 transmitted".

    Returns:
        Name of the device to its counters.

    Raises:
        ParseError: no heading, or a row without its 16 numbers.
    """
    lines = rows(data)
    if len(lines) < 2 or b"|" not in lines[1]:
        raise ParseError(_DEV_SOURCE, "two lines of heading", text(data))
    found = {}
    for at, line in enumerate(lines[2:], start=3):
        # a name may hold ":" (an alias), a number never does
        name, colon, rest = line.rpartition(b":")
        words = rest.split()
        if not colon or len(words) < _DEV_COLUMNS:
            raise ParseError(_DEV_SOURCE, f"NAME: and {_DEV_COLUMNS} numbers", text(line), at)
        value = [integer(_DEV_SOURCE, word, at) for word in words]
        found[text(name.strip())] = DeviceCounters(*value[0:6], *value[8:13])
    return found


def collect(host: Host, pid: int | None = None) -> tuple[Device, ...]:
    """All devices of one network namespace.

    Args:
        host: speaks netlink in that namespace (`host.within(pid)` where it isn't the reader's own).
        pid: a process in it; None where it is the reader's own.

    Raises:
        OSError, ParseError: the list of devices could not be had. All else fails by itself.
    """
    path = net_path("dev", pid)
    counters = attempt(path, lambda: parse_dev(host.read(path)))
    qdiscs = attempt(_QDISC_SOURCE, lambda: parse_qdiscs(host.netlink(NETLINK_ROUTE, QDISC_REQUEST)))
    found = []
    for link in parse_links(host.netlink(NETLINK_ROUTE, LINK_REQUEST)):
        own = Absent(f"{path} {link.name}", Why.MISSING)
        queues = _queues(host, link.name, pid)
        found.append(
            Device(
                link=link,
                counters=counters if isinstance(counters, Absent) else counters.get(link.name, own),
                qdiscs=qdiscs if isinstance(qdiscs, Absent) else qdiscs.get(link.index, ()),
                rx_queues=_count(queues, "rx-"),
                tx_queues=_count(queues, "tx-"),
                steering=_steering(host, link.name, queues),
            )
        )
    return tuple(found)


def _queues(host: Host, name: str, pid: int | None) -> tuple[str, ...] | Absent:
    source = f"/sys/class/net/{name}/queues"
    if pid is not None:
        return Absent(source, Why.NOT_VISIBLE, "sysfs shows the devices of the reader's namespace")
    return attempt(source, lambda: host.listdir(source))


def _count(queues: tuple[str, ...] | Absent, prefix: str) -> int | Absent:
    return queues if isinstance(queues, Absent) else sum(name.startswith(prefix) for name in queues)


def _steering(host: Host, name: str, queues: tuple[str, ...] | Absent) -> tuple[str, ...] | Absent:
    if isinstance(queues, Absent):
        return queues
    source = f"/sys/class/net/{name}/queues"

    def read() -> tuple[str, ...]:
        receive = [queue for queue in queues if queue.startswith("rx-")]
        return tuple(text(host.read(f"{source}/{queue}/rps_cpus", 4096).strip()) for queue in receive)

    return attempt(f"{source}/rx-*/rps_cpus", read)


def _string(source: str, known: dict[int, bytes], number: int, name: str) -> str:
    if number not in known:
        raise ParseError(source, name, sorted(known))
    return text(known[number].rstrip(b"\0"))


def _u32(source: str, known: dict[int, bytes], number: int, name: str) -> int:
    payload = known.get(number, b"")
    if len(payload) != _U32.size:
        raise ParseError(source, f"{name} of 4 bytes", f"{len(payload)} bytes")
    value: int = _U32.unpack(payload)[0]
    return value
