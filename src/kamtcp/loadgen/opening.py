"""Opens connections: socket, source, connect, and what comes before SIP may be sent.

Source  connect(2) (non-blocking), ip(7); Linux net/ipv4/af_inet.c, __inet_stream_connect()
Cost    on loopback the handshake is over when connect(2) has returned EINPROGRESS (the SYN-ACK waits for the socket's
        lock), so the request is tried at once and epoll is first asked for the answer
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from _socket import socket as RawSocket  # noqa: N812  (the C type: half the cost of its Python subclass to make)

from kamtcp.loadgen.kinds import Kind
from kamtcp.loadgen.part import count, fail
from kamtcp.loadgen.peers import CONNECTING, SHAKING, Peers
from kamtcp.loadgen.sockets import error_of, retransmissions
from kamtcp.loadgen.talking import Talking
from kamtcp.loadgen.wire import WireError

_PORT_TRIES = 4  # planned ports that may be taken by others, before the kernel is asked for a free one
_SLOW = 0.5  # seconds of a connect that had to try again; the first retry comes after 1 s
_LOCAL_PORTS = (errno.EADDRINUSE, errno.EADDRNOTAVAIL)
_LOCAL_FDS = (errno.EMFILE, errno.ENFILE)
_IP_BIND_ADDRESS_NO_PORT, _IP_LOCAL_PORT_RANGE = 24, 51
_SMALL = 4096  # bytes of a slow reader's receive buffer


class Opening:
    """Opens what is due. Later stages go to `talking`."""

    def __init__(self, kinds: list[Kind], peers: Peers, talking: Talking, worker: int, workers: int) -> None:
        self.kinds, self.peers, self.talking = kinds, peers, talking
        self.ports = _ports_of(worker, workers)  # None also once the kernel has refused it (before Linux 6.3)

    def open(self, place: int, client: int, part_place: int, due: float) -> None:
        """Start one connection. What fails at once is counted.

        Args:
            place: of its kind.
            client: its number.
            part_place: where it is counted.
            due: CLOCK_MONOTONIC of the scheduled moment.
        """
        peers, kind = self.peers, self.kinds[place]
        part = peers.parts[part_place]
        part.tally.offered += 1
        now = time.monotonic()
        part.lateness.fresh.append(now - due)
        try:
            sock = RawSocket(kind.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                self._bind(sock, kind)
                code = sock.connect_ex(kind.target)
            except BaseException:
                sock.close()
                raise
        except OSError as error:
            self._local(place, client, part_place, error.errno or 0)
            return
        if code and code != errno.EINPROGRESS:
            sock.close()
            self._local(place, client, part_place, code)
            return
        fd = sock.detach()
        if fd >= peers.room:
            peers.grow(fd)
        peers.state[fd], peers.kind[fd], peers.part[fd], peers.client[fd] = (
            CONNECTING,
            place,
            part_place,
            client,
        )
        peers.due[fd], peers.since[fd] = due, now
        peers.pending[fd] = None
        if code and kind.plain and self.talking.asking and self.talking.ask_at_once(fd, kind):
            return
        peers.epoll.register(fd, select.EPOLLIN if code == 0 else select.EPOLLIN | select.EPOLLOUT)
        if code == 0:
            self.connected(fd)

    def _bind(self, sock: RawSocket, kind: Kind) -> None:
        if kind.slow:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        for attempt in range(_PORT_TRIES):
            source = next(kind.sources, None)
            if source is None or source[1] == 0:
                self._let_choose(sock, kind)
            if source is None:
                return  # nothing was planned: the kernel chooses all
            try:
                sock.bind(source)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                if attempt == _PORT_TRIES - 1:
                    # in use by another load, or still in TIME-WAIT: a connection needs some port, not a planned one
                    self._let_choose(sock, kind)
                    sock.bind((source[0], 0))
            else:
                return

    def _let_choose(self, sock: RawSocket, kind: Kind) -> None:
        """The kernel chooses the port at connect, when it knows both ends; workers don't search in each other's way."""
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        if kind.what.shares_ports and self.ports is not None:
            low, high = self.ports
            try:
                sock.setsockopt(socket.IPPROTO_IP, _IP_LOCAL_PORT_RANGE, struct.pack("I", high << 16 | low))
            except OSError:
                self.ports = None

    def _local(self, place: int, client: int, part_place: int, code: int) -> None:
        """A connection that failed in socket(2), bind(2) or at once in connect(2)."""
        part = self.peers.parts[part_place]
        if code in _LOCAL_PORTS:
            fail(part, "local_ports")
        elif code in _LOCAL_FDS:
            fail(part, "local_descriptors")
        elif code == errno.ECONNREFUSED:
            fail(part, "refused")
        else:
            fail(part, "other", errno.errorcode.get(code, str(code)))
        if self.peers.on_gone is not None:
            self.peers.on_gone(client, place, part, False)

    def connected(self, fd: int) -> None:
        """TCP is up: begin with TLS or the WebSocket, or go on to SIP."""
        peers = self.peers
        now = time.monotonic()
        part = peers.parts[peers.part[fd]]
        peers.opened[fd] = now
        part.connect.fresh.append(now - peers.due[fd])
        if now - peers.since[fd] >= _SLOW and (again := retransmissions(fd)):
            count(part.tally.syn_retried, again)
        kind = self.kinds[peers.kind[fd]]
        if kind.plain:
            self.talking.up(fd)
            return
        peers.state[fd] = SHAKING
        try:
            wire = peers.wires[fd] = kind.wire()
            self.talking.send(fd, wire.begin())
        except WireError as error:
            peers.fail(fd, error.cause, error.which)

    def writable(self, fd: int, events: int) -> bool:
        """An event that isn't just data. Returns whether there may be data to read too."""
        peers = self.peers
        if peers.state[fd] == CONNECTING:
            if code := error_of(fd):
                peers.broken(fd, code)
                return False
            if not events & select.EPOLLOUT:
                return False
            peers.epoll.modify(fd, select.EPOLLIN)
            self.connected(fd)
            return False  # if there is data as well, epoll says so again
        if events & select.EPOLLOUT and fd in peers.unsent:
            peers.epoll.modify(fd, self.talking.interest(fd))
            self.talking.send(fd, peers.unsent.pop(fd))
            if not peers.state[fd]:
                return False
        return bool(events & ~select.EPOLLOUT)


def _ports_of(worker: int, workers: int) -> tuple[int, int] | None:
    """A worker's part of the namespace's net.ipv4.ip_local_port_range; None if that can't be read."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", "rb") as file:
            low, high = map(int, file.read().split())
    except (OSError, ValueError):
        return None
    size = high - low + 1
    return low + size * worker // workers, low + size * (worker + 1) // workers - 1
