"""Listeners of a configuration whose address and port another program holds: bind() fails, and so does the start.

Source  Kamailio src/core/tcp_main.c tcp_init(); Linux net/ipv4/inet_connection_sock.c inet_csk_get_port()
"""

from __future__ import annotations

from kamtcp.kamailio.config import Config, Listen
from kamtcp.model.absent import Absent
from kamtcp.model.machine import ListenQueue
from kamtcp.model.snapshot import Snapshot

_ANY = ("0.0.0.0", "::", "*")  # noqa: S104  (nothing is bound here)


def of_others(config: Config, snapshot: Snapshot) -> tuple[str, ...]:
    """One clause for each; listeners of a Kamailio that runs don't count, since it makes way at a restart."""
    held = snapshot.namespaces[snapshot.machine.netns].listeners
    if isinstance(held, Absent) or _is_on(config, "tcp_reuse_port"):
        return ()
    own: set[int] = set()
    for each in snapshot.instances:
        if each.netns == snapshot.machine.netns:
            if isinstance(each.listeners, Absent):
                return ()  # its ports can't be told from those of others
            own |= {queue.inode for queue in each.listeners}
    others = [each for each in held if each.inode not in own]
    return tuple(
        f"{_protocol(listen)}:{address}:{port} ({listen.file}:{listen.line}): {queue.address}:{queue.port} is held by"
        f" another program (ss -ltnp 'sport = :{port}')"
        for listen in config.listens
        if listen.protocol in ("tcp", "tls", "") and not listen.virtual
        for address in listen.addresses
        for port in (listen.port or (5061 if listen.protocol == "tls" else 5060),)
        for queue in others
        if queue.port == port and _meet(address, queue)
    )


def _meet(address: str, queue: ListenQueue) -> bool:
    """Whether both can't be bound; an interface or a host name may be any address, and so meets only what holds all."""
    plain = address.strip("[]").lower()
    return queue.address in _ANY or plain in _ANY or plain == queue.address.lower()


def _protocol(listen: Listen) -> str:
    return listen.protocol or "tcp"


def _is_on(config: Config, name: str) -> bool:
    found = config.params.get(name)
    return found is not None and found.value in (True, 1)
