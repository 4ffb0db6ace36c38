"""kamtcp load: real SIP connections over TCP, TLS, WebSocket and secure WebSocket, and a verdict on what gave way."""

from __future__ import annotations

import argparse

from kamtcp.cli import load_options
from kamtcp.cli.exits import Exit

_EPILOG = """TARGET: tcp:ADDR:PORT  tls:ADDR:PORT  ws:ADDR:PORT/PATH  wss:ADDR:PORT/PATH   (IPv6: tcp:[::1]:5060)
Free targets are listeners that kamtcp started: kamtcp load responder TARGET. Any other needs --i-own-this-host.
exit codes: 0 all were served and kept; 1 some were not, or something gave way; 2 wrong usage, or it doesn't fit;
3 the load can't vouch for its own result, or could not see what gave way."""

#: what to do, and its help
KINDS = {
    "hold": "open N connections, keep them alive, notice every loss",
    "churn": "open, ask and close, so many a second",
    "storm": "N clients lose their connection at once and come back",
    "ramp": "more and more, until it gives",
    "profile": "several populations and phases, from a TOML file",
    "responder": "serve SIP on TARGET: something to load that is kamtcp's own",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the kinds of load, each with its options."""
    parser.epilog = _EPILOG
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True, parser_class=type(parser))
    for kind, purpose in KINDS.items():
        inner = kinds.add_parser(
            kind, help=purpose, description=purpose, allow_abbrev=False, epilog=_EPILOG,
            formatter_class=parser.formatter_class,
        )  # fmt: skip
        load_options.add(inner, kind)


def run(options: argparse.Namespace) -> Exit:
    """Do it; the exit code says what came of it."""
    if options.kind == "responder":
        from kamtcp.cli.load_responder import serve

        return serve(options)
    from kamtcp.cli.load_run import carry_out

    return carry_out(options)
