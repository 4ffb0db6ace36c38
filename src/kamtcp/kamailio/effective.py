"""Which of several places wins: command line, configuration file, Kamailio's default.

For the value in force ask RPC (`core.tcp_info`, `core.shmmem`); this tells where it comes from, and so where to
change it, and what a Kamailio that doesn't answer was told.

Source  Kamailio src/main.c (options "with higher priority than cfg file"), src/core/cfg.y (SHM_MEM_SZ)
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.kamailio.cmdline import CommandLine
from kamtcp.kamailio.config import Config, Setting
from kamtcp.model.absent import Absent

# Of every packaged build from 4.2 on; `kamailio -I` prints those of a build.
DEFAULT_SHM_MB = 64
DEFAULT_PKG_MB = 8
DEFAULT_CHILDREN = 8


class Effective(Struct, frozen=True):
    """A value with its origin.

    Args:
        value: the number; Absent where the place that decides could not be read.
        origin: "command line -m 65", "/etc/kamailio/kamailio.cfg:12" or "Kamailio's default".
        note: what an operator should know about how it came about; may be empty.
        sure: False if it hangs on a condition that could not be evaluated.
    """

    value: int | Absent
    origin: str
    note: str = ""
    sure: bool = True


def shm_megabytes(line: CommandLine, config: Config | Absent, default: int = DEFAULT_SHM_MB) -> Effective:
    """Shared memory in MiB.

    `-m` wins unless it names just the compiled default: then Kamailio can't tell it from "not given" and takes the
    file's value. In the file the first `shm_mem_size` other than the default counts, not the last.

    Args:
        line: options of the running server.
        config: its file; Absent where that can't be read.
        default: compiled-in default of this build in MiB.
    """
    given = line.shm_mb or default
    option = f"command line -m {line.shm_mb}"
    if given != default:
        ignored = _last(config, "shm_mem_size")
        note = f"shm_mem_size in {ignored.where} is ignored" if ignored else ""
        return Effective(given, option, note)
    if isinstance(config, Absent):
        return Effective(config, "the configuration file decides, because -m is the default or not given")
    settings = [s for s in config.assignments if s.name == "shm_mem_size"]
    sure = all(setting.sure for setting in settings)
    for setting in settings:
        if isinstance(setting.value, int) and setting.value not in (0, default):
            note = f"-m {default} counts as not given" if line.shm_mb else ""
            if setting is not settings[-1]:
                note += ("; " if note else "") + f"the later one in {settings[-1].where} is ignored"
            return Effective(int(setting.value), setting.where, note, sure)
    if line.shm_mb:
        return Effective(given, option, "", sure)
    return Effective(given, settings[-1].where if settings else "Kamailio's default", "", sure)


def pkg_megabytes(line: CommandLine, default: int = DEFAULT_PKG_MB) -> Effective:
    """Private memory of each process in MiB. Only -M sets it; no parameter of the file does."""
    if line.pkg_mb:
        return Effective(line.pkg_mb, f"command line -M {line.pkg_mb}")
    return Effective(default, "Kamailio's default")


def tcp_children(line: CommandLine, config: Config | Absent, default: int = DEFAULT_CHILDREN) -> Effective:
    """TCP workers shared by all listeners: -N, `tcp_children`, -n, `children`, 8 — the first that is above 0.

    Listeners with workers of their own come on top; the certain number is `readers` of `core.tcp_info`.
    """
    own = 0 if isinstance(config, Absent) else sum(listen.workers for listen in config.listens)
    note = (
        f"listeners with workers of their own add {own} for each of their TCP and TLS sockets" if own else ""
    )
    for number, letter, name in (
        (line.tcp_children, "N", "tcp_children"),
        (line.children, "n", "children"),
    ):
        setting = _last(config, name)
        if number is not None:
            if number > 0:
                ignored = f"{name} in {setting.where} is ignored" if setting else ""
                text = "; ".join(part for part in (ignored, note) if part)
                return Effective(number, f"command line -{letter} {number}", text)
        elif isinstance(config, Absent):
            return Effective(config, f"the configuration file decides, because -{letter} is not given")
        elif setting is not None and isinstance(setting.value, int) and setting.value > 0:
            return Effective(int(setting.value), setting.where, note, setting.sure)
    return Effective(default, "Kamailio's default", note)


def children(line: CommandLine, config: Config | Absent, default: int = DEFAULT_CHILDREN) -> Effective:
    """UDP workers of each socket: -n, `children`, 8 — the first that is above 0."""
    setting = _last(config, "children")
    if line.children is not None and line.children > 0:
        note = f"children in {setting.where} is ignored" if setting else ""
        return Effective(line.children, f"command line -n {line.children}", note)
    if line.children is None and isinstance(config, Absent):
        return Effective(config, "the configuration file decides, because -n is not given")
    if line.children is None and setting is not None and isinstance(setting.value, int) and setting.value > 0:
        return Effective(int(setting.value), setting.where, "", setting.sure)
    return Effective(default, "Kamailio's default")


def _last(config: Config | Absent, name: str) -> Setting | None:
    return None if isinstance(config, Absent) else config.params.get(name)
