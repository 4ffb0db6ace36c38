"""The result of a load as text: served of offered first, then what gave way, latencies, and what can't be vouched for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kamtcp.cli import findings_text
from kamtcp.cli.load_retries import retries
from kamtcp.cli.wrap import Screen, wrapped
from kamtcp.loadgen.result import Percentiles, Result, Stretch
from kamtcp.loadgen.tally import Tally

if TYPE_CHECKING:
    from kamtcp.cli.load_run import Outcome

_INDENT = " " * 8
_STAGES = {
    "connect": "TCP open", "tls": "TLS handshake done", "upgrade": "WebSocket up", "answer": "first answer",
    "back": "back again",
}  # fmt: skip
#: what a cause of failure means to an operator
CAUSES = {
    "refused": "refused: nobody listens there (RST)",
    "connect_timeout": "no connection in time: SYNs were dropped or lost",
    "reset": "reset before an answer",
    "closed_before_answer": "closed before an answer",
    "handshake_timeout": "open, but TLS or WebSocket never finished",
    "no_answer": "open, but never answered",
    "tls": "TLS handshake failed",
    "http_status": "WebSocket upgrade refused",
    "sip_status": "SIP said no",
    "not_sip": "what came back is no SIP",
    "local_ports": "the load had no source port left",
    "local_descriptors": "the load had no descriptor left",
    "generator_slow": "the load was too slow to start or see them",
    "abandoned": "still open when the load was stopped",
    "worker_ended": "a process of the load ended",
    "other": "another error of the load's system calls",
}


def text(outcome: Outcome, screen: Screen) -> str:
    """The whole report."""
    lines = [*_head(outcome, screen), *_failures(outcome, screen), *_gave_way(outcome, screen)]
    lines += [*_times(outcome, screen), *_steps(outcome, screen), *_doubts(outcome, screen)]
    return "\n".join(lines) + "\n"


def _head(outcome: Outcome, screen: Screen) -> list[str]:
    result, tally = outcome.result, outcome.result.load
    if outcome.kind == "ramp" and result.sustained is not None:
        first = f"Held up to {result.sustained:,.0f}" + (
            f"; then {result.gave}." if result.gave else ", and nothing gave."
        )
    elif tally.clients:
        first = _of_storm(tally)
    else:
        first = _of_connections(tally)
    out = [screen.style(line, "bold") for line in wrapped(first, screen.width, "")]
    if outcome.predicted is not None:
        before = outcome.predicted
        at = f"{before.at:,}" if isinstance(before.at, int) else str(before.at)
        out += wrapped(f"The ladder had said: stops at {at} ({before.name}).", screen.width, "")
    out.append("")
    out += _row("target", f"{outcome.aim} ({outcome.permission.reason})", screen)
    if result.stopped:
        out += _row("ended", f"before its end: {result.stopped}", screen)
    out += _row(
        "held",
        f"{result.held_end:,} at the end, never fewer than {result.held_min:,}; {_lost(result)}",
        screen,
    )
    if tally.clients:
        out += _row("storm", f"{tally.clients:,} clients lost their connection, {tally.served:,} are back,"
                    f" {tally.given_up:,} gave up, with {tally.offered:,} tries", screen)  # fmt: skip
    processes = "1 process" if result.workers == 1 else f"{result.workers} processes"
    out += _row("took", f"{result.seconds:.1f} s until each was answered or had failed; the load used"
                f" {result.cpu_seconds:.1f} s of CPU in {processes}, {result.peak_bytes / 2**20:,.0f} MiB", screen)  # fmt: skip
    return [*out, ""]


def _of_connections(tally: Tally) -> str:
    failed = tally.failures.total()
    if not tally.offered:
        return "0 of 0 connections were served: it ended before the first was due."
    if not failed:
        all_or = "all" if tally.lost == tally.answered else f"{tally.lost:,}"
        then = f", then {all_or} of them were lost" if tally.lost else ""
        return f"All {tally.offered:,} connections were served{then}."
    lost = f", {tally.lost:,} were lost afterwards" if tally.lost else ""
    return f"{tally.answered:,} of {tally.offered:,} connections were served, {failed:,} were not{lost}."


def _of_storm(tally: Tally) -> str:
    failed = tally.failures.total()
    tries = f" after {failed:,} failed tries" if failed else ""
    if tally.served == tally.clients:
        return f"All {tally.clients:,} clients that lost their connection are back{tries}."
    return f"{tally.served:,} of {tally.clients:,} clients that lost their connection are back{tries}."


def _lost(result: Result) -> str:
    count = f"{result.load.lost:,} lost"
    if not result.losses:
        return count
    first, last = f"{result.losses[0]:.1f}", f"{result.losses[-1]:.1f}"
    return (
        f"{count}, {first} s after the start"
        if first == last
        else f"{count}, {first} to {last} s after the start"
    )


def _failures(outcome: Outcome, screen: Screen) -> list[str]:
    tally = outcome.result.load
    causes = tally.failures.causes()
    lost = {"lost_closed": "then closed by the server", "lost_reset": "then reset by the server",
            "lost_silent": "then silent to a keepalive"}  # fmt: skip
    rows = [
        (count, CAUSES.get(cause, cause), tally.details.get(cause, {})) for cause, count in causes.items()
    ]
    rows += [(getattr(tally, name), meaning, {}) for name, meaning in lost.items() if getattr(tally, name)]
    if not rows:
        return []
    out = [screen.style(" not served, or not for long", "bold")]
    for count, meaning, details in sorted(rows, key=lambda each: -each[0]):
        kinds = ", ".join(
            f"{which} {number:,}" for which, number in sorted(details.items(), key=lambda each: -each[1])[:6]
        )
        out += wrapped(meaning + (f" ({kinds})" if kinds else ""), screen.width, " " * 14, f"{count:>12,}  ")
    return [*out, ""]


def _gave_way(outcome: Outcome, screen: Screen) -> list[str]:
    found = outcome.gave_way
    if not found:
        if not outcome.result.load.failures.total():
            return []
        where = "nothing that could be seen" if outcome.watched else (
            "nothing of this machine; no Kamailio was found at the target"
        )  # fmt: skip
        return [screen.style(f" gave way: {where}", "bold"), ""]
    return [*findings_text.of(found, screen, "gave way"), ""]


def _times(outcome: Outcome, screen: Screen) -> list[str]:
    result = outcome.result
    stages = [(_STAGES.get(name, name), found) for name, found in result.stages.items()]
    if result.lateness is not None:
        stages.append(("started late by", result.lateness))
    if not stages:
        return []
    out = [
        screen.style(
            f" {'seconds after the due moment':<30}{'p50':>9}{'p90':>9}{'p99':>9}{'p99.9':>9}{'max':>9}",
            "bold",
        )
    ]
    out += [_distribution(name, found) for name, found in stages]
    for each in retries(result.load, outcome.syn_linear):
        out += wrapped(each, screen.width, _INDENT, " ")
    return [*out, ""]


def _distribution(name: str, found: Percentiles) -> str:
    values = (found.p50, found.p90, found.p99, found.p999, found.highest)
    return f" {name:<30}" + "".join(f"{value:>9.4f}" if value < 100 else f"{value:>9.1f}" for value in values)


def _steps(outcome: Outcome, screen: Screen) -> list[str]:
    """Phases, where there is more than one."""
    parts = [each for each in outcome.result.stretches if each.tally.offered]
    if len(parts) < 2:
        return []
    out = [
        screen.style(
            f" {'phase':<30}{'offered':>10}{'served':>10}{'failed':>8}{'due/s':>10}{'got/s':>10}", "bold"
        )
    ]
    return [*out, *(_step(each) for each in parts), ""]


def _step(part: Stretch) -> str:
    name = f"{part.phase + 1} {part.kind} {part.population}".strip() + (" (trickle)" if part.trickle else "")
    rates = (part.offered_rate, part.answered_rate)
    shown = "".join(f"{'-' if rate is None else format(rate, ',.1f'):>10}" for rate in rates)
    return f" {name[:29]:<30}{part.tally.offered:>10,}{part.tally.answered:>10,}{part.tally.failures.total():>8,}{shown}"


def _doubts(outcome: Outcome, screen: Screen) -> list[str]:
    rows = [("can't vouch", each) for each in outcome.result.doubts]
    rows += [("not watched", each) for each in outcome.unwatched]
    rows += [("not seen", str(each)) for each in outcome.judgement.unjudged]
    out = []
    for label, what in rows:
        out += _row(label, what, screen)
    return out


def _row(label: str, what: str, screen: Screen) -> list[str]:
    return wrapped(what, screen.width, " " * 14, f" {label:<13}")
