"""One result of what all workers saw, and whether the generator can vouch for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from kamtcp.loadgen.program import Program
from kamtcp.loadgen.result import STAGES, Percentiles, Result, Row, Stretch, WorkerResult, percentiles
from kamtcp.loadgen.tally import Tally
from kamtcp.loadgen.times import gathered

_LATE_SHARE = 99.0  # percent of arrivals that must have been started in time
_BUSY = (
    0.95  # share of its time in which a worker was computing, from which on its own speed is what is measured
)
_LONG = 1.0  # seconds of a run, below which that share says nothing


def merge(
    program: Program,
    parts: Sequence[WorkerResult],
    *,
    ended: int = 0,
    stopped: str = "",
    gave: str = "",
    sustained: float | None = None,
) -> Result:
    """One result of all workers'. `held_min` is the sum of their lowest, so at most the true minimum.

    Args:
        program: that they carried out.
        parts: of each worker; of one that ended before its time, what the board had of it.
        ended: how many those are.
        stopped: as `Result` has it.
        gave: likewise.
        sustained: likewise.
    """
    stretches = tuple(_stretches(parts))
    load, trickle = Tally(), Tally()
    for each in stretches:
        (trickle if each.trickle else load).add(each.tally)
    stages = {}
    for stage in STAGES:
        found = _percentiles(each.times.get(stage) for each in stretches if not each.trickle)
        if found is not None:
            stages[stage] = found
    whole = Result(
        load=load,
        trickle=trickle,
        stretches=stretches,
        held_min=sum(part.held_min for part in parts),
        held_end=sum(part.held_end for part in parts),
        seconds=max((part.seconds for part in parts), default=0.0),
        cpu_seconds=sum(part.cpu_seconds for part in parts),
        latency=stages.get("answer"),
        lateness=_percentiles(each.times.get("lateness") for each in stretches),
        stages=stages,
        rows=_rows(parts),
        losses=tuple(sorted(moment for part in parts for moment in part.losses)),
        longest_gap=max((part.longest_gap for part in parts), default=0.0),
        peak_bytes=sum(part.peak_bytes for part in parts),
        workers=len(parts),
        stopped=stopped,
        gave=gave,
        sustained=sustained,
    )
    return replace(whole, doubts=tuple(_doubts(program, parts, whole, ended)))


def _doubts(program: Program, parts: Sequence[WorkerResult], whole: Result, ended: int) -> Iterator[str]:
    bound = program.lateness_bound
    lateness, longest, failures = whole.lateness, whole.longest_gap, whole.load.failures
    if lateness is not None and lateness.p99 > bound and program.concurrency is None:
        yield (
            f"1 % of connections were started {lateness.p99:.3g} s and more after their moment"
            f" (bound {bound:g} s, latest {lateness.highest:.3g} s)"
        )
    if longest > bound:
        yield f"the generator didn't look at its sockets for {longest:.3g} s (bound {bound:g} s)"
    for number, part in enumerate(parts):
        if part.seconds >= _LONG and part.cpu_seconds > _BUSY * part.seconds:
            yield f"worker {number} computed for {part.cpu_seconds:.1f} s of {part.seconds:.1f} s: more cores, or a lower rate"
    if failures.generator_slow:
        yield f"{failures.generator_slow} connections could not be started in time at all"
    if local := failures.local_ports + failures.local_descriptors:
        yield f"{local} connections failed for want of the generator's own ports or descriptors"
    if ended:
        yield f"{ended} of {len(parts)} workers ended before their time: their latencies are missing"


def _percentiles(times: Iterator[bytes | None]) -> Percentiles | None:
    there = [each for each in times if each is not None]
    return percentiles(gathered(there)) if there else None


def _stretches(parts: Sequence[WorkerResult]) -> Iterator[Stretch]:
    """One for each phase and population, of all workers."""
    found: dict[tuple[int, str, bool], list[Stretch]] = {}
    for part in parts:
        for each in part.stretches:
            found.setdefault((each.phase, each.population, each.trickle), []).append(each)
    for _, same in sorted(found.items()):
        whole = Stretch(same[0].phase, same[0].kind, same[0].population, same[0].trickle)
        whole.begun = min(each.begun for each in same)
        whole.seconds = max(each.seconds for each in same)
        whole.due_last = max(each.due_last for each in same)
        for each in same:
            whole.tally.add(each.tally)
        for name in sorted({name for each in same for name in each.times}):
            pieces = [each.times[name] for each in same if name in each.times]
            whole.times[name] = pieces[0] if len(pieces) == 1 else gathered(pieces).to_bytes()
        yield whole


def _rows(parts: Sequence[WorkerResult]) -> tuple[Row, ...]:
    """Of all workers, each row the difference to the one before; as coarse as the coarsest worker's."""
    width = max((part.row_seconds for part in parts), default=1)
    last = max((part.rows[-1].at for part in parts if part.rows), default=0)
    sums = []
    places = [0] * len(parts)
    for at in range(width, last + 1, width):
        row = [0] * 6
        for number, part in enumerate(parts):
            place = places[number]
            while place < len(part.rows) and part.rows[place].at <= at:
                place += 1
            places[number] = place
            if place:
                known = part.rows[place - 1]
                mine = (known.offered, known.answered, known.failed, known.lost, known.keepalives, known.held)
                row = [one + more for one, more in zip(row, mine, strict=True)]
        sums.append((at, row))
    found, before = [], [0] * 5
    for at, (*counts, held) in sums:
        offered, answered, failed, lost, keepalives = (
            now - then for now, then in zip(counts, before, strict=True)
        )
        found.append(Row(at, offered, answered, failed, lost, keepalives, held))
        before = counts
    return tuple(found)
