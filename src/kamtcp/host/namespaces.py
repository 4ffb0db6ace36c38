"""Entering another process's network namespace, one thread at a time.

/proc/sys/net and netlink speak of the namespace of the *task* that opens them, and there is no path
that reads another namespace's sysctls from outside. So a thread enters it and does the opening there;
the rest of the process stays where it was.

Source  setns(2), network_namespaces(7); fs/proc/proc_sysctl.c (net_ctl_root lookup by current->nsproxy)
Needs   CAP_SYS_ADMIN in the user namespace that owns the target, and /proc/PID/ns/net readable (ptrace access)
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
CLONE_NEWNET = 0x40000000


def setns(descriptor: int, kind: int) -> None:
    """setns(2); Python has it from 3.12 on only.

    Raises:
        OSError: errno of the call.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, kind) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class NetnsThread:
    """Two daemon threads that live in the network namespace of `pid` and run what they are handed.

    Two, so that two dumps of a census run at once. The namespace is pinned by the threads themselves, so it
    stays readable after `pid` has gone.

    Raises:
        OSError: the namespace can't be opened (ENOENT, EACCES) or entered (EPERM).
    """

    def __init__(self, pid: int) -> None:
        self._work: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]]] = queue.SimpleQueue()
        descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        entered: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(
            target=self._run, args=(descriptor, entered), daemon=True, name=f"netns-{pid}"
        ).start()
        failure = entered.get()
        if failure is not None:
            raise failure

    def _run(self, descriptor: int, entered: queue.SimpleQueue[Any]) -> None:
        try:
            setns(descriptor, CLONE_NEWNET)
        except OSError as error:
            entered.put(error)
            return
        finally:
            os.close(descriptor)
        second = threading.Thread(target=self._serve, daemon=True, name=threading.current_thread().name)
        with contextlib.suppress(RuntimeError):  # no thread to be had: then jobs wait for each other
            second.start()  # in the namespace of the thread that starts it: clone(2) without CLONE_NEWNET
        entered.put(None)
        self._serve()

    def _serve(self) -> None:
        while True:
            job, done = self._work.get()
            try:
                done.put((job(), None))
            except BaseException as error:  # noqa: BLE001  (handed to the caller, who raises it)
                done.put((None, error))

    def do(self, job: Callable[[], T]) -> T:
        """Run `job` inside the namespace and wait for it; its exception is raised here. Two may run at once."""
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._work.put((job, done))
        value, error = done.get()
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]


def in_new_netns(job: Callable[[], T]) -> T:
    """Run `job` in a thread of its own, in a network namespace made for it, with lo up; it goes with the thread.

    Raises:
        OSError: EPERM without CAP_SYS_ADMIN, and whatever `job` raises.
    """
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run() -> None:
        try:
            _unshare_net()
            done.put((job(), None))
        except BaseException as error:  # noqa: BLE001  (handed to the caller, who raises it)
            done.put((None, error))

    threading.Thread(target=run, daemon=True, name="new-netns").start()
    value, error = done.get()
    if error is not None:
        raise error
    return value  # type: ignore[no-any-return]


def _unshare_net() -> None:
    """unshare(2) of the network namespace, and lo up (SIOCSIFFLAGS, netdevice(7))."""
    import ctypes
    import fcntl
    import socket
    import struct

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        up = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(control, 0x8914, up)
