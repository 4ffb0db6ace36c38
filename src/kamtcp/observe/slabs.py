"""What does one connection cost in kernel memory, on this kernel?

Reads   /proc/slabinfo; for caches that share one with others /sys/kernel/slab/NAME
Source  Linux mm/slab_common.c slabinfo_show(), mm/slub.c; Documentation/ABI/testing/sysfs-kernel-slab
Needs   root
Cost    /proc/slabinfo 1 to 5 ms, in which allocations wait; sysfs 0.03 ms a cache

Caches of equal size share one, which slabinfo shows under a single name; the others are links in /sys/kernel/slab.
Counts of a shared cache are those of all its users together. Geometry is right in either case.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import attempt
from kamtcp.observe.kernel_text import natural, rows, text

_SOURCE = "/proc/slabinfo"
_SYSFS = "/sys/kernel/slab"
_MOST_PAGES_ORDER = 20

# what a connection is made of, and what else grows with connections
NAMES: tuple[str, ...] = (
    "TCP",
    "TCPv6",
    "sock_inode_cache",
    "filp",
    "dentry",
    "lsm_inode_cache",
    "lsm_file_cache",
    "tcp_bind_bucket",
    "tcp_bind2_bucket",
    "eventpoll_epi",
    "eventpoll_pwq",
    "ep_head",
    "request_sock_TCP",
    "request_sock_TCPv6",
    "tw_sock_TCP",
    "tw_sock_TCPv6",
    "nf_conntrack",
)


class Slab(Struct, frozen=True, tag=True):
    """One cache of kernel objects.

    Args:
        object_bytes: from one object to the next.
        objects_per_slab, pages_per_slab: a slab is taken from and given back to the machine as a whole.
        active_objects, objects: in use, and room for; absent where the cache is shown under another name.
        shared_as: the common name (":A-0000128") where it is shared, "" where it is the cache's own.
    """

    object_bytes: int
    objects_per_slab: int
    pages_per_slab: int
    active_objects: int | Absent
    objects: int | Absent
    shared_as: str = ""

    def effective_bytes(self, page_size: int) -> float:
        """Memory taken from the machine per object, when slabs are full."""
        return self.pages_per_slab * page_size / self.objects_per_slab


Slabs = Mapping[str, Slab | Absent]


class Price(Struct, frozen=True, tag=True):
    """Kernel memory of one connection.

    Args:
        parts: cache to bytes.
        assumed: caches whose size could not be read: their bytes are the reference figures below.
    """

    parts: dict[str, float]
    assumed: tuple[str, ...]

    @property
    def bytes(self) -> float:
        """The sum."""
        return sum(self.parts.values())


# measured on Linux 6.18, x86_64
REFERENCE_BYTES: Mapping[str, float] = {
    "TCP": 2521,
    "TCPv6": 2521,
    "sock_inode_cache": 862,
    "filp": 195,
    "dentry": 195,
    "lsm_inode_cache": 32,
    "lsm_file_cache": 24,
    "tcp_bind_bucket": 128,
    "tcp_bind2_bucket": 128,
    "eventpoll_epi": 128,
    "eventpoll_pwq": 64,
    "ep_head": 16,
    "request_sock_TCP": 341,
    "request_sock_TCPv6": 341,
    "tw_sock_TCP": 256,
    "tw_sock_TCPv6": 256,
    "nf_conntrack": 256,
}

_SOCKET = ("sock_inode_cache", "filp", "dentry", "lsm_inode_cache", "lsm_file_cache")
_BIND = ("tcp_bind_bucket", "tcp_bind2_bucket")
#: caches that one accepted connection of IPv4 is made of
ACCEPTED = ("TCP", *_SOCKET, "eventpoll_epi", "eventpoll_pwq", "ep_head")
# a kernel that has the others but not these doesn't pay for them
_OPTIONAL = frozenset({"lsm_inode_cache", "lsm_file_cache", "tcp_bind2_bucket", "ep_head"})


def parse(data: bytes, names: Collection[str] = ()) -> dict[str, Slab]:
    """Parse /proc/slabinfo, format 2: two lines of heading, then a line per cache.

    Args:
        data: the whole file.
        names: caches to read, of the two hundred that are there; all where none are named.

    Raises:
        ParseError: no heading, or a cache without its five numbers.
    """
    wanted = frozenset(name.encode() for name in names)
    lines = rows(data)
    if not lines or not lines[0].startswith(b"slabinfo - version: 2"):
        raise ParseError(_SOURCE, "slabinfo - version: 2.x", text(lines[0] if lines else b""), 1)
    found = {}
    for at, line in enumerate(lines[1:], start=2):
        if line.startswith(b"#"):
            continue
        if wanted and line.partition(b" ")[0] not in wanted:
            continue
        words = line.partition(b":")[0].split()
        if len(words) < 6:
            raise ParseError(_SOURCE, "a name and five numbers", text(line), at)
        active, objects, size, per_slab, pages = (natural(_SOURCE, word, at) for word in words[1:6])
        if per_slab == 0:
            raise ParseError(_SOURCE, "objects per slab", 0, at)
        found[text(words[0])] = Slab(size, per_slab, pages, active, objects)
    return found


def price(
    slabs: Slabs, page_size: int, *, ipv6: bool = False, outbound: bool = False, epoll: int = 1
) -> Price:
    """Kernel memory of one idle established connection, as this kernel lays out its slabs.

    Args:
        slabs: from `collect`.
        page_size: bytes.
        ipv6: the socket is AF_INET6, as those of a dual-stack listener are.
        outbound: it has an address and port of its own; accepted ones share their listener's.
        epoll: sets that it is registered in (Kamailio: one, of tcp main or of the worker that holds it).

    Returns:
        Without queued data, which costs tcp_mem pages, and without the vectors of memory cgroups (8 to 10 bytes an
        object).
    """
    counts = dict.fromkeys(("TCPv6" if ipv6 else "TCP", *_SOCKET), 1)
    if outbound:
        counts |= dict.fromkeys(_BIND, 1)
    if epoll:
        # ep_head is made once per file, the two others once per registration
        counts |= {"eventpoll_epi": epoll, "eventpoll_pwq": epoll, "ep_head": 1}
    parts: dict[str, float] = {}
    assumed: list[str] = []
    seen_any = any(isinstance(slab, Slab) for slab in slabs.values())
    for name, count in counts.items():
        slab = slabs.get(name)
        if isinstance(slab, Slab):
            parts[name] = count * slab.effective_bytes(page_size)
        elif seen_any and name in _OPTIONAL and isinstance(slab, Absent) and slab.why is Why.MISSING:
            parts[name] = 0.0
        else:
            parts[name] = count * REFERENCE_BYTES[name]
            assumed.append(name)
    return Price(parts, tuple(assumed))


def collect(host: Host, names: tuple[str, ...] = NAMES) -> Slabs:
    """Geometry of the named caches; each fails by itself."""
    listed = attempt(_SOURCE, lambda: parse(host.read(_SOURCE), names))
    return {name: _one(host, name, listed) for name in names}


def geometry(host: Host, names: tuple[str, ...] = ACCEPTED) -> Slabs:
    """Sizes without counts: all that a price needs, at a fifth of the cost.

    /proc/slabinfo counts the free objects of all caches of the machine, under the locks that every allocation
    takes (1 to 5 ms). So sizes are read from sysfs, and from there only where that doesn't show them all.
    """
    sizes = {name: attempt(f"{_SYSFS}/{name}", partial(_sizes, host, name)) for name in names}
    if any(isinstance(each, Absent) and name not in _OPTIONAL for name, each in sizes.items()):
        return collect(host, names)
    uncounted = Absent(_SOURCE, Why.NOT_ASKED, "sizes are enough for a price")
    return {
        name: each if isinstance(each, Absent) else Slab(*each, uncounted, uncounted)
        for name, each in sizes.items()
    }


def _one(host: Host, name: str, listed: dict[str, Slab] | Absent) -> Slab | Absent:
    own = listed if isinstance(listed, Absent) else listed.get(name)
    shared_as = _shared_as(host, name)
    if isinstance(own, Slab):
        return Slab(
            own.object_bytes,
            own.objects_per_slab,
            own.pages_per_slab,
            own.active_objects,
            own.objects,
            shared_as,
        )
    from_sysfs = attempt(f"{_SYSFS}/{name}", lambda: _from_sysfs(host, name, shared_as))
    return own if isinstance(own, Absent) and isinstance(from_sysfs, Absent) else from_sysfs


def _shared_as(host: Host, name: str) -> str:
    # EINVAL: a directory of its own. ENOENT: no SLUB, or no such cache.
    link = attempt(f"{_SYSFS}/{name}", lambda: host.readlink(f"{_SYSFS}/{name}"))
    return "" if isinstance(link, Absent) else link


def _from_sysfs(host: Host, name: str, shared_as: str) -> Slab:
    hidden = Absent(
        f"{_SOURCE} {name}", Why.NOT_VISIBLE, f"counted together in {shared_as}" if shared_as else ""
    )
    return Slab(*_sizes(host, name), hidden, hidden, shared_as)


def _sizes(host: Host, name: str) -> tuple[int, int, int]:
    """Bytes of an object, objects and pages of a slab; a shared cache is reached by each of its names."""

    def value(attribute: str) -> int:
        path = f"{_SYSFS}/{name}/{attribute}"
        return natural(path, host.read(path, 4096).strip())

    size, per_slab, order = value("slab_size"), value("objs_per_slab"), value("order")
    if per_slab == 0 or order > _MOST_PAGES_ORDER:
        raise ParseError(f"{_SYSFS}/{name}", "objects per slab, and a small order", (per_slab, order))
    return size, per_slab, 1 << order
