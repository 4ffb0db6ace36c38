"""How many connections were opened, refused, dropped, retransmitted, in this network namespace?

Reads   /proc/net/snmp (Ip, Icmp, Tcp, Udp) and /proc/net/netstat (TcpExt, IpExt, MPTcpExt)
Source  Linux net/ipv4/proc.c snmp_seq_show(), netstat_seq_show(); meanings: man nstat(8), RFC 4022
Needs   no privilege; with `pid` the right to look into /proc/PID/net
Cost    about 0.1 ms, more with many CPUs (each counter is summed over them)

Fields are inserted in the middle from kernel to kernel, so each is found by its name.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.model.absent import Absent, Why
from kamtcp.observe.attempt import attempt
from kamtcp.observe.kernel_text import integer, net_path, rows, text

_IN_NETSTAT = ("TcpExt.", "IpExt.", "MPTcpExt.")


class Counters(Struct, frozen=True, tag=True):
    """One file: "Prefix.Name" to value, in the order of the file."""

    values: dict[str, int]


class Snmp(Struct, frozen=True, tag=True):
    """Counters of one network namespace since it was made: 64 bits wide on 64-bit kernels.

    Args:
        snmp: "Tcp.PassiveOpens" and so on, from /proc/net/snmp. `Tcp.CurrEstab` is a gauge
            (ESTABLISHED + CLOSE_WAIT), `Tcp.MaxConn` is -1.
        netstat: "TcpExt.ListenOverflows" and so on, from /proc/net/netstat.
    """

    snmp: Counters | Absent
    netstat: Counters | Absent

    def get(self, name: str) -> int | Absent:
        """One counter by its full name ("Tcp.ActiveOpens"); missing where this kernel doesn't count it."""
        table = self.netstat if name.startswith(_IN_NETSTAT) else self.snmp
        if isinstance(table, Absent):
            return table
        return table.values.get(name, Absent(name, Why.MISSING))


def parse(data: bytes) -> Counters:
    """Parse either file: pairs of lines, names above values.

    Raises:
        ParseError: a line without its partner, names and values that differ in number, a value that is none.
    """
    source = "/proc/net/snmp"
    lines = rows(data)
    if not lines or len(lines) % 2:
        raise ParseError(source, "pairs of lines", f"{len(lines)} lines")
    found: dict[str, int] = {}
    for at in range(0, len(lines), 2):
        names, values = lines[at].split(), lines[at + 1].split()
        if not names or not values or names[0] != values[0] or names[0][-1:] != b":":
            raise ParseError(source, "a prefix and its partner", text(lines[at + 1]), at + 2)
        if len(names) != len(values):
            raise ParseError(source, f"{len(names) - 1} values", len(values) - 1, at + 2)
        prefix = text(names[0][:-1])
        for name, value in zip(names[1:], values[1:], strict=True):
            found[f"{prefix}.{text(name)}"] = integer(source, value, at + 2)
    return Counters(found)


def collect(host: Host, pid: int | None = None) -> Snmp:
    """Counters of the namespace of `pid` (None: the reader's own); each file fails by itself."""

    def table(name: str) -> Counters | Absent:
        path = net_path(name, pid)
        return attempt(path, lambda: parse(host.read(path)))

    return Snmp(table("snmp"), table("netstat"))
