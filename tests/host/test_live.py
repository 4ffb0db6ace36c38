"""This machine, read through system calls: here, in other namespaces, below another root, and without privilege."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback

import pytest

from kamtcp.host.door import Endpoint, Transport
from kamtcp.host.live import Live, Within
from kamtcp.host.namespaces import NetnsThread, in_new_netns
from kamtcp.host.nowhere import Nowhere
from kamtcp.model.absent import Absent, Why
from kamtcp.observe import sockets
from kamtcp.rehearse.standin import StandIn, child_of

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 65534


def _soon(question):
    """What `question` answers as soon as that is something, within 5 s."""
    until = time.monotonic() + 5
    while not (answer := question()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return answer


class TestHere:
    def test_a_file_is_read_up_to_the_limit(self, tmp_path):
        path = tmp_path / "f"
        path.write_bytes(b"0123456789" * 20_000)
        assert Live().read(str(path)) == b"0123456789" * 20_000
        assert Live().read(str(path), 5) == b"01234"
        assert Live().read(str(path), 0) == b""

    def test_the_tail_is_the_end_of_a_file(self, tmp_path):
        path = tmp_path / "f"
        path.write_bytes(b"abcdef")
        assert Live().tail(str(path), 2) == b"ef"
        assert Live().tail(str(path), 100) == b"abcdef"

    def test_a_fifo_without_a_writer_does_not_hang(self, tmp_path):
        """Nor does one that has a writer who says nothing."""
        os.mkfifo(tmp_path / "fifo")
        began = time.monotonic()
        with pytest.raises(OSError, match="Invalid argument"):
            Live().read(str(tmp_path / "fifo"))
        writer = os.open(tmp_path / "fifo", os.O_RDWR)
        try:
            os.write(writer, b"for somebody else")
            with pytest.raises(OSError, match="Invalid argument"):
                Live().read(str(tmp_path / "fifo"))
            assert os.read(writer, 64) == b"for somebody else"
        finally:
            os.close(writer)
        assert time.monotonic() - began < 1

    def test_a_pattern_is_found_in_a_binary(self, tmp_path):
        path = tmp_path / "f"
        path.write_bytes(b"\0\xff kamailio 5.6.3 (x86_64) \0 kamailio 9.9.9 (")
        assert Live().search(str(path), rb"kamailio (\d+\.\d+\.\d+) \(") == b"kamailio 5.6.3 ("
        assert Live().search(str(path), b"no such text") == b""
        (tmp_path / "empty").touch()
        assert Live().search(str(tmp_path / "empty"), b"x") == b""

    @pytest.mark.parametrize(
        ("ask", "number"),
        [
            (lambda host: host.read("/no/such"), errno.ENOENT),
            (lambda host: host.read("/etc"), errno.EISDIR),
            (lambda host: host.tail("/no/such"), errno.ENOENT),
            (lambda host: host.search("/no/such", b"x"), errno.ENOENT),
            (lambda host: host.listdir("/etc/passwd"), errno.ENOTDIR),
            (lambda host: host.readlink("/etc/passwd"), errno.EINVAL),
            (lambda host: host.stat("/no/such"), errno.ENOENT),
            (lambda host: host.disk("/no/such"), errno.ENOENT),
            (lambda host: host.within(2**22 + 5), errno.ENOENT),
        ],
    )
    def test_errors_are_the_kernels_own(self, ask, number):
        with pytest.raises(OSError) as error:
            ask(Live())
        assert error.value.errno == number

    def test_listings_are_sorted_and_links_stay_links(self, tmp_path):
        for name in "cab":
            (tmp_path / name).touch()
        (tmp_path / "link").symlink_to("nowhere")
        assert Live().listdir(str(tmp_path)) == ("a", "b", "c", "link")
        assert Live().readlink(str(tmp_path / "link")) == "nowhere"

    def test_stat_and_disk_are_those_of_the_system(self, tmp_path):
        (tmp_path / "f").write_bytes(b"12345")
        found, kernel = Live().stat(str(tmp_path / "f")), os.stat(tmp_path / "f")
        assert (found.size, found.inode, found.mode, found.mtime) == (
            5,
            kernel.st_ino,
            kernel.st_mode,
            kernel.st_mtime,
        )
        disk = Live().disk(str(tmp_path))
        assert disk.total_bytes >= disk.available_bytes > 0

    def test_the_reader_is_this_process(self):
        found = Live().reader()
        assert (found.uid, found.gid, found.node) == (os.geteuid(), os.getegid(), os.uname().nodename)
        assert found.netns == os.readlink("/proc/self/ns/net")
        with open("/proc/uptime") as file:
            assert abs(found.boottime - float(file.read().split()[0])) < 1
        with open("/proc/self/status") as file:
            mask = next(line for line in file if line.startswith("CapEff")).split()[1]
        assert found.capabilities == int(mask, 16)

    def test_the_probe_fills_one_socket_with_descriptors_and_leaves_none_behind(self):
        before = len(os.listdir("/proc/self/fd"))
        fitted, sndbuf = map(int, Live().probe("handoff-messages").split())
        assert len(os.listdir("/proc/self/fd")) == before
        # each message takes an skb of some hundred bytes, whatever the kernel
        assert 500 < sndbuf / fitted < 2000
        left, right = socket.socketpair()
        with left, right:
            assert sndbuf == left.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)


@pytest.fixture(scope="module")
def host():
    with StandIn(name="inside") as host:
        host.sysctl("net.core.somaxconn", 777)
        yield host


@pytest.fixture(scope="module")
def inside(host) -> Within:
    return Live().within(host.pid)


@root
@pytest.mark.netns
class TestInAnotherNamespace:
    def test_sysctls_are_those_of_that_namespace(self, inside):
        path = "/proc/sys/net/core/somaxconn"
        assert inside.read(path) == b"777\n"
        assert Live().read(path) != b"777\n"

    def test_the_caller_stays_where_it_was(self, inside):
        own = os.readlink("/proc/thread-self/ns/net")
        inside.read("/proc/sys/net/core/somaxconn")
        assert os.readlink("/proc/thread-self/ns/net") == own

    def test_sockets_are_those_of_that_namespace(self, host, inside):
        code = "import socket,time; s=socket.create_server(('127.0.0.1', 5077), backlog=33); print('up', flush=True); time.sleep(30)"
        server = host.spawn([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert server.stdout.readline() == b"up\n"
        try:
            assert [(each.port, each.wqueue) for each in sockets.listeners(inside) if each.port == 5077] == [
                (5077, 33)
            ]
            assert 5077 not in {each.port for each in sockets.listeners(Live())}
        finally:
            os.kill(child_of(server.pid), signal.SIGKILL)
            server.wait()
            server.stdout.close()

    def test_listings_below_proc_sys_net_are_those_of_that_namespace(self, inside):
        assert set(inside.listdir("/proc/sys/net/ipv4/conf")) == {"all", "default", "lo"}
        # what only the initial namespace has is missing
        with pytest.raises(FileNotFoundError):
            inside.read("/proc/sys/net/ipv4/tcp_mem")

    def test_files_are_those_below_its_root(self, host, inside):
        assert b"standin" not in Live().read("/etc/hosts")
        assert inside.read("/etc/hosts") == b"127.0.0.1 localhost inside\n"
        assert inside.tail("/etc/hosts", 7) == b"inside\n"
        assert inside.search("/etc/hosts", b"ins[a-z]+") == b"inside"
        assert "lock" in inside.listdir("/run")

    def test_links_mean_what_its_processes_mean(self, host, inside):
        """An absolute link leads below its root, not to this machine's own place of that name."""
        host.run(
            [
                "sh",
                "-c",
                "mkdir -p /run/real && echo there >/run/real/f && ln -s /run/real /run/way && ln -s way/f /run/f",
            ]
        )
        assert inside.read("/run/way/f") == inside.read("/run/f") == b"there\n"
        assert inside.readlink("/run/way") == "/run/real"
        assert inside.stat("/run/way/f").size == 6
        assert not os.path.exists("/run/real/f")

    def test_processes_keep_the_numbers_of_the_reader(self, host, inside):
        assert inside.readlink(f"/proc/{host.pid}/ns/net") == os.readlink(f"/proc/{host.pid}/ns/net")

    def test_an_rpc_socket_below_its_root_answers(self, host, inside):
        code = (
            "import socket; s=socket.socket(socket.AF_UNIX); s.bind('/run/ctl'); s.listen(); print('up', flush=True);"
            "c,_=s.accept(); c.recv(99); c.sendall(bytes.fromhex('a1130312 34abcd204000'.replace(' ', ''))); c.recv(9)"
        )
        server = host.spawn([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert server.stdout.readline() == b"up\n"
        reply = inside.call(Endpoint(Transport.BINRPC_UNIX, "/run/ctl"), b"question")
        assert reply == bytes.fromhex("a113031234abcd204000")
        server.stdout.close()
        assert server.wait(5) == 0

    def test_a_namespace_stays_readable_after_its_process_has_gone(self):
        with StandIn() as other:
            other.sysctl("net.core.somaxconn", 888)
            within = Live().within(other.pid)
        assert within.read("/proc/sys/net/core/somaxconn") == b"888\n"
        with pytest.raises(ProcessLookupError):  # never the root of whoever has its number by now
            within.read("/etc/hosts")

    def test_a_process_that_is_ending_has_no_root_any_more(self, monkeypatch):
        """do_exit gives the root back before anyone can see that the process has ended."""
        monkeypatch.setattr("kamtcp.host.live._has_ended", lambda pidfd: False)
        with StandIn() as other:
            parent = other.spawn(["sleep", "30"])
            try:
                pid = _soon(lambda: child_of(parent.pid))
                within = Live().within(pid)
                assert within.read("/etc/hosts")
                parent.send_signal(
                    signal.SIGSTOP
                )  # so that nobody reaps its child: a zombie, listed, without a root
                os.kill(pid, signal.SIGKILL)
                _soon(lambda: b") Z " in Live().read(f"/proc/{pid}/stat"))
                with pytest.raises(ProcessLookupError):
                    within.read("/etc/hosts")
            finally:
                parent.kill()
                parent.wait()

    def test_its_own_namespaces_need_no_thread(self):
        before = threading.active_count()
        assert Live().within(os.getpid()).read("/etc/hosts") == Live().read("/etc/hosts")
        assert threading.active_count() == before

    def test_what_is_raised_inside_is_raised_here(self, host):
        thread = NetnsThread(host.pid)
        with pytest.raises(ZeroDivisionError):
            thread.do(lambda: 1 // 0)
        assert thread.do(lambda: 5) == 5  # it goes on working

    def test_a_new_namespace_goes_with_its_thread(self):
        own = os.readlink("/proc/thread-self/ns/net")
        made = in_new_netns(lambda: os.readlink("/proc/thread-self/ns/net"))
        assert made != own == os.readlink("/proc/thread-self/ns/net")
        with pytest.raises(ValueError):
            in_new_netns(lambda: int("x"))

    def test_the_probe_of_close_wait_says_yes_or_no(self):
        assert Live().probe("close-wait-counted") in (b"0", b"1")


def as_nobody(job):
    """Runs a function in a child process without any privilege; gives what it returns."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(reader)
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            with open(writer, "wb") as out:
                pickle.dump(job(), out)
            status = 0
        except BaseException:  # noqa: BLE001  (a test must never go on in the child)
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, "rb") as answer:
        data = answer.read()
    assert os.waitpid(pid, 0)[1] == 0, "the child failed; its traceback stands above"
    return pickle.loads(data)


def refusal(ask) -> int:
    try:
        ask()
    except OSError as error:
        return error.errno or 0
    return 0


@root
class TestWithoutPrivilege:
    def test_what_may_not_be_read_is_denied_by_the_kernel(self):
        found = as_nobody(lambda: [
            refusal(lambda: Live().read("/proc/1/environ")),
            refusal(lambda: Live().listdir("/proc/1/fd")),
            refusal(lambda: Live().readlink("/proc/1/ns/net")),
            refusal(lambda: Live().within(1)),
            refusal(lambda: Live().search("/proc/1/exe", b"x")),
        ])  # fmt: skip
        assert found == [errno.EACCES] * 5

    def test_what_everybody_may_read_is_read(self):
        status = as_nobody(lambda: Live().read("/proc/1/status"))
        assert status.startswith(b"Name:")
        assert as_nobody(lambda: Live().reader().uid) == NOBODY

    @pytest.mark.netns
    def test_a_kamailio_in_another_namespace_is_found_and_none_of_it_is_described_by_our_own(self, alone):
        """Its processes are seen; its namespaces are refused, and nothing of them is taken from the reader's."""
        from kamtcp.diagnose.verdict import judge
        from kamtcp.model.target import Target
        from kamtcp.survey.take import take

        take(Live())  # loads what the child may not
        with StandIn() as host:
            server = host.spawn(["bash", "-c", "echo -n kamailio >/proc/self/comm; echo up; read", "kamailio"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, uid=12345)  # fmt: skip
            assert server.stdout.readline() == b"up\n"
            pid = child_of(server.pid)
            alone.add(pid)
            snapshot = as_nobody(lambda: take(Live()))
            server.stdin.close()
            server.stdout.close()
            server.wait()
        (found,) = [each for each in snapshot.instances if each.attendant == pid]
        verdict = judge(snapshot, found, Target(connections=10))
        assert any(each.why is Why.DENIED and str(pid) in each.source for each in snapshot.unseen)
        assert isinstance(found.rpc, Absent)
        assert isinstance(found.listeners, Absent)
        assert isinstance(found.opened, Absent)
        assert verdict.blind

    def test_the_command_says_what_it_missed_and_exits_3(self, alone, capfd):
        from kamtcp.__main__ import main

        main(["check", "--json"])  # loads what the child may not
        capfd.readouterr()
        code = as_nobody(lambda: main(["check", "--instance", "1"]))
        said = capfd.readouterr()
        assert (code, said.err) == (3, "")
        assert "could not be seen and may lie below" in " ".join(said.out.split())
        assert "EACCES" in said.out


class TestNowhere:
    """A place that may not be entered answers no question, least of all from elsewhere."""

    @pytest.mark.parametrize(
        "ask",
        [
            lambda host: host.read("/proc/stat"), lambda host: host.tail("/proc/stat"), lambda host: host.search("/x", b""),
            lambda host: host.listdir("/"), lambda host: host.readlink("/x"), lambda host: host.stat("/"),
            lambda host: host.disk("/"), lambda host: host.netlink(4, b""), lambda host: host.probe("handoff-messages"),
            lambda host: host.call(Endpoint(Transport.BINRPC_UNIX, "/x"), b""), lambda host: host.reader(),
            lambda host: host.within(1),
        ],
    )  # fmt: skip
    def test_every_question_is_denied_with_the_obstacle(self, ask):
        obstacle = Absent("namespaces of pid 812", Why.DENIED, "EPERM")
        with pytest.raises(PermissionError, match="namespaces of pid 812"):
            ask(Nowhere(obstacle))


def test_a_process_that_ends_while_it_is_read_is_gone_and_the_rest_is_there(alone):
    """A real one: it is killed between two questions."""
    from kamtcp.survey.take import take

    server = subprocess.Popen(["bash", "-c", "echo -n kamailio >/proc/self/comm; echo up; read", "kamailio"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == b"up\n"

    alone.add(server.pid)

    class Killing(Live):
        def within(self, pid: int) -> Within:
            if pid == server.pid and server.poll() is None:
                server.kill()
                server.wait()
            return super().within(pid)

    snapshot = take(Killing())
    server.stdin.close()  # type: ignore[union-attr]
    server.stdout.close()
    (found,) = [each for each in snapshot.instances if each.attendant == server.pid]
    assert isinstance(found.processes[0].nofile_soft, Absent)
    assert found.processes[0].nofile_soft.why in (Why.GONE, Why.MISSING)
    assert snapshot.machine.cpus > 0
    assert any(str(server.pid) in each.source for each in snapshot.unseen)


class TestHostilePaths:
    """Paths come from configurations that other users wrote."""

    def test_a_device_is_not_opened(self, tmp_path):
        """To open /dev/watchdog is to start it. The device here is one whose opening blocks or fails by itself."""
        with pytest.raises(OSError, match="Invalid argument"):
            Live().read("/dev/zero", 64)
        (tmp_path / "link").symlink_to("/dev/zero")
        with pytest.raises(OSError, match="Invalid argument"):
            Live().search(str(tmp_path / "link"), b"x")

    def test_a_sparse_file_is_searched_at_its_beginning_only(self, tmp_path):
        path = tmp_path / "exe"
        path.write_bytes(b"kamailio 5.6.3 (")
        os.truncate(path, 1 << 40)
        began = time.monotonic()
        assert Live().search(str(path), rb"kamailio 5") == b"kamailio 5"
        assert Live().search(str(path), rb"not there") == b""
        assert time.monotonic() - began < 5
