"""Whether a step of a ramp gave: judged between two steps, from all workers' counts."""

from __future__ import annotations

from kamtcp.loadgen.board import FIELDS, Progress
from kamtcp.loadgen.program import Arrive, Program

_SHARE = 0.01  # of a step's answers or arrivals that may be slow or late: what a p99 says
_NOTHING = Progress(**dict.fromkeys(FIELDS, 0), failures={}, phase=-1, ended=0, recent=())


class Climbing:
    """Keeps the counts as they were when each step began.

    Args:
        program: whose first phases are the steps; without heights nothing is judged.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.steps = len(program.heights)
        self.gave = ""
        self.sustained: float | None = None
        self._begun = _NOTHING
        self._judged = -1

    def gave_before(self, number: int, progress: Progress) -> int | None:
        """Judge the step before phase `number`; the last phase to skip if it gave, None to go on."""
        if not self.steps or number > self.steps:
            return None
        self._judge(number - 1, progress)
        if self.gave and number < self.steps:
            return self.steps - 1
        return None

    def outcome(self, progress: Progress, *, stopped: bool) -> tuple[str, float | None]:
        """What gave, and the height of the last step that held. A step cut short by a stop isn't judged."""
        if self.steps and not self.gave and not stopped:
            self._judge(self.steps - 1, progress)
        return self.gave, self.sustained

    def _judge(self, step: int, now: Progress) -> None:
        if step <= self._judged or self.gave:
            return
        self._judged = step
        then, self._begun = self._begun, now
        climb, phase = self.program.climb, self.program.phases[step]
        assert climb is not None and isinstance(phase, Arrive)
        height = self.program.heights[step]
        unit = "per second" if climb.what == "rate" else "connections"
        offered, answered = now.offered - then.offered, now.answered - then.answered
        failed, lost = now.failed - then.failed, now.lost - then.lost
        what = ""
        if now.late > _SHARE * offered:
            what = f"the generator: {now.late} of {offered} connections were started late"
        elif failed + lost > climb.failures * offered:
            grown = {
                cause: more
                for cause, count in now.failures.items()
                if (more := count - then.failures.get(cause, 0)) > 0
            }
            named = ", ".join(
                f"{count} {cause}" for cause, count in sorted(grown.items(), key=lambda each: -each[1])
            )
            what = (
                f"{failed} of {offered} connections failed ({named})"
                if failed
                else f"{lost} held ones were lost"
            )
        elif now.slow > _SHARE * answered:
            what = f"{now.slow} of {answered} answers came later than {climb.p99:g} s"
        if what:
            self.gave = f"at {height:g} {unit}: {what}"
        else:
            self.sustained = height
