from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.kamailio.loglines import LINES, count

# one line of each kind, written after Kamailio's own format strings
SAMPLES = {
    "tcp-max-connections": "ERROR: <core> [core/tcp_main.c:4313]: handle_new_connect(): maximum number of connections exceeded: 2048/2048",
    "tcp-max-connections-out": "ERROR: <core> [core/tcp_main.c:2071]: tcp_send(): 192.0.2.1: maximum number of connections exceeded (2048/2048)",
    "tls-max-connections": "ERROR: <core> [core/tcp_main.c:4320]: handle_new_connect(): maximum number of tls connections exceeded: 9/9",
    "tls-max-connections-out": "ERROR: <core> [core/tcp_main.c:2080]: tcp_send(): 192.0.2.1: maximum number of tls connections exceeded (9/9)",
    "iplimit": "CRITICAL: <core> [core/tcp_main.c:4671]: handle_new_connect(): hit the limit of connections per source IP (192.0.2.1:1) - rejecting",
    "accept-no-descriptors": "ERROR: <core> [core/tcp_main.c:4297]: handle_new_connect(): error while accepting connection(24): Too many open files",
    "accept-failed": "ERROR: <core> [core/tcp_main.c:4297]: handle_new_connect(): error while accepting connection(103): Software caused connection abort",
    "nofile-refused": "CRITICAL: <core> [core/daemonize.c:509]: increase_open_fds(): cannot increase the open file limit to 9/9: Operation not permitted",
    "shm-no-fragment": "ERROR: qm_malloc(0x7f, 17312) called from core: core/tcp_main.c: tcpconn_new(999), module: core; Free fragment not found!",
    "shm-exhausted": "ERROR: <core> [core/tcp_main.c:999]: tcpconn_new(): could not allocate shared memory from shm pool",
    "pkg-exhausted": "CRITICAL: <core> [core/io_wait.c:400]: init_io_wait(): could not allocate private memory from sys pool",
    "connection-not-created": "ERROR: <core> [core/tcp_main.c:4393]: handle_new_connect(): tcpconn_new failed, closing socket",
    "connection-allocation": "ERROR: <core> [tcp_main.c:999]: tcpconn_new(): mem. allocation failure",
    "epoll-table-full": "CRITICAL: <core> [core/io_wait.h:371]: io_watch_add(): maximum fd number exceeded: 300/300",
    "epoll-add-failed": "CRITICAL: <core> [core/tcp_main.c:3754]: handle_new_connect(): failed to add new socket to the fd list",
    "fd-beyond-table": "CRITICAL: <core> [core/io_wait.h:596]: io_watch_del(): invalid fd 30356, not in [0, 4607) ",
    "worker-socket-full": "CRITICAL: <core> [core/tcp_main.c:4246]: send2child(): tcp child 1, socket 12: queue full, 287 requests queued (total handled 17)",
    "overflow-queue-grows": "CRITICAL: <core> [core/tcp_main.c:3457]: send_fd_queue_add(): queue full: 128, extending to 256",
    "overflow-queue-full": "ERROR: <core> [core/tcp_main.c:3453]: send_fd_queue_add(): queue full: 2132/2133",
    "overflow-send-failed": "ERROR: <core> [core/tcp_main.c:4251]: send2child(): queue send op. failed",
    "overflow-too-old": "ERROR: <core> [core/tcp_main.c:3501]: send_fd_queue_run(): send_fd failed on socket 15 , queue entry 0, retries 4, connection 0x7f, tcp socket 40, errno=11 (Resource temporarily unavailable) ",
    "no-free-worker": "DEBUG: <core> [core/tcp_main.c:4213]: send2child(): WARNING: no free tcp receiver, connection passed to the least busy one (idx:1 busy:2)",
    "worker-no-descriptors": "ERROR: <core> [core/tcp_read.c:1756]: handle_io(): read_fd: no fd read",
    "write-queue-full": "ERROR: <core> [core/tcp_main.c:618]: _wbufq_add(): (396 bytes): write queue full or timeout  (32770, total 32770, last write 0 s ago)",
    "fd-request-failed": "ERROR: <core> [core/tcp_main.c:3700]: handle_ser_child(): CONN_GET_FD: send_fd failed",
    "fd-not-received": "ERROR: <core> [core/tcp_main.c:2557]: tcpconn_send_put(): failed to get fd(receive_fd): Bad file descriptor (9)",
    "message-timeout": "CRITICAL: <core> [core/tcp_main.c:5500]: tcp_timer_check_connections(): message processing timeout on connection id: 7 (state: 1) - closing",
    "message-too-large": "ERROR: <core> [core/tcp_read.c:1715]: tcp_read_req(): read message too large: 40000 - c: 0x1 r: 0x2 (9)",
    "proxy-header": "ERROR: <core> [core/tcp_main.c:1207]: tcpconn_new(): invalid PROXY protocol header",
    "duplicate-connection": "ERROR: <core> [core/tcp_main.c:4354]: handle_new_connect(): duplicated connection by local and remote addresses",
    "tls-low-memory": "ERROR: tls [tls_server.c:450]: tls_h_encode_f(): tls: ssl bug #1491 workaround: not enough memory for safe operation: shm=16536160 threshold1=17301504",
    "memory-overwritten": "CRITICAL: <core> [core/mem/q_malloc.c:123]: qm_debug_check_frag(): BUG: qm: fragm. 0x7f (address 0x7f) beginning overwritten (0)! Memory allocator was called",
    "memory-freed-twice": "CRITICAL: <core> [core/mem/q_malloc.c:514]: qm_free(): BUG: freeing already freed pointer (0x7f), called from x - aborting",
    "process-killed": "ALERT: <core> [main.c:776]: handle_sigs(): child process 1234 exited by a signal 6",
    "process-gone": "INFO: <core> [main.c:840]: handle_sigs(): terminating due to SIGCHLD",
    "websocket-connection-gone": "WARNING: <core> [core/forward.h:203]: msg_send_buffer(): TCP/TLS connection for WebSocket could not be found",
    "websocket-allocation": "ERROR: websocket [ws_conn.c:199]: wsconn_add(): allocating shared memory",
    "websocket-zombie": "WARNING: websocket [ws_frame.c:809]: ws_keepalive(): forcibly closing connection",
    "hard-limit-kept": "INFO: <core> [core/tcp_options.c:244]: fix_max_conns(): cannot override hard tcp_max_connections limit, please restart and increase tcp_max_connections in the cfg.",
    "mlock-failed": "WARNING: <core> [core/daemonize.c:596]: mem_lock_pages(): failed to lock the memory pages (disable swap): Cannot allocate memory [12]",
    "rpc-reply-too-large": "ERROR: jsonrpcs [jsonrpcs_sock.c:550]: jsonrpc_dgram_send_data(): failed to send the response - ret: -1, len: 140000 (212992), err: 90 - Message too long)",
    "lookup-miss": "WARNING: <core> [core/tcp_main.c:300]: tcpconn_log_bucket(): tcpconn lookup miss: id=7",
}
FORMATS = (
    "Oct  7 12:00:00 sip1 /usr/sbin/kamailio[831]: {}",  # syslog, journalctl -o short
    "2026-10-07T12:00:00.123456+00:00 sip1 kamailio[831]: {}",  # rsyslog's own
    " 5(831) {}",  # stderr
    "{}",
)


def test_every_kind_has_a_sample():
    assert set(SAMPLES) == {line.key for line in LINES}
    assert len({line.key for line in LINES}) == len(LINES)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("key", SAMPLES)
def test_each_line_is_counted_under_its_own_key_only(key, form):
    line = form.format(SAMPLES[key])
    found = count(f"noise\n{line}\n{line}\nmore noise".encode())
    assert {name: seen.times for name, seen in found.items()} == {key: 2}
    assert found[key].last == line.rstrip("\n")


def test_all_kinds_at_once_and_the_last_line_of_each():
    lines = list(SAMPLES.values())
    data = "\n".join(f"{n} {line}" for n in range(3) for line in lines).encode()
    found = count(data)
    assert {seen.times for seen in found.values()} == {3}
    assert {key: seen.last for key, seen in found.items()} == {
        key: f"2 {line}" for key, line in SAMPLES.items()
    }


def test_ordinary_lines_count_for_nothing():
    ordinary = b"INFO: <script>: queue full of people, invalid fd, exceeded, send_fd failed to impress\n"
    assert count(ordinary * 100) == {}
    assert count(b"") == {}


def test_a_line_without_end_is_bounded():
    found = count(b"x" * 100_000 + SAMPLES["iplimit"].encode() + b"y" * 100_000)
    assert found["iplimit"].times == 1
    assert len(found["iplimit"].last) <= 1000


def test_a_flood_of_256_kib_is_counted_quickly():
    data = "".join(line + "\n" for line in SAMPLES.values()).encode() * 60
    data = data[-256 * 1024 :]
    count(data)
    begin = time.process_time()
    count(data)
    assert time.process_time() - begin < 0.5  # takes about 0.01 s; the bound only catches a blow-up


def test_the_table_explains_itself():
    statistics = {line.key: line.statistic for line in LINES}
    assert (statistics["iplimit"], statistics["tcp-max-connections"]) == ("", "tcp:local_reject")
    for line in LINES:
        re.compile(line.pattern)
        assert line.meaning
        assert line.function


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([*SAMPLES.values(), "\n", "\n", "\r", "\0", "ü", "queue full: "])).map("".join)
)
def test_any_bytes_are_fine(text):
    assert all(seen.times > 0 for seen in count(text.encode()).values())
