"""A responder in a process of its own: started, waited for, ended."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from typing import Self

import msgspec

from kamtcp.errors import KamtcpError
from kamtcp.loadgen.responder.settings import Ready, Totals

_START = 30.0  # seconds until it listens; an RSA key may take some on a busy machine


class Started:
    """A responder; use as a context manager. It ends with this process, however that ends.

    Args:
        argv: arguments of `python -m kamtcp.loadgen.responder`.
        within: command line that its own is appended to, and that becomes it (`nsenter --net=…`; no fork, no other
            namespace of processes).

    Attributes:
        ready: its pids, its sockets, and where it listens in truth.

    Raises:
        KamtcpError: it didn't come up; the text is what it said.
    """

    def __init__(self, argv: Sequence[str], *, within: Sequence[str] = ()) -> None:
        source = os.path.abspath(__file__)
        for _ in range(4):
            source = os.path.dirname(source)
        path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
        command = [*within, sys.executable, "-m", "kamtcp.loadgen.responder", "--end-with-parent", *argv]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
        )
        out = self._process.stdout
        assert out is not None
        readable, _, _ = select.select([out], [], [], _START)
        line = out.readline() if readable else b""
        if not line:
            self._process.kill()
            _, said = self._process.communicate()
            last = said.decode(errors="replace").strip().splitlines() or [f"no word in {_START:.0f} s"]
            raise KamtcpError(last[-1])
        self.ready = msgspec.json.decode(line, type=Ready)

    @property
    def targets(self) -> tuple[str, ...]:
        """Where it listens, in the order asked for, with the ports that it got."""
        return tuple(dict.fromkeys(each.aim for each in self.ready.listeners))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self) -> Totals:
        """End it, and learn what it did.

        Raises:
            KamtcpError: it had failed.
        """
        if self._process.poll() is None:
            self._process.terminate()
        out, said = self._process.communicate(timeout=20)
        if self._process.returncode:
            raise KamtcpError(said.decode(errors="replace").strip())
        return msgspec.json.decode(out, type=Totals)

    def close(self) -> None:
        """End it if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
