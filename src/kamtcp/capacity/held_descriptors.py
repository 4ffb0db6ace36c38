"""Ceilings of file descriptors: per process, per machine, and the table Kamailio keeps of them."""

from __future__ import annotations

from kamtcp.capacity.ceiling import Ceiling, Effect, Kind, Spec
from kamtcp.capacity.situation import Situation, first_absent, unseen
from kamtcp.model.absent import Absent, Unlimited, Why
from kamtcp.model.origin import Figure, Origin

CAP_SYS_ADMIN = 21
#: how long a worker keeps a connection after its last data: TCP_CHILD_TIMEOUT 5 s, and the tick that notices
WORKER_HOLD_SECONDS = 6
#: descriptors of a worker that are no connections, where it is not seen with fewer: 9 to 12, and 8 cached for sending
WORKER_BASE = 20

TCP_MAIN = Spec(
    "tcp-main-descriptors", "descriptors of tcp main", Kind.HELD, Effect.STOPS, "connections",
    ("prlimit --nofile (now)", "systemd:LimitNOFILE", "kamailio:open_files_limit"), "descriptors of each Kamailio process",
    "Linux fs/file.c alloc_fd(); getrlimit(2) RLIMIT_NOFILE; Kamailio src/core/tcp_main.c handle_new_connect()",
)  # fmt: skip

TABLE = Spec(
    "descriptor-table", "descriptor table of tcp main", Kind.HELD, Effect.STOPS, "connections",
    ("kamailio:tcp_max_connections",), "descriptor table",
    "Kamailio src/core/io_wait.h io_watch_add(): the number indexes the table unchecked; src/core/pt.c get_max_open_fds()",
)  # fmt: skip

WORKERS = Spec(
    "worker-descriptors", "descriptors of the workers", Kind.INSTANT, Effect.STOPS, "connections active within 6 s",
    ("prlimit --nofile (now)", "systemd:LimitNOFILE", "kamailio:tcp_children"), "descriptors of each Kamailio process",
    "Kamailio src/core/tcp_read.c handle_io(): read_fd without an fd; TCP_CHILD_TIMEOUT",
)  # fmt: skip

NR_OPEN = Spec(
    "nr-open", "fs.nr_open, how far RLIMIT_NOFILE can be raised", Kind.HELD, Effect.STOPS, "connections",
    ("sysctl:fs.nr_open",), "fs.nr_open", "Linux kernel/sys.c do_prlimit(); man proc_sys_fs(5)",
)  # fmt: skip

FILE_MAX = Spec(
    "file-max", "fs.file-max, open files of the machine", Kind.HELD, Effect.STOPS, "connections",
    ("sysctl:fs.file-max",), "fs.file-max", "Linux fs/file_table.c alloc_empty_file(); man proc_sys_fs(5)",
)  # fmt: skip

EPOLL = Spec(
    "epoll-watches", "fs.epoll.max_user_watches", Kind.HELD, Effect.STOPS, "connections",
    ("sysctl:fs.epoll.max_user_watches",), "epoll watches", "Linux fs/eventpoll.c ep_insert(); man epoll(7)",
)  # fmt: skip


def tcp_main_descriptors(s: Situation) -> Ceiling:
    """Connections that fit under RLIMIT_NOFILE of tcp main: one descriptor each, for their whole life.

    The limit is that of the running process (/proc/PID/limits), never that of a shell or a unit file.
    """
    main = s.tcp_main
    if isinstance(main, Absent):
        return TCP_MAIN.unseen(main, goal=s.goal_held)
    if isinstance(main.nofile_soft, Unlimited):
        return TCP_MAIN.none(f"RLIMIT_NOFILE of {main.label} is unlimited", now=s.opened)
    if isinstance(main.nofile_soft, Absent):
        return TCP_MAIN.unseen(main.nofile_soft, goal=s.goal_held)
    raised = "" if s.number("open_files_limit") != main.nofile_soft else ", from open_files_limit"
    soft = Figure(
        main.nofile_soft, f"RLIMIT_NOFILE soft of {main.label}, tcp main{raised}", s.require().seen_as
    )
    other = _other_descriptors(s)
    if isinstance(other, Absent):
        return TCP_MAIN.unseen(other, goal=s.goal_held)
    return TCP_MAIN.met(
        int(soft.value - other.value), f"{soft.value:.0f} ({soft.what}) - {other.value:.0f} ({other.what})",
        (soft, other), now=s.opened, goal=s.goal_held,
        note="met: accept() fails with EMFILE in a tight loop that fills the log; no counter of Kamailio's tells",
    )  # fmt: skip


def _other_descriptors(s: Situation) -> Figure | Absent:
    """Descriptors of tcp main that are not connections: listeners, sockets to its children, logs.

    What its low descriptors lead to tells it even while connections come and go. All descriptors less the open
    connections tells it too, but the two are read at two moments; that is believed only where it says much
    more, as with descriptors inherited from whatever started Kamailio.
    """
    main = s.tcp_main
    if isinstance(main, Absent):
        return main
    low, opened = s.require().other_descriptors, s.opened
    if isinstance(main.descriptors, int) and isinstance(opened, int):
        difference = max(0, main.descriptors - opened)
        if isinstance(low, Absent) or difference > low + max(64, opened // 20):
            return Figure(difference, "other descriptors", Origin.READ)
    if isinstance(low, int):
        return Figure(low, "other descriptors", Origin.READ)
    if isinstance(main.descriptors, int) and main.descriptors < _usual_base(s):
        return Figure(main.descriptors, "descriptors open now, connections not told apart", Origin.READ)
    # P socketpairs, one more for each worker, listeners, log, epoll, pipes: reference set-up, P = 16: 30
    return Figure(_usual_base(s), "other descriptors, usual for this number of processes", Origin.REFERENCE)


def _usual_base(s: Situation) -> int:
    instance = s.require()
    listeners = 2 if isinstance(instance.listeners, Absent) else len(instance.listeners)
    return instance.process_count + len(s.workers) + listeners + 10


def descriptor_table(s: Situation) -> Ceiling:
    """The highest descriptor *number* tcp main's table has room for, less what isn't a connection.

    Numbers beyond it overwrite memory. They are handed out lowest first, so with no inherited
    descriptors this lies above tcp_max_connections.
    """
    main, limit = s.tcp_main, s.number("tcp_max_connections")
    other = _other_descriptors(s)
    if isinstance(main, Absent) or isinstance(limit, Absent) or isinstance(other, Absent):
        return TABLE.unseen(unseen(main, limit, other), goal=s.goal_held)
    hard = s.number("tcp_max_connections_hard")
    start = s.figure("tcp_max_connections" if isinstance(hard, Absent) else "tcp_max_connections_hard")
    top = Figure(start.value, "tcp_max_connections at start", start.origin)
    processes = s.require().process_count
    room = Figure(5 * processes, f"5 x {processes} processes", s.require().seen_as)
    figures = (top, room, other)
    if s.number("tcp_main_threads") == 1:
        threads = Figure(
            4 * processes,
            f"4 x {processes} sockets of tcp_main_threads=1, not in the estimate",
            Origin.REFERENCE,
        )
        return TABLE.met(
            int(top.value + room.value - other.value),
            f"{top.value:.0f} ({top.what}) + {room.value:.0f} ({room.what}) - {other.value:.0f} ({other.what},"
            f" {threads.what} among them)", (*figures, threads), now=s.opened, goal=s.goal_held,
        )  # fmt: skip
    return TABLE.met(
        int(top.value + room.value - other.value),
        f"{top.value:.0f} ({top.what}) + {room.value:.0f} ({room.what}) - {other.value:.0f} ({other.what})",
        figures, now=s.opened, goal=s.goal_held,
    )  # fmt: skip


def worker_descriptors(s: Situation) -> Ceiling:
    """Connections that may be active within six seconds: a worker holds a copy of each one's descriptor so long."""
    workers = s.workers
    if not workers:
        return WORKERS.unseen(Absent("tcp workers", Why.NOT_VISIBLE, "no process of this role could be told"))
    softs = [worker.nofile_soft for worker in workers]
    absent = first_absent(*softs)
    if absent is not None:
        return WORKERS.unseen(absent)
    finite = [soft for soft in softs if isinstance(soft, int)]
    if not finite:
        return WORKERS.none("RLIMIT_NOFILE of every worker is unlimited")
    low = Figure(min(finite), f"lowest RLIMIT_NOFILE soft of {len(workers)} workers", s.require().seen_as)
    base = _worker_base(s)
    goal = None if s.worst_second is None else round(s.worst_second * WORKER_HOLD_SECONDS)
    return WORKERS.met(
        int(len(workers) * (low.value - base.value)),
        f"{len(workers)} workers x ({low.value:.0f} ({low.what}) - {base.value:.0f} ({base.what}))",
        (low, base), now=_held_by_workers(s), goal=goal,
    )  # fmt: skip


def _worker_base(s: Situation) -> Figure:
    """What a worker has open besides connections: no more than the idlest one has now.

    Source: Kamailio src/core/tcp_read.c handle_io(), which drops a connection whose descriptor doesn't fit.
    """
    counts = [worker.descriptors for worker in s.workers if isinstance(worker.descriptors, int)]
    if counts and min(counts) < WORKER_BASE:
        return Figure(min(counts), "descriptors of the idlest worker now", s.require().seen_as)
    return Figure(WORKER_BASE, "descriptors of a worker that are not connections", Origin.REFERENCE)


def _held_by_workers(s: Situation) -> int | Absent:
    counts = [worker.descriptors for worker in s.workers]
    absent = first_absent(*counts)
    base = int(_worker_base(s).value)
    return (
        absent
        if absent is not None
        else sum(max(0, count - base) for count in counts if isinstance(count, int))
    )


def nr_open(s: Situation) -> Ceiling:
    """No RLIMIT_NOFILE can be set above fs.nr_open, so no process can hold more."""
    limit, other = s.sysctl("fs.nr_open"), _other_descriptors(s)
    if isinstance(limit, Absent):
        return NR_OPEN.unseen(limit, goal=s.goal_held)
    if isinstance(other, Absent):
        # whatever else is open, it is not half of a million
        return NR_OPEN.unseen(other, goal=s.goal_held, floor=limit // 2)
    figure = Figure(limit, "fs.nr_open", Origin.READ)
    return NR_OPEN.met(
        int(limit - other.value), f"{limit} ({figure.what}) - {other.value:.0f} ({other.what})",
        (figure, other), now=s.opened, goal=s.goal_held,
    )  # fmt: skip


def file_max(s: Situation) -> Ceiling:
    """One struct file for each connection, however many processes hold a descriptor of it."""
    machine = s.machine
    if isinstance(machine.files_max, Unlimited):
        return FILE_MAX.none("fs.file-max is unlimited")
    if isinstance(machine.files_max, Absent) or isinstance(machine.files_allocated, Absent):
        return FILE_MAX.unseen(unseen(machine.files_max, machine.files_allocated))
    opened = s.opened_figure() if s.instance else Figure(0, "open connections", Origin.READ)
    if s.instance and not isinstance(s.tcp_main, Absent):
        capabilities = s.tcp_main.capabilities
        if isinstance(capabilities, int) and capabilities >> CAP_SYS_ADMIN & 1:
            return FILE_MAX.none(f"{s.tcp_main.label} has CAP_SYS_ADMIN, which fs.file-max does not stop")
    top = Figure(machine.files_max, "fs.file-max", Origin.READ)
    used = Figure(machine.files_allocated, "files open on this machine", Origin.READ)
    return FILE_MAX.met(
        int(opened.value + top.value - used.value),
        f"{opened.value:.0f} ({opened.what}) + {top.value:.0f} ({top.what}) - {used.value:.0f} ({used.what})",
        (opened, top, used), now=s.opened if s.instance else 0, goal=s.goal_held,
    )  # fmt: skip


def epoll_watches(s: Situation) -> Ceiling:
    """One watch for each connection: tcp main gives its own up before it hands one to a worker. Counted per user.

    Source: Kamailio src/core/tcp_main.c handle_tcpconn_ev(), which calls io_watch_del() before send2child().
    """
    limit = s.sysctl("fs.epoll.max_user_watches")
    if isinstance(limit, Absent):
        return EPOLL.unseen(limit, goal=s.goal_held)
    figure = Figure(limit, "fs.epoll.max_user_watches", Origin.READ)
    own = Figure(
        _usual_base(s) if s.instance else 0,
        "watches of its own, usual for this number of processes",
        Origin.REFERENCE,
    )
    return EPOLL.met(
        int(limit - own.value), f"{limit} ({figure.what})" + (f" - {own.value:.0f} ({own.what})" if s.instance else ""),
        (figure, own) if s.instance else (figure,), now=s.opened if s.instance else 0, goal=s.goal_held,
        note="met: the connection is closed; watches of other processes of the same user are not seen and come off this",
    )  # fmt: skip
