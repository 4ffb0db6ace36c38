"""May this load be run? Free targets are listeners of kamtcp's own; for any other the operator answers.

A load on a production host's loopback is a load on production, so that an address says nothing; only who listens does.

Reads   inet_diag LISTEN and, for a target that isn't kamtcp's own, ESTABLISHED, in the target's namespace
"""

from __future__ import annotations

from enum import Enum
from ipaddress import ip_address

from msgspec import Struct

from kamtcp.errors import KamtcpError, UsageError
from kamtcp.host.door import Host
from kamtcp.loadgen import owned
from kamtcp.loadgen.target import Aim
from kamtcp.observe import census, sockets
from kamtcp.observe.inet_diag import State

#: new connections a second on a server with connections of others, unless the operator says another rate
PRODUCTION_RATE = 50.0


class Kind(Enum):
    """On whose account a load runs."""

    FREE = "free"  # a listener that kamtcp started
    OWNED = "owned"  # the operator answers for it
    PRODUCTION = "production"  # and knows that others are connected


class Permission(Struct, frozen=True):
    """A load that may run.

    Args:
        kind: on whose account.
        others: connections of others to the target before the load; 0 where it is free or nobody could look.
        reason: for people, one clause.
    """

    kind: Kind
    others: int
    reason: str


def permission(
    aim: Aim, host: Host, netns: str, *, i_own_this_host: bool = False, production: bool = False
) -> Permission:
    """Whether a load on `aim` may run.

    Args:
        aim: the target.
        host: the machine as seen from the namespace that the load will run in.
        netns: that namespace ("net:[…]").
        i_own_this_host: the operator answers for the target.
        production: and for those who are connected to it.

    Raises:
        UsageError: it may not; the text says what it would take.
    """
    mine = _card(aim, host, netns)
    if mine is not None:
        return Permission(Kind.FREE, 0, f"{mine.what} of this user, pid {mine.pid}")
    if not i_own_this_host:
        raise UsageError(
            f"{aim} is no listener that kamtcp started: a load on it may take its service away."
            " If it is yours to load, add --i-own-this-host; to try things out, aim at a `kamtcp load responder`"
        )
    others = _others(aim, host)
    if others is None:
        return Permission(
            Kind.OWNED, 0, "the operator answers for it; who else is connected could not be seen"
        )
    if others and not production:
        raise UsageError(
            f"{aim} has {others:,} established connections of others: they may lose them."
            " If that is meant, add --production; the load is then paced"
        )
    if others:
        return Permission(Kind.PRODUCTION, others, f"{others:,} connections of others")
    return Permission(Kind.OWNED, 0, "the operator answers for it")


def _card(aim: Aim, host: Host, netns: str) -> owned.Card | None:
    """Whose listener it is; all that could take the connection must be kamtcp's own."""
    try:
        found = [each for each in sockets.listeners(host) if _takes(each, aim)]
    except (OSError, KamtcpError):
        return None
    whose = [owned.owner(netns, each.inode) for each in found]
    return whose[0] if whose and all(whose) else None


def _takes(listener: sockets.Listener, aim: Aim) -> bool:
    """Whether connections to the target may end there."""
    if listener.port != aim.port:
        return False
    address = ip_address(listener.address)
    if address == aim.ip:
        return True
    if not address.is_unspecified:
        return False
    return address.version == aim.ip.version or (address.version == 6 and listener.v6only is not True)


def _others(aim: Aim, host: Host) -> int | None:
    """Connections at the target's port; None where nobody here listens there or may look."""
    try:
        if not any(_takes(each, aim) for each in sockets.listeners(host)):
            return None
        found = census.collect(host)
    except (OSError, KamtcpError):
        return None
    return int((found.inbound({aim.port}) & (found.state == State.ESTABLISHED)).sum())
