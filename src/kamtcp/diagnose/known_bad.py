"""Combinations of versions that are known to be bad: each with the address of its issue and what cures it.

Others that follow from versions have rules of their own: TLS001 (OpenSSL 3), CFG001 and CFG002 (per-source limit),
CFG004 (tcp_main_threads), FDS004 (descriptor table), SYS001 (tcp_tw_recycle of old kernels).
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from kamtcp.capacity import reference
from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, finding, no_cure
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said
from kamtcp.diagnose.see import kamcmd
from kamtcp.model.absent import Absent

Version = tuple[int, ...]
ISSUES = "github.com/kamailio/kamailio/issues/"


class Bad(Struct, frozen=True):
    """Versions that have a fault.

    Args:
        spans: from (included) to (not included); of several branches, one each.
        issue: its number.
        fault: a clause on what happens.
        cure: what ends it for good.
        needs: the rest of the combination; Absent where it can't be told.
        now: a line that eases it at once, with its text and risk.
    """

    code: str
    spans: tuple[tuple[Version, Version], ...]
    issue: int
    fault: str
    cure: str
    needs: Callable[[Situation], bool | Absent] = lambda _s: True
    now: Callable[[Situation], Cure] = lambda _s: no_cure("nothing at run time")


def _websocket(s: Situation) -> bool | Absent:
    modules = s.require().modules
    return modules if isinstance(modules, Absent) else "websocket" in modules


def _dead_websockets(s: Situation) -> bool | Absent:
    loaded, mechanism = _websocket(s), s.number("websocket.keepalive_mechanism")
    if isinstance(loaded, Absent) or not loaded:
        return loaded
    return mechanism if isinstance(mechanism, Absent) else mechanism == 0


def _retries(s: Situation) -> Cure:
    enter = f"nsenter -t {s.require().attendant} -n " if s.namespace.id != s.machine.netns else ""
    return Cure("give up after about 100 s instead", f"{enter}sysctl -w net.ipv4.tcp_retries2=8",
                "for all programs of this network namespace; ends with the next boot")  # fmt: skip


def _patient(s: Situation) -> bool | Absent:
    """Whether the kernel waits for a quarter of an hour; 8 is about 100 s."""
    found = s.sysctl("net.ipv4.tcp_retries2")
    return found if isinstance(found, Absent) else found > 8


BAD: tuple[Bad, ...] = (
    Bad(
        "CFG040", (((0,), (5, 8, 7)), ((6, 0), (6, 0, 5))), 4437,
        "a connection that can't be passed to a worker stays in that worker's count, so that after a burst which filled the queues"
        " connections go to the wrong workers until a restart",
        "Kamailio 5.8.7, 6.0.5, 6.1.0 or later",
    ),
    Bad(
        "CFG041", (((0,), (5, 6, 2)),), 3236,
        "a WebSocket whose TCP connection dies hard keeps its memory and its count for ever",
        "Kamailio 5.6.2 or later", _websocket,
    ),
    Bad(
        "CFG042", (((0,), (5, 8)),), 3443,
        "tcp_send_timeout doesn't reach inbound connections: what is sent to a phone that vanished is repeated for a quarter of an"
        " hour (tcp_retries2), and its connection is counted until then",
        "Kamailio 5.8.0 or later (TCP_USER_TIMEOUT on listeners), or net.ipv4.tcp_retries2 = 8", _patient, _retries,
    ),
    Bad(
        "CFG043", (((5, 7, 3), (6, 0, 2)),), 3995,
        "each connection without a whole message in 20 s is logged as CRITICAL: port scans and health checks fill the log and alarm",
        "Kamailio 6.0.2 or later (DEBUG there)",
    ),
    Bad(
        "CFG044", (((5, 8, 2), (5, 8, 4)),), 3969,
        'requests to WSS clients fail ("TCP/TLS connection for WebSocket could not be found"): their connection is looked for as ws',
        "Kamailio 5.8.4 or later", _websocket,
    ),
    Bad(
        "CFG045", (((0,), (5, 6, 2)),), 1892,
        "keepalive_mechanism=0 of websocket: nothing notices dead WebSockets, their 65 KB each are never given back",
        'Kamailio 5.6.2 or later, or modparam("websocket", "keepalive_mechanism", 1) (ping); from 5.3 on also 3, which looks whether the'
        " connection is there",
        _dead_websockets,
    ),
)  # fmt: skip


def _rule(bad: Bad) -> Rule:
    def judge(s: Situation, ladder: Ladder) -> Said:
        version = s.require().version
        if isinstance(version, Absent):
            yield version
            return
        numbers = reference.version_tuple(version)
        if not any(first <= numbers < behind for first, behind in bad.spans):
            return
        needed = bad.needs(s)
        if isinstance(needed, Absent):
            yield needed
        elif needed:
            yield finding(
                BY_CODE[bad.code], f"Kamailio {version}: {bad.fault} ({ISSUES}{bad.issue})",
                f"{kamcmd(s)} core.version; {kamcmd(s)} core.modules", bad.now(s),
                Cure(f"{bad.cure}; takes a restart", risk=cost(s, ladder)),
            )  # fmt: skip

    return Rule((bad.code,), judge)


RULES: tuple[Rule, ...] = tuple(_rule(bad) for bad in BAD)
