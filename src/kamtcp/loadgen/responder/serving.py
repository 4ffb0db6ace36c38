"""A responder's processes: one that keeps the others, and one event loop in each of those.

All are forks of the first, so they share the TLS context, and a session that one of them issued another resumes.

Source  fork(2), socket(7) (SO_REUSEPORT), sigwaitinfo(2), memfd_create(2), getrlimit(2)
"""

from __future__ import annotations

import gc
import mmap
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from typing import NoReturn

from kamtcp.errors import KamtcpError, UsageError
from kamtcp.loadgen.responder.answers import Answers
from kamtcp.loadgen.responder.faults import Fault
from kamtcp.loadgen.responder.loop import Loop
from kamtcp.loadgen.responder.registrar import Door
from kamtcp.loadgen.responder.server_tls import server_context
from kamtcp.loadgen.responder.settings import Listener, Ready, Settings, Totals
from kamtcp.loadgen.target import Aim

_ROW = 8  # words of 8 bytes
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
_PARENT = 0.25  # seconds between looks whether the parent still lives
Bound = list[tuple[Aim, socket.socket]]


def serve(
    settings: Settings,
    *,
    on_ready: Callable[[Ready], None],
    on_tick: Callable[[Totals], None] | None = None,
    end_with_parent: bool = False,
) -> Totals:
    """Listen and answer until SIGINT or SIGTERM comes. To be called by the only thread of a process.

    Both signals are blocked meanwhile. A caller that has more to do afterwards blocks them itself beforehand: one that
    comes twice would end it there.

    Args:
        settings: what to do.
        on_ready: called once, when all sockets listen and all processes run.
        on_tick: called four times a second with what was done so far.
        end_with_parent: also end when this process's parent dies.

    Returns:
        What was done.

    Raises:
        UsageError: an address or port can't be listened on.
        KamtcpError: the certificate can't be used, or a process ended by itself.
    """
    parent = os.getppid()
    context = server_context(settings)
    shared = mmap.mmap(-1, max(settings.processes, 1) * _ROW * 8)
    rows = memoryview(shared).cast("q")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    leash, held = os.pipe()
    pids: list[int] = []
    bound: list[Bound] = []
    try:
        bound = _bind(settings)
        refuse = 503 if settings.fault is Fault.SIP_503 else None
        token = os.urandom(16)
        door = None if settings.guard is None else Door(settings.guard, token)
        answers = Answers(token, door, expires=settings.expires, refuse=refuse)
        for number, mine in enumerate(bound):
            pid = os.fork()
            if pid == 0:
                os.close(held)
                _close([each for each in bound if each is not mine])
                row = rows[number * _ROW : number * _ROW + 6]
                loop = Loop(settings, mine, answers, context, row=row)
                _child(lambda: loop.run(leash))  # noqa: B023  (called at once)
            pids.append(pid)
        on_ready(Ready(os.getpid(), tuple(_listeners(pids, bound))))
        _close(bound)
        while True:
            wait = _PARENT if end_with_parent or on_tick is not None else 3600.0
            got = signal.sigtimedwait(_SIGNALS, wait)
            if got is not None and got.si_signo != signal.SIGCHLD:
                break
            if got is not None:
                _reap(pids)
            if end_with_parent and os.getppid() != parent:
                break
            if on_tick is not None:
                on_tick(_totals(rows, settings.processes))
    finally:
        _close(bound)
        os.close(held)
        os.close(leash)
        for pid in pids:
            os.waitpid(pid, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        totals = _totals(rows, settings.processes)
        rows.release()
        shared.close()
    return totals


def _child(run: Callable[[], None]) -> NoReturn:
    """What the parent would still do isn't the child's, whatever happens."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # from the terminal: the parent ends it
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        gc.freeze()
        gc.disable()  # nothing here makes cycles, and a collection walks every session
        run()
        code = 0
    except BaseException as error:  # noqa: BLE001  (nothing may leave a fork)
        print(
            f"responder process {os.getpid()}: {type(error).__name__}: {error}", file=sys.stderr, flush=True
        )
    finally:
        os._exit(code)


def _bind(settings: Settings) -> list[Bound]:
    """Listening sockets: for each process one of each target."""
    bound: list[Bound] = [[] for _ in range(max(1, settings.processes))]
    try:
        for aim in settings.aims:
            port = aim.port
            for mine in bound:
                made = socket.socket(
                    socket.AF_INET6 if ":" in aim.address else socket.AF_INET, socket.SOCK_STREAM
                )
                mine.append((aim, made))
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if len(bound) > 1:
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if settings.fault is Fault.RESET:
                    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                made.setblocking(False)
                made.bind((aim.address, port))
                port = made.getsockname()[1]
        for mine in bound:
            for _, made in mine:
                made.listen(settings.backlog)
    except OSError as error:
        _close(bound)
        raise UsageError(f"{aim} can't be listened on: {error.strerror}") from error
    return bound


def _close(bound: list[Bound]) -> None:
    for mine in bound:
        for _, made in mine:
            made.close()


def _listeners(pids: list[int], bound: list[Bound]) -> list[Listener]:
    found = []
    for pid, mine in zip(pids, bound, strict=True):
        for aim, made in mine:
            there = Aim(aim.carrier, aim.address, made.getsockname()[1], aim.path)
            found.append(Listener(str(there), pid, os.fstat(made.fileno()).st_ino))
    return found


def _reap(pids: list[int]) -> None:
    for pid in list(pids):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            pids.remove(pid)
            code = os.waitstatus_to_exitcode(status)
            how = f"ended with {code}" if code >= 0 else f"was ended by signal {-code}"
            raise KamtcpError(f"responder process {pid} {how}")


def _totals(rows: memoryview, processes: int) -> Totals:
    each = [rows[number * _ROW : number * _ROW + 6].tolist() for number in range(max(1, processes))]
    return Totals(*map(sum, zip(*each, strict=True)))
