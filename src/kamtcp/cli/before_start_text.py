"""Whether a configuration would start, as text: before anything else."""

from __future__ import annotations

from kamtcp.cli.wrap import Screen, wrapped
from kamtcp.diagnose.verdict import Verdict
from kamtcp.model.absent import Absent
from kamtcp.model.instance import Instance, Role


def answer(verdict: Verdict) -> str:
    """One sentence; "" for what runs."""
    start = verdict.start
    if start is None:
        return ""
    if start.starts:
        return f"Would start, but {'; '.join(start.why)}." if start.why else "Would start."
    word = "Would NOT start" if start.starts is False else "May fail to start, too close to tell"
    return f"{word}: {'; '.join(start.why)}."


def identity(verdict: Verdict, instance: Instance) -> str:
    """What is judged, against what."""
    machine, foreseen = verdict.situation.machine, instance.foreseen
    assert foreseen is not None
    version = (
        "version unknown"
        if isinstance(instance.version, Absent)
        else f"{instance.version} ({foreseen.version})"
    )
    of_unit = f" of {foreseen.whose}" if foreseen.whose else ""
    given = f"arguments{of_unit} {foreseen.options}" if foreseen.options else "no arguments"
    of_file = f"{foreseen.config} of this machine" if foreseen.away else foreseen.config
    host = f"the recorded host {machine.node}" if foreseen.away else machine.node
    workers = len(instance.of_role(Role.TCP_WORKER))
    return (
        f"Not started: {of_file}, {given}, judged against {host} (kernel {machine.release}, {machine.cpus} CPUs):"
        f" kamailio {version}, {workers} TCP workers, about {instance.process_count} processes"
    )


def assumptions(instance: Instance, screen: Screen) -> list[str]:
    """What of the answer hangs on how it is started, and what was not looked at."""
    foreseen = instance.foreseen
    assert foreseen is not None
    said = (
        f"Assumed: started {foreseen.descriptors}. Route blocks, modules and databases are not tried out:"
        f" kamailio -c -f {foreseen.config} does that."
    )
    return wrapped(said, screen.width, "  ", "")
