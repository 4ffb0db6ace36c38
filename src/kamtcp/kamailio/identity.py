"""Who is it that answers? Version, build, command line, processes and listeners, from decoded RPC replies.

Reads   core.version, core.info, core.uptime, core.arg, core.modules, core.ppdefines, core.flags, core.psx,
        corex.list_sockets, core.sockets_list
Source  Kamailio src/core/core_cmd.c, src/modules/corex/corex_rpc.c
Cost    none of them takes a lock that SIP needs
"""

from __future__ import annotations

import re

from msgspec import Struct

from kamtcp.errors import ParseError
from kamtcp.kamailio.fields import number, one_struct, required, structs, text, texts
from kamtcp.kamailio.values import Members, Values
from kamtcp.model.absent import Absent

_VERSION = re.compile(r"(\S+) (\S*?(\d+)\.(\d+)\.(\d+)\S*)(?: \((\S+)\))?")


class Version(Struct, frozen=True):
    """core.version: "kamailio 5.6.3 (x86_64/linux) ".

    Args:
        name: "kamailio". version: as printed ("6.2.0-dev1"). release: its numbers, for ordering (6, 2, 0).
        platform: "x86_64/linux", "" where not printed.
    """

    name: str
    version: str
    release: tuple[int, int, int]
    platform: str


def version(values: Values) -> Version:
    """Raises ParseError unless the reply is one string with a three-part version in it."""
    line = texts("core.version", values)
    found = _VERSION.match(line[0]) if len(line) == 1 and len(line[0]) < 256 else None
    if found is None:
        raise ParseError("core.version", "NAME A.B.C (PLATFORM)", values)
    name, number_text, a, b, c, platform = found.groups()
    return Version(name, number_text, (int(a), int(b), int(c)), platform or "")


class Info(Struct, frozen=True):
    """core.info: the build. `id` is the commit ("unknown" in packages); `flags` the compile-time options."""

    version: str | Absent
    id: str | Absent
    compiler: str | Absent
    compiled: str | Absent
    flags: tuple[str, ...] | Absent


def info(values: Values) -> Info:
    """Raises ParseError unless the reply is one struct."""
    method, members = "core.info", one_struct("core.info", values)
    found = text(method, members, "flags")
    return Info(
        version=text(method, members, "version"),
        id=_stripped(text(method, members, "id")),
        compiler=text(method, members, "compiler"),
        compiled=text(method, members, "compiled"),
        flags=found if isinstance(found, Absent) else _comma_separated(found),
    )


def flags(values: Values) -> tuple[str, ...]:
    """core.flags: compile-time options ("USE_TLS", "FAST_LOCK-ADAPTIVE_WAIT", …), in the order printed."""
    return tuple(flag for line in texts("core.flags", values) for flag in _comma_separated(line))


class Uptime(Struct, frozen=True):
    """core.uptime: `uptime` in seconds; `now` and `up_since` as ctime(3) prints them in the server's time zone."""

    uptime: int
    now: str | Absent
    up_since: str | Absent


def uptime(values: Values) -> Uptime:
    """Raises ParseError unless the reply is one struct with uptime in it."""
    method, members = "core.uptime", one_struct("core.uptime", values)
    return Uptime(
        required(method, members, "uptime"),
        _stripped(text(method, members, "now")),
        _stripped(text(method, members, "up_since")),
    )


def arguments(values: Values) -> tuple[str, ...]:
    """core.arg: the command line of the server, program name first."""
    return texts("core.arg", values)


def modules(values: Values) -> tuple[str, ...]:
    """core.modules: names of the loaded modules, last loaded first."""
    return texts("core.modules", values)


def ppdefines(values: Values) -> tuple[str, ...]:
    """core.ppdefines: names defined when the configuration was read; empty where 5.0 and older lack the command."""
    return texts("core.ppdefines", values)


class Process(Struct, frozen=True):
    """A row of core.psx. `pid` counts in the PID namespace of the *server*; `description` tells the role."""

    index: int
    pid: int
    description: str


def processes(values: Values) -> tuple[Process, ...]:
    """core.psx, in the order of its process table: index 0 is the attendant, the last TCP one "tcp main process"."""
    method = "core.psx"
    found = []
    for row in structs(method, values):
        description = text(method, row, "DSC")
        if isinstance(description, Absent):
            raise ParseError(method, "a member DSC", row)
        found.append(Process(required(method, row, "IDX"), required(method, row, "PID"), description))
    return tuple(found)


class Listener(Struct, frozen=True):
    """One socket on which Kamailio takes SIP.

    Args:
        proto: "udp", "tcp", "tls", "sctp"; WebSocket comes in on tcp and tls ones.
        address: as configured, an interface or host name included. addresses: numeric, where they are told apart.
        port: number. advertise: what goes into Via and Contact ("" if nothing else): without its port up to 5.6.
        name: of the socket, "" if none. virtual: an address that need not be on this host now.
    """

    proto: str
    address: str
    addresses: tuple[str, ...]
    port: int
    advertise: str | Absent
    name: str | Absent
    virtual: bool | Absent


def corex_listeners(values: Values) -> tuple[Listener, ...]:
    """corex.list_sockets, of any version: members are in upper case up to 6.0 and in lower case from 6.1."""
    method = "corex.list_sockets"
    found = []
    for row in (each.lower() for each in structs(method, values)):
        listed = row.get("addrlist")
        # By BINRPC and JSON alike a struct in which the one name comes once per address.
        addresses = listed.lower().all("addr") if isinstance(listed, Members) else ()
        found.append(
            _listener(method, row, "name", tuple(map(str, addresses)), advertise="advertise", name="sockname")
        )
    return tuple(found)


def core_listeners(values: Values) -> tuple[Listener, ...]:
    """core.sockets_list: a struct of equally named structs over BINRPC, a list of structs of one over JSON."""
    method = "core.sockets_list"
    found = []
    for group in structs(method, values):
        for row in group.structs():
            first, *more = row.all("address") or ("",)
            numeric = (*map(str, row.all("ipaddress")), *map(str, more)) or (str(first),)
            found.append(_listener(method, row, "address", numeric))
    return tuple(found)


def _listener(
    method: str,
    row: Members,
    address: str,
    addresses: tuple[str, ...],
    *,
    advertise: str = "",
    name: str = "",
) -> Listener:
    proto, where, port = text(method, row, "proto"), text(method, row, address), number(method, row, "port")
    if isinstance(proto, Absent) or isinstance(where, Absent) or isinstance(port, Absent):
        raise ParseError(method, f"proto, {address} and port", row)
    virtual = text(method, row, "virtual")
    return Listener(
        proto=proto,
        address=where,
        addresses=addresses,
        port=port,
        advertise=_dash(text(method, row, advertise)),
        name=_dash(text(method, row, name)),
        virtual=virtual if isinstance(virtual, Absent) else virtual == "yes",
    )


def _dash(found: str | Absent) -> str | Absent:
    return "" if found == "-" else found


def _stripped(found: str | Absent) -> str | Absent:
    return found if isinstance(found, Absent) else found.strip()


def _comma_separated(line: str) -> tuple[str, ...]:
    return tuple(part for part in line.replace(",", " ").split() if part)
