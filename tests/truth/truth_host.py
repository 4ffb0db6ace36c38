"""Values of the whole machine, changed for a few seconds: one at a time, by permission, and never left changed.

A dead-man puts the old value back: a process of its own that is armed before the value is changed, and acts when its
pipe closes (this process ended, however) or after LONGEST seconds, whichever is first. A file lock keeps a second run
away. No value is set below four times what is in use.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from truth_row import NotProven

LONGEST = 10.0  # seconds that a value may stay changed
LOCK = Path(tempfile.gettempdir()) / "kamtcp-host-wide.lock"
PERMISSION = "KAMTCP_DISPOSABLE_HOST"  # "1" in the environment: this machine may be changed

# $1: file, $2: old value, $3: seconds. Says "armed", waits for the end of its input, restores, says what then reads.
_DEAD_MAN = r"""
import select, sys
path, old, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
print("armed", flush=True)
on_time = bool(select.select([sys.stdin], [], [], seconds)[0])
with open(path, "w") as file:
    file.write(old)
with open(path) as file:
    now = file.read().split()
try:
    print("restored" if now == old.split() else "not restored", "on time" if on_time else "late", flush=True)
except OSError:
    pass
"""


def permitted() -> bool:
    """Whether this machine is disposable: `--disposable-host` was said."""
    return os.environ.get(PERMISSION) == "1"


@contextmanager
def changed(
    path: str, value: int | str, *, in_use: int, lowest: int | None = None, seconds: float = LONGEST
) -> Iterator[None]:
    """A value of the whole machine, changed while inside.

    Args:
        path: its file below /proc/sys. value: what to write.
        in_use: how much of it the machine uses now, itself left aside. lowest: the number of `value` that bounds; None:
            `value` itself.
        seconds: after which the dead-man restores it, whatever happens.

    Raises:
        NotProven: not permitted here, too low beside what is in use, or refused by the kernel.
        AssertionError: it could not be put back in time.
    """
    if not permitted():
        raise NotProven("needs --disposable-host")
    bound = int(value) if lowest is None else lowest
    if bound < 4 * in_use:
        raise NotProven(f"{path} = {value} is less than four times what is in use ({in_use})")
    with open(LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        old = Path(path).read_text().strip()
        with _dead_man(path, old, min(seconds, LONGEST)):
            try:
                Path(path).write_text(f"{value}\n")
            except OSError as error:
                raise NotProven(f"{path}: {error.strerror}") from error
            yield


@contextmanager
def _dead_man(path: str, old: str, seconds: float) -> Iterator[None]:
    man = subprocess.Popen(
        [sys.executable, "-I", "-c", _DEAD_MAN, path, old, str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # an interrupt at the terminal doesn't reach it
        text=True,
    )
    assert man.stdin is not None and man.stdout is not None
    try:
        assert man.stdout.readline() == "armed\n", "the dead-man did not start; nothing was changed"
        yield
    finally:
        man.stdin.close()
        said = man.stdout.read().strip()
        man.stdout.close()
        man.wait()
    assert said.startswith("restored"), f"{path} could not be put back to {old}: {said or man.returncode}"
    assert said == "restored on time", f"{path} was put back after {seconds:g} s while the row still measured"
