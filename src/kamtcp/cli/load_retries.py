"""What had to be sent again, in words: a SYN that met a full queue or was lost, a question that did.

A SYN without an answer is sent again after 1 s, and each time after another second for tcp_syn_linear_timeouts times
and one; from then on the wait doubles. Where the kernel has no such sysctl it doubles from the first time on.

Source  Linux net/ipv4/tcp_timer.c tcp_retransmit_timer()
"""

from __future__ import annotations

from kamtcp.loadgen.tally import Tally
from kamtcp.model.absent import Absent


def retries(tally: Tally, linear: int | Absent) -> list[str]:
    """Sentences; none where all went at once.

    Args:
        tally: of the load.
        linear: tcp_syn_linear_timeouts where the clients are; absent before Linux 6.5.
    """
    found = []
    if tally.syn_retried:
        waits = 0 if isinstance(linear, Absent) else linear
        parts = [
            f"{_times(again)} by {count:,} ({'last at' if again > 1 else 'at'} {moments(again, waits)[-1]} s)"
            for again, count in sorted(tally.syn_retried.items())
        ]
        found.append(f"SYN sent again: {', '.join(parts)}; the accept queue was full, or packets were lost")
    late = {again: count for again, count in sorted(tally.answer_slow.items()) if again}
    if late:
        parts = [f"{_times(again)} by {count:,}" for again, count in late.items()]
        found.append(
            f"open at once, but the question sent again: {', '.join(parts)}; the last ACK of the handshake met a full"
            " accept queue, or packets were lost"
        )
    if slow := tally.answer_slow.get(0):
        found.append(
            f"open at once, answered late though nothing was lost: {slow:,}; the server took its time"
        )
    return found


def moments(again: int, linear: int) -> list[int]:
    """Seconds after the first SYN at which it was sent again."""
    at, wait, found = 0, 1, []
    for number in range(again):
        at += wait
        found.append(at)
        if number >= linear:
            wait *= 2
    return found


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
