"""What writing a sysctl does on this kernel: how it reads back, what a socket says of it, and what can't be shown here.

Used by tests/catalogue: test_effects.py shows what is listed as shown, test_against_kernel.py lists the rest.
"""

from __future__ import annotations

import subprocess
import sys

REFUSED = None
#: name -> text written -> text read back, REFUSED where write() fails. In a namespace of its own, from its defaults.
#: Ticks are of 4 ms (HZ=250); names in TICKS are left out where they aren't.
READS_BACK: dict[str, dict[str, str | None]] = {
    "net.ipv4.ip_local_port_range": {
        "1024 65535": "1024 65535", "40000 40000": "40000 40000", "5000": "5000 60999",
        "40000 30000": REFUSED, "0 100": REFUSED, "1 65536": REFUSED, "1023 2000": REFUSED,
    },
    "net.ipv4.ip_local_reserved_ports": {
        "5060,5061": "5060-5061", "5060-5070,8080": "5060-5070,8080", "70000": REFUSED, "5070-5060": REFUSED,
    },
    "net.ipv4.ip_unprivileged_port_start": {"0": "0", "32768": "32768", "32769": REFUSED, "65536": REFUSED},
    "net.ipv4.tcp_rmem": {"1 1 1": "1 1 1", "8192 4096 2048": "8192 4096 2048", "5000 6000": "5000 6000 *", "0 1 1": REFUSED},
    "net.ipv4.tcp_wmem": {"1 1 1": "1 1 1", "8192 4096 2048": "8192 4096 2048", "5000 6000": "5000 6000 *", "0 1 1": REFUSED},
    "net.ipv4.tcp_congestion_control": {"nonesuch": REFUSED, "reno": "reno"},
    "net.ipv4.tcp_fin_timeout": {"8589934": "8589934", "8589935": REFUSED},
    "net.ipv4.tcp_keepalive_time": {"8589934": "8589934", "8589935": REFUSED},
    "net.ipv4.tcp_keepalive_intvl": {"8589934": "8589934", "8589935": REFUSED},
    "net.ipv4.tcp_invalid_ratelimit": {"1": "4", "3": "4", "5": "8", "500": "500"},
    "net.ipv4.tcp_child_ehash_entries": {"3000": "3000"},
    "net.netfilter.nf_conntrack_tcp_timeout_established": {"8589934": "8589934", "8589935": REFUSED},
    "net.netfilter.nf_conntrack_tcp_timeout_time_wait": {"8589934": "8589934", "8589935": REFUSED},
}  # fmt: skip
TICKS = frozenset(
    name for name in READS_BACK if "timeout" in name or "keepalive" in name or "ratelimit" in name
)

#: name -> value, level and option of getsockopt, what it gives then; the socket is asked that the catalogue's
#: `takes_effect` speaks of, and where that is a new one, one made before must say something else
SOCKET_SAYS: dict[str, tuple[str, int, int, int]] = {
    "net.ipv4.tcp_syn_retries": ("3", 6, 7, 3),
    "net.ipv4.tcp_keepalive_time": ("100", 6, 4, 100),
    "net.ipv4.tcp_keepalive_intvl": ("11", 6, 5, 11),
    "net.ipv4.tcp_keepalive_probes": ("4", 6, 6, 4),
    "net.ipv4.tcp_rmem": ("4096 50000 60000", 1, 8, 50000),
    "net.ipv4.tcp_wmem": ("4096 30000 60000", 1, 7, 30000),
    "net.ipv4.tcp_rto_max_ms": ("5000", 6, 44, 5000),
    "net.ipv4.tcp_rto_min_us": ("100000", 6, 45, 100000),
    "net.core.txrehash": ("0", 1, 74, 0),
}

#: shown by a test of their own in test_effects.py or test_against_kernel.py
OWN_TEST = frozenset({
    "net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_max_tw_buckets", "net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_tw_reuse_delay", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_nonlocal_bind", "net.ipv4.tcp_child_ehash_entries", "net.ipv4.tcp_timestamps", "net.ipv4.tcp_sack",
    "net.ipv4.tcp_window_scaling", "net.ipv4.tcp_congestion_control", "net.unix.max_dgram_qlen",
    "net.ipv4.tcp_mem", "kernel.shmmax", "kernel.shmall",
    "net.core.rmem_default", "net.core.wmem_default", "net.core.rmem_max", "net.core.wmem_max",
})  # fmt: skip

#: of a namespace, and not shown: name or beginning of names -> why
NOT_SHOWN = {
    "net.netfilter.": "needs a ruleset that tracks",
    "net.ipv4.tcp_synack_retries": "takes a minute",
    "net.ipv4.tcp_retries": "takes minutes",
    "net.ipv4.tcp_orphan_retries": "takes minutes",
    "net.ipv4.tcp_syn_linear_timeouts": "takes a minute",
    "net.ipv4.tcp_migrate_req": "needs two listeners on one port, one of which goes in the middle of a handshake",
    "net.ipv4.tcp_fastopen": "needs clients with data in the SYN",
    "net.ipv4.tcp_rfc1337": "needs a RST made to fall into TIME-WAIT",
    "net.ipv4.ip_autobind_reuse": "needs all ports of a range in use with SO_REUSEADDR",
    "net.ipv4.tcp_moderate_rcvbuf": "shows in long transfers only",
    "net.ipv4.tcp_shrink_window": "shows in long transfers only",
    "net.ipv4.tcp_notsent_lowat": "shows in long transfers only",
    "net.ipv4.tcp_slow_start_after_idle": "shows in long transfers only",
    "net.ipv4.tcp_limit_output_bytes": "shows in long transfers only",
    "net.ipv4.tcp_autocorking": "needs a device that is slower than the sender",
    "net.ipv4.tcp_mtu_probing": "needs a path that swallows large packets",
    "net.ipv4.tcp_ecn": "needs a path that marks packets",
    "net.ipv4.tcp_challenge_ack_limit": "needs a flood of segments outside the window",
    "net.ipv4.tcp_invalid_ratelimit": "needs a flood of segments outside the window",
    "net.ipv4.tcp_no_metrics_save": "shows in later connections to a slow peer only",
    "net.ipv4.tcp_adv_win_scale": "nothing reads it",
    "net.ipv4.tcp_fack": "nothing reads it",
    "net.core.optmem_max": "needs control messages of its size",
    "net.ipv6.route.max_size": "needs as many routes",
}


def why_not_shown(name: str) -> str:
    """Why no test shows its effect; "" where one does."""
    if name in OWN_TEST or name in SOCKET_SAYS:
        return ""
    return next(why for start, why in NOT_SHOWN.items() if name.startswith(start))


_HEAD = '''
import os, socket, struct, subprocess, sys, time

def put(name, value):
    fd = os.open("/proc/sys/" + name.replace(".", "/"), os.O_WRONLY)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)

def get(name):
    return " ".join(open("/proc/sys/" + name.replace(".", "/")).read().split())

def backlog(s):
    return struct.unpack_from("I", s.getsockopt(6, 11, 192), 28)[0]

def counter(name):
    lines = [each.split() for each in open("/proc/net/netstat")]
    pairs = [pair for head, row in zip(lines[::2], lines[1::2]) for pair in zip(head, row)]
    return int(dict(pairs)[name])

def listener(port=5060, backlog=100):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port))
    s.listen(backlog)
    return s

def pair(server):
    client = socket.create_connection(server.getsockname(), 10)
    return client, server.accept()[0]

def until(true):
    """Wait for a condition, at most 10 s."""
    end = time.monotonic() + 10
    while not (found := true()) and time.monotonic() < end:
        time.sleep(0.01)
    return found

def table(state):
    """Rows of /proc/net/tcp in a state: local port, remote port, seconds until the timer."""
    rows = [line.split() for line in open("/proc/net/tcp")][1:]
    return [(int(row[1][-4:], 16), int(row[2][-4:], 16), int(row[5][3:], 16) / 100) for row in rows if row[3] == state]

ESTABLISHED, SYN_RECV, FIN_WAIT2, TIME_WAIT = "01", "03", "05", "06"
'''


def inside(script: str) -> str:
    """Run lines of Python in a network namespace of its own with lo up; what they print."""
    done = subprocess.run(
        ["unshare", "--net", "bash", "-c", 'ip link set lo up && exec "$0" -c "$1"', sys.executable, _HEAD + script],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()
