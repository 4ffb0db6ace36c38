"""A whole machine at one moment."""

from __future__ import annotations

from msgspec import Struct

from kamtcp.model.absent import Absent
from kamtcp.model.acceptance import AcceptFile
from kamtcp.model.instance import Instance
from kamtcp.model.machine import Machine, Namespace

SCHEMA = 1


class Snapshot(Struct, frozen=True):
    """Facts of one moment.

    Args:
        schema: version of this form; a reader refuses a newer one.
        namespaces: by id; the reader's own is under Machine.netns.
        instances: one for each Kamailio, in the order of their pids.
        unseen: obstacles that hid more than one fact.
        accepted: findings that the operator accepts.
    """

    schema: int
    machine: Machine
    namespaces: dict[str, Namespace]
    instances: tuple[Instance, ...]
    unseen: tuple[Absent, ...]
    accepted: AcceptFile = AcceptFile()
