"""Harmless experiments that ask the kernel what no file says.

Each probe touches only descriptors of its own, for well under a millisecond, and answers in text
that is recorded like any file.
"""

from __future__ import annotations

from collections.abc import Callable


def run(name: str) -> bytes:
    """The answer of one probe: a name, and numbers where the probe takes some ("listener-options PID FD").

    Raises:
        OSError: the experiment could not be made (errno as the kernel gave it).
        KeyError: no such probe; a bug of the caller.
    """
    first, *numbers = name.split()
    if numbers:
        return _ABOUT[first](*map(int, numbers))
    return _PROBES[first]()


def _listener_options(pid: int, number: int) -> bytes:
    """Options of a listening socket of another process, which every connection accepted from it starts with.

    The descriptor is duplicated for a moment (pidfd_getfd(2), Linux 5.6; needs ptrace access); nothing is set.

    Answer: "SO_KEEPALIVE TCP_KEEPIDLE TCP_KEEPINTVL TCP_KEEPCNT TCP_USER_TIMEOUT TCP_LINGER2".
    Source: man tcp(7); Linux net/ipv4/tcp.c do_tcp_getsockopt().
    """
    import ctypes
    import os
    import socket

    process = os.pidfd_open(pid)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        copy = libc.syscall(_PIDFD_GETFD, process, number, 0)
        if copy < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), f"/proc/{pid}/fd/{number}")
    finally:
        os.close(process)
    try:
        held = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    with held:
        tcp = (
            socket.TCP_KEEPIDLE,
            socket.TCP_KEEPINTVL,
            socket.TCP_KEEPCNT,
            socket.TCP_USER_TIMEOUT,
            socket.TCP_LINGER2,
        )
        values = [held.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)]
        values += [held.getsockopt(socket.IPPROTO_TCP, option) for option in tcp]
    return " ".join(map(str, values)).encode()


def _handoff_messages() -> bytes:
    """How many connections Kamailio's tcp main can hand to one worker before the socket is full.

    Kamailio passes each connection over a UNIX stream socketpair as one small message with a descriptor
    (SCM_RIGHTS), non-blocking. The kernel charges the whole skb to the sender's buffer, so the number
    that fits depends on the kernel's skb size, not on the few bytes sent.

    Answer: "MESSAGES SNDBUF": messages that fitted, and SO_SNDBUF of the pair in bytes.
    Source: Kamailio src/core/pass_fd.c send_fd(); Linux net/unix/af_unix.c unix_stream_sendmsg(), sock_alloc_send_pskb().
    """
    import os
    import struct
    from _socket import AF_UNIX, SCM_RIGHTS, SO_SNDBUF, SOCK_STREAM, SOL_SOCKET, socketpair

    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    left, right = socketpair(AF_UNIX, SOCK_STREAM)
    rights = [(SOL_SOCKET, SCM_RIGHTS, struct.pack("i", null))]
    try:
        left.setblocking(False)
        sndbuf = left.getsockopt(SOL_SOCKET, SO_SNDBUF)
        fitted = 0
        while fitted < 1_000_000:
            try:
                # 8 bytes: a pointer, which is what send2child() passes
                left.sendmsg([b"\0" * 8], rights)
            except BlockingIOError:
                break
            fitted += 1
    finally:
        left.close()
        right.close()
        os.close(null)
    return f"{fitted} {sndbuf}".encode()


def _close_wait_counted() -> bytes:
    """Whether Tcp.CurrEstab counts sockets in CLOSE-WAIT: "1" or "0". Newer kernels do.

    One loopback connection in a network namespace made for it, whose client closes: the server's end is then
    the only socket that could be counted. Needs CAP_SYS_ADMIN; takes a few milliseconds.

    Source: Linux net/ipv4/tcp.c tcp_set_state(), TCP_MIB_CURRESTAB.
    """
    from kamtcp.host.namespaces import in_new_netns

    return in_new_netns(_half_closed)


def _half_closed() -> bytes:
    import socket
    import time

    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname(), timeout=1)
        accepted, _ = server.accept()
        with accepted:
            client.close()
            accepted.settimeout(1)
            accepted.recv(1)  # returns empty once the FIN is there: now it is in CLOSE-WAIT
            time.sleep(0.001)
            with open("/proc/thread-self/net/snmp", encoding="ascii") as file:
                names, values = (line.split() for line in file if line.startswith("Tcp:"))
    return values[names.index("CurrEstab")].encode()


#: one number on all architectures: Linux include/uapi/asm-generic/unistd.h
_PIDFD_GETFD = 438
_ABOUT: dict[str, Callable[[int, int], bytes]] = {"listener-options": _listener_options}
_PROBES: dict[str, Callable[[], bytes]] = {
    "handoff-messages": _handoff_messages,
    "close-wait-counted": _close_wait_counted,
}
