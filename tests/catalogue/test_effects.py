"""What a change of a sysctl does, and to whom: the catalogue's `takes_effect` and words, shown with real sockets.

Each test runs in a network namespace of its own; what none shows stands in tests/golden/untested-settings.txt.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from kamtcp.catalogue.entry import Effect
from kamtcp.catalogue.load import entries
from kernel_effects import READS_BACK, SOCKET_SAYS, TICKS, inside

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def read_back() -> dict[str, dict[str, str | None]]:
    """Everything of READS_BACK, written one after the other."""
    return json.loads(
        inside(f"""
import json
wanted, found = {READS_BACK!r}, {{}}
for name, values in wanted.items():
    if not os.path.exists("/proc/sys/" + name.replace(".", "/")):
        continue
    before, found[name] = get(name), {{}}
    for value in values:
        try:
            put(name, value)
            found[name][value] = get(name)
        except OSError:
            found[name][value] = None
        put(name, before or "\\n")
print(json.dumps(found))
""")
    )


def hz() -> bool:
    """Whether a tick is 4 ms: its default is two of them."""
    try:
        with open("/proc/sys/net/core/netdev_budget_usecs") as file:
            return int(file.read()) == 8000
    except OSError:
        return False


@pytest.mark.parametrize("name", READS_BACK)
def test_what_is_written_reads_back_rounded_or_is_refused(name, read_back):
    if name not in read_back:
        pytest.skip("not in this kernel")
    if name in TICKS and not hz():
        pytest.skip("ticks of another length")
    for value, expected in READS_BACK[name].items():
        found = read_back[name][value]
        if expected is not None and expected.endswith("*"):
            assert found is not None
            assert found.startswith(expected[:-1]), (value, found)
        else:
            assert found == expected, (value, found)


def test_a_refused_line_of_three_numbers_may_have_been_taken_in_part():
    assert inside("""
try:
    put("net.ipv4.tcp_rmem", "5000 6000 2147483648")
except OSError:
    print("refused", *get("net.ipv4.tcp_rmem").split()[:2])
""") == "refused 5000 6000"  # fmt: skip


@pytest.fixture(scope="module")
def said() -> dict[str, tuple[int, int]]:
    """For each of SOCKET_SAYS, what a socket made before the change and one made after it say."""
    return json.loads(
        inside(f"""
import json
before, found = socket.socket(), {{}}
for name, (value, level, option, _) in {SOCKET_SAYS!r}.items():
    if os.path.exists("/proc/sys/" + name.replace(".", "/")):
        put(name, value)
        found[name] = [each.getsockopt(level, option) for each in (before, socket.socket())]
print(json.dumps(found))
""")
    )


@pytest.mark.parametrize("name", SOCKET_SAYS)
def test_a_change_reaches_the_sockets_that_the_catalogue_says(name, said):
    if name not in said:
        pytest.skip("not in this kernel")
    before, after = said[name]
    effect, expected = entries()[name].takes_effect, SOCKET_SAYS[name][3]
    assert after == expected
    assert effect in (Effect.AT_ONCE, Effect.NEW_SOCKETS)
    assert (before == expected) is (effect is Effect.AT_ONCE)


class TestListening:
    def test_a_full_accept_queue_is_silent_or_resets_at_once_after_the_change(self):
        script = """
put("net.ipv4.tcp_abort_on_overflow", VALUE)
server = socket.socket(); server.setsockopt(6, 9, 30)  # TCP_DEFER_ACCEPT: half-open until they say something
server.bind(("127.0.0.1", 5060)); server.listen(2)
def client():
    s = socket.create_connection(server.getsockname(), 10); s.settimeout(0.2); return s
first = [client() for _ in range(2)]
for each in first: each.send(b"x")
second = [client() for _ in range(2)]
for each in second: each.send(b"x")
def answer(each):
    try: each.recv(1)
    except TimeoutError: return "silent"
    except ConnectionResetError: return "reset"
print(*map(answer, (*first, *second)))
"""
        assert inside(script.replace("VALUE", "'0'")) == "silent silent silent silent"
        assert inside(script.replace("VALUE", "'1'")) == "silent silent silent reset"

    def test_cookies_are_sent_always_never_or_on_overflow(self):
        assert inside("""
server = listener()
for value in ("1", "2", "0"):
    put("net.ipv4.tcp_syncookies", value)
    before = counter("SyncookiesSent"); pair(server)
    print(counter("SyncookiesSent") - before)
""").split() == ["0", "1", "0"]  # fmt: skip

    @pytest.mark.parametrize(
        ("cookies", "size", "held"),
        [("1", "16", 101), ("0", "64", 49), ("0", "4", 4), ("0", "100000", 101)],
        ids=["cookies on: the backlog alone", "64 without cookies", "4 without cookies", "large without cookies"],
    )  # fmt: skip
    def test_half_open_connections_of_strangers(self, cookies, size, held):
        """SYNs of 400 addresses that never answer, to a listener with a backlog of 100."""
        script = (
            f"""
for line in ("link add d0 type veth peer name d1", "addr add 10.9.0.1/16 dev d0", "link set d0 arp off up", "link set d1 up"):
    subprocess.run(["ip", *line.split()], check=True)
put("net.ipv4.tcp_syncookies", {cookies!r}); put("net.ipv4.tcp_max_syn_backlog", {size!r})
"""
            """
server = socket.socket(); server.bind(("10.9.0.1", 5060)); server.listen(100)
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
to = socket.inet_aton("10.9.0.1")
for number in range(400):
    source = bytes((10, 9, 1 + number // 200, 1 + number % 200))
    def syn(check):
        return struct.pack("!HHIIBBHHH", 20000, 5060, number, 0, 5 << 4, 2, 1000, check, 0)
    tcp = syn(checksum(source + to + struct.pack("!BBH", 0, 6, 20) + syn(0)))
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, number, 0, 64, 6, 0, source, to)
    raw.sendto(ip + tcp, ("10.9.0.1", 0))
until(lambda: sum(1 for _ in table(SYN_RECV)) + counter("ListenDrops") + counter("SyncookiesSent") >= 400)
print(len(table(SYN_RECV)))
"""
        )
        assert int(inside(script)) == held


class TestKeepalive:
    def test_a_timer_that_runs_is_not_shortened_and_the_next_one_is(self):
        found = inside("""
server = listener()
(old, one), (new, two) = pair(server), pair(server)
put("net.ipv4.tcp_keepalive_time", "1000"); old.setsockopt(1, 9, 1)
put("net.ipv4.tcp_keepalive_time", "100"); new.setsockopt(1, 9, 1)
left = {row[0]: row[2] for row in table(ESTABLISHED)}
print(900 < left[old.getsockname()[1]] <= 1000, 50 < left[new.getsockname()[1]] <= 100)
""")
        assert found == "True True"


class TestClosing:
    def test_fin_timeout_is_for_orphans_that_close_from_then_on_and_not_for_time_wait(self):
        found = inside("""
server = listener()
old, new, both = pair(server), pair(server), pair(server)
names = [each[0].getsockname()[1] for each in (old, new)]
put("net.ipv4.tcp_fin_timeout", "50"); old[1].close()
until(lambda: len(table(FIN_WAIT2)) == 1)
put("net.ipv4.tcp_fin_timeout", "20"); new[1].close()
until(lambda: len(table(FIN_WAIT2)) == 2)
put("net.ipv4.tcp_fin_timeout", "3"); both[1].close(); both[0].close()
until(lambda: table(TIME_WAIT))
left = {row[1]: row[2] for row in table(FIN_WAIT2)}
print(30 < left[names[0]] <= 50, 5 < left[names[1]] <= 20, 50 < table(TIME_WAIT)[0][2] <= 60.1)
""")
        assert found == "True True True"

    def test_beyond_max_tw_buckets_nothing_is_refused_and_a_counter_tells(self):
        assert inside("""
server = listener()
put("net.ipv4.tcp_max_tw_buckets", "0")
client, there = pair(server)
there.close(); client.close()
print(until(lambda: counter("TCPTimeWaitOverflow") == 1), len(table(TIME_WAIT)), bool(pair(server)))
""") == "True 0 True"  # fmt: skip

    def test_tw_reuse_is_looked_at_in_connect_and_needs_the_delay(self):
        if "net.ipv4.tcp_tw_reuse_delay" not in present():
            pytest.skip("not in this kernel")
        assert inside("""
put("net.ipv4.ip_local_port_range", "40000 40000")
server = listener()
def again():
    try:
        client, there = pair(server)
    except OSError as error:
        return error.errno
    client.close(); there.close()
    return "taken"
print(again())
until(lambda: table(TIME_WAIT))
put("net.ipv4.tcp_tw_reuse", "0"); print(again())
put("net.ipv4.tcp_tw_reuse", "1"); put("net.ipv4.tcp_tw_reuse_delay", "60000"); print(again())
put("net.ipv4.tcp_tw_reuse_delay", "1")
print(until(lambda: again() == "taken"), counter("TWRecycled") > 0)
""").split() == ["taken", "99", "99", "True", "True"]  # fmt: skip

    def test_an_accepted_connection_needs_no_reuse(self):
        """The same client port comes back while this host holds its TIME-WAIT."""
        assert inside("""
put("net.ipv4.tcp_tw_reuse", "0")
server = listener()
def once():
    client = socket.socket(); client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(("127.0.0.1", 40000)); client.connect(server.getsockname())
    there = server.accept()[0]
    there.close(); client.recv(1); client.close()
    return until(lambda: table(TIME_WAIT))[0][:2]
print(once(), once())
""") == "(5060, 40000) (5060, 40000)"  # fmt: skip


class TestPorts:
    def test_reserved_ports_are_left_out_from_then_on_and_may_be_bound(self):
        assert inside("""
server = listener()
put("net.ipv4.ip_local_port_range", "40000 40003")
put("net.ipv4.ip_local_reserved_ports", "40000-40001,40003")
held = pair(server); print(held[0].getsockname()[1])
try: pair(server)
except OSError as error: print(error.errno)
socket.socket().bind(("127.0.0.1", 40001)); print("bound")
""").split() == ["40002", "99", "bound"]  # fmt: skip

    def test_the_first_port_without_privilege_counts_at_once(self):
        assert inside("""
def bound():
    if (child := os.fork()) == 0:
        os.setresuid(65534, 65534, 65534)
        try: socket.socket().bind(("127.0.0.1", 500))
        except PermissionError: os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]
print(bound() == 0)
put("net.ipv4.ip_unprivileged_port_start", "500"); print(bound() == 0)
""").split() == ["False", "True"]  # fmt: skip

    def test_an_address_that_is_not_there_may_be_bound_at_once(self):
        assert inside("""
s = socket.socket()
try: s.bind(("192.0.2.1", 5060))
except OSError as error: print(error.errno)
put("net.ipv4.ip_nonlocal_bind", "1"); s.bind(("192.0.2.1", 5060)); print("bound")
""").split() == ["99", "bound"]  # fmt: skip


class TestProtocol:
    @pytest.mark.parametrize(
        ("name", "bit"),
        [("net.ipv4.tcp_timestamps", 1), ("net.ipv4.tcp_sack", 2), ("net.ipv4.tcp_window_scaling", 4)],
    )
    def test_options_are_those_of_the_moment_of_connecting(self, name, bit):
        # tcpi_options is the 6th byte of struct tcp_info
        assert inside(f"""
server = listener()
def has(each): return bool(each.getsockopt(6, 11, 192)[5] & {bit})
old = pair(server)[0]
put({name!r}, "0")
print(has(old), has(pair(server)[0]), has(old))
""") == "True False True"  # fmt: skip

    def test_congestion_control_is_that_of_sockets_made_then_and_only_what_is_allowed(self):
        assert inside("""
old = socket.socket(); had = old.getsockopt(6, 13, 16)
put("net.ipv4.tcp_congestion_control", "reno")
print(old.getsockopt(6, 13, 16) == had, socket.socket().getsockopt(6, 13, 16).rstrip(b"\\0").decode())
free = set(get("net.ipv4.tcp_allowed_congestion_control").split())
for name in get("net.ipv4.tcp_available_congestion_control").split():
    try: put("net.ipv4.tcp_congestion_control", name); taken = True
    except PermissionError: taken = False
    assert taken == (name in free), name
""") == "True reno"  # fmt: skip

    def test_a_unix_socket_keeps_the_queue_of_its_making(self):
        assert inside("""
def held(server):
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sender.connect(server.getsockname()); count = 0
    try:
        while True: sender.send(b"x"); count += 1
    except BlockingIOError: return count
def made(name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind("\\0" + name); return s
old = made("old"); put("net.unix.max_dgram_qlen", "30")
print(held(old), held(made("new")))
""") == "11 31"  # fmt: skip


class TestANewNamespace:
    def test_it_starts_from_the_kernels_own_values_not_from_those_of_its_parent(self):
        """What files set on a host doesn't reach a container (SYS034)."""
        assert inside("""
names = {"net.core.somaxconn": "111", "net.ipv4.tcp_fin_timeout": "11", "net.ipv4.tcp_keepalive_time": "111",
         "net.ipv4.ip_local_port_range": "11111 22222", "net.ipv4.tcp_syncookies": "0", "net.ipv4.tcp_tw_reuse": "1"}
fresh = {name: get(name) for name in names}
for name, value in names.items(): put(name, value)
paths = ["/proc/sys/" + name.replace(".", "/") for name in names]
done = subprocess.run(["unshare", "--net", "cat", *paths], capture_output=True, check=True)
child = [" ".join(line.split()) for line in done.stdout.decode().splitlines()]
print(child == list(fresh.values()), child != list(names.values()))
""") == "True True"  # fmt: skip

    def test_its_buffers_and_congestion_control_are_copies_of_the_first_ones(self):
        """Not of its parent's: that has others here."""
        if not os.path.exists("/proc/sys/net/core/netdev_max_backlog"):
            pytest.skip("not run in the first network namespace")
        first = {}
        for name in ("tcp_rmem", "tcp_wmem", "tcp_congestion_control"):
            with open(f"/proc/sys/net/ipv4/{name}") as file:
                first[name] = " ".join(file.read().split())
        assert json.loads(inside("""
import json
put("net.ipv4.tcp_rmem", "5000 6000 7000"); put("net.ipv4.tcp_wmem", "5000 6000 7000")
put("net.ipv4.tcp_congestion_control", "reno")
names = ["tcp_rmem", "tcp_wmem", "tcp_congestion_control"]
done = subprocess.run(["unshare", "--net", "cat", *("/proc/sys/net/ipv4/" + name for name in names)], capture_output=True, check=True)
print(json.dumps(dict(zip(names, (" ".join(line.split()) for line in done.stdout.decode().splitlines())))))
""")) == first  # fmt: skip

    def test_a_table_of_its_own_has_a_power_of_two(self):
        if "net.ipv4.tcp_child_ehash_entries" not in present():
            pytest.skip("not in this kernel")
        assert inside("""
put("net.ipv4.tcp_child_ehash_entries", "3000")
print(subprocess.run(["unshare", "--net", "cat", "/proc/sys/net/ipv4/tcp_ehash_entries"], capture_output=True).stdout.decode())
""") == "4096"  # fmt: skip


def present() -> set[str]:
    """Names of the catalogue that this kernel has."""
    return {name for name in entries() if os.path.exists("/proc/sys/" + name.replace(".", "/"))}


def test_tcp_mem_counts_pages():
    """Its pressure mark is a sixteenth of memory in pages; in bytes it would be a five-thousandth of that."""
    try:
        with open("/proc/sys/net/ipv4/tcp_mem") as file:
            low, pressure, high = map(int, file.read().split())
    except OSError:
        pytest.skip("of the first network namespace, which this is not")
    if not (high == 2 * low and abs(4 * low - 3 * pressure) <= 12):
        pytest.skip("tcp_mem is tuned here")
    with open("/proc/meminfo") as file:
        total = int(file.readline().split()[1]) * 1024
    assert 0.04 < pressure * os.sysconf("SC_PAGE_SIZE") / total < 0.08


class TestValuesOfTheMachine:
    """Only looked at: what a socket made now says of them."""

    @pytest.mark.parametrize(
        ("name", "kind", "option"),
        [("rmem_default", "udp", 8), ("wmem_default", "udp", 7), ("wmem_default", "unix", 7)],
    )
    def test_defaults_size_datagram_and_unix_sockets_and_no_tcp_socket(self, name, kind, option):
        value = int(present_value(f"net/core/{name}"))
        inner = int(present_value(f"net/ipv4/tcp_{name[:4]}").split()[1])
        families = {"udp": (socket.AF_INET, socket.SOCK_DGRAM), "unix": (socket.AF_UNIX, socket.SOCK_STREAM)}
        with socket.socket(*families[kind]) as one, socket.socket() as tcp:
            assert one.getsockopt(socket.SOL_SOCKET, option) == value
            assert tcp.getsockopt(socket.SOL_SOCKET, option) == inner

    @pytest.mark.parametrize(
        ("name", "option"), [("rmem_max", socket.SO_RCVBUF), ("wmem_max", socket.SO_SNDBUF)]
    )
    def test_a_larger_buffer_than_allowed_is_cut_without_an_error(self, name, option):
        """The kernel doubles what it grants, for its own bookkeeping."""
        with socket.socket() as tcp:
            tcp.setsockopt(socket.SOL_SOCKET, option, (1 << 30) - 1)
            assert tcp.getsockopt(socket.SOL_SOCKET, option) == 2 * int(present_value(f"net/core/{name}"))


def present_value(path: str) -> str:
    """A value here and now; skips where this namespace doesn't have it."""
    try:
        with open(f"/proc/sys/{path}") as file:
            return file.read()
    except OSError:
        pytest.skip("not in this namespace")


def test_limits_of_system_v_memory_are_of_the_ipc_namespace_and_leave_kamailios_memory_alone():
    """Kamailio's shared memory is an anonymous mapping; shmget() is another matter."""
    names = ("kernel/shmmax", "kernel/shmall")
    before = [present_value(name) for name in names]
    script = """
import ctypes, mmap
read = lambda: [open("/proc/sys/" + name).read().strip() for name in ("kernel/shmmax", "kernel/shmall")]
print(*read())
for name in ("kernel/shmmax", "kernel/shmall"): open("/proc/sys/" + name, "w").write("4096")
libc = ctypes.CDLL(None, use_errno=True)
print(*read(), libc.shmget(0, ctypes.c_size_t(8192), 0o1600), ctypes.get_errno(), len(mmap.mmap(-1, 1 << 20)))
"""
    done = subprocess.run(["unshare", "--ipc", sys.executable, "-c", script], capture_output=True, check=False, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    fresh, changed = done.stdout.decode().splitlines()
    assert fresh.split() == [entries()[name.replace("/", ".")].default for name in names]
    assert changed == "4096 4096 -1 22 1048576"
    assert [present_value(name) for name in names] == before
