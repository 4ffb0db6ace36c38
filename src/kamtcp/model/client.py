"""What the clients of a load saw: the other end of the connections that the counters of a host speak of."""

from __future__ import annotations

from msgspec import Struct


class Client(Struct, frozen=True):
    """One load, or a stretch of it, as its clients saw it.

    Args:
        offered, answered: connections that were due, and those with a final SIP answer.
        lost: answered ones that the server closed.
        failures: unanswered ones by cause, named as `loadgen.result.Failures` names them.
        connect_slow: connections that were open only after a retransmitted SYN (0.9 s and more).
        answer_slow: connections open at once whose first answer took 0.9 s and more.
        late: why the generator can't vouch for its own timing; "" where it can.
    """

    offered: int
    answered: int
    lost: int
    failures: dict[str, int]
    connect_slow: int = 0
    answer_slow: int = 0
    late: str = ""

    def failed(self, *causes: str) -> int:
        """Connections that failed for one of these causes."""
        return sum(self.failures.get(cause, 0) for cause in causes)
