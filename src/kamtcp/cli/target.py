"""The target of a check: options, else the target file of the host, else the highest use seen.

The files are read through the Host, so a recording is judged by the target of its own host.
"""

from __future__ import annotations

import argparse

import msgspec

from kamtcp.errors import NotRecorded, UsageError
from kamtcp.host.door import Host
from kamtcp.model.target import Target

TARGET_FILE = "/etc/kamtcp/target.toml"
#: more than any host holds
MOST = 1 << 31


class TargetFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """target.toml: `[default]`, and `[instance.NAME]` for each instance that differs."""

    default: Target = Target()
    instance: dict[str, Target] = {}


def add_options(parser: argparse.ArgumentParser, *, saving: bool = True) -> None:
    """The options that state a target; `saving` adds the one that keeps it."""
    group = parser.add_argument_group("target", "what you want to hold; without it, the target file's")
    group.add_argument(
        "--connections", type=_count, metavar="N", help="open connections, all transports together"
    )
    group.add_argument("--tls", type=_count, metavar="N", help="how many of them are TLS")
    group.add_argument("--ws", type=_count, metavar="N", help="how many are WebSocket")
    group.add_argument("--wss", type=_count, metavar="N", help="how many are secure WebSocket")
    group.add_argument("--rate", type=_rate, metavar="R", help="new connections per second")
    group.add_argument("--storm", type=_storm, metavar="N/SECONDS", help="N clients come back within SECONDS")
    group.add_argument("--outbound", type=_outbound, metavar="ADDR:PORT=N", action="append", default=[],
                       help="N connections that Kamailio opens there; may be repeated")  # fmt: skip
    group.add_argument("--outbound-rate", type=_outbound_rate, metavar="ADDR:PORT=R", action="append", default=[],
                       help="R connections a second that Kamailio opens anew there; may be repeated")  # fmt: skip
    if saving:
        group.add_argument(
            "--save-target", action="store_true", help=f"write the target to {TARGET_FILE}, then check"
        )


def _count(text: str) -> int:
    digits = text.replace(",", "").replace("_", "")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10 or int(digits) > MOST:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2147483648, got {text!r}")
    return int(digits)


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e7:
        raise argparse.ArgumentTypeError(f"expected connections per second, 0 to 10000000, got {text!r}")
    return value


def _storm(text: str) -> tuple[int, float]:
    count, slash, seconds = text.partition("/")
    if not slash:
        raise argparse.ArgumentTypeError(f"expected N/SECONDS, such as 20000/60, got {text!r}")
    value = _rate(seconds)
    return _count(count), value


def _outbound(text: str) -> tuple[str, int]:
    destination, count = _destination(text, "ADDR:PORT=N, such as 10.0.0.9:5060=2000")
    return destination, _count(count)


def _outbound_rate(text: str) -> tuple[str, float]:
    destination, rate = _destination(text, "ADDR:PORT=R, such as 10.0.0.9:5060=50")
    return destination, _rate(rate)


def _destination(text: str, form: str) -> tuple[str, str]:
    """The two sides of "ADDR:PORT=…"."""
    destination, equals, rest = text.rpartition("=")
    address, colon, port = destination.rpartition(":")
    whole = equals and colon and address and port.isascii() and port.isdigit() and len(port) < 6
    if not whole or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"expected {form}, got {text!r}")
    return destination, rest


def of_options(options: argparse.Namespace) -> Target | None:
    """The target that the options state; None where they state none.

    Raises:
        UsageError: the parts don't fit together.
    """
    parts = [options.tls or 0, options.ws or 0, options.wss or 0]
    connections = options.connections
    if connections is None and any(parts):
        connections = sum(parts)
    if connections is not None and sum(parts) > connections:
        raise UsageError(
            f"--tls, --ws and --wss make {sum(parts):,}, more than --connections {connections:,}"
        )
    storm = options.storm or (None, 1.0)
    if not any((connections, options.rate, options.storm, options.outbound, options.outbound_rate)):
        return None
    return Target(
        connections=connections, tls=parts[0], ws=parts[1], wss=parts[2], rate=options.rate,
        storm=storm[0], storm_seconds=storm[1], outbound=dict(options.outbound),
        outbound_rate=dict(options.outbound_rate),
    )  # fmt: skip


def read_file(host: Host) -> TargetFile | None:
    """The host's target file; None where it has none.

    Raises:
        UsageError: it can't be read, or says something that is no target.
    """
    try:
        data = host.read(TARGET_FILE, 1 << 20)
    except (FileNotFoundError, NotADirectoryError, NotRecorded):
        return None
    except OSError as error:
        raise UsageError(f"{TARGET_FILE}: {error.strerror}; state the target with --connections") from None
    return parse_file(data)


def parse_file(data: bytes) -> TargetFile:
    """Parse target.toml.

    Raises:
        UsageError: with the line or the field that is wrong.
    """
    import tomllib

    try:
        tables = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # of the text, of its encoding, of a number without end
        raise UsageError(f"{TARGET_FILE}: not TOML: {error}") from None
    try:
        found = msgspec.convert(tables, TargetFile)
    except (msgspec.ValidationError, RecursionError) as error:
        raise UsageError(f"{TARGET_FILE}: {error} (fields are those of `kamtcp check --help`)") from None
    return TargetFile(
        _sensible(found.default, "[default]"),
        {name: _sensible(each, f"[instance.{_key(name)}]") for name, each in found.instance.items()},
    )


_COUNTS = (
    "connections",
    "tls",
    "ws",
    "wss",
    "storm",
    "registration_seconds",
    "keepalive_seconds",
    "clients_per_source",
)


def _sensible(target: Target, table: str) -> Target:
    """The target with `connections` filled in from its parts.

    Raises:
        UsageError: a number that no host can mean, or parts that are more than the whole.
    """
    bounds: list[tuple[str, float | None, float]] = [(name, getattr(target, name), MOST) for name in _COUNTS]
    bounds += [("rate", target.rate, 1e7), ("storm_seconds", target.storm_seconds, 1e7)]
    bounds += [("active_share", target.active_share, 1.0)]
    bounds += [(f"outbound {name}", count, MOST) for name, count in target.outbound.items()]
    bounds += [(f"outbound_rate {name}", rate, 1e7) for name, rate in target.outbound_rate.items()]
    if 0 in target.middle.values():
        raise UsageError(f"{TARGET_FILE}: {table} middle: expected seconds from 1, got 0")
    bounds += [(f"middle {name}", seconds, MOST) for name, seconds in target.middle.items()]
    for name, value, most in bounds:
        if value is not None and not 0 <= value <= most:  # NaN is not either
            raise UsageError(f"{TARGET_FILE}: {table} {name}: expected 0 to {most:,.10g}, got {value}")
    for name in (*target.outbound, *target.outbound_rate):
        try:
            _outbound(f"{name}=0")
        except argparse.ArgumentTypeError:
            raise UsageError(f"{TARGET_FILE}: {table} outbound: expected ADDR:PORT, got {name!r}") from None
    parts = target.tls + target.ws + target.wss
    if target.connections is None:
        return msgspec.structs.replace(target, connections=parts or None)
    if parts > target.connections:
        raise UsageError(
            f"{TARGET_FILE}: {table} tls, ws and wss make {parts:,}, more than connections {target.connections:,}"
        )
    return target


def of_instance(
    stated: Target | None, found: TargetFile | None, name: str, highest: int = 0
) -> tuple[Target, str]:
    """The target of one instance, and where it comes from: "" stands for the highest use seen, no target."""
    filed = Target() if found is None else found.instance.get(name, found.default)
    if stated is not None:
        return with_surroundings(stated, filed), "options"
    if filed.stated:
        return filed, TARGET_FILE
    return with_surroundings(Target(connections=highest or None), filed), ""


#: what the phones and the way to them are like, which no option states
_SURROUNDINGS = ("active_share", "registration_seconds", "keepalive_seconds", "clients_per_source", "middle")


def with_surroundings(stated: Target, filed: Target) -> Target:
    """A target with what the file says of the phones and of the way to them."""
    return msgspec.structs.replace(stated, **{
        name: getattr(filed, name) for name in _SURROUNDINGS if not getattr(stated, name)
    })  # fmt: skip


def as_toml(target: Target, name: str) -> str:
    """One table of target.toml."""
    lines = [f"[instance.{_key(name)}]" if name else "[default]"]
    for field in msgspec.structs.fields(Target):
        value = getattr(target, field.name)
        if value == field.default or value is None or value == {}:
            continue
        if isinstance(value, dict):
            pairs = ", ".join(f"{_quoted(key)} = {count}" for key, count in value.items())
            lines.append(f"{field.name} = {{ {pairs} }}")
        else:
            lines.append(f"{field.name} = {value}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _key(name: str) -> str:
    bare = all(each.isascii() and (each.isalnum() or each in "-_") for each in name)
    return name if bare else _quoted(name)
