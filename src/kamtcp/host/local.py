"""The two RPC transports of jsonrpcs that need something of ours to answer into: a socket name, a FIFO.

Datagram: an abstract name, chosen by the kernel, leaves nothing behind, but names of that kind are per network
namespace: a server in another one fails with ECONNREFUSED and only its log says so. Whether it is in ours is read
in /proc/thread-self/net/unix, which lists the sockets bound in the namespace of this thread. If it is not, a socket
file next to the server's own is made, and removed when the answer has come.

FIFO: a FIFO below the server's `fifo_reply_dir`, 0600 and given to the server's user, because the server opens it
by name and runs unprivileged. It is removed with the first byte of the answer: the server checks, after its open,
that the name still leads there.

Which user that is, the owner of the server's socket or FIFO need not tell: started as root with `-u kamailio`, it
makes both before it changes its user, and they stay root's (seen with 5.6.3).

Source: Kamailio src/modules/jsonrpcs/jsonrpcs_sock.c, jsonrpcs_fifo.c (jsonrpc_open_reply_fifo, jsonrpc_fifo_check);
man unix(7), fifo(7).
"""

from __future__ import annotations

import errno
import os
import stat
import time
from itertools import islice

from kamtcp.errors import RpcError
from kamtcp.host.awaited import MAX_REPLY, Deadline, connect_unix
from kamtcp.host.door import MIB, Endpoint
from kamtcp.host.framing import with_reply_name
from kamtcp.host.inroot import in_root

_CLOCK_STEP = 0.05  # seconds by which time stamps of files may lag behind the clock
_ATOMIC = 4096  # PIPE_BUF: longer writes may mix with those of other clients


def ask_datagram(address: str, request: bytes, deadline: Deadline, root: str) -> bytes:
    """One datagram there, one back. The socket is connected, so the kernel drops what anybody else sends to it."""
    import socket

    path, made = in_root(root, address), ""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            # Connected before it has a name: from then on the kernel lets nobody but the server send to it.
            connect_unix(sock, path, deadline)
            if root or _bound_here(address):
                sock.bind("")  # autobind
            else:
                name = f"{os.path.dirname(path)}/kamtcp_{os.urandom(8).hex()}"
                os.fchmod(sock.fileno(), 0o666)  # see above: a name is all that anybody gets
                before = os.umask(
                    0
                )  # bind(2) takes it off; a chmod afterwards could be led elsewhere by a link
                try:
                    sock.bind(name)  # OSError above 107 bytes: the server has to be able to say it, too
                finally:
                    os.umask(before)
                made = name
            sock.settimeout(deadline.left())
            sock.send(request)
            sock.settimeout(deadline.left())
            data, _, flags, _ = sock.recvmsg(MIB)
        finally:
            if made:
                os.unlink(made)
    if flags & socket.MSG_TRUNC:
        raise RpcError(f"{address}: a datagram of more than {MIB} bytes")
    return _json_object(address, data)


def _bound_here(address: str) -> bool:
    """Is a socket of that name bound in this thread's network namespace? (/proc/net would be the main thread's.)"""
    try:
        with open("/proc/thread-self/net/unix", "rb") as table:
            # The server's own spelling stands there, "//" included: "/var/run/kamailio//kamailio_ctl".
            wanted = os.fsencode(os.path.normpath(address))
            return any(
                os.path.normpath(line[start + 1 :].rstrip(b"\n")) == wanted
                for line in table
                if (start := line.find(b" /")) >= 0
            )
    except OSError:
        return (
            True  # no such file: nothing tells of a second namespace, and a file must not be made on a guess
        )


def ask_fifo(endpoint: Endpoint, request: bytes, deadline: Deadline, root: str) -> bytes:
    """Write the request into the server's FIFO, read the answer from one of ours until the server closes it."""
    name = f"kamtcp_{os.urandom(8).hex()}"  # the server refuses names with . / \\
    request = with_reply_name(request, name)
    if len(request) > _ATOMIC:
        raise RpcError(f"request of {len(request)} bytes, a FIFO takes {_ATOMIC} in one piece")
    theirs, owner = _open_fifo(in_root(root, endpoint.address), os.O_WRONLY)
    folder = reply = -1
    try:
        # By descriptor: the directory may be another user's, who could put something else in its place.
        folder = os.open(in_root(root, endpoint.reply_dir), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        since = time.time() - _CLOCK_STEP
        os.mkfifo(name, 0o600, dir_fd=folder)
        try:
            reply, made = _open_fifo(name, os.O_RDONLY, folder)
            _must_be_new(made, since, f"{endpoint.reply_dir}/{name}")
            _give(reply, owner, os.path.basename(endpoint.address))
            _write(theirs, request, deadline)
            _readable(reply, deadline)
        except BaseException:
            if reply >= 0:
                os.close(reply)
            raise
        finally:
            os.unlink(name, dir_fd=folder)
    finally:
        os.close(theirs)
        if folder >= 0:
            os.close(folder)
    try:
        return _json_object(endpoint.address, _read_to_end(reply, deadline))
    finally:
        os.close(reply)


def _open_fifo(path: str, way: int, folder: int | None = None) -> tuple[int, os.stat_result]:
    """Open what is a FIFO and nothing else: to open a device would already do something to it.

    Raises:
        RpcError: it is none. OSError: it can't be opened.
    """
    held = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        found = os.fstat(held)
        if stat.S_ISLNK(found.st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if not stat.S_ISFIFO(found.st_mode):
            raise RpcError(f"{path} is no FIFO")
        return os.open(f"/proc/self/fd/{held}", way | os.O_NONBLOCK | os.O_CLOEXEC), found
    finally:
        os.close(held)


def _must_be_new(made: os.stat_result, since: float, path: str) -> None:
    """What is given to the server's user must be what was made here, and no other FIFO put or mounted in its place."""
    if made.st_uid != os.geteuid() or made.st_nlink != 1 or made.st_ctime < since:
        raise RpcError(f"{path}: replaced by somebody")


def _give(reply: int, owner: os.stat_result, name: str) -> None:
    """Let the server write into our FIFO; nobody else, if we may say so. `owner` and `name` are its own FIFO's."""
    ours = os.geteuid()
    user = owner.st_uid if owner.st_uid != ours else _user_of_holder(owner, name)
    if user in (None, ours):
        return
    try:
        os.fchown(reply, user, -1)
    except PermissionError:  # we are not root: the group through which we got here serves the server as well
        os.fchown(reply, -1, owner.st_gid)
        os.fchmod(reply, 0o620)


def _user_of_holder(fifo: os.stat_result, name: str) -> int | None:
    """Effective user of a process other than ours that has this FIFO open; None if none is seen.

    Kamailio opens it at start, so that it is among the first descriptors of each of its processes; the many that
    tcp main has are not looked at. A name that fits is asked for first: stat() of anything else that a process has
    open, on a dead NFS server for one, might never return.
    """
    for process in os.listdir("/proc"):
        if not process.isdigit() or int(process) == os.getpid():
            continue
        try:
            with os.scandir(f"/proc/{process}/fd") as held:
                for entry in islice(held, 64):
                    if os.path.basename(os.readlink(entry.path)) == name and _same(os.stat(entry.path), fifo):
                        return _effective_user(process)
        except OSError:
            continue  # not ours to look at, or gone
    return None


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def _effective_user(process: str) -> int | None:
    """From status, and not the owner of /proc/PID: that is root's for a process that has changed its user."""
    with open(f"/proc/{process}/status", "rb") as status:
        fields = next((line.split() for line in status if line.startswith(b"Uid:")), [])
    return int(fields[2]) if len(fields) > 2 else None


def _write(fifo: int, request: bytes, deadline: Deadline) -> None:
    """All of it or nothing, which PIPE_BUF grants; wait while the pipe is full of other clients' requests."""
    import select

    poll = select.poll()
    poll.register(fifo, select.POLLOUT)
    while True:
        try:
            os.write(fifo, request)
        except BlockingIOError:
            poll.poll(deadline.left() * 1000)
        else:
            return


def _readable(fifo: int, deadline: Deadline) -> None:
    """Wait until the server has written, or has opened and closed, our FIFO."""
    import select

    poll = select.poll()
    poll.register(fifo, select.POLLIN)
    while not poll.poll(deadline.left() * 1000):
        pass  # left() raises when the time is up


def _read_to_end(fifo: int, deadline: Deadline) -> bytes:
    got = bytearray()
    while True:
        _readable(fifo, deadline)
        try:
            piece = os.read(fifo, 64 * 1024)
        except BlockingIOError:
            continue
        if not piece:
            return bytes(got)
        got += piece
        if len(got) > MAX_REPLY:
            raise RpcError(f"reply of more than {MAX_REPLY} bytes")


def _json_object(address: str, data: bytes) -> bytes:
    """Neither a datagram nor a FIFO states its length: an object that does not end was cut."""
    text = data.strip()
    if text[:1] != b"{":
        raise RpcError(f"{address}: answered without a JSON object: {data[:60]!r}")
    if text[-1:] != b"}":
        raise RpcError(f"{address}: reply cut after {len(data)} bytes")
    return data
