"""A calibration for people, and as one JSON document."""

from __future__ import annotations

import os

from msgspec import Struct

from kamtcp import __version__
from kamtcp.cli.calibrate_plan import Plan
from kamtcp.cli.calibrate_rounds import Lost, Outcome
from kamtcp.cli.calibrated import Calibration
from kamtcp.cli.encode import encode
from kamtcp.cli.wrap import screen, wrapped
from kamtcp.model.absent import Absent
from kamtcp.model.price import Conditions, Measured, differences, measured

SCHEMA = "kamtcp-calibrate/1"


class Calibrated(Struct, frozen=True):
    """One transport: its rounds, and their spread in bytes of shared memory per connection."""

    calibration: Calibration
    spread: Measured


class Document(Struct, frozen=True):
    """What `kamtcp calibrate --json` prints.

    Args:
        exit_code: of the command. program: that was started. instance: the running one that it follows, "" for none.
        differs: why the prices would not be used for that instance; "" where they are.
        connections: of a round. repeated: rounds that were not counted. failures: transports without a price.
        kept: the file, "" where nothing was kept.
    """

    schema: str
    kamtcp: str
    exit_code: int
    program: str
    instance: str
    differs: str
    connections: int
    prices: tuple[Calibrated, ...]
    repeated: tuple[Lost, ...]
    failures: tuple[Lost, ...]
    kept: str


def document(plan: Plan, outcome: Outcome, kept: str, code: int) -> bytes:
    """The document, indented for people."""
    rows = tuple(Calibrated(each, measured(each.values, "calibrated")) for each in outcome.prices)
    return encode(Document(
        SCHEMA, __version__, code, _program(plan), plan.instance, _differs(plan, outcome), plan.connections, rows,
        outcome.repeated, outcome.failures, kept,
    ))  # fmt: skip


def text(plan: Plan, outcome: Outcome, kept: str) -> str:
    """What was started, a row for each transport, and what to know of it."""
    lines: list[str] = []
    if outcome.prices:
        lines += [_heading(plan, outcome.prices[0].conditions), ""]
        lines += [
            f"{'shared memory per connection':<28}{'lowest':>10}{'middle':>10}{'highest':>10}{'rounds':>8}{'tcp main':>11}"
        ]
        lines += [_row(each) for each in outcome.prices]
        lines.append("")
    for transport in dict.fromkeys(each.transport for each in outcome.repeated):
        why = [each.why for each in outcome.repeated if each.transport == transport]
        lines.append(f"{transport}: {_times(len(why))} a round was done again and not counted: {why[-1]}")
    lines += [f"{each.transport}: not measured: {each.why}" for each in outcome.failures]
    if differs := _differs(plan, outcome):
        lines.append(f"Not used for {plan.instance}: {differs}.")
    if kept:
        used = "" if differs else "; check uses them from now on"
        lines.append(f"Kept in {kept}{used}.")
    width = screen().width
    return (
        "\n".join(
            part
            for line in lines
            for part in (wrapped(line, width, "  ", "") if len(line) > width else [line])
        )
        + "\n"
    )


def _heading(plan: Plan, conditions: Conditions) -> str:
    follows = f", as {plan.instance}" if plan.instance else ""
    return (
        f"kamailio {conditions.kamailio} ({_program(plan)}{follows}), kernel {conditions.kernel} {conditions.machine},"
        f" {f'OpenSSL {conditions.openssl}' if conditions.openssl else 'no OpenSSL'}, {conditions.allocator},"
        f" tcp_rd_buf_size {conditions.read_buffer}; {plan.connections} connections a round"
    )


def _row(each: Calibration) -> str:
    spread = measured(each.values, "")
    spent = "" if each.main_microseconds is None else f"{each.main_microseconds:.0f} us"
    return (
        f"  {each.transport:<26}{spread.lowest:>10,.0f}{spread.middle:>10,.0f}{spread.highest:>10,.0f}"
        f"{spread.times:>8}{spent:>11}"
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _program(plan: Plan) -> str:
    return os.path.join(plan.root, plan.program.lstrip("/"))


def _differs(plan: Plan, outcome: Outcome) -> str:
    """Why what was measured doesn't hold for the running instance; "" where it does, or none runs."""
    if plan.conditions is None:
        return ""
    if isinstance(plan.conditions, Absent):
        return f"whether they hold for it can't be told ({plan.conditions})"
    said = {
        each.transport: differences(each.conditions, plan.conditions).replace(" then", " measured")
        for each in outcome.prices
    }
    reasons = dict.fromkeys(why for why in said.values() if why)
    return "; ".join(f"{', '.join(name for name in said if said[name] == why)} ({why})" for why in reasons)
