"""`python -m kamtcp.loadgen.responder TARGET…`: a line of JSON on standard output when it listens, another at the end."""

from __future__ import annotations

import argparse
import signal
import sys

import msgspec

from kamtcp.errors import KamtcpError
from kamtcp.loadgen.responder.faults import Fault
from kamtcp.loadgen.responder.registrar import Guard
from kamtcp.loadgen.responder.serving import serve
from kamtcp.loadgen.responder.settings import Settings
from kamtcp.loadgen.target import Aim, parse


def aim(text: str) -> Aim:
    """A target; its port may be 0, which the kernel then chooses.

    Raises:
        UsageError: it is none.
    """
    place, slash, path = text.partition("/")
    if not place.endswith(":0"):
        return parse(text)
    some = parse(f"{place[:-1]}1{slash}{path}")
    return Aim(some.carrier, some.address, 0, some.path)


def main(argv: list[str]) -> int:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m kamtcp.loadgen.responder", description=__doc__)
    parser.add_argument(
        "target", nargs="+", help="tcp:ADDR:PORT, tls:…, ws:ADDR:PORT/PATH, wss:…; port 0: any"
    )
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--password", help="ask for it in REGISTER")
    parser.add_argument("--user", help="the only user that may register; default: any, with that password")
    parser.add_argument("--realm", default="kamtcp")
    parser.add_argument("--algorithm", choices=("MD5", "SHA-256", "SHA-512-256"))
    parser.add_argument(
        "--nonce-seconds", type=float, default=300.0, metavar="N", help="after which a nonce is stale"
    )
    parser.add_argument(
        "--certificate", metavar="FILE", help="PEM, key and certificate; default: self-signed"
    )
    parser.add_argument("--backlog", type=int, default=4096)
    parser.add_argument("--fault", choices=[each.value for each in Fault], metavar="NAME", help="%(choices)s")
    parser.add_argument("--end-with-parent", action="store_true")
    options = parser.parse_args(argv)
    guard = None
    if options.password is not None:
        guard = Guard(options.password, options.user, options.realm, options.algorithm, options.nonce_seconds)
    # a second signal, while the first is being obeyed, changes nothing any more
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        settings = Settings(
            tuple(aim(each) for each in options.target),
            processes=max(1, options.processes),
            guard=guard,
            certificate=options.certificate,
            backlog=options.backlog,
            fault=None if options.fault is None else Fault(options.fault),
        )
        totals = serve(settings, on_ready=_say, end_with_parent=options.end_with_parent)
    except KamtcpError as error:
        print(f"responder: {error}", file=sys.stderr)
        return 2
    _say(totals)
    return 0


def _say(what: object) -> None:
    print(msgspec.json.encode(what).decode(), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
