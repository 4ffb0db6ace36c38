"""What Kamailio writes to its log when a limit is met, and how often a piece of log says so.

Most of these events have no counter: the log is the only place where they show. Matching is on the message, never
on a line number of Kamailio's source; function names are kept to help people search.

Reads   the tail of a log: syslog files, `journalctl -o short`, or what went to stderr
Source  Kamailio 5.6.3 and 6.1.4: src/core/tcp_main.c, tcp_read.c, io_wait.h, daemonize.c, mem/*.c, msg_translator.c,
        src/modules/tls, src/modules/websocket, src/modules/jsonrpcs
Cost    256 KiB of log take about 2 ms when nothing matches, 4 ms when it is a flood of one message
"""

from __future__ import annotations

import re
from functools import cache

from msgspec import Struct

_LONGEST = 1000  # bytes of a line that are kept


class LogLine(Struct, frozen=True):
    """A message worth counting.

    Args:
        key: short name, for findings and metrics.
        level: Kamailio's level; several where versions differ.
        function: that writes it, in Kamailio's source.
        text: a part of the message that never changes and that nothing else prints.
        meaning: one clause for people.
        statistic: the counter that counts it too ("tcp:local_reject"); "" where nothing does.
        pattern: regular expression where `text` alone isn't enough; "" otherwise.
    """

    key: str
    level: str
    function: str
    text: str
    meaning: str
    statistic: str = ""
    pattern: str = ""


class Count(Struct, frozen=True):
    """How often a message was seen, and its last line as it stands in the log (shortened to 1,000 bytes)."""

    times: int
    last: str


LINES: tuple[LogLine, ...] = (
    LogLine(
        "tcp-max-connections", "ERROR", "handle_new_connect", "maximum number of connections exceeded: ",
        "an inbound connection was refused: tcp_max_connections is reached", "tcp:local_reject",
    ),
    LogLine(
        "tcp-max-connections-out", "ERROR", "tcp_send", "maximum number of connections exceeded (",
        "an outbound connection was not made: tcp_max_connections is reached",
    ),
    LogLine(
        "tls-max-connections", "ERROR", "handle_new_connect", "maximum number of tls connections exceeded: ",
        "an inbound TLS connection was refused: tls_max_connections is reached", "tcp:local_reject",
    ),
    LogLine(
        "tls-max-connections-out", "ERROR", "tcp_send", "maximum number of tls connections exceeded (",
        "an outbound TLS connection was not made: tls_max_connections is reached",
    ),
    LogLine(
        "iplimit", "CRITICAL", "handle_new_connect", "hit the limit of connections per source IP",
        "an inbound connection was refused: tcp_accept_iplimit is reached for that address",
    ),
    LogLine(
        "accept-no-descriptors", "ERROR", "handle_new_connect", "error while accepting connection(",
        "tcp main is out of descriptors and spins", pattern=r"error while accepting connection\((?:24|23)\)",
    ),
    LogLine(
        "accept-failed", "ERROR", "handle_new_connect", "error while accepting connection(",
        "accept(2) failed for another reason than descriptors",
        pattern=r"error while accepting connection\((?!24\)|23\))",
    ),
    LogLine(
        "nofile-refused", "CRITICAL", "increase_open_fds", "cannot increase the open file limit to",
        "open_files_limit is above the hard limit: Kamailio does not start",
    ),
    LogLine(
        "shm-no-fragment", "ERROR", "qm_malloc, fm_malloc", "Free fragment not found!",
        "an allocation failed: memory is used up, or in too small pieces",
    ),
    LogLine(
        "shm-exhausted", "ERROR, CRITICAL", "SHM_MEM_ERROR", "could not allocate shared memory from shm pool",
        "shared memory is used up, or in too small pieces",
    ),
    LogLine(
        "pkg-exhausted", "ERROR, CRITICAL", "PKG_MEM_ERROR", "could not allocate private memory from ",
        "private memory (-M) of one process is used up; in init_io_wait: Kamailio does not start",
    ),
    LogLine(
        "connection-not-created", "ERROR", "handle_new_connect", "tcpconn_new failed, closing",
        "a connection was closed for want of shared memory, or for its PROXY header",
    ),
    LogLine(
        "connection-allocation", "ERROR", "tcpconn_new", "mem. allocation failure",
        "a connection could not be allocated (up to 5.2)", pattern=r"tcpconn_new.{0,40}mem\. allocation failure",
    ),
    LogLine(
        "epoll-table-full", "CRITICAL", "io_watch_add", "maximum fd number exceeded: ",
        "a process watches as many descriptors as its table holds",
    ),
    LogLine(
        "epoll-add-failed", "CRITICAL", "handle_new_connect", "failed to add new socket to the fd list",
        "a connection could not be watched and was closed",
    ),
    LogLine(
        "fd-beyond-table", "CRITICAL", "io_watch_del, io_watch_chg", "invalid fd ",
        "a descriptor number beyond the table: memory is overwritten, tcp main spins; restart",
        pattern=r"invalid fd -?\d+, not in \[0, ",
    ),
    LogLine(
        "worker-socket-full", "CRITICAL", "send2child", "queue full, ",
        "connections wait for a worker: all are busy or a burst was larger than the socket queue",
        pattern=r"tcp child \d+, socket -?\d+: queue full, ",
    ),
    LogLine(
        "overflow-queue-grows", "CRITICAL", "send_fd_queue_add", "queue full: ",
        "the overflow queue to the workers grows", pattern=r"queue full: \d+, extending to ",
    ),
    LogLine(
        "overflow-queue-full", "ERROR", "send_fd_queue_add", "queue full: ",
        "the overflow queue to the workers is at its end; connections are closed",
        pattern=r"queue full: -?\d+/\d+",
    ),
    LogLine(
        "overflow-send-failed", "ERROR", "send2child", "queue send op. failed",
        "a connection could not be queued for a worker and was closed",
    ),
    LogLine(
        "overflow-too-old", "ERROR", "send_fd_queue_run", "send_fd failed on socket ",
        "a connection waited over 2 s for a worker and was closed",
    ),
    LogLine(
        "no-free-worker", "DEBUG", "send2child", "no free tcp receiver, connection passed to the least busy one",
        "all workers hold connections (normal on an active host)",
    ),
    LogLine(
        "worker-no-descriptors", "ERROR", "handle_io", "read_fd: no fd read",
        "a worker got a connection without its descriptor: the worker is out of descriptors",
    ),
    LogLine(
        "write-queue-full", "ERROR", "_wbufq_add", "write queue full or timeout",
        "a connection was closed because its peer does not read", "tcp:sendq_full, tcp:send_timeout",
    ),
    LogLine(
        "fd-request-failed", "ERROR", "tcpconn_send_put, handle_ser_child", "send_fd failed",
        "a process did not get the descriptor of a connection it wanted to send on",
        pattern=r"CONN_GET_FD: send_fd failed",
    ),
    LogLine(
        "fd-not-received", "ERROR", "tcpconn_send_put", "failed to get fd(",
        "a process did not get the descriptor of a connection it wanted to send on",
    ),
    LogLine(
        "message-timeout", "CRITICAL to 6.0.1, then DEBUG", "tcp_timer_check_connections",
        "message processing timeout on connection id",
        "a connection without a complete message in tcp_msg_data_timeout or tcp_msg_read_timeout was closed",
    ),
    LogLine(
        "message-too-large", "as corelog", "tcp_read_req", "read message too large: ",
        "a message above msg_recv_max_size: the connection was closed",
    ),
    LogLine(
        "proxy-header", "ERROR", "tcpconn_new", "invalid PROXY protocol header",
        "a connection without a right PROXY header was closed, after up to tcp_wait_data",
    ),
    LogLine(
        "duplicate-connection", "ERROR", "handle_new_connect", "duplicated connection by local and remote addresses",
        "tcp_accept_unique refused a connection; opened_connections drifts upwards",
    ),
    LogLine(
        "tls-low-memory", "ERROR", "tls_accept, tls_connect, tls_h_encode", "ssl bug #1491 workaround: not enough memory",
        "free shared memory is below a TLS threshold: new TLS connections (or all) are refused",
    ),
    LogLine(
        "memory-overwritten", "CRITICAL", "qm_debug_check_frag", "beginning overwritten",
        "the heap is corrupt; with TLS and OpenSSL 3 before 5.7.5 a known fault",
    ),
    LogLine(
        "memory-freed-twice", "CRITICAL", "qm_free", "freeing already freed pointer",
        "the heap is corrupt; with TLS and OpenSSL 3 before 5.7.5 a known fault",
    ),
    LogLine(
        "process-killed", "ALERT", "handle_sigs", " exited by a signal ",
        "a process of Kamailio crashed; all of it stops", pattern=r"child process \d+ exited by a signal ",
    ),
    LogLine(
        "process-gone", "ALERT, INFO", "handle_sigs", "terminating due to SIGCHLD",
        "Kamailio stopped because one of its processes ended",
    ),
    LogLine(
        "websocket-connection-gone", "WARNING", "wss_send, msg_send_buffer", " for WebSocket could not be found",
        "a message for a WebSocket client whose connection is gone",
    ),
    LogLine(
        "websocket-allocation", "ERROR", "wsconn_add", "allocating shared memory",
        "a WebSocket connection could not be stored for want of shared memory",
        pattern=r"(?:wsconn_add|ws_conn\.c).{0,60}allocating shared memory",
    ),
    LogLine(
        "websocket-zombie", "WARNING", "ws_keepalive", "forcibly closing connection",
        "a WebSocket connection did not answer; repeating each second: it can't be removed",
    ),
    LogLine(
        "hard-limit-kept", "INFO", "fix_max_conns", " limit, please restart and increase t",
        "a limit was raised over RPC above its start value: it was clamped",
        pattern=r"cannot override hard t(?:cp|ls)_max_connections limit",
    ),
    LogLine(
        "mlock-failed", "WARNING", "mem_lock_pages", "failed to lock the memory pages",
        "mlock_pages has no effect: LimitMEMLOCK is too small",
    ),
    LogLine(
        "rpc-reply-too-large", "ERROR", "jsonrpc_dgram_send_data", "failed to send the response - ret: ",
        "an RPC answer was larger than a datagram holds; the client got nothing",
    ),
    LogLine(
        "lookup-miss", "WARNING", "tcpconn_log_bucket", "tcpconn lookup miss:",
        "6.1.4+: a WebSocket lookup failed; each such line lists a whole bucket of connections",
    ),
)  # fmt: skip


def count(data: bytes) -> dict[str, Count]:
    """How often each message of `LINES` stands in a piece of log, by key; those that don't are left out.

    A first line that begins in the middle is counted if its message is whole. Any bytes will do. What
    "last message repeated N times" lines of a syslog daemon hide is not counted.

    Args:
        data: lines of a log, oldest first.
    """
    times: dict[str, int] = {}
    last: dict[str, tuple[int, int]] = {}
    for text, patterns in _patterns().items():
        # most texts are in no log at all, and a search for one runs at memory speed
        position = data.find(text)
        while position >= 0:
            first, behind = _line(data, position)
            for key, pattern in patterns:
                if pattern is None or pattern.search(data, first, behind):
                    times[key] = times.get(key, 0) + 1
                    last[key] = (first, min(behind, first + _LONGEST))
                    break
            position = data.find(text, behind)
    return {
        key: Count(number, data[slice(*last[key])].decode("utf-8", "replace"))
        for key, number in times.items()
    }


@cache
def _patterns() -> dict[bytes, list[tuple[str, re.Pattern[bytes] | None]]]:
    by_text: dict[bytes, list[tuple[str, re.Pattern[bytes] | None]]] = {}
    for line in LINES:
        pattern = re.compile(line.pattern.encode()) if line.pattern else None
        by_text.setdefault(line.text.encode(), []).append((line.key, pattern))
    return by_text


def _line(data: bytes, position: int) -> tuple[int, int]:
    """Offsets of the line around a position, its newline not included; overlong lines are cut around it."""
    first = data.rfind(b"\n", max(0, position - _LONGEST), position) + 1
    behind = data.find(b"\n", position)
    return first or max(0, position - _LONGEST), len(data) if behind < 0 else behind
