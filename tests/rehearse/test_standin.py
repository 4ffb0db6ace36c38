from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from kamtcp.errors import StandInError
from kamtcp.rehearse.kamailio import packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn, child_of

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ROOT = packages_root()
kamailio = pytest.mark.skipif(
    ROOT is None, reason="no Kamailio: run scripts/fetch_packages.py or set KAMTCP_KAMAILIO_ROOT"
)


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    for _ in range(100):
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(scope="module")
def host():
    with StandIn(name="one") as host:
        yield host


@root
@pytest.mark.netns
class TestStandIn:
    def test_it_has_a_name_and_a_network_of_its_own(self, host: StandIn) -> None:
        assert host.run(["hostname"]).stdout == b"one\n"
        assert b"127.0.0.1/8" in host.run(["ip", "-br", "address"]).stdout
        assert os.readlink(f"/proc/{host.pid}/ns/net") != os.readlink("/proc/self/ns/net")
        assert host.run(["ls", "/sys/class/net"]).stdout == b"lo\n"

    def test_two_live_side_by_side(self, host: StandIn) -> None:
        with StandIn(name="two") as other:
            assert other.sysctl("net.core.somaxconn", 777) == "777"
            assert host.sysctl("net.core.somaxconn") != "777"

    def test_writes_to_etc_stay_inside(self, host: StandIn) -> None:
        host.run(["touch", "/etc/kamtcp-test", "/var/kamtcp-test", "/run/kamtcp-test"])
        assert os.path.exists(host.path("/etc/kamtcp-test"))
        assert not any(os.path.exists(f"/{place}/kamtcp-test") for place in ("etc", "var", "run"))

    def test_sysctls_of_the_whole_machine_are_refused(self, host: StandIn) -> None:
        with pytest.raises(StandInError, match="no sysctl of a network namespace"):
            host.sysctl("fs.file-max", 1)

    def test_limits_and_user_of_a_command_are_as_asked(self, host: StandIn) -> None:
        done = host.run(["sh", "-c", "ulimit -Sn; ulimit -Hn; id -u"], nofile=(100, 200), uid=12345)
        assert done.stdout.split() == [b"100", b"200", b"12345"]

    def test_orphans_inside_leave_no_zombies(self, host: StandIn) -> None:
        host.run(["sh", "-c", "(sleep 0.05 &) ; sleep 0.15"])
        assert b"defunct" not in host.run(["ps", "ax"]).stdout

    def test_a_failing_command_is_told_in_one_line(self, host: StandIn) -> None:
        with pytest.raises(StandInError, match="ls ended with 2 in the stand-in host: ls: cannot access"):
            host.run(["ls", "/nowhere"])

    def test_closing_ends_everything_inside(self) -> None:
        with StandIn() as other:
            sleeper = other.spawn(["sleep", "60"])
            while (inside := child_of(sleeper.pid)) is None:
                time.sleep(0.005)
        sleeper.wait(5)
        assert gone(inside)

    def test_a_killed_caller_leaves_nothing_behind(self) -> None:
        script = (
            "import time; from kamtcp.rehearse.standin import StandIn; h = StandIn(); h.spawn(['sleep', '60']);"
            "print(h.pid, flush=True); time.sleep(60)"
        )
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        caller = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=env)
        assert caller.stdout is not None
        pid = int(caller.stdout.readline())
        caller.send_signal(signal.SIGKILL)
        caller.wait()
        caller.stdout.close()
        assert gone(pid)

    def test_a_root_without_packages_is_refused(self, tmp_path) -> None:
        with pytest.raises(StandInError, match="holds no unpacked packages"):
            StandIn(str(tmp_path))


@root
@kamailio
@pytest.mark.kamailio
class TestKamailio:
    def test_the_packaged_configuration_runs_as_its_own_user_with_the_stock_limits(self) -> None:
        with StandIn(ROOT) as host, start_kamailio(host) as kam:
            with open(f"/proc/{kam.pid}/limits") as file:
                nofile = next(line.split()[3] for line in file if line.startswith("Max open files"))
            assert nofile == "1024"
            assert os.stat(f"/proc/{kam.pid}").st_uid == 990
            children = kam.children()
            assert len(children) > 8
            assert kam.stop() == 0
            assert all(gone(pid) for pid in children)

    def test_tls_and_websocket_listeners_come_up(self) -> None:
        with (
            StandIn(ROOT) as host,
            start_kamailio(host, config=Scenario(tls_port=5061, websocket=True, key="rsa")),
        ):
            listening = host.run(["ss", "-Hltn"]).stdout
        assert b"127.0.0.1:5060" in listening
        assert b"127.0.0.1:5061" in listening

    def test_a_broken_configuration_is_told_in_one_line(self) -> None:
        with (
            StandIn(ROOT) as host,
            pytest.raises(StandInError, match=r"kamailio ended with 255 .* line 2, column 4"),
        ):
            start_kamailio(host, config="#!KAMAILIO\nfoo=1\n")
