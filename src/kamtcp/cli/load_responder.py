"""kamtcp load responder: a SIP server of kamtcp's own, and so a target that may be loaded for the asking."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING

from kamtcp.cli import out
from kamtcp.cli.exits import Exit

if TYPE_CHECKING:
    from kamtcp.loadgen.responder.registrar import Guard
    from kamtcp.loadgen.responder.settings import Ready


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the responder."""
    from kamtcp.cli.load_options import number, whole
    from kamtcp.loadgen.responder.faults import Fault

    parser.add_argument("more", metavar="TARGET", nargs="*", help="further places to serve; port 0: any")
    parser.add_argument(
        "--processes", type=whole(1, 256), default=1, metavar="N", help="that share each port (1)"
    )
    parser.add_argument(
        "--password-file", metavar="FILE", help="ask for it in REGISTER: the first line of FILE"
    )
    parser.add_argument("--user", metavar="NAME", help="the only user that may register (any)")
    parser.add_argument(
        "--expires", type=whole(1, 1 << 31), default=3600, metavar="S", help="granted at most (3600)"
    )
    parser.add_argument("--nonce-seconds", type=number(0.1, 1e6), default=300.0, metavar="S", help="(300)")
    parser.add_argument(
        "--certificate", metavar="FILE", help="PEM with key and certificate (one made on the spot)"
    )
    parser.add_argument(
        "--backlog", type=whole(0, 1 << 31), default=4096, metavar="N", help="of listen(2) (4096)"
    )
    parser.add_argument(
        "--fault", choices=[each.value for each in Fault], metavar="NAME", help="do it wrong: %(choices)s"
    )
    parser.add_argument(
        "--duration", type=number(0.1, 7 * 86400.0), metavar="S", help="end after S seconds (Ctrl-C)"
    )
    parser.add_argument(
        "--json", action="store_true", help="a line of JSON when it listens, another at the end"
    )


def serve(options: argparse.Namespace) -> Exit:
    """Serve until Ctrl-C, SIGTERM or the end of --duration."""
    from kamtcp.loadgen import owned
    from kamtcp.loadgen.responder.__main__ import aim
    from kamtcp.loadgen.responder.faults import Fault
    from kamtcp.loadgen.responder.serving import serve as run
    from kamtcp.loadgen.responder.settings import Settings

    settings = Settings(
        tuple(aim(each) for each in (options.target, *options.more)), processes=options.processes,
        guard=_guard(options), expires=options.expires, certificate=options.certificate, backlog=options.backlog,
        fault=None if options.fault is None else Fault(options.fault),
    )  # fmt: skip
    cards: list[str] = []

    def ready(found: Ready) -> None:
        try:
            cards.append(owned.leave(tuple(each.inode for each in found.listeners), "responder"))
        except OSError as error:
            out.complain(
                f"kamtcp load responder: {error.filename}: {error.strerror}; a load on it needs --i-own-this-host"
            )
        _say_ready(found, options)

    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    if options.duration is not None:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        signal.setitimer(signal.ITIMER_REAL, options.duration)
    try:
        totals = run(settings, on_ready=ready)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for card in cards:
            os.unlink(card)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    if options.json:
        _say_json(totals)
    else:
        out.say(f"answered {totals.answered:,} requests on {totals.accepted:,} connections\n")
    return Exit.OK


def _say_ready(found: Ready, options: argparse.Namespace) -> None:
    if options.json:
        _say_json(found)
        return
    places = dict.fromkeys(each.aim for each in found.listeners)
    out.say("".join(f"serving SIP on {place}, pid {found.pid}\n" for place in places))
    sys.stderr.write("Ctrl-C ends it\n")


def _say_json(what: object) -> None:
    import msgspec

    out.say(msgspec.json.encode(what).decode() + "\n")


def _guard(options: argparse.Namespace) -> Guard | None:
    from kamtcp.cli.load_order import password
    from kamtcp.errors import UsageError
    from kamtcp.loadgen.responder.registrar import Guard

    if options.password_file is None:
        if options.user is not None:
            raise UsageError("--user is for --password-file: without a password everybody may register")
        return None
    return Guard(password(options.password_file), options.user, lifetime=options.nonce_seconds)
