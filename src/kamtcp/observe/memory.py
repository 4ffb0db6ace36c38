"""How much memory has the machine, and what is it used for?

Reads   /proc/meminfo
Source  Linux fs/proc/meminfo.c meminfo_proc_show(); man proc(5)
Needs   no privilege
Cost    0.03 ms
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.kernel_text import natural, rows, text

_SOURCE = "/proc/meminfo"
_KIB = 1024


class Meminfo(Struct, frozen=True, tag=True):
    """Memory of the whole machine, in bytes (pages where named so). A container sees its machine's.

    Args:
        available: what can be had without swapping; absent before 3.14.
        slab: kernel objects, sockets among them; sunreclaim is the part that can't be given back.
        percpu: absent before 4.20.
        commit_limit, committed_as: matter with vm.overcommit_memory=2 only.
        hugepages_total, hugepages_free: pages of hugepage_bytes; absent without CONFIG_HUGETLB_PAGE.
    """

    total: int
    free: int
    available: int | Absent
    buffers: int
    cached: int
    slab: int
    sreclaimable: int
    sunreclaim: int
    swap_total: int
    swap_free: int
    commit_limit: int
    committed_as: int
    percpu: int | Absent
    hugepages_total: int | Absent
    hugepages_free: int | Absent
    hugepage_bytes: int | Absent


def parse(data: bytes) -> Meminfo:
    """Parse the whole file; unknown names are passed over.

    Raises:
        ParseError: a field that every kernel prints is not there, or a value is no number.
    """
    known: dict[bytes, tuple[int, list[bytes]]] = {}
    for at, line in enumerate(rows(data), start=1):
        name, _, value = line.partition(b":")
        known[name] = (at, value.split())

    def count(name: bytes, *, scaled: bool = True) -> int | Absent:
        if name not in known:
            return Absent(f"{_SOURCE} {text(name)}", Why.MISSING)
        at, words = known[name]
        if not words or words[1:] != ([b"kB"] if scaled else []):
            raise ParseError(_SOURCE, "a number of kB" if scaled else "a number", text(b" ".join(words)), at)
        return natural(_SOURCE, words[0], at) * (_KIB if scaled else 1)

    def need(name: bytes) -> int:
        value = count(name)
        if isinstance(value, Absent):
            raise ParseError(_SOURCE, text(name), text(data))
        return value

    return Meminfo(
        total=need(b"MemTotal"),
        free=need(b"MemFree"),
        available=count(b"MemAvailable"),
        buffers=need(b"Buffers"),
        cached=need(b"Cached"),
        slab=need(b"Slab"),
        sreclaimable=need(b"SReclaimable"),
        sunreclaim=need(b"SUnreclaim"),
        swap_total=need(b"SwapTotal"),
        swap_free=need(b"SwapFree"),
        commit_limit=need(b"CommitLimit"),
        committed_as=need(b"Committed_AS"),
        percpu=count(b"Percpu"),
        hugepages_total=count(b"HugePages_Total", scaled=False),
        hugepages_free=count(b"HugePages_Free", scaled=False),
        hugepage_bytes=count(b"Hugepagesize"),
    )


def collect(host: Host) -> Meminfo:
    """Memory of the machine.

    Raises:
        OSError, ParseError: as reading and parsing gave them.
    """
    return parse(host.read(_SOURCE))
