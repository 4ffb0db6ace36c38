"""Snapshot and target -> verdicts, one for each instance, or one for the machine without any."""

from __future__ import annotations

import argparse

from kamtcp.cli import highest, out
from kamtcp.cli import target as targets
from kamtcp.diagnose.verdict import Verdict, judge, mix_of
from kamtcp.errors import UsageError
from kamtcp.host.door import Host
from kamtcp.model.instance import Instance
from kamtcp.model.snapshot import Snapshot
from kamtcp.model.target import Target


def verdicts(
    snapshot: Snapshot,
    host: Host,
    options: argparse.Namespace,
    prices: dict[str, dict[str, float]] | None = None,
) -> tuple[tuple[Verdict, str], ...]:
    """Judge the chosen instances; with each verdict, where its target comes from ("" for none).

    Raises:
        UsageError: no such instance, or a target that can't be meant.
    """
    stated = targets.of_options(options)
    found = _filed(host, stated)
    chosen = choose(snapshot.instances, options.instance)
    if not chosen:
        target, where = targets.of_instance(stated, found, "")
        return ((judge(snapshot, None, target), where),)
    rows = []
    for instance in chosen:
        target, where = targets.of_instance(stated, found, instance.name, highest.of(host, instance))
        own = (prices or {}).get(str(instance.attendant))
        # the highest use seen says how many, not over what: that is as it is now
        mix = None if where else mix_of(Target(), instance)
        rows.append((judge(snapshot, instance, target, own, mix=mix, stated=bool(where)), where))
    return tuple(rows)


def _filed(host: Host, stated: Target | None) -> targets.TargetFile | None:
    """The target file; beside a target that options state it only tells of the phones, and one that is wrong is said."""
    try:
        return targets.read_file(host)
    except UsageError as error:
        if stated is None:
            raise
        out.complain(f"kamtcp check: {error}; judged without it")
        return None


def choose(instances: tuple[Instance, ...], wanted: str | None) -> tuple[Instance, ...]:
    """The instances to judge: all, or the one named by name or pid."""
    if wanted is None:
        return instances
    chosen = tuple(
        each for each in instances if wanted in (each.name, str(each.attendant), each.config_path)
        or any(wanted == str(process.pid) for process in each.processes)
    )  # fmt: skip
    if not chosen:
        names = ", ".join(f"{each.name} (pid {each.attendant})" for each in instances) or "none is running"
        raise UsageError(f"--instance {wanted}: no such Kamailio; found: {names}")
    return chosen
