"""What is known of one setting or counter."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Kind(Enum):
    """What sort of thing it is, or was: what is gone keeps its kind and has `gone` filled in."""

    SYSCTL = "sysctl"
    COUNTER = "counter"
    PARAMETER = "kamailio parameter"
    MODPARAM = "kamailio modparam"
    COMMAND_LINE = "kamailio option"
    BUILD = "compile-time constant"
    UNIT = "systemd directive"
    LIMIT = "process limit"
    CGROUP = "cgroup file"
    LINK = "link setting"
    MODULE = "module option"
    BOOT = "boot option"
    SOCKET = "socket option"
    FIREWALL = "firewall rule"


class Scope(Enum):
    """For whom one value holds."""

    NAMESPACE = "network namespace"
    MACHINE = "machine"
    MACHINE_SHOWN = "machine, read-only in other namespaces"
    NAMESPACE_FIXED = "network namespace, read-only"
    IPC = "ipc namespace"
    PID = "pid namespace"
    PROCESS = "process"
    UNIT = "unit"
    USER = "user"
    DEVICE = "device"
    SOCKET = "socket"
    CGROUP = "cgroup"
    INSTANCE = "kamailio instance"


class Effect(Enum):
    """When a change begins to count."""

    AT_ONCE = "at once"
    LISTEN = "at the next listen()"
    CONNECT = "at the next connect()"
    NEW_SOCKETS = "for new sockets"
    NEW_CONNECTIONS = "for new connections"
    NEW_ENTRIES = "for new entries"
    NEW_NAMESPACES = "for namespaces made afterwards"
    NEW_DEVICES = "for devices brought up afterwards"
    UNIT_START = "when the unit is started again"
    START = "at the next start of Kamailio"
    MODULE_LOAD = "when the module is loaded"
    REBOOT = "at the next boot"
    NEVER = "never: nothing reads it"
    NONE = ""


class Direction(Enum):
    """What a larger or smaller value than the proposed one means."""

    AT_LEAST = "at least"
    EXACTLY = "exactly"
    AT_MOST = "at most"
    NONE = ""


class Safety(Enum):
    """How kamtcp treats a change of it."""

    SAFE = "safe"
    ASK = "ask"
    SHOW = "show only"
    NONE = ""


class Type(Enum):
    """Form of the value, as the kernel or Kamailio prints it."""

    INTEGER = "integer"
    INTEGERS = "integers"
    PORTS = "port list"
    MASK = "mask"
    TEXT = "text"


class Change(Struct, frozen=True, forbid_unknown_fields=True):
    """One step of its history.

    Args:
        since: release of Linux ("5.4"), Kamailio or systemd, as the entry's kind says; "" where only roughly known.
        what: what changed, in words; may be empty where `was` says it.
        was: the default before; "" where the default did not change.
    """

    since: str
    what: str = ""
    was: str = ""


class Entry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One setting or counter.

    Args:
        id: as its own programs print it: "net.core.somaxconn", "tcp_children", "tls.connection_timeout",
            "TcpExt.ListenOverflows", "LimitNOFILE".
        kind: what it is. subject: the file it stands in.
        title: what it is, in one line without a full stop.
        does: what it does today.
        aliases: other spellings people use.
        unit: of the value. type: form of the value. scope: for whom one value holds.
        default: as printed; words where it depends on the machine. history: oldest first.
        lowest, highest: what the newest release known accepts, None where it doesn't check. range: the rest, in words.
        takes_effect, effect_note: when a change counts.
        cost: what it costs. sign: what shows that it is too small (of a counter: what its growth means).
        healthy: value of a counter on a healthy host.
        risk_up, risk_down: of raising and of lowering it.
        sizing: name of a function in sizing.SIZES; advice: the rule in words.
        direction, safety: of a proposed value.
        raised_by: settings that help where this one doesn't (or, of a counter, what to act on).
        related: others worth reading. ceilings: names in capacity.catalogue. findings: codes of diagnose.
        since, gone: releases. instead: what took its place.
        sources: where it was read or measured.
    """

    id: str
    kind: Kind
    title: str
    does: str
    scope: Scope
    subject: str = ""
    aliases: tuple[str, ...] = ()
    unit: str = ""
    type: Type = Type.INTEGER
    default: str = ""
    history: tuple[Change, ...] = ()
    lowest: int | None = None
    highest: int | None = None
    range: str = ""
    takes_effect: Effect = Effect.NONE
    effect_note: str = ""
    cost: str = ""
    sign: str = ""
    healthy: str = ""
    risk_up: str = ""
    risk_down: str = ""
    sizing: str = ""
    advice: str = ""
    direction: Direction = Direction.NONE
    safety: Safety = Safety.NONE
    raised_by: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    ceilings: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    since: str = ""
    gone: str = ""
    instead: str = ""
    sources: tuple[str, ...] = ()

    @property
    def is_gone(self) -> bool:
        """Whether today's releases have it no more."""
        return bool(self.gone)

    @property
    def of_kamailio(self) -> bool:
        """Whether its releases are Kamailio's."""
        return self.kind in (Kind.PARAMETER, Kind.MODPARAM, Kind.COMMAND_LINE, Kind.BUILD)

    @property
    def project(self) -> str:
        """Whose releases `since`, `gone` and `history` count."""
        if self.of_kamailio or self.scope is Scope.INSTANCE:
            return "Kamailio"
        return "systemd" if self.kind is Kind.UNIT else "Linux"
