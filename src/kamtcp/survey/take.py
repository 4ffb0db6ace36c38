"""The order of looking at a machine."""

from __future__ import annotations

from kamtcp.host.door import Host
from kamtcp.model.absent import Absent
from kamtcp.model.machine import Namespace
from kamtcp.model.snapshot import SCHEMA, Snapshot
from kamtcp.observe.attempt import attempt
from kamtcp.survey import accepted, find, instance, machine, namespace


def take(host: Host, *, only: str = "", netns: str = "") -> Snapshot:
    """Look at everything that check judges.

    Args:
        host: the machine, live or recorded.
        only: a pid or a name: that process and its children are taken for a Kamailio, whatever their name.
        netns: leave out the Kamailios of all network namespaces but this one ("net:[…]"); "": none is left out.

    Returns:
        The facts of this moment. Nothing is raised for what can't be seen: it is absent, with its reason.
    """
    reader = host.reader()
    families = find.families(host, only)
    if netns:
        families = tuple(each for each in families if _netns_of(host, each.attendant) == netns)
    views = {family.attendant: instance.View.of(host, family, reader.netns) for family in families}
    namespaces: dict[str, Namespace] = {}
    for view in views.values():
        if view.netns not in namespaces:
            namespaces[view.netns] = namespace.collect(view.inside, view.netns, view.pid)
    if reader.netns not in namespaces:
        namespaces[reader.netns] = namespace.collect(host, reader.netns, None)
    instances = tuple(
        instance.collect(host, views[family.attendant], family, namespaces[views[family.attendant].netns])
        for family in families
    )
    seen = machine.collect(host, reader)
    instances = instance.with_in_flight(instances, seen.handoff_messages)
    unseen = [view.obstacle for view in views.values() if isinstance(view.obstacle, Absent)]
    if not families and (obstacle := find.hidden(host)) is not None:
        unseen.append(obstacle)
    return Snapshot(
        schema=SCHEMA,
        machine=seen,
        namespaces=namespaces,
        instances=instance.with_distinct_names(instances),
        unseen=tuple(unseen),
        accepted=accepted.collect(host),
    )


def _netns_of(host: Host, pid: int) -> str | Absent:
    place = f"/proc/{pid}/ns/net"
    return attempt(place, lambda: host.readlink(place))
