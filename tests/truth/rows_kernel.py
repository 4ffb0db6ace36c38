"""Memory of the kernel's TCP: orphans on a mass close, and queued data against tcp_mem."""

from __future__ import annotations

import resource
import time
from functools import partial

from rows_host import allowed
from rows_queue import tcp_main
from truth_host import changed
from truth_measure import Moved, nft, number, stat, until
from truth_peers import peers
from truth_row import COUNTS, MEMORY, NotProven, Outcome, Row, Server

from kamtcp.host.namespaces import NetnsThread
from kamtcp.model.target import Target
from kamtcp.rehearse.scenario import Scenario
from stop_rig import hanging, predict, server, workers

ORPHANS = "/proc/sys/net/ipv4/tcp_max_orphans"
TCP_MEM = "/proc/sys/net/ipv4/tcp_mem"
DROP = (
    "add table ip t",
    "add chain ip t c { type filter hook input priority 0; }",
    "add rule ip t c tcp dport 5060 drop",
)


def orphans() -> Outcome:
    """This host closes connections whose peers have gone silent, 1 % of the limit each 100 ms: the kernel counts that often.

    Kamailio's own timer closes in lumps of hundreds, which no count of each 100 ms can follow.
    """
    allowed()
    top, first, step = 2000, 1500, 20
    with server(Scenario(tcp_max_connections=4000), shm_megabytes=96) as running, peers() as held:
        others = stat(running.pid, "TCP.orphan")
        if others > top // 20:
            raise NotProven(f"{others} orphans of others are on this machine")
        refused = NetnsThread(running.standin.pid).do(partial(held.open, top + 500))
        assert not refused, refused
        nft(running.standin, *DROP)
        moved = Moved(running.pid)
        held.drop(first)
        with changed(ORPHANS, top, in_use=others):
            ceiling = predict(running.pid).ceiling("orphans")
            _, already = ceiling.inputs
            most = 0
            while held.held and not moved["TCPAbortOnMemory"]:
                held.drop(step)
                time.sleep(0.11)
                most = max(most, stat(running.pid, "TCP.orphan"))
        reset = moved.text("TCPAbortOnMemory", "OutRsts")
        assert moved["TCPAbortOnMemory"], f"never: {stat(running.pid, 'TCP.orphan')} orphans"
        nft(running.standin, "delete table ip t")  # or they would stay for minutes
        until(lambda: stat(running.pid, "TCP.orphan") <= others, 20.0)
    return Outcome(
        number(ceiling), most - already.value, "connections closed at once", f"{step} each 0.1 s, peers silent: until the first is reset",
        f"{first:,} orphans before; {reset}",
    )  # fmt: skip


def tcp_mem() -> Outcome:
    """One unread message in each connection of a server that reads nothing: pages until the kernel is under pressure."""
    allowed()
    count = 15_500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 500:
        raise NotProven(f"a process may have {hard} descriptors here; {count} connections are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        return _unread(count)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _unread(count: int) -> Outcome:
    with (
        server(Scenario(tcp_max_connections=18_000), shm_megabytes=400, log=True) as running,
        peers() as held,
    ):
        inside = NetnsThread(running.standin.pid)
        refused = inside.do(partial(held.open, count))
        assert not refused, refused
        until(
            lambda: stat(running.pid, "TCP.mem") < 500, 10.0
        )  # what was answered last may not be acknowledged yet
        others, moved = stat(running.pid, "TCP.mem"), Moved(running.pid)
        low, pressure, most = count // 2, count - 1000, 4 * count
        with changed(TCP_MEM, f"{low} {pressure} {most}", in_use=others, lowest=low):
            prediction = predict(running.pid, Target(active_share=1.0))
            ceiling, before = prediction.ceiling("tcp-mem"), stat(running.pid, "TCP.mem")
            with hanging((tcp_main(prediction), *workers(prediction))):
                sent = 0
                while sent < count and not moved["TCPMemoryPressures"]:
                    step = 500 if sent < pressure - 2000 else 100
                    for each in held.held[sent : sent + step]:
                        each.send(b"x" * 500)
                    sent += step
                    # until they are acknowledged the sender's end, which is here too, holds a page for each
                    acknowledged = before + sent + 60
                    until(partial(_below, running.pid, acknowledged), 0.2, every=0.005)
            pages = stat(running.pid, "TCP.mem")
        assert moved["TCPMemoryPressures"], f"never: {pages} pages after {sent} messages"
    return Outcome(
        number(ceiling) - count, sent, "connections with unread data, of idle ones",
        "500 bytes unread in each: when TCPMemoryPressures moves", f"{pages:,} pages in use, {others:,} before",
    )  # fmt: skip


def _below(pid: int, pages: int) -> bool:
    return stat(pid, "TCP.mem") < pages


ROWS = (
    Row("orphans", "tcp_max_orphans=2000, peers silent", "orphans", COUNTS, orphans, server=Server.STAND_IN, host_wide="tcp_max_orphans"),
    Row("tcp-mem", "tcp_mem, server reads nothing", "tcp-mem", MEMORY, tcp_mem, host_wide="tcp_mem"),
)  # fmt: skip
