"""A test host on this machine: namespaces of its own, a loopback of its own, nothing left behind.

A stand-in has its own network, mount, process, UTS and IPC namespaces. `/run` is empty, `/etc` and `/var`
take writes into memory, `/usr` and `/lib` show unpacked packages on top of this machine's own files, `/sys`
and `/proc` are those of the namespaces. `/tmp`, `/home` and the rest are this machine's: a checkout is
visible at its own path.

Needs   root (CAP_SYS_ADMIN), overlayfs, util-linux (unshare, nsenter, prlimit, setpriv), coreutils >= 8.31, iproute2
Source  man unshare(1), nsenter(1), namespaces(7), mount_namespaces(7); kernel Documentation/filesystems/overlayfs.rst
Cost    about 30 ms to start, 20 ms to stop

Its first process ends when a pipe held by the caller closes, and every process inside ends with it: a test
that is killed leaves neither processes nor mounts nor files.
"""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, Self

from kamtcp.errors import StandInError

LOG_DIRECTORY = "/run/log"  # a tmpfs of its own: a flood of log lines fills this and nothing else

# Runs as process 1 inside. $1: packages root or "", $2: tmpfs size, $3: host name, rest: more writable overlays.
# An ignored SIGCHLD survives exec and lets the kernel reap orphans, which `cat` would not do.
_SETUP = r"""
set -e
read -r pid rest < /proc/self/stat
packages=$1 size=$2 name=$3
shift 3
mount -t tmpfs -o "size=$size,mode=755" tmpfs /run
mkdir -p /run/.standin /run/lock /run/log /run/user
mount -t tmpfs -o size=64m,mode=777 tmpfs /run/log
if [ -n "$packages" ]; then
    mount -t overlay overlay -o "ro,lowerdir=$packages/usr:/usr" /usr
    [ ! -d "$packages/lib" ] || mount -t overlay overlay -o "ro,lowerdir=$packages/lib:/lib" /lib
fi
for place in /etc /var "$@"; do
    kept=/run/.standin/$(echo "$place" | tr / _)
    mkdir -p "$kept/upper" "$kept/work"
    chmod --reference="$place" "$kept/upper"
    chown --reference="$place" "$kept/upper"
    lower=$place
    [ -z "$packages" ] || [ ! -d "$packages$place" ] || lower=$packages$place:$place
    mount -t overlay overlay -o "lowerdir=$lower,upperdir=$kept/upper,workdir=$kept/work" "$place"
done
mount -t proc proc /proc
mkdir /run/.standin/sys
if mount -t sysfs sysfs /run/.standin/sys 2>/dev/null; then
    [ ! -d /sys/fs/cgroup ] || mount --rbind /sys/fs/cgroup /run/.standin/sys/fs/cgroup
    mount --move /run/.standin/sys /sys
fi
[ ! -S /dev/log ] || mount --bind /dev/null /dev/log
ip link set lo up
hostname "$name"
echo "127.0.0.1 localhost $name" > /etc/hosts
echo "ready $pid"
exec >/dev/null 2>&1
exec env --ignore-signal=CHLD cat
"""


class StandIn:
    """A test host; use as a context manager. Several may live side by side.

    Args:
        packages: root of unpacked Debian packages, laid read-only over `/usr` and `/lib` and, writable in
            memory, over `/etc` and `/var`; None or "/" where what is needed is installed.
        overlays: more directories whose writes shall stay in memory.
        name: its host name.
        size_mib: memory that its `/run`, `/etc` and `/var` may take.

    Attributes:
        pid: its first process, as the caller's /proc numbers it; `/proc/PID/ns/net` is its network.
        address: where its services listen ("127.0.0.1"); all of 127.0.0.0/8 is its own.

    Raises:
        StandInError: not root, or a namespace or mount was refused.
    """

    address = "127.0.0.1"

    def __init__(
        self,
        packages: str | None = None,
        *,
        overlays: Sequence[str] = (),
        name: str = "standin",
        size_mib: int = 128,
    ) -> None:
        if os.geteuid() != 0:
            raise StandInError("a stand-in host needs root: it makes namespaces and mounts of its own")
        root = "" if packages in (None, "/") else os.path.abspath(str(packages))
        if root and not os.path.isdir(f"{root}/usr"):
            raise StandInError(f"{root} holds no unpacked packages (no usr/ in it)")
        command = ["unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
        command += ["/bin/sh", "-c", _SETUP, "standin", root, f"{size_mib}m", name, *overlays]
        try:
            self._keeper = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # an interrupt at the terminal is the caller's to handle
            )
        except OSError as error:
            raise StandInError(f"unshare could not be run: {error.strerror}") from error
        self.packages = root
        self.pid = self._await_ready()

    def _await_ready(self) -> int:
        out, err = self._keeper.stdout, self._keeper.stderr
        assert out is not None
        assert err is not None
        readable, _, _ = select.select([out], [], [], 20.0)
        words = out.readline().split() if readable else []
        if len(words) == 2 and words[0] == b"ready":
            return int(words[1])
        self._keeper.kill()
        said = err.read().decode(errors="replace").strip().splitlines() or ["no word in 20 s"]
        self.close()
        raise StandInError(f"stand-in host could not be set up: {said[-1]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End every process inside; safe to call twice."""
        for pipe in (self._keeper.stdin, self._keeper.stdout, self._keeper.stderr):
            if pipe is not None and not pipe.closed:
                pipe.close()
        self._keeper.kill()  # its child dies with it (--kill-child), should the pipe still be held by a fork of ours
        self._keeper.wait()

    def path(self, inside: str) -> str:
        """The caller's name for a file inside ("/run/x" -> "/proc/PID/root/run/x")."""
        return f"/proc/{self.pid}/root{inside}"

    def command(
        self,
        argv: Sequence[str],
        *,
        nofile: tuple[int, int] | None = None,
        uid: int | None = None,
        gid: int | None = None,
    ) -> list[str]:
        """The command line that runs `argv` inside, from outside.

        Args:
            argv: the command and its arguments.
            nofile: soft and hard RLIMIT_NOFILE, in descriptors; None: the caller's own.
            uid: who it runs as; None: root.
            gid: its group; None: as `uid`.
        """
        words = ["nsenter", f"--target={self.pid}", "--net", "--mount", "--pid", "--uts", "--ipc", "--"]
        if nofile is not None:
            words += ["prlimit", f"--nofile={nofile[0]}:{nofile[1]}"]
        if uid is not None:
            words += ["setpriv", f"--reuid={uid}", f"--regid={uid if gid is None else gid}", "--clear-groups"]
        return [*words, *argv]

    def spawn(
        self,
        argv: Sequence[str],
        *,
        nofile: tuple[int, int] | None = None,
        uid: int | None = None,
        gid: int | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] | None = subprocess.DEVNULL,
        stdout: int | IO[bytes] | None = subprocess.DEVNULL,
        stderr: int | IO[bytes] | None = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start a command inside. The Popen is that of `nsenter`; `child_of` finds the command's own pid."""
        return subprocess.Popen(
            self.command(argv, nofile=nofile, uid=uid, gid=gid),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=None if env is None else dict(env),
            cwd="/",
            start_new_session=True,
        )

    def run(
        self,
        argv: Sequence[str],
        *,
        nofile: tuple[int, int] | None = None,
        uid: int | None = None,
        env: Mapping[str, str] | None = None,
        data: bytes | None = None,
        timeout: float = 30.0,
        check: bool = True,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a command inside to its end.

        Raises:
            StandInError: it ended with an error (unless `check` is false), or took longer than `timeout` seconds.
        """
        try:
            done = subprocess.run(
                self.command(argv, nofile=nofile, uid=uid),
                input=b"" if data is None else data,
                capture_output=True,
                env=None if env is None else dict(env),
                cwd="/",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StandInError(f"{argv[0]} did not end within {timeout:g} s in the stand-in host") from error
        if check and done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
            raise StandInError(f"{argv[0]} ended with {done.returncode} in the stand-in host: {said[-1]}")
        return done

    def sysctl(self, name: str, value: str | int | None = None) -> str:
        """Read, or with `value` write, a `net.*` sysctl of its network namespace; returns what it reads afterwards.

        Raises:
            StandInError: not below `net.` (anything else is the whole machine's), absent here, or refused.
        """
        if not name.startswith("net.") or "/" in name or ".." in name:
            raise StandInError(f"{name!r} is no sysctl of a network namespace")
        path = "/proc/sys/" + name.replace(".", "/")
        if value is not None:
            self.run(["dd", "status=none", "conv=notrunc", f"of={path}"], data=f"{value}\n".encode())
        return self.run(["cat", path]).stdout.decode().strip()


def child_of(pid: int) -> int | None:
    """The only child of a process (the command that `nsenter` started), or None. Source: proc(5), /proc/PID/stat."""
    return next(iter(children_of(pid)), None)


def children_of(pid: int) -> tuple[int, ...]:
    """Process ids of all children, ascending; needs no CONFIG_PROC_CHILDREN."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue  # it ended meanwhile
            if parent == pid:
                found.append(int(name))
    return tuple(sorted(found))
