"""check --kamailio-cfg against the start itself: the same file, the same arguments, a real Kamailio."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from kamtcp.cli.document import Document, Judged
from kamtcp.errors import StandInError
from kamtcp.host.live import Live
from kamtcp.model.instance import Instance, Role, SharedMemory
from kamtcp.rehearse.kamailio import STOCK_CONFIG, Running, packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from kamtcp.survey.take import take

SRC = str(Path(__file__).parents[2] / "src")
PACKAGED = ("-m", "64", "-M", "8")
#: seconds within which a worker that gets no memory ends, and everything with it
PATIENCE = 20.0
#: a script of some size, as a real server has one: 130 KB of private memory in each process
CHECKS = (
    "route[CHECKS] {\n"
    + "".join(
        f'    if (is_method("INVITE") && $rU == "x{number}") {{ $var(a) = "v{number}"; sl_send_reply("404", "Not"); exit; }}\n'
        for number in range(8)
    )
    + "}",
)


def with_script(most: int) -> Scenario:
    return Scenario(tcp_max_connections=most, tls_port=5061, websocket=True, modparams=CHECKS)


def write(standin: StandIn, path: str, text: str) -> None:
    os.makedirs(os.path.dirname(standin.path(path)), exist_ok=True)
    Path(standin.path(path)).write_text(text)


def judged(
    standin: StandIn, text: str | None, args: tuple[str, ...] | None, *options: str
) -> tuple[Judged, int]:
    """What check says inside, before the start; and its exit code."""
    path = STOCK_CONFIG
    if text is not None:
        path = "/etc/kamailio/next.cfg"
        write(standin, path, text)
    words = [
        sys.executable,
        "-m",
        "kamtcp",
        "check",
        "--json",
        "--kamailio-cfg",
        path,
        *(() if args is None else ("--args", " ".join(args))),
        *options,
    ]
    done = standin.run(words, env={**os.environ, "PYTHONPATH": SRC}, check=False, timeout=60)
    assert done.stdout, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=Document).judged[0], done.returncode


def running_instance(running: Running) -> Instance | None:
    """Of all Kamailios on this machine, the one that was started here; None once it has ended."""
    found = take(Live(), only=str(running.pid)).instances
    return next((each for each in found if each.attendant == running.pid), None)


def holds(standin: StandIn, config: Scenario, args: tuple[str, ...]) -> bool:
    """Whether it starts and every worker and tcp main gets its tables; False where it ends."""
    limit = config.tcp_max_connections or 2048
    try:
        running = start_kamailio(standin, config=config, args=args)
    except StandInError:
        return False
    with running:
        until = time.monotonic() + PATIENCE
        while running.alive and time.monotonic() < until:
            found = running_instance(running)
            owners = () if found is None else (*found.of_role(Role.TCP_WORKER), *found.of_role(Role.TCP_MAIN))
            used = [each.pkg_used_bytes for each in owners]
            if len(owners) == config.tcp_children + 1 and all(
                isinstance(each, int) and each > 36 * limit for each in used
            ):
                return True
            time.sleep(0.05)
        assert not running.alive, "neither ended nor ready"
        return False


@pytest.mark.parametrize(("most", "starts"), [(205_000, True), (210_000, False)])
def test_whether_it_starts_with_8_mb_of_private_memory(most, starts):
    config = with_script(most)
    with StandIn(packages_root()) as host:
        said, code = judged(host, config.render(), PACKAGED)
        assert said.start is not None
        assert said.start.starts is starts, said.start.why
        assert ("MEM001" in {each.code for each in said.findings}) is not starts
        if not starts:
            assert code == 1
            assert "/etc/kamailio/next.cfg:11" in said.start.why[0]
        assert holds(host, config, PACKAGED) is starts


def test_what_modules_take_at_start_does_not_fit_into_one_megabyte():
    config = Scenario(modparams=('loadmodule "tm.so"',))
    with StandIn(packages_root()) as host:
        said, _ = judged(host, config.render(), ("-m", "1"))
        assert said.start is not None
        assert said.start.starts is False
        assert "MEM030" in {each.code for each in said.findings}
        assert not holds(host, config, ("-m", "1"))
        assert judged(host, config.render(), ("-m", "16"))[0].start.starts is True  # type: ignore[union-attr]
        assert holds(host, config, ("-m", "16"))


def test_open_files_limit_above_the_units_hard_limit():
    config = Scenario(open_files_limit=3000)
    with StandIn(packages_root()) as host:
        write(
            host, "/etc/systemd/system/kamailio.service.d/limits.conf", "[Service]\nLimitNOFILE=1024:2000\n"
        )
        said, code = judged(host, config.render(), PACKAGED)
        assert (said.start is not None and said.start.starts, code) == (False, 1)
        with pytest.raises(StandInError):
            start_kamailio(host, config=config, args=PACKAGED, nofile=(1024, 2000))


def test_without_arguments_those_of_the_unit_count():
    """The packaged unit takes them from /etc/default/kamailio."""
    text = Scenario(tcp_max_connections=100_000).render()
    with StandIn(packages_root()) as host:
        for megabytes, starts in ((8, True), (2, False)):
            write(host, "/etc/default/kamailio", f"PKG_MEMORY={megabytes}\n")
            said, _ = judged(host, text, None)
            assert said.start is not None
            assert said.start.starts is starts


def test_a_port_that_another_program_holds():
    config = Scenario()
    hold = "import socket, sys; s = socket.create_server(('127.0.0.1', 5060)); print('up', flush=True); sys.stdin.read()"
    with StandIn(packages_root()) as host:
        assert judged(host, config.render(), PACKAGED)[0].start.starts is True  # type: ignore[union-attr]
        other = host.spawn([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"up\n"
            said, code = judged(host, config.render(), PACKAGED, "--fail-on", "fatal")
            assert said.start is not None
            assert (said.start.starts, code) == (False, 1)
            assert (
                "tcp:127.0.0.1:5060 (/etc/kamailio/next.cfg:11): 127.0.0.1:5060 is held" in said.start.why[0]
            )
            with pytest.raises(StandInError):
                start_kamailio(host, config=config, args=PACKAGED)
            other.communicate(timeout=20)


@pytest.mark.parametrize(
    ("config", "args"),
    [
        (Scenario(tcp_children=6, children=2), PACKAGED),
        (with_script(4096), ("-m", "128", "-M", "16", "-N", "3", "-x", "fm")),
        (None, (*PACKAGED, "-n", "3", "-A", "WITH_NAT")),
    ],
    ids=["plain", "tls", "packaged"],
)
def test_what_is_foreseen_is_what_a_start_makes(config, args):
    with StandIn(packages_root()) as host:
        text = config.render() if config is not None else None
        path = "/etc/kamailio/next.cfg" if text is not None else STOCK_CONFIG
        if text is not None:
            write(host, path, text)
        words = [
            sys.executable,
            "-m",
            "kamtcp",
            "check",
            "--json",
            "--kamailio-cfg",
            path,
            "--args",
            " ".join(args),
        ]
        done = host.run(words, env={**os.environ, "PYTHONPATH": SRC}, check=False, timeout=60)
        document = msgspec.json.decode(done.stdout, type=Document)
        before = document.snapshot.instances[0]
        with start_kamailio(host, config=config, args=args) as running:
            after = running_instance(running)
    assert after is not None
    assert before.foreseen is not None
    assert before.version == after.version
    assert abs(before.process_count - after.process_count) <= 1
    assert len(before.of_role(Role.TCP_WORKER)) == len(after.of_role(Role.TCP_WORKER))
    assert before.of_role(Role.TCP_MAIN)[0].nofile_soft == after.of_role(Role.TCP_MAIN)[0].nofile_soft
    assert sorted(set(before.tls_ports)) == sorted(set(after.tls_ports))  # type: ignore[arg-type]
    used = [each.pkg_used_bytes for each in after.processes if each.role in (Role.TCP_MAIN, Role.TCP_WORKER)]
    table = 36 * (_number(after, "tcp_max_connections") + 5 * after.process_count)
    assert before.foreseen.private_low <= max(used) - table <= before.foreseen.private_high  # type: ignore[type-var]
    assert isinstance(after.shared_memory, SharedMemory)
    assert before.foreseen.shared_low <= after.shared_memory.real_used <= before.foreseen.shared_high
    assert before.shared_memory.total == after.shared_memory.total  # type: ignore[union-attr]
    for name in (
        "tcp_max_connections",
        "tcp_connection_lifetime",
        "tcp_rd_buf_size",
        "pkg_bytes",
        "shm_megabytes",
        "tcp_children",
    ):
        assert _number(before, name) == _number(after, name), name
    if isinstance(before.openssl, int) and before.openssl:
        assert before.openssl == after.openssl


def _number(instance: Instance, name: str) -> int:
    value = instance.parameters[name].value
    assert isinstance(value, int)
    return value
