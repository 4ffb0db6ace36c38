"""kamtcp plan: what must change to hold a target. Nothing on the host is changed."""

from __future__ import annotations

import argparse
import os

from kamtcp.cli import out, source, target
from kamtcp.cli.exits import Exit
from kamtcp.cli.judge import verdicts
from kamtcp.errors import UsageError

_EPILOG = """exit codes: 0 the target is met, with the plan or without; 1 it can't be met on this host; 2 wrong usage or own error;
3 something unseen could lie below the target. Nothing is changed: the steps are yours to take."""
_FORMATS = ("text", "diff", "json", "sysctl.d", "systemd", "kamailio", "shell")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of plan."""
    parser.epilog = _EPILOG
    target.add_options(parser, saving=False)
    parser.add_argument("--instance", metavar="NAME|PID", help="only this Kamailio, where several run")
    source.add_options(parser)
    parser.add_argument(
        "--format", choices=_FORMATS, default="text", metavar="FORM", help=", ".join(_FORMATS)
    )
    parser.add_argument(
        "-o",
        dest="file",
        metavar="FILE",
        help="write the plan as JSON there too; an existing file is left alone",
    )


def run(options: argparse.Namespace) -> Exit:
    """Look, plan, write, and give the exit code."""
    from kamtcp.cli.plan_document import document
    from kamtcp.plan.outcome import plan
    from kamtcp.plan.render import FORMATS
    from kamtcp.survey.take import take

    host = source.hosts(options)[-1]
    only = options.instance if options.instance and options.instance.isdecimal() else ""
    rows = verdicts(take(host, only=only), host, options)
    if not all(where for _, where in rows):
        raise UsageError(
            "plan: no target; state one with --connections N --rate R, or in /etc/kamtcp/target.toml"
        )
    plans = tuple((verdict, plan(verdict.situation)) for verdict, _ in rows)
    data = document(plans)
    if options.file is not None:
        _write(options.file, data)
    if options.format == "json":
        out.say(data.decode())
    elif options.format == "text":
        from kamtcp.cli.plan_text import text
        from kamtcp.cli.wrap import screen

        where = screen()
        out.say(
            ("\n" + "=" * where.width + "\n\n").join(text(verdict, found, where) for verdict, found in plans)
        )
    else:
        out.say("".join(FORMATS[options.format](found.steps) for _, found in plans))
    if any(found.met is False for _, found in plans):
        return Exit.FINDINGS
    return Exit.BLIND if any(found.met is None for _, found in plans) else Exit.OK


def _write(path: str, data: bytes) -> None:
    """A new file, for its owner alone; neither a file nor a link is written over.

    Raises:
        UsageError: it is there already, or can't be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
    except FileExistsError:
        raise UsageError(f"-o {path}: it exists; name a new file") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"-o {path}: {error}") from None
