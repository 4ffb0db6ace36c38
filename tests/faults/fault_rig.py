"""What the cases of the suite share: `kamtcp load` as an operator starts it, servers that fail, and a look at what is left.

The load is always the command itself, in a process of its own, aimed at a server in a stand-in host; nothing is read
from it but its exit code, its JSON document, its report and its stderr.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import msgspec
from msgspec import Struct

from kamtcp.cli.load_document import Document
from kamtcp.host.live import Live
from kamtcp.observe import census
from kamtcp.rehearse.kamailio import Running, packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn

SOURCE = Path(__file__).parent.parent.parent / "src"
HARD = 20_000  # descriptors that a process may have here without CAP_SYS_RESOURCE
MARK = "KAMTCP_FAULTS_RUN"  # in the environment of all that a load starts
OWN = "--i-own-this-host"
PORT, TLS_PORT = 5060, 5061
ESTABLISHED, TIME_WAIT, LISTEN = 1, 6, 10


class Found(Struct, frozen=True):
    """What came of one load.

    Args:
        code: exit code. document: of --json, None without one. report: the page for people. said: stderr.
        left: what was still running or open afterwards, in words; empty where nothing was.
        seconds: that it took.
    """

    code: int
    document: Document | None
    report: str
    said: str
    left: tuple[str, ...]
    seconds: float

    @property
    def result(self) -> Document:
        """The document, of a load that had something to report."""
        assert self.document is not None, self.said
        return self.document

    @property
    def codes(self) -> tuple[str, ...]:
        """Symptoms that were named, worst first."""
        return tuple(each.code for each in self.result.gave_way)

    @property
    def adds_up(self) -> bool:
        """offered == served + failures, as a whole and in every part; lost and held are of those served."""
        whole = self.result
        return (
            whole.offered == whole.served + sum(whole.failures.values())
            and all(part.tally.offered == part.tally.answered + part.tally.failures.total() for part in whole.parts)
            and max(whole.held_end, whole.lost) <= whole.served
        )  # fmt: skip


class Started:
    """A load that runs; `finish` waits for its end. Leaving the context kills it and whatever it started."""

    def __init__(
        self, host: StandIn, words: tuple[str, ...], folder: Path, state: Path, *, inside: bool
    ) -> None:
        self.host, self.out = host, folder / f"load{len(list(folder.iterdir()))}"
        self.token = f"{os.getpid()}.{time.monotonic_ns()}"
        self.began = time.monotonic()
        command = [sys.executable, "-m", "kamtcp", "load", *words, "--json", "--out", str(self.out)]
        self.process = subprocess.Popen(
            host.command(command) if inside else [*command, "--netns", str(host.pid)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(state) | {MARK: self.token}, cwd="/", start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in marked(self.token):
            _signal(pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    @property
    def workers(self) -> tuple[int, ...]:
        """Processes of the generator."""
        return tuple(pid for pid in marked(self.token) if b"kamtcp.loadgen.worker" in _words(pid))

    def finish(self, timeout: float = 120.0) -> Found:
        """Wait for the end of it."""
        try:
            out, said = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"the load did not end within {timeout:g} s") from error
        seconds = time.monotonic() - self.began
        page = self.out / "report.txt"
        text = page.read_text() if page.exists() else ""
        return Found(
            self.process.returncode, msgspec.json.decode(out, type=Document) if out else None, text, said.decode(), left(self.host, self.token), seconds
        )  # fmt: skip

    def held(self, count: int, port: int = PORT) -> None:
        """Wait until so many connections are established at the server's end, and looked after there."""
        until(lambda: at_server(self.host, port) >= count, f"{count} connections at port {port}", self._alive)

    def _alive(self) -> None:
        assert self.process.poll() is None, (self.process.stderr or open(os.devnull, "rb")).read().decode()  # noqa: SIM115


class Stage(Struct):
    """Where a case plays: a folder for reports, and one that the load takes for its own; both are gone afterwards."""

    folder: Path
    state: Path

    def load(self, host: StandIn, *words: str, inside: bool = False) -> Started:
        """`kamtcp load WORDS` in the network of a stand-in host; `inside`: in all of its namespaces."""
        return Started(host, words, self.folder, self.state, inside=inside)

    def loaded(self, host: StandIn, *words: str, timeout: float = 120.0) -> Found:
        """The same, to its end."""
        with self.load(host, *words) as load:
            return load.finish(timeout)

    @contextmanager
    def responder(
        self, host: StandIn, *targets: str, fault: str = "", more: tuple[str, ...] = ()
    ) -> Iterator[int]:
        """The built-in responder in the network of a stand-in host; its pid."""
        words = ["load", "responder", *targets, "--json", *(("--fault", fault) if fault else ()), *more]
        process = subprocess.Popen(
            ["nsenter", f"--net=/proc/{host.pid}/ns/net", sys.executable, "-m", "kamtcp", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(self.state),
        )  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith(b"{"), "the responder did not begin to listen"
            yield process.pid
        finally:
            process.terminate()
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


@contextmanager
def kamailio(
    config: Scenario, *, shm: int = 64, log: bool = False, name: str = "faults"
) -> Iterator[Running]:
    """A Kamailio in a stand-in host of its own, raised in descriptors."""
    with (
        StandIn(packages_root(), name=name) as host,
        start_kamailio(host, config=config, nofile=(HARD, HARD), args=("-m", str(shm), "-M", "8"), log=log) as running,
    ):  # fmt: skip
        yield running


def environment(state: Path) -> dict[str, str]:
    """Of a kamtcp that leaves nothing on this machine."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PYTHONPATH": str(SOURCE),
        "PYTHONWARNINGS": "error",
        "LC_ALL": "C.UTF-8",
        "KAMTCP_STATE": str(state),
    }


def until(
    true: Callable[[], bool], what: str, check: Callable[[], None] = lambda: None, timeout: float = 60.0
) -> None:
    """Wait until it is true, with a check that ends the waiting early."""
    end = time.monotonic() + timeout
    while not true():
        check()
        assert time.monotonic() < end, f"waited {timeout:g} s for {what}"
        time.sleep(0.02)


def at_server(host: StandIn, port: int) -> int:
    """Established connections that a process at the server's end holds."""
    found = census.collect(Live().within(host.pid))
    return int((found.inbound((port,)) & (found.state == ESTABLISHED) & (found.inode != 0)).sum())


def open_clients(host: StandIn) -> int:
    """Sockets that some process holds at another end than a server's: what a load must not leave."""
    found = census.collect(Live().within(host.pid))
    return int((~found.inbound((PORT, TLS_PORT)) & (found.state != LISTEN) & (found.inode != 0)).sum())


def marked(token: str) -> tuple[int, ...]:
    """Processes with this token in their environment."""
    wanted = f"{MARK}={token}".encode()
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if wanted in file.read().split(b"\0"):
                        found.append(int(name))
            except OSError:
                continue  # it ended meanwhile
    return tuple(found)


def left(host: StandIn, token: str, patience: float = 10.0) -> tuple[str, ...]:
    """What a load that ended left running or open, after a moment in which it may go."""
    end = time.monotonic() + patience
    while True:
        running, opened = marked(token), open_clients(host)
        found = [f"process {pid} still runs" for pid in running]
        found += [f"{opened} sockets still open"] if opened else []
        if not found or time.monotonic() > end:
            return tuple(found)
        time.sleep(0.05)


def _words(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
