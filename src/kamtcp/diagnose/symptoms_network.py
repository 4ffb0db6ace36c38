"""Symptoms of the kernel's tables: TIME-WAIT, orphans, local ports, conntrack, packet backlog."""

from __future__ import annotations

from kamtcp.capacity.change import Change, growth
from kamtcp.capacity.ladder import Ladder
from kamtcp.diagnose.finding import Cure, no_cure
from kamtcp.diagnose.rule import lacking
from kamtcp.diagnose.see import text_for
from kamtcp.diagnose.symptom import Cured, Signs, Symptom
from kamtcp.model.absent import Absent
from kamtcp.model.machine import counter

_FULL = 0.99
#: of the segments sent, and at least: from there on a path that a load goes over loses packets
_LOST_SHARE, _LOST_LEAST = 0.01, 20


def time_wait(change: Change, ladder: Ladder) -> Signs:
    """tcp_max_tw_buckets: closed connections skip TIME-WAIT."""
    more = change.grew("TcpExt.TCPTimeWaitOverflow")
    if isinstance(more, int) and more:
        evidence = f"{more:,} connections were closed without TIME-WAIT (TCPTimeWaitOverflow)"
        yield evidence
    yield from lacking(more)


def orphans(change: Change, ladder: Ladder) -> Signs:
    """tcp_max_orphans: closing connections are reset. The same counter counts tcp_mem's maximum."""
    resets = change.grew("TcpExt.TCPAbortOnMemory")
    now, most = (
        counter(change.after.namespace.sockstat, "TCP.orphan"),
        change.after.sysctl("net.ipv4.tcp_max_orphans"),
    )
    used, mark = (
        counter(change.after.namespace.sockstat, "TCP.mem"),
        change.after.sysctl_at("net.ipv4.tcp_mem", 2),
    )
    if not isinstance(resets, int) or not resets:
        yield from lacking(resets)
        return
    if isinstance(used, int) and isinstance(mark, int) and used >= mark:
        return  # out of memory, not out of orphans
    evidence = f"{resets:,} closing connections were reset (TCPAbortOnMemory); {now} orphans now, tcp_max_orphans is {most}"
    yield evidence


def ports(change: Change, ladder: Ladder) -> Signs:
    """Local ports towards one destination are used up: connect(2) fails with EADDRNOTAVAIL; nothing counts it."""
    outbound = change.after.namespace.outbound
    low, high = (change.after.sysctl_at("net.ipv4.ip_local_port_range", index) for index in (0, 1))
    if isinstance(outbound, Absent) or isinstance(low, Absent) or isinstance(high, Absent):
        yield from lacking(outbound, low, high)
        return
    room = high - low + 1
    for use in outbound:
        if use.connections >= _FULL * room:
            evidence = (
                f"{use.connections:,} connections from {use.source} to {use.address}:{use.port},"
                f" ip_local_port_range has {room:,} ports"
            )
            yield evidence
            return


def conntrack(change: Change, ladder: Ladder) -> Signs:
    """The conntrack table is full: packets of new flows are dropped."""
    active, count = change.after.namespace.conntrack_active, change.after.namespace.conntrack_count
    most = change.after.sysctl("net.netfilter.nf_conntrack_max")
    if active is not True:
        yield from lacking(active)
        return
    if isinstance(count, Absent) or isinstance(most, Absent):
        yield from lacking(count, most)
    elif most and count >= _FULL * most:
        evidence = f"{count:,} of {most:,} conntrack entries are used: packets of new connections are dropped"
        yield evidence


def packet_backlog(change: Change, ladder: Ladder) -> Signs:
    """netdev_max_backlog: packets of loopback, veth and RPS are dropped before TCP sees them."""
    more = growth(change.before.machine.softnet_dropped, change.after.machine.softnet_dropped, "softnet_stat")
    if isinstance(more, int) and more:
        evidence = (
            f"{more:,} packets were dropped because a CPU's backlog was full (second column of softnet_stat)"
        )
        yield evidence
    yield from lacking(more)


def lost(change: Change, ladder: Ladder) -> Signs:
    """Segments were sent again although no queue of this machine dropped them. Told only of a load: phones always lose some."""
    client = change.client
    if client is None or not client.connect_slow + client.answer_slow + client.failed(
        "connect_timeout", "no_answer", "handshake_timeout"
    ):
        return
    again, sent = change.grew("Tcp.RetransSegs"), change.grew("Tcp.OutSegs")
    listens, queues = change.grew("TcpExt.ListenDrops"), change.grew("TcpExt.TCPReqQFullDrop")
    backlog = growth(
        change.before.machine.softnet_dropped, change.after.machine.softnet_dropped, "softnet_stat"
    )
    if isinstance(again, Absent) or isinstance(sent, Absent) or isinstance(listens, Absent):
        yield from lacking(again, sent, listens)
        return
    if any(isinstance(each, int) and each for each in (listens, queues, backlog)):
        return  # dropped by this machine, which has a name
    if again >= _LOST_LEAST and again >= _LOST_SHARE * (sent + again):
        syns = f"; {client.connect_slow:,} clients had to send their SYN again" if client.connect_slow else ""
        yield f"{again:,} segments were sent again, beside {sent:,}, and no queue here dropped any{syns}"


def _of_lost(change: Change) -> Cured:
    see = "{enter}nstat -az TcpRetransSegs TcpOutSegs; {enter}nft list ruleset"
    path = Cure(
        "find who drops them: firewall rules, link errors, a shaper, a middlebox; from both ends, with tcpdump"
    )
    return Cured(text_for(see, change.after), no_cure("who drops the packets has to be found first"), path)


SYMPTOMS = (
    Symptom("SYS053", "conntrack-table", conntrack, silences=("ACC055", "SYS055")),
    Symptom("SYS054", "packet-backlog", packet_backlog),
    Symptom("SYS055", "", lost, cured=_of_lost),
    Symptom("SYS052", "ephemeral-ports", ports),
    Symptom("SYS051", "orphans", orphans),
    Symptom("SYS050", "time-wait-buckets", time_wait),
)
