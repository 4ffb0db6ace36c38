"""Whose the target of a load is, by its process."""

from __future__ import annotations

import os

from kamtcp.errors import UsageError


def check_owned(netns_pid: int | None, *, i_own_this_host: bool) -> None:
    """Refuse every target but a namespace that this very process started, unless the operator answers for it.

    Raises:
        UsageError: `netns_pid` is None or no descendant of this process, or lives in this process's namespace.
    """
    if i_own_this_host:
        return
    if netns_pid is None:
        raise UsageError(
            "load goes to servers that kamtcp itself started; for any other say --i-own-this-host"
        )
    try:
        same = os.readlink(f"/proc/{netns_pid}/ns/net") == os.readlink("/proc/self/ns/net")
        pid = netns_pid
        while pid > 1 and pid != os.getpid():
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
    except OSError as error:
        raise UsageError(f"process {netns_pid}: {error.strerror}") from error
    if same or pid != os.getpid():
        raise UsageError(
            f"process {netns_pid} is not kamtcp's own test host; for any other say --i-own-this-host"
        )
