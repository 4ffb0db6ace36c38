"""Values of the whole machine: files, epoll watches, conntrack, socket buffers of the hand-off.

Each row opens most connections first, changes the value for as short as can be (truth_host), and opens the rest.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

from rows_kamailio import hand_off_of
from truth_host import changed, permitted
from truth_measure import nft, number, one_load
from truth_peers import peers
from truth_row import COUNTS, NotProven, Outcome, Row

from kamtcp.host.live import Live
from kamtcp.host.namespaces import NetnsThread
from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import Steady
from kamtcp.loadgen.sources import plan_sources
from kamtcp.observe import conntrack
from kamtcp.rehearse.scenario import Scenario
from stop_rig import SECOND_BASE, causes, order, predict, server, settle

FILES = "/proc/sys/fs/file-max"
WATCHES = "/proc/sys/fs/epoll/max_user_watches"
TRACKED = "/proc/sys/net/netfilter/nf_conntrack_max"
SEND_BUFFER = "/proc/sys/net/core/wmem_default"
NOBODY_ELSE = 991  # a user of whom nothing else runs: the kernel counts watches by user
#: rules that make conntrack work in a namespace
TRACK = (
    "add table ip t", "add chain ip t c { type filter hook input priority 0; }", "add rule ip t c ct state new counter",
)  # fmt: skip
LARGE = Scenario(tcp_max_connections=18_000)


def allowed() -> None:
    """Before anything is started."""
    if not permitted():
        raise NotProven("needs --disposable-host")


def files_open() -> int:
    return int(Path("/proc/sys/fs/file-nr").read_text().split()[0])


def file_max() -> Outcome:
    """Every open file of the machine; the server is not root. Both ends of a connection are on this machine."""
    allowed()
    others = files_open()
    top = max(6 * others, 12_000)
    if top > 36_000:
        raise NotProven(
            f"{others} files are open here: more connections than one server may hold would be needed"
        )
    with server(LARGE, shm_megabytes=400) as running:
        first = (top - files_open()) // 2 - 500
        with Load(order(running.standin, Steady(first, 3000.0))) as load:
            settle(load, running)
            assert load.progress().held == first, load.progress()
            others = files_open() - 2 * first  # now, not then
            with changed(FILES, top, in_use=others):
                ceiling = predict(running.pid).ceiling("file-max")
                assert isinstance(ceiling.at, int)
                at = first + (ceiling.at - first) // 2
                result = one_load(
                    running, Steady(1000, 3000.0), sources=plan_sources(1000, base=SECOND_BASE, avoid=(5060,)),
                    answer_timeout=1.0, connect_timeout=1.0,
                )  # fmt: skip
            held = load.progress().held
            foreign = files_open() - 2 * held - others
    if abs(foreign) > top // 100:
        raise NotProven(f"{abs(foreign)} files of others came or went on this machine meanwhile")
    return Outcome(
        at, held + result.load.answered, "connections held", "server not root; the load's own sockets are files here too",
        f"the others: {causes(result)}",
    )  # fmt: skip


def watches_by_user() -> Counter[int]:
    """Epoll watches of each user now, from /proc/PID/fdinfo."""
    found: Counter[int] = Counter()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            owner = os.stat(f"/proc/{pid}").st_uid
            for fd in os.listdir(f"/proc/{pid}/fd"):
                if os.readlink(f"/proc/{pid}/fd/{fd}") == "anon_inode:[eventpoll]":
                    found[owner] += Path(f"/proc/{pid}/fdinfo/{fd}").read_text().count("tfd:")
    return found


def epoll_watches() -> Outcome:
    """Watches of the server's own user; the clients use no epoll, for theirs would count against root."""
    allowed()
    others = max(watches_by_user().values(), default=0)
    top = max(4 * others, 5000)
    if top > 17_000:
        raise NotProven(
            f"a user of this machine has {others} epoll watches: more than a server here can be brought to"
        )
    with server(LARGE, shm_megabytes=400, user=NOBODY_ELSE) as running, peers() as held:
        inside = NetnsThread(running.standin.pid)
        refused = inside.do(partial(held.open, top - 600))
        assert not refused, refused
        with changed(WATCHES, top, in_use=others):
            ceiling = predict(running.pid).ceiling("epoll-watches")
            refused = inside.do(partial(held.open, 1000))
            count = len(held.held)
    assert refused, "it never stopped"
    return Outcome(
        number(ceiling),
        count,
        "connections held",
        "clients without epoll, one after another",
        f"the next one: {refused}",
    )


def tracked_anywhere() -> int:
    """Most conntrack entries of any namespace that a process lives in."""
    places: dict[str, int] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            places.setdefault(os.readlink(f"/proc/{pid}/ns/net"), int(pid))
    most = 0
    for pid in places.values():
        with suppress(OSError):  # a process that ended, a namespace without the table
            most = max(most, conntrack.collect(Live(), pid).entries)
    return most


def conntrack_table() -> Outcome:
    """A rule that looks at the state of connections, and a table that holds few of them."""
    allowed()
    others = tracked_anywhere()
    top = max(4 * others, 4000)
    if top > 15_000:
        raise NotProven(f"a namespace of this machine has {others} conntrack entries")

    first = top - 500
    with (
        server(LARGE, shm_megabytes=400, prepare=lambda host: nft(host, *TRACK)) as running,
        Load(order(running.standin, Steady(first, 3000.0))) as load,
    ):
        settle(load, running)
        assert load.progress().held == first, load.progress()
        with changed(TRACKED, top, in_use=others):
            ceiling = predict(running.pid).ceiling("conntrack-table")
            result = one_load(
                running, Steady(1000, 3000.0), sources=plan_sources(1000, base=SECOND_BASE, avoid=(5060,)),
                answer_timeout=1.5, connect_timeout=1.5,
            )  # fmt: skip
        held = load.progress().held
    return Outcome(
        number(ceiling), held + result.load.answered, "connections held",
        "an nftables rule with `ct state`; both ends in one namespace", f"the others: {causes(result)}",
    )  # fmt: skip


def hand_off_buffer(size: int) -> Outcome:
    """wmem_default at the start of Kamailio is what its sockets keep; it is back before anything is measured."""
    allowed()
    return hand_off_of(2, starting=partial(changed, SEND_BUFFER, size, in_use=0))


ROWS = (
    Row("file-max", "fs.file-max, server not root", "file-max", COUNTS, file_max, host_wide="fs.file-max"),
    Row("epoll-watches", "fs.epoll.max_user_watches", "epoll-watches", COUNTS, epoll_watches, host_wide="fs.epoll.max_user_watches"),
    Row("conntrack-table", "nf_conntrack_max", "conntrack-table", COUNTS, conntrack_table, host_wide="nf_conntrack_max"),
    Row("hand-off-wmem-half", "wmem_default=106496 at start, 2 workers", "hand-off", COUNTS, partial(hand_off_buffer, 106_496), host_wide="wmem_default"),
    Row("hand-off-wmem-double", "wmem_default=425984 at start, 2 workers", "hand-off", COUNTS, partial(hand_off_buffer, 425_984), host_wide="wmem_default"),
)  # fmt: skip
