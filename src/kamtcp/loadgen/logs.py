"""Where the server writes its log: files whose growth a load has to watch.

Reads   /proc/PID/fd of the server's processes; the log that the survey found
"""

from __future__ import annotations

from functools import partial

from kamtcp.host.door import Host
from kamtcp.model.absent import Absent
from kamtcp.model.instance import Instance
from kamtcp.observe.attempt import attempt

_STANDARD = ("1", "2")  # where Kamailio logs with -E, and what a service manager may have pointed at a file
_SYSLOG = ("/var/log/kamailio.log", "/var/log/syslog", "/var/log/messages", "/var/log/daemon.log")


def log_files(host: Host, instance: Instance) -> tuple[str, ...]:
    """Files that this Kamailio, or the syslog daemon on its behalf, writes to; as the caller can name them."""
    found = [instance.log_source] if instance.log_source.startswith("/") else []
    for number in _STANDARD:
        place = f"/proc/{instance.attendant}/fd/{number}"
        link = attempt(place, partial(host.readlink, place))
        if isinstance(link, str) and link.startswith("/") and not link.startswith("/dev/"):
            found.append(place)  # the link is followed, whatever mount namespace the file is in
    found += _SYSLOG
    return tuple(
        name
        for name in dict.fromkeys(found)
        if not isinstance(attempt(name, partial(host.stat, name)), Absent)
    )
