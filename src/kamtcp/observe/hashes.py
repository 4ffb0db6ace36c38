"""How long are the chains of the hash table of established connections?

Reads   net.ipv4.tcp_ehash_entries of the server's namespace (Linux 6.1 and later)
Source  Linux net/ipv4/sysctl_net_ipv4.c proc_tcp_ehash_entries()
Needs   no privilege
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.observe.kernel_text import integer, text
from kamtcp.observe.sysctl import read_sysctl

_NAME = "net.ipv4.tcp_ehash_entries"


class EstablishedHash(Struct, frozen=True, tag=True):
    """The table that a namespace's connections hang in.

    Args:
        buckets: chains. own: made for this namespace; else it is the initial namespace's, shared with all.
    """

    buckets: int
    own: bool

    def chain(self, sockets: int) -> float:
        """Mean length of a chain with so many sockets in the *whole table*, TIME_WAIT included."""
        return sockets / self.buckets


def parse(data: bytes) -> EstablishedHash:
    """Parse the sysctl: the initial namespace, or one with a table of its own, prints a positive number,
    one that shares the initial's a negative one.

    Raises:
        ParseError: no number, or 0.
    """
    value = integer(_NAME, data.strip())
    if value == 0:
        raise ParseError(_NAME, "a number of buckets", text(data))
    return EstablishedHash(abs(value), value > 0)


def collect(host: Host) -> EstablishedHash:
    """The table of the namespace that `host` reads settings in.

    Raises:
        OSError: ENOENT before Linux 6.1. ParseError: no number.
    """
    return parse(read_sysctl(host, _NAME).encode())
