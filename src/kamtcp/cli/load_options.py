"""The options of kamtcp load, and the numbers they may be."""

from __future__ import annotations

import argparse
from collections.abc import Callable

MOST_CONNECTIONS = 10_000_000
MOST_SECONDS = 7 * 86_400.0


def whole(least: int, most: int) -> Callable[[str], int]:
    """A reader of whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        digits = text.replace(",", "").replace("_", "")
        if not (digits.isascii() and digits.isdigit() and least <= int(digits[:20]) <= most):
            raise argparse.ArgumentTypeError(
                f"expected a whole number from {least:,} to {most:,}, got {text!r}"
            )
        return int(digits)

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """A reader of numbers from `least` to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"expected a number from {least:g} to {most:g}, got {text!r}")
        return value

    return read


_COUNT, _RATE = whole(1, MOST_CONNECTIONS), number(0.01, 1_000_000)
_SECONDS, _SOME = number(0, MOST_SECONDS), number(0.001, MOST_SECONDS)


def add(parser: argparse.ArgumentParser, kind: str) -> None:
    """Add the options of one kind of load."""
    parser.add_argument(
        "target", metavar="TARGET", help="what to load" if kind != "responder" else "where to serve"
    )
    if kind == "responder":
        from kamtcp.cli.load_responder import add_options

        add_options(parser)
        return
    _KINDS[kind](parser)
    if kind != "profile":
        _clients(parser)
    _generator(parser)
    _safety(parser)
    _output(parser)


def _hold(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--connections", type=_COUNT, metavar="N", help="how many to hold")
    what.add_argument(
        "--profile", metavar="FILE", help="several populations and phases instead, as `load profile`"
    )
    parser.add_argument(
        "--rate", type=_RATE, default=500.0, metavar="R", help="new ones a second while opening (500)"
    )
    parser.add_argument(
        "--duration", type=_SECONDS, default=60.0, metavar="S", help="seconds to hold them all (60)"
    )


def _churn(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=_RATE, required=True, metavar="R", help="new connections a second")
    parser.add_argument("--duration", type=_SOME, default=60.0, metavar="S", help="seconds (60)")


def _storm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections", type=_COUNT, required=True, metavar="N", help="clients")
    parser.add_argument(
        "--rate", type=_RATE, default=500.0, metavar="R", help="a second while opening them (500)"
    )
    parser.add_argument(
        "--within", type=_SECONDS, default=10.0, metavar="S", help="they come back within S seconds (10)"
    )
    parser.add_argument("--backoff", choices=("none", "fixed", "exponential"), default="exponential",
                        help="what a client does after a failed try (exponential)")  # fmt: skip
    parser.add_argument(
        "--first", type=_SOME, default=1.0, metavar="S", help="first wait of the back-off (1)"
    )
    parser.add_argument(
        "--jitter", type=number(0, 1), default=0.5, metavar="SHARE", help="of a wait, drawn by lot (0.5)"
    )
    parser.add_argument(
        "--give-up", type=_SOME, default=300.0, metavar="S", help="who isn't served by then is given up (300)"
    )
    parser.add_argument(
        "--duration", type=_SECONDS, default=10.0, metavar="S", help="hold them so long afterwards (10)"
    )


def _ramp(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--of", choices=("rate", "connections"), default="rate",
                        help="raise new connections a second, or held ones (rate)")  # fmt: skip
    parser.add_argument("--from", dest="first", type=_RATE, default=50.0, metavar="X", help="first step (50)")
    parser.add_argument(
        "--factor", type=number(1.01, 10), default=1.5, metavar="F", help="each step so much higher (1.5)"
    )
    parser.add_argument(
        "--to",
        dest="highest",
        type=_RATE,
        default=100_000.0,
        metavar="X",
        help="end there at the latest (100000)",
    )
    parser.add_argument("--step", type=_SOME, default=5.0, metavar="S", help="seconds of a step (5)")
    parser.add_argument(
        "--failures", type=number(0, 1), default=0.0, metavar="SHARE", help="it gives beyond this share (0)"
    )
    parser.add_argument(
        "--p99", type=_SOME, default=1.0, metavar="S", help="it gives when p99 is above S seconds (1)"
    )


def _profile(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "profile", metavar="FILE", help="TOML; docs/examples/load-profile.toml shows all of it"
    )


_KINDS = {"hold": _hold, "churn": _churn, "storm": _storm, "ramp": _ramp, "profile": _profile}


def _clients(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("clients")
    question = group.add_mutually_exclusive_group()
    question.add_argument("--options", dest="question", action="store_const", const="options", default="options",
                          help="each asks with OPTIONS (default)")  # fmt: skip
    question.add_argument(
        "--register", dest="question", action="store_const", const="register", help="with REGISTER"
    )
    question.add_argument("--ping", dest="question", action="store_const", const="ping",
                          help="with a ping: CRLF (RFC 5626), on ws and wss WebSocket's own")  # fmt: skip
    group.add_argument(
        "--transport", choices=("tcp", "tls", "ws", "wss"), help="instead of the one in TARGET"
    )
    group.add_argument(
        "--user", metavar="NAME", default="load{n}", help="for digest; {n}: number of the client (load{n})"
    )
    group.add_argument("--password-file", metavar="FILE", help="digest password: the first line of FILE")
    group.add_argument(
        "--expires", type=whole(1, 1 << 31), default=3600, metavar="S", help="of a REGISTER (3600)"
    )
    group.add_argument(
        "--keepalive", type=_SECONDS, default=25.0, metavar="S", help="a ping each S seconds, 0: none (25)"
    )
    group.add_argument("--closing", choices=("fin", "rst"), default="rst", help="how connections end (rst)")
    group.add_argument("--tls-min", choices=("1.0", "1.1", "1.2", "1.3"), help="lowest version of TLS")
    group.add_argument("--tls-max", choices=("1.0", "1.1", "1.2", "1.3"), help="highest version of TLS")
    group.add_argument("--ciphers", metavar="LIST", help="OpenSSL's list, for TLS 1.2 and older")
    group.add_argument("--verify", metavar="CA", help="check certificates against this PEM file")
    group.add_argument("--resume", action="store_true", help="resume TLS sessions")


def _generator(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("where it comes from")
    group.add_argument(
        "--sources", metavar="ADDR/PREFIX", help="source addresses (loopback: planned from 127.0.1.1)"
    )
    group.add_argument(
        "--processes", type=whole(1, 1024), metavar="N", help="of the load (one per core, or as it takes)"
    )
    group.add_argument(
        "--netns", type=whole(1, 1 << 22), metavar="PID", help="from the network namespace of PID"
    )
    group.add_argument("--connect-timeout", type=_SOME, default=5.0, metavar="S", help="(5)")
    group.add_argument("--answer-timeout", type=_SOME, default=10.0, metavar="S", help="(10)")


def _safety(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("safety")
    group.add_argument(
        "--i-own-this-host", action="store_true", help="TARGET isn't kamtcp's, and may be loaded"
    )
    group.add_argument("--production", action="store_true", help="even though others are connected; paced")
    group.add_argument("--probe", action=argparse.BooleanOptionalAction, default=None,
                       help="end it when one steady SIP client is lost (on, unless TARGET is kamtcp's own)")  # fmt: skip
    group.add_argument(
        "--most-drops", type=whole(0, 1 << 40), metavar="N", help="end it beyond N drops of the kernel"
    )
    group.add_argument(
        "--most-log",
        type=whole(1, 1 << 20),
        default=512,
        metavar="MIB",
        help="end it when logs grow so much (512)",
    )


def _output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--json", action="store_true", help="one JSON document on stdout (docs/load.schema.json)"
    )
    group.add_argument(
        "--out", metavar="DIR", help="also keep result, rows and verdict in DIR, which must not exist"
    )
    group.add_argument("--quiet", action="store_true", help="no progress on stderr")
