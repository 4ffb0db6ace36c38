"""Symptoms between the handshake and the worker: accept queue, SYN queue, hand-off.

An accept queue overflows for three reasons, and only one of them is its length: nobody accepts, tcp main can't
accept faster, or more came at once than it holds.

Source  Linux net/ipv4/tcp_ipv4.c tcp_v4_syn_recv_sock(), tcp_input.c tcp_conn_request(): LINUX_MIB_LISTENOVERFLOWS,
        LINUX_MIB_LISTENDROPS, LINUX_MIB_TCPREQQFULLDROP, LINUX_MIB_TCPREQQFULLDOCOOKIES
"""

from __future__ import annotations

from kamtcp.capacity.change import Change, growth
from kamtcp.capacity.ladder import Ladder
from kamtcp.diagnose import hung
from kamtcp.diagnose.rule import lacking
from kamtcp.diagnose.symptom import Signs, Symptom
from kamtcp.model.absent import Absent
from kamtcp.model.machine import ListenQueue, counter

#: share of a core: below, tcp main is not at work; above, it can't do more
_IDLE, _BUSY = 0.1, 0.9
_HANDOFF = (
    "worker-socket-full",
    "overflow-queue-grows",
    "overflow-queue-full",
    "overflow-send-failed",
    "overflow-too-old",
)
#: half-open connections for each client that comes back with a cookie, from which on they are no clients
_FLOOD = 20


def _overflowed(change: Change) -> list[tuple[ListenQueue, int]] | Absent:
    """Kamailio's listeners whose queue was full between the looks, with the connections they dropped."""
    first, second = change.before.require().listeners, change.after.require().listeners
    if isinstance(second, Absent):
        return second
    earlier = {} if isinstance(first, Absent) else {each.inode: each.drops for each in first}
    found = []
    for each in second:
        more = growth(earlier.get(each.inode, 0), each.drops, "drops")
        if isinstance(more, int) and more:
            found.append((each, more))
    return found


def _queue(change: Change, ladder: Ladder, code: str) -> Signs:
    """The one of the three that it is; none where nothing overflowed."""
    listeners, overflows = _overflowed(change), change.grew("TcpExt.ListenOverflows")
    if isinstance(listeners, Absent):
        yield listeners
        return
    if not listeners or overflows == 0:
        return
    share = change.cpu_share(change.after.tcp_main)
    if isinstance(share, Absent):
        yield share
    full = [each for each, _ in listeners if each.queued > each.backlog]
    if full and isinstance(share, float) and share < _IDLE:
        reason = "ACC050"
    elif isinstance(share, float) and share >= _BUSY:
        reason = "ACC052"
    else:
        reason = "ACC051"
    if reason != code:
        return
    worst, dropped = max(listeners, key=lambda pair: pair[1])
    where = f"{worst.address}:{worst.port}"
    busy = "" if isinstance(share, Absent) else f"; tcp main used {share:.0%} of a core"
    queue = f"{where} dropped {dropped:,} for want of room, its queue holds {worst.backlog + 1:,} ({worst.queued:,} in it now)"
    why = {
        "ACC050": f"nobody accepts: tcp main {_state(change)}",
        "ACC051": "more came at once than the queue holds",
        "ACC052": "tcp main can't accept faster",
    }[code]
    yield f"{queue}; {why}{busy}{_of_clients(change)}"


def _state(change: Change) -> str:
    main = change.after.tcp_main
    return (
        "is stopped (state T)"
        if not isinstance(main, Absent) and main.stopped
        else "waits for something else"
    )


def _of_clients(change: Change) -> str:
    if change.client is None:
        return ""
    parts = []
    if change.client.connect_slow:
        parts.append(f"{change.client.connect_slow:,} clients had to send their SYN again")
    if change.client.answer_slow:
        parts.append(
            f"{change.client.answer_slow:,} were connected at once and answered late (their last ACK was dropped)"
        )
    return "; " + ", ".join(parts) if parts else ""


def stalled(change: Change, ladder: Ladder) -> Signs:
    """The queue is full and nobody takes from it."""
    yield from _queue(change, ladder, "ACC050")


def burst(change: Change, ladder: Ladder) -> Signs:
    """More at once than the queue holds, of an acceptor that has time."""
    yield from _queue(change, ladder, "ACC051")


def saturated(change: Change, ladder: Ladder) -> Signs:
    """Tcp main is at the end of its core."""
    yield from _queue(change, ladder, "ACC052")


def syn_queue(change: Change, ladder: Ladder) -> Signs:
    """Half-open connections fill the SYN queue; they become established, so they are clients."""
    yield from _half_open(change, ladder, "ACC053")


def flood(change: Change, ladder: Ladder) -> Signs:
    """Half-open connections fill the SYN queue, and hardly any becomes established."""
    yield from _half_open(change, ladder, "ACC054")


def _half_open(change: Change, ladder: Ladder, code: str) -> Signs:
    cookies, dropped = change.grew("TcpExt.TCPReqQFullDoCookies"), change.grew("TcpExt.TCPReqQFullDrop")
    back, opens = change.grew("TcpExt.SyncookiesRecv"), change.grew("Tcp.PassiveOpens")
    counts = [each for each in (cookies, dropped) if isinstance(each, int)]
    if not counts:
        yield from lacking(cookies, dropped)
        return
    if not sum(counts):
        return
    overflows = change.grew("TcpExt.ListenOverflows")
    if isinstance(overflows, int) and overflows >= sum(counts):
        return  # a full accept queue fills the SYN queue behind it: that one is the story
    came = max((each for each in (back, opens) if isinstance(each, int)), default=None)
    if came is None:
        yield from lacking(back, opens)
        return
    if ("ACC054" if sum(counts) > _FLOOD * max(1, came) else "ACC053") != code:
        return
    waiting = counter(change.after.namespace.states, "SYN_RECV")
    now = f"; {waiting:,} are half-open now" if isinstance(waiting, int) else ""
    yield (
f"{sum(counts):,} SYNs found the SYN queue full ({_of(cookies, 'answered with a cookie')}"
        f"{_of(dropped, 'dropped')}), {came:,} connections were established meanwhile{now}"
)  # fmt: skip


def _of(count: int | Absent, what: str) -> str:
    return f"{count:,} {what} " if isinstance(count, int) and count else ""


def hand_off(change: Change, ladder: Ladder) -> Signs:
    """More connections became readable at once than the sockets to the workers hold, or the workers hang."""
    logged = change.logged(*_HANDOFF)
    if isinstance(logged, Absent):
        yield logged
        logged = 0
    # up to 5.6 the first thing that happens when they are full is silence: nothing logs or counts it
    silent = change.failed("no_answer", "closed_before_answer", "reset")
    ceiling = next((each for each in ladder.rates if each.name == "hand-off"), None)
    burst = change.client.offered if change.client else 0
    held = hung.stopped_workers(change)
    beyond = bool(ceiling and isinstance(ceiling.limit, int) and burst > ceiling.limit)
    suspected = silent and (beyond or held)
    if not logged and not suspected:
        return
    lines = f"{logged:,} new lines in the log: the sockets to the workers are full" if logged else ""
    losses = f"{silent:,} of {burst:,} connections were open but not answered" if suspected else ""
    idle = f"{len(held)} of {len(change.after.workers)} TCP workers are stopped (state T)" if held else ""
    yield "; ".join(filter(None, (lines, losses, idle)))


SYMPTOMS = (
    Symptom("ACC050", "accept-queue", stalled, ("ACC051", "ACC052", "ACC053", "ACC055"), hung.of_main),
    Symptom("ACC052", "accept-queue", saturated, silences=("ACC051", "ACC053")),
    Symptom("ACC051", "accept-queue", burst, silences=("ACC053",)),
    Symptom("ACC054", "syn-queue", flood),
    Symptom("ACC053", "syn-queue", syn_queue),
    Symptom("ACC055", "hand-off", hand_off, cured=hung.of_workers),
)
