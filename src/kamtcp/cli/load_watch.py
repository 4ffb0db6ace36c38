"""What goes on beside a load: the live line, the guard, the steady SIP client, the looks at the server."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Self

from msgspec.structs import replace

from kamtcp.cli.load_live import Live
from kamtcp.errors import KamtcpError
from kamtcp.loadgen.board import Progress
from kamtcp.loadgen.guard import Guard
from kamtcp.loadgen.order import Closing, Mode, Order
from kamtcp.loadgen.population import Keepalive
from kamtcp.loadgen.processes import INTERRUPTED, Load
from kamtcp.loadgen.result import Result
from kamtcp.loadgen.schedule import AtOnce
from kamtcp.loadgen.witness import Witness
from kamtcp.model.client import Client

GUARD_EACH, LOOK_EACH = 0.5, 30.0
#: a Kamailio that is told of a burst may be silent for 5 s; after that many the probe is lost
PROBE_SECONDS = 12.0


class Watch:
    """Beside one load; leaving the context ends the probe.

    Args:
        probed: the load's order, for a steady SIP client of the same kind beside it; None: without one.
        guard: what ends the load.
        witness: who looks at the server.
        live: where progress is shown.
    """

    def __init__(self, probed: Order | None, guard: Guard, witness: Witness, live: Live) -> None:
        self.guard, self.witness, self.live = guard, witness, live
        self.guarded = self.looked = time.monotonic()
        self.failed = self.settled = False
        self.probe: Load | None = None
        with ExitStack() as stack:
            if probed is not None:
                self.probe = stack.enter_context(Load(steady(probed), processes=1, i_own_this_host=True))
                if not self.probe.wait_settled(PROBE_SECONDS) or not self.probe.progress().held:
                    raise KamtcpError("the SIP probe got no answer before the load began; nothing was loaded")
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def over(self, load: Load) -> Result:
        """Watch the load to its end, or to an interruption; then everything it saw so far."""
        try:
            result = load.watch(self.step)
        except KeyboardInterrupt:
            self.live.end()
            self._look(load.progress())
            load.stop(INTERRUPTED)
            result = load.result()
        self.live.end()
        if len(self.witness.looks) == 1:
            self.witness.look(self.client(result))
        return result

    def step(self, progress: Progress) -> str | None:
        """One look while it runs; a reason ends it."""
        now = time.monotonic()
        self.live.show(progress, now)
        # at the first failure, once all is settled, and every so often: a level that was met is seen while it is
        first_failure = progress.failed > 0 and not self.failed
        settled = progress.settled > 0 and not self.settled
        if first_failure or settled or now - self.looked > LOOK_EACH:
            self.failed |= first_failure
            self.settled |= settled
            self._look(progress)
        if now - self.guarded < GUARD_EACH:
            return None
        self.guarded = now
        reason = self.guard.look(now) or self._lost()
        if reason is not None:
            self._look(progress)  # what made it end is still there to be seen
        return reason

    def client(self, result: Result) -> Client:
        """What the clients saw in the end, as the symptoms take it."""
        tally = result.load
        return Client(
            tally.offered, tally.answered, tally.lost, tally.failures.causes(),
            connect_slow=sum(tally.syn_retried.values()), answer_slow=sum(tally.answer_slow.values()),
            late="; ".join(result.doubts),
        )  # fmt: skip

    def _look(self, progress: Progress) -> None:
        self.looked = time.monotonic()
        self.witness.look(Client(progress.offered, progress.answered, progress.lost, dict(progress.failures)))

    def _lost(self) -> str | None:
        if self.probe is None:
            return None
        seen = self.probe.progress()
        if seen.held and not seen.lost:
            return None
        return "the SIP probe was lost: a client that asked each second got no answer any more, or was disconnected"


def steady(order: Order) -> Order:
    """One client like those of the load, which asks each second and is held to the end."""
    return replace(
        order, schedule=AtOnce(1), sources=order.sources[:1] if order.sources and not order.sources[0].first else (),
        mode=Mode.EACH, question="options", credentials=None, keepalive=Keepalive("options", 1.0), storm=None, climb=None,
        run="p", hold_seconds=None, trickle_seconds=None, closing=Closing.FIN, answer_timeout=PROBE_SECONDS,
    )  # fmt: skip
