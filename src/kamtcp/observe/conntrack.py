"""Is connection tracking at work in this namespace, and does its table drop packets?

Reads   /proc/net/stat/nf_conntrack (root); the count and bound are sysctls, see sysctl.py
Source  Linux net/netfilter/nf_conntrack_standalone.c ct_cpu_seq_show()
Needs   root for the counters; the count needs no privilege
Cost    0.03 ms

Loaded is not active: entries are made only in a namespace with a rule that asks for them. The count of entries is
the witness for that: current kernels count neither an ordinary new connection (`insert` is for entries made by
user space) nor an ordinary packet (`found`), so counters may stand still on a busy host.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.kernel_text import hexadecimal, net_path, rows, text

_SOURCE = "/proc/net/stat/nf_conntrack"
_ENTRIES = "entries"
_WRAP = 1 << 32


class ConntrackStat(Struct, frozen=True, tag=True):
    """Counters of one namespace since it was made.

    Args:
        entries: connections in the table now.
        counters: by the kernel's names (insert, insert_failed, drop, early_drop, search_restart, invalid, found,
            clashres, chainlength, …), summed over CPUs, modulo 2**32: each CPU's part is 32 bits wide,
            so growth is `(now - before) % 2**32`. A name that this kernel lacks isn't in it.
        cpus: rows, one per possible CPU.
    """

    entries: int
    counters: dict[str, int]
    cpus: int

    def get(self, name: str) -> int | Absent:
        """One counter; missing where this kernel doesn't print it."""
        return self.counters.get(name, Absent(f"{_SOURCE} {name}", Why.MISSING))


def parse(data: bytes) -> ConntrackStat:
    """Parse the whole file: a row of names, then a row of hex numbers per CPU.

    Raises:
        ParseError: no names, no rows, no `entries`, or a row that doesn't fit the names.
    """
    lines = rows(data)
    if len(lines) < 2:
        raise ParseError(_SOURCE, "names and a row per CPU", text(data))
    names = [text(word) for word in lines[0].split()]
    if _ENTRIES not in names or len(set(names)) != len(names):
        raise ParseError(_SOURCE, "names, `entries` among them", text(lines[0]), 1)
    sums = dict.fromkeys(names, 0)
    for at, line in enumerate(lines[1:], start=2):
        words = line.split()
        if len(words) != len(names):
            raise ParseError(_SOURCE, f"{len(names)} hex columns", text(line), at)
        for name, word in zip(names, words, strict=True):
            value = hexadecimal(_SOURCE, word, at)
            # the total stands in every row
            sums[name] = value if name == _ENTRIES else (sums[name] + value) % _WRAP
    entries = sums.pop(_ENTRIES)
    return ConntrackStat(entries, sums, len(lines) - 1)


def collect(host: Host, pid: int | None = None) -> ConntrackStat:
    """Counters of the namespace of `pid` (None: the reader's own).

    Raises:
        OSError: ENOENT where the kernel has no connection tracking loaded, EACCES without root.
        ParseError: the file is malformed.
    """
    return parse(host.read(net_path("stat/nf_conntrack", pid)))


def active(
    count: int | Absent, now: ConntrackStat | Absent, before: ConntrackStat | Absent | None = None
) -> bool | Absent:
    """Whether packets of this namespace are tracked.

    Args:
        count: net.netfilter.nf_conntrack_count, read in the namespace.
        now: the counters.
        before: an earlier reading of them, where there is one.

    Returns:
        True with entries in the table or any counter that moved. False where there is no connection tracking, or the
        table is empty and the counters stand still or may not be read (an established connection stays in the table
        for days). Absent where that can't be told: neither could be read, or the table is empty now and was used.
    """
    if isinstance(count, int) and count > 0:
        return True
    if isinstance(now, Absent):
        if isinstance(count, int) or (now.why is Why.MISSING and count.why is Why.MISSING):
            return False
        return now
    if now.entries > 0:
        return True
    if isinstance(before, ConntrackStat):
        return now.counters != before.counters
    if not any(now.counters.values()):
        return False
    return Absent(_SOURCE, Why.NOT_ASKED, "the table is empty but was used before; two readings would tell")
