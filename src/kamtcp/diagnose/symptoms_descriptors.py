"""Symptoms of descriptors that ran out: in tcp main, in a worker, on the whole machine, beyond tcp main's table."""

from __future__ import annotations

from kamtcp.capacity.change import Change
from kamtcp.capacity.ladder import Ladder
from kamtcp.diagnose.rule import lacking
from kamtcp.diagnose.symptom import Signs, Symptom
from kamtcp.model.absent import Absent
from kamtcp.model.instance import Process

#: descriptors below the limit at which a process that opens and closes some all the time is as good as out of them
_LAST = 2
#: share of a core from which on an accept loop without descriptors is spinning, not idling
_SPINNING = 0.5
_ACCEPT, _WORKER, _TABLE = "accept-no-descriptors", "worker-no-descriptors", "fd-beyond-table"


def _full(process: Process) -> bool | Absent:
    """Whether it has as many files open as it may."""
    soft, opened = process.nofile_soft, process.descriptors
    if isinstance(soft, Absent):
        return soft
    if isinstance(opened, Absent):
        return opened
    return isinstance(soft, int) and opened >= soft - _LAST


def _machine_full(change: Change) -> bool | Absent:
    """Whether the whole machine has as many files open as fs.file-max allows."""
    most, opened = change.after.machine.files_max, change.after.machine.files_allocated
    if isinstance(most, Absent):
        return most
    if isinstance(opened, Absent):
        return opened
    return isinstance(most, int) and opened >= 0.99 * most


def tcp_main_out(change: Change, ladder: Ladder) -> Signs:
    """accept(2) fails with EMFILE, and the listening socket stays readable: tcp main spins and floods the log."""
    main, logged = change.after.tcp_main, change.logged(_ACCEPT)
    if isinstance(main, Absent):
        yield main
        return
    full = _full(main)
    if full is not True:
        yield from lacking(full, logged if isinstance(full, Absent) else None)
        if not (isinstance(full, Absent) and isinstance(logged, int) and logged):
            return
    share = change.cpu_share(main)
    busy = f", and it uses {share:.0%} of a core" if isinstance(share, float) and share >= _SPINNING else ""
    lines = f"; {logged:,} new lines in its log say so" if isinstance(logged, int) and logged else ""
    count = "all" if isinstance(main.descriptors, Absent) else f"{main.descriptors:,} of {main.nofile_soft:,}"
    yield f"tcp main (pid {main.pid}) has {count} files open{busy}{lines}"


def worker_out(change: Change, ladder: Ladder) -> Signs:
    """A worker that is sent a connection but has no descriptor left for it: the connection is lost."""
    logged = change.logged(_WORKER)
    full = [(worker, _full(worker)) for worker in change.after.workers]
    out = [worker for worker, state in full if state is True]
    if out or (isinstance(logged, int) and logged):
        names = ", ".join(
            f"pid {worker.pid} ({worker.descriptors} of {worker.nofile_soft})" for worker in out[:4]
        )
        lines = f"; {logged:,} new lines in the log say so" if isinstance(logged, int) and logged else ""
        evidence = f"workers without a free descriptor: {names or 'none at this moment'}{lines}"
        yield evidence
        return
    yield from dict.fromkeys(lacking(logged, *(state for _, state in full)))


def machine_out(change: Change, ladder: Ladder) -> Signs:
    """fs.file-max: every process without CAP_SYS_ADMIN gets ENFILE."""
    full, machine = _machine_full(change), change.after.machine
    if full is True:
        evidence = f"{machine.files_allocated:,} files are open on this machine, fs.file-max is {machine.files_max:,}"
        yield evidence
    yield from lacking(full)


def beyond_table(change: Change, ladder: Ladder) -> Signs:
    """A descriptor number beyond tcp main's table: the memory behind the table is overwritten."""
    logged = change.logged(_TABLE)
    if isinstance(logged, Absent):
        yield logged
    elif logged:
        evidence = f"{logged:,} new lines in the log: a descriptor number lay beyond tcp main's table"
        yield evidence


SYMPTOMS = (
    Symptom("FDS053", "descriptor-table", beyond_table, silences=("FDS050", "ACC050", "ACC051", "ACC055")),
    Symptom("FDS052", "file-max", machine_out, silences=("FDS050", "FDS051", "ACC050", "ACC051")),
    Symptom("FDS050", "tcp-main-descriptors", tcp_main_out, silences=("ACC050", "ACC051", "ACC053")),
    Symptom("FDS051", "worker-descriptors", worker_out, silences=("ACC055",)),
)
