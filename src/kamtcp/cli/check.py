"""kamtcp check: how many connections this host takes, and what gives first."""

from __future__ import annotations

import argparse

from msgspec.structs import replace

from kamtcp.cli import before_start, highest, out, seen, source, target
from kamtcp.cli.exits import Exit
from kamtcp.cli.judge import choose, verdicts
from kamtcp.diagnose.accepting import Acceptances, outcome
from kamtcp.diagnose.codes import Severity
from kamtcp.diagnose.verdict import Verdict
from kamtcp.errors import ConfigError, UsageError
from kamtcp.model.acceptance import AcceptFile
from kamtcp.model.price import Measured
from kamtcp.model.snapshot import Snapshot
from kamtcp.survey.accepted import ACCEPT_FILE, collect
from kamtcp.survey.take import take

_EPILOG = """exit codes: 0 well; 1 findings at or above --fail-on; 2 wrong usage or own error;
3 something unseen could lie below the target or the binding ceiling, or a part of accept.toml can't be used
(findings win over 3). Accepted findings are shown and don't count.
With --nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of check."""
    parser.epilog = _EPILOG
    target.add_options(parser)
    parser.add_argument("--instance", metavar="NAME|PID", help="only this Kamailio, where several run")
    source.add_options(parser)
    before_start.add_options(parser)
    parser.add_argument("--accept", metavar="FILE",
                        help=f"accepted findings, instead of {ACCEPT_FILE} of the host that is judged")  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON document (docs/check.schema.json)")
    form.add_argument("--nagios", action="store_true", help="one line and exit codes of a monitoring plug-in")
    parser.add_argument("--fail-on", choices=[each.value for each in Severity], default="high", metavar="LEVEL",
                        help="exit 1 from this severity on: fatal, high (default), medium, info")  # fmt: skip


def run(options: argparse.Namespace) -> Exit | int:
    """Look, judge, write, and give the exit code."""
    try:
        return _run(options)
    except ConfigError as error:
        if options.nagios:
            raise
        return before_start.refused(error)


def _run(options: argparse.Namespace) -> Exit | int:
    if options.args is not None and options.kamailio_cfg is None:
        raise UsageError("--args: arguments of what? name a configuration with --kamailio-cfg")
    places = source.hosts(options)
    host = places[-1]
    only = options.instance if options.instance and options.instance.isdecimal() else ""
    snapshot = take(host, only=only)
    if options.accept is not None:
        snapshot = replace(snapshot, accepted=_accepted(options.accept))
    if options.kamailio_cfg is not None:
        snapshot = before_start.snapshot_of(options, host, snapshot)
    elif options.recording is None:
        highest.keep(host, snapshot)
        seen.keep(host, snapshot)
    if options.save_target:
        _save_target(options, snapshot)
    rows = verdicts(snapshot, host, options, _prices(places, only))
    acceptances = outcome(
        snapshot.accepted, ((verdict.situation.instance, verdict.findings) for verdict, _ in rows),
        all_judged=options.kamailio_cfg is None and len(rows) >= len(snapshot.instances),
    )  # fmt: skip
    fail_on = Severity(options.fail_on)
    code = exit_code(rows, fail_on, acceptances)
    if options.nagios:
        from kamtcp.cli.nagios import line

        text, state = line(rows, fail_on, acceptances)
        out.say(text + "\n")
        return state
    if options.json:
        from kamtcp.cli.document import document

        out.say(document(snapshot, rows, code, acceptances).decode())
        return code
    _print(rows, options, acceptances)
    return code


def exit_code(
    rows: tuple[tuple[Verdict, str], ...], fail_on: Severity, acceptances: Acceptances | None = None
) -> Exit:
    """1 for findings, else 3 where something unseen matters or the accepted ones can't all be told, else 0."""
    if any(verdict.at_or_above(fail_on) for verdict, _ in rows):
        return Exit.FINDINGS
    if any(verdict.start is not None and verdict.start.starts is False for verdict, _ in rows):
        return Exit.FINDINGS  # nobody can accept that
    if any(verdict.start is not None and verdict.start.starts is None for verdict, _ in rows):
        return Exit.BLIND
    if any(verdict.blind for verdict, _ in rows) or (acceptances is not None and acceptances.problems):
        return Exit.BLIND
    return Exit.OK


def _print(
    rows: tuple[tuple[Verdict, str], ...], options: argparse.Namespace, acceptances: Acceptances
) -> None:
    from kamtcp.cli import accepted_text
    from kamtcp.cli.report import text
    from kamtcp.cli.wrap import screen

    where_to, parts = screen(), []
    for verdict, where in rows:
        hint = "" if options.recording or options.kamailio_cfg else _hint(verdict)
        parts.append(text(verdict, where, where_to, save_hint=hint))
    before = "".join(f"{each}\n" for each in accepted_text.problems(acceptances, where_to))
    after = "".join(f"{each}\n" for each in accepted_text.unmatched(acceptances, where_to))
    out.say(before + ("\n" + "=" * where_to.width + "\n\n").join(parts) + after)


def _accepted(path: str) -> AcceptFile:
    """The file of --accept, which is this machine's, whatever host is judged.

    Raises:
        UsageError: there is none.
    """
    import os

    from kamtcp.host.live import Live

    found = collect(Live(), os.path.abspath(path))
    if not found.path:
        raise UsageError(f"--accept {path}: no such file")
    return found


def _hint(verdict: Verdict) -> str:
    """The line that keeps what is used now as the target, transports and all."""
    count, mix = verdict.situation.target.connections, verdict.situation.mix
    if not count:
        return "kamtcp check --connections N --save-target"
    shares = (("--tls", mix.tls), ("--ws", mix.ws), ("--wss", mix.wss))
    parts = "".join(f" {option} {int(share * count)}" for option, share in shares if int(share * count))
    return f"kamtcp check --connections {count}{parts} --save-target"


def _prices(places: tuple[object, ...], only: str) -> dict[str, dict[str, Measured]]:
    """Prices measured between the first and the last sample of a recording; none from a single look."""
    if len(places) < 2:
        return {}
    from kamtcp.model.growth import prices_between

    first, last = (take(place, only=only) for place in (places[0], places[-1]))  # type: ignore[arg-type]
    return prices_between(first, last)


def _save_target(options: argparse.Namespace, snapshot: Snapshot) -> None:
    """Under the name by which the next check looks it up, whatever the operator called the instance now."""
    from kamtcp.cli.save_target import save

    stated = target.of_options(options)
    name = choose(snapshot.instances, options.instance)[0].name if options.instance else ""
    out.complain(save(stated, name, recording=options.recording))
