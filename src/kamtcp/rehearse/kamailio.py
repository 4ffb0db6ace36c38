"""A real Kamailio in a stand-in host: started, waited for, stopped.

Needs   what standin.py needs, and a Kamailio that is installed or unpacked (`packages_root`)
Source  Debian packaging of Kamailio: kamailio.service (options, user, RuntimeDirectory); ctl module (BINRPC)
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from typing import Self

from kamtcp.errors import StandInError
from kamtcp.host.certificate import self_signed
from kamtcp.rehearse.scenario import RUN_DIRECTORY, TLS_DIRECTORY, Scenario
from kamtcp.rehearse.standin import LOG_DIRECTORY, StandIn, child_of, children_of

STOCK_CONFIG = "/etc/kamailio/kamailio.cfg"
STOCK_ARGS = ("-m", "64", "-M", "8")  # MB of shared and of private memory, as the Debian unit passes them
STOCK_NOFILE = (1024, 20000)  # systemd's soft limit; the hard one there is 524288
CTL = f"{RUN_DIRECTORY}/kamailio_ctl"
LOG = f"{LOG_DIRECTORY}/kamailio.log"

_UID = 990  # of the user "kamailio" inside, which only the Debian postinst would make


def packages_root(cache: str = ".cache/packages/root") -> str | None:
    """Where a Kamailio to test with is: "/" if installed, else $KAMTCP_KAMAILIO_ROOT, else `cache`; None if nowhere."""
    for root in (os.environ.get("KAMTCP_KAMAILIO_ROOT", ""), "/", cache):
        if root and os.access(os.path.join(root, "usr/sbin/kamailio"), os.X_OK):
            return os.path.abspath(root)
    return None


class Running:
    """A Kamailio in a stand-in host.

    Attributes:
        standin: its host.
        pid: the attendant process, as the caller's /proc numbers it (inside it has another number).
        ctl: its BINRPC socket, as the caller reaches it; `CTL` as the server names it.
        log: its log file, as the caller reaches it; None if it writes none.
    """

    def __init__(self, standin: StandIn, nsenter: subprocess.Popen[bytes], pid: int, log: str | None) -> None:
        self.standin, self.pid, self.log = standin, pid, log
        self.ctl = standin.path(CTL)
        self._nsenter = nsenter

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether the attendant runs (it ends the whole server when a child dies)."""
        return self._nsenter.poll() is None

    @property
    def status(self) -> int | None:
        """How the attendant ended: exit status, negative for a signal; None while it runs."""
        return self._nsenter.poll()

    def children(self) -> tuple[int, ...]:
        """All its processes but the attendant, as the caller's /proc numbers them, ascending."""
        return children_of(self.pid) if self.alive else ()

    def stop(self, timeout: float = 10.0) -> int:
        """End it as systemd would (SIGTERM, then SIGKILL for whoever is left); returns the attendant's status."""
        left = self.children()
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.alive:
                _signal(self.pid, number)
            try:
                self._nsenter.wait(timeout)
                break
            except subprocess.TimeoutExpired:
                continue
        for pid in left:
            if _is_kamailio(pid):
                _signal(pid, signal.SIGKILL)
        return self._nsenter.wait(timeout)


def start_kamailio(
    standin: StandIn,
    *,
    config: str | Scenario | None = None,
    args: Sequence[str] = STOCK_ARGS,
    nofile: tuple[int, int] = STOCK_NOFILE,
    log: bool = False,
    user: bool | int = True,
    timeout: float = 15.0,
) -> Running:
    """Start Kamailio in the stand-in host and wait until its ctl socket answers.

    Args:
        standin: its host; the packages must be laid over it, or installed.
        config: a Scenario, the text of a kamailio.cfg, or None for the packaged one. It must load ctl.
        args: command-line options after `-P PIDFILE -f FILE`.
        nofile: soft and hard limit of open descriptors.
        log: write the log to `LOG` inside (memory, 64 MiB, further lines are lost) instead of syslog, which
            goes nowhere in a stand-in host.
        user: run as an unprivileged user "kamailio", as the Debian unit does; a number: its uid, where the kernel counts
            by user and other servers are about; false: as root.
        timeout: seconds to wait for the first answer.

    Raises:
        StandInError: it ended, or didn't answer in time; the text has its first complaint.
    """
    path = STOCK_CONFIG
    os.makedirs(standin.path(TLS_DIRECTORY), exist_ok=True)
    if isinstance(config, Scenario):
        if config.tls_port:
            _write(standin, f"{TLS_DIRECTORY}/tls.cfg", config.render_tls().encode())
            _write(standin, f"{TLS_DIRECTORY}/server.pem", self_signed(config.key))
        config = config.render()
    if config is not None:
        path = f"{TLS_DIRECTORY}/standin.cfg"
        _write(standin, path, config.encode())
    uid = (_UID if user is True else user) if user else 0
    if uid:
        _add_user(standin, uid)
    os.makedirs(standin.path(RUN_DIRECTORY), exist_ok=True)
    os.chown(standin.path(RUN_DIRECTORY), uid, uid)
    argv = [
        "kamailio",
        "-DD",
        *(["-E"] if log else []),
        "-P",
        f"{RUN_DIRECTORY}/kamailio.pid",
        "-f",
        path,
        *args,
    ]
    words = standin.path(f"{LOG_DIRECTORY}/kamailio.start" if not log else LOG)
    with open(words, "wb") as file:
        nsenter = standin.spawn(argv, nofile=nofile, uid=uid or None, stdout=file, stderr=file)
    started = time.monotonic()
    while time.monotonic() - started < timeout:
        if nsenter.poll() is not None:
            if not log:  # syslog went nowhere: let it check the file again, aloud
                checked = standin.run(["kamailio", "-c", "-E", "-f", path], check=False)
                with open(words, "ab") as file:
                    file.write(checked.stderr if checked.returncode else b"")
            raise StandInError(f"kamailio ended with {nsenter.returncode} at start: {_complaint(words)}")
        if _is_up(standin.path(CTL), started):
            pid = child_of(nsenter.pid)
            if pid is not None:
                return Running(standin, nsenter, pid, words if log else None)
        time.sleep(0.02)
    pid = child_of(nsenter.pid)
    if pid is not None:
        _signal(pid, signal.SIGKILL)
    nsenter.wait()
    raise StandInError(f"kamailio did not answer on {CTL} within {timeout:g} s: {_complaint(words)}")


def _ask(ctl: str, method: str) -> bytes:
    """The raw beginning of a BINRPC reply, b"" if there is none; just enough to know that the server is up."""
    name = method.encode() + b"\0"
    body = bytes((0x91, len(name))) + name  # one string record with one byte of length
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1.0)
        try:
            client.connect(ctl)
            client.sendall(bytes((0xA1, 0x03, len(body))) + b"kamt" + body)  # 1 byte of length, 4 of cookie
            return client.recv(65536)
        except OSError:
            return b""


def _is_up(ctl: str, since: float) -> bool:
    """Whether all processes are forked: TCP main comes last. After 1 s any answer will do (TCP may be disabled)."""
    answer = _ask(ctl, "core.psx")
    return b"tcp main process" in answer or (bool(answer) and time.monotonic() - since > 1.0)


def _add_user(standin: StandIn, uid: int) -> None:
    for file, line in (
        ("/etc/passwd", f"kamailio:x:{uid}:{uid}::{RUN_DIRECTORY}:/bin/false\n"),
        ("/etc/group", f"kamailio:x:{uid}:\n"),
    ):
        path = standin.path(file)
        with open(path, "r+", encoding="utf-8") as text:
            if not any(entry.startswith("kamailio:") for entry in text):
                text.write(line)


def _write(standin: StandIn, path: str, data: bytes) -> None:
    target = standin.path(path)
    with open(target, "wb") as file:
        file.write(data)
    os.chmod(target, 0o644)  # a key of a test host that lives in memory


def _complaint(path: str) -> str:
    with open(path, "rb") as file:
        lines = file.read()[-20000:].decode(errors="replace").strip().splitlines()
    found = [line for word in ("CRITICAL:", "ERROR:", "") for line in lines if word in line]
    return found[0] if found else "it said nothing"


def _is_kamailio(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read().strip() == b"kamailio"
    except OSError:
        return False


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
