"""kamtcp calibrate: what a connection costs in shared memory on this host, measured on a Kamailio of its own."""

from __future__ import annotations

import argparse
import os
import sys

from kamtcp.cli import out
from kamtcp.cli.exits import Exit
from kamtcp.cli.load_options import whole
from kamtcp.errors import UsageError
from kamtcp.model.price import TRANSPORTS

_EPILOG = """Starts the same Kamailio as the running one (else the installed one) on a host of namespaces that nothing outside
can reach, opens connections to it, and reads shm.stats before and after: about 9 s a round. What runs is not
touched. Prices are kept in kamtcp's state directory; check uses them where kernel, Kamailio, OpenSSL, allocator,
tcp_rd_buf_size and TLS are the same. The certificate is a self-signed one, and no client shows its own.
exit codes: 0 measured and kept; 2 wrong usage, no root, no Kamailio, no room; 3 a transport could not be measured."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of calibrate."""
    parser.epilog = _EPILOG
    parser.add_argument(
        "--transport", type=_transports, default=(), metavar="T,T", help="tcp,tls,ws,wss (what Kamailio has)"
    )
    parser.add_argument(
        "--connections", type=whole(50, 100_000), default=300, metavar="N", help="of each round (300)"
    )
    parser.add_argument(
        "--rounds", type=whole(1, 20), default=3, metavar="N", help="of each transport, for the spread (3)"
    )
    parser.add_argument("--instance", metavar="NAME|PID", help="follow this Kamailio, where several run")
    parser.add_argument("--json", action="store_true", help="one JSON document (docs/calibrate.schema.json)")


def _transports(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.lower().split(",")))
    if not set(names) <= set(TRANSPORTS):
        raise argparse.ArgumentTypeError(f"expected some of {','.join(TRANSPORTS)}, got {text!r}")
    return names


def run(options: argparse.Namespace) -> Exit:
    """Measure, keep, and tell."""
    from kamtcp.cli import calibrate_text, calibrated
    from kamtcp.cli.calibrate_plan import plan
    from kamtcp.cli.calibrate_rounds import rounds
    from kamtcp.host.live import Live

    if os.geteuid() != 0:
        raise UsageError(
            "needs root: it starts a Kamailio on a host of namespaces of its own; nothing was started"
        )
    _check_state()
    what = plan(options.transport, options.connections, options.instance)
    outcome = rounds(what, options.rounds, _say if sys.stderr.isatty() else lambda _: None)
    code = Exit.BLIND if outcome.failures else Exit.OK
    refusal = ""
    if outcome.prices:
        try:
            calibrated.keep(Live(), outcome.prices)
        except OSError as error:
            code, refusal = (
                Exit.USAGE,
                f"{calibrated.FILE}: {error.strerror or error}; the prices were not kept",
            )
    kept = "" if refusal or not outcome.prices else calibrated.FILE
    if options.json:
        out.say(calibrate_text.document(what, outcome, kept, code).decode())
    else:
        out.say(calibrate_text.text(what, outcome, kept))
    if refusal:
        out.complain(f"kamtcp calibrate: {refusal}")
    return code


def _check_state() -> None:
    """Before anything is started: whether the result could be kept, and would be believed.

    Raises:
        UsageError: it wouldn't.
    """
    from kamtcp.cli import calibrated, state
    from kamtcp.host.live import Live
    from kamtcp.model.absent import Absent

    host, directory = Live(), os.path.dirname(calibrated.FILE)
    found = calibrated.present(host)
    doubt = str(found) if isinstance(found, Absent) else ""
    if not doubt and os.path.isdir(directory):
        doubt = state.written_by_others(host, directory)
    if doubt:
        raise UsageError(f"{doubt}; nothing was started (KAMTCP_STATE may name another directory)")


def _say(text: str) -> None:
    """A line of progress, which the next one replaces."""
    sys.stderr.write(f"\r\033[K{text}")
    sys.stderr.flush()
