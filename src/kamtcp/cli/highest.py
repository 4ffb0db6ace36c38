"""The highest use that checks have seen, kept in kamtcp's own state directory.

It stands in for a target until the operator states one. It is read through the Host, so that a recording
carries its own host's.
"""

from __future__ import annotations

import msgspec

from kamtcp.cli import state
from kamtcp.host.door import Host
from kamtcp.model.instance import Instance
from kamtcp.model.snapshot import Snapshot

FILE = state.path("highest.json")


def of(host: Host, instance: Instance) -> int:
    """Most open connections ever seen by a check, present use included; 0 where nothing was."""
    now = instance.opened if isinstance(instance.opened, int) else 0
    return max(now, _read(host).get(instance.name, 0))


def keep(host: Host, snapshot: Snapshot) -> None:
    """Remember present use where it is higher. What can't be written is not kept: nothing depends on it."""
    known = _read(host)
    seen = {each.name: each.opened for each in snapshot.instances if isinstance(each.opened, int)}
    fresh = {name: count for name, count in seen.items() if count > known.get(name, 0)}
    if not fresh:
        return
    try:
        state.write(FILE, {**known, **fresh})
    except (OSError, UnicodeEncodeError):  # a name that is not UTF-8
        return


def _read(host: Host) -> dict[str, int]:
    try:
        return msgspec.json.decode(host.read(FILE, 1 << 20), type=dict[str, int])
    except Exception:  # noqa: BLE001  (absent, denied, not recorded or damaged: there is no memory of the past)
        return {}
