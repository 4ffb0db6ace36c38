"""Everything the readers can read, for a recording: what check judges, and what only later questions need."""

from __future__ import annotations

from kamtcp.host.door import Host
from kamtcp.model.snapshot import Snapshot
from kamtcp.observe import boot, census, files, hashes, pressure, processes
from kamtcp.observe.attempt import attempt
from kamtcp.survey import find, start_limits
from kamtcp.survey.take import take


def look(host: Host, *, every_socket: bool = False) -> Snapshot:
    """Ask for everything; the answers stay with the recorder that `host` is.

    Args:
        host: a recorder.
        every_socket: also each established connection (88 bytes or more for each).

    Returns:
        What check would judge, for those who ask for more of the same host.
    """
    snapshot = take(host)
    for source, collect in (
        ("boot", boot.collect),
        ("files", files.collect),
        ("hashes", hashes.collect),
        ("pressure", pressure.collect),
    ):
        attempt(source, lambda collect=collect: collect(host))  # type: ignore[misc]
    start_limits.surroundings(host)
    for family in find.families(host):
        for member in family.members:
            attempt(f"process {member.pid}", lambda pid=member.pid: processes.collect(host, pid))  # type: ignore[misc]
    if every_socket:
        attempt("inet_diag", lambda: census.collect(host))
        for instance in snapshot.instances:
            attempt("inet_diag", lambda pid=instance.attendant: census.collect(host.within(pid)))  # type: ignore[misc]
    return snapshot
