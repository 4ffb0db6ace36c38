"""Options of kamtcp load -> what the generator is told."""

from __future__ import annotations

import argparse
from ipaddress import ip_network

from msgspec.structs import replace

from kamtcp.errors import UsageError
from kamtcp.loadgen.order import Carrier, Climb, Closing, Mode, Order
from kamtcp.loadgen.phases import Storm
from kamtcp.loadgen.population import Credentials, Keepalive, Question, Tls
from kamtcp.loadgen.schedule import AtOnce, Schedule, Steady
from kamtcp.loadgen.sources import Block, plan_sources
from kamtcp.loadgen.target import Aim

_MODES = {
    "hold": Mode.EACH,
    "churn": Mode.CHURN,
    "storm": Mode.STORM,
    "ramp": Mode.RAMP,
    "profile": Mode.EACH,
}
_PORTS = 60_000  # of a source address


def aim_of(options: argparse.Namespace, aim: Aim) -> Aim:
    """The target with --transport."""
    carrier = getattr(options, "transport", None) or aim.carrier
    return replace(aim, carrier=carrier, path=(aim.path or "/") if carrier in ("ws", "wss") else "")


def order_of(options: argparse.Namespace, aim: Aim) -> Order:
    """The order, its sources left to be planned.

    Raises:
        UsageError: options that don't go together, a password file that can't be read.
    """
    basis = Order(
        aim.address, aim.port, schedule_of(options), carrier=Carrier(aim.carrier), path=aim.path or "/",
        mode=_MODES[options.kind], connect_timeout=options.connect_timeout, answer_timeout=options.answer_timeout,
        netns_pid=options.netns,
    )  # fmt: skip
    if options.kind == "profile":
        return basis
    question: Question = options.question
    if question == "ping" and aim.carrier in ("tcp", "tls"):
        question = "crlf"
    if options.password_file and question != "register":
        raise UsageError("--password-file is for --register: nothing else is challenged")
    wants_tls = any((options.tls_min, options.tls_max, options.ciphers, options.verify, options.resume))
    if wants_tls and not Carrier(aim.carrier).secure:
        raise UsageError(f"{aim}: options of TLS, but no TLS in this target; tls: and wss: have it")
    return replace(
        basis,
        question=question,
        expires=options.expires,
        credentials=_credentials(options),
        keepalive=_keepalive(options, aim),
        closing=Closing.FIN if options.closing == "fin" else Closing.RESET,
        tls=Tls(
            lowest=options.tls_min, highest=options.tls_max, ciphers=options.ciphers, verify=options.verify is not None,
            ca_file=options.verify, resume=options.resume,
        ),
        hold_seconds=options.duration if options.kind in ("hold", "storm") else 0.0,
        storm=_storm(options),
        climb=_climb(options),
    )  # fmt: skip


def schedule_of(options: argparse.Namespace) -> Schedule:
    """When connections are due."""
    if options.kind == "churn":
        return Steady(max(1, round(options.rate * options.duration)), options.rate)
    if options.kind in ("hold", "storm"):
        return Steady(options.connections, options.rate)
    return AtOnce(0)


def sources_of(text: str | None, aim: Aim, count: int, port: int) -> tuple[Block, ...]:
    """Source addresses for `count` connections at a time; empty: planned on loopback.

    Raises:
        UsageError: no such prefix, or one that is too small.
    """
    if text is None:
        if aim.ip.version == 4 and aim.ip.is_loopback:
            return ()
        return (Block("::" if aim.ip.version == 6 else "0.0.0.0", 0, count),)  # noqa: S104  (a source)
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise UsageError(f"--sources {text}: expected an address and a prefix, as 127.1.0.0/16") from error
    if network.version != aim.ip.version:
        raise UsageError(f"--sources {text}: IPv{network.version}, but the target is IPv{aim.ip.version}")
    room = network.num_addresses * _PORTS
    if count > room:
        raise UsageError(
            f"--sources {text}: {network.num_addresses:,} addresses x {_PORTS:,} ports = {room:,}, fewer than {count:,}"
        )
    if network.version == 6 or network.num_addresses < 4:
        each = -(-count // network.num_addresses)
        return tuple(Block(str(address), 0, each) for address in network)
    usable = network.num_addresses - 2
    per = max(1, -(-count // usable))
    return plan_sources(
        count, base=str(network.network_address + 1), per_address=per, avoid=(5060, 5061, port)
    )


def _credentials(options: argparse.Namespace) -> Credentials | None:
    return Credentials(password(options.password_file), options.user) if options.password_file else None


def password(path: str) -> str:
    """The first line of a file; a password on a command line is everybody's to read.

    Raises:
        UsageError: it can't be read, or there is none.
    """
    try:
        with open(path, encoding="utf-8") as file:
            found = file.readline(4096).rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: expected text, got bytes that are no UTF-8") from error
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    if not found:
        raise UsageError(f"{path}: expected a password on its first line, got none")
    return found


def _keepalive(options: argparse.Namespace, aim: Aim) -> Keepalive | None:
    if not options.keepalive:
        return None
    return Keepalive("ping" if aim.carrier in ("ws", "wss") else "crlf", options.keepalive)


def _storm(options: argparse.Namespace) -> Storm | None:
    if options.kind != "storm":
        return None
    return Storm(
        within=options.within, closing=options.closing, backoff=options.backoff, first=options.first,
        jitter=options.jitter, seconds=options.give_up,
    )  # fmt: skip


def _climb(options: argparse.Namespace) -> Climb | None:
    if options.kind != "ramp":
        return None
    if options.highest < options.first:
        raise UsageError(f"--to {options.highest:g} lies below --from {options.first:g}")
    return Climb(
        what=options.of, first=options.first, factor=options.factor, highest=options.highest, seconds=options.step,
        failures=options.failures, p99=options.p99,
    )  # fmt: skip
