"""What a Kamailio that is not started yet will have when it is: processes, private and shared memory in use.

Figures are of Debian 12's 5.6.3 (x86-64), one module and statement at a time; other versions are given room. How far
a figure may be off is part of the answer: a start is promised or denied only outside of it.

Source  Kamailio src/main.c (processes), src/core/pt.c, mem/q_malloc.h; `pkg.stats`, `shm.stats`, `core.psx` after start
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.kamailio.cmdline import CommandLine
from kamtcp.kamailio.config import Config, loads, modparam
from kamtcp.kamailio.effective import DEFAULT_CHILDREN
from kamtcp.kamailio.versions import Version

#: private memory, bytes: core, each module, each modparam or define
_CORE, _MODULE, _LINE = 702_000, 5_000, 400
#: how far they may be off: the core's share in bytes, the rest as parts of it
_CORE_OFF, _LESS, _MORE = 12_000, 0.8, 1.2
#: what other allocators need less than q_malloc for their own tables
_TABLES = {"fm": 221_000, "f_malloc": 221_000, "tlsf": 225_000, "tlsf_malloc": 225_000}
#: what 6.1.4 takes more than 5.6.3; what lies between was not measured
_NEWEST = 980_000
#: shared memory, bytes: core, each module, tm, and OpenSSL for each process
_SHM_CORE, _SHM_MODULE, _SHM_TM, _SHM_TLS = 630_000, 3_000, 2_100_000, 170_000
#: attendant, slow timer, timer, secondary timer, tcp main
_ALWAYS = 5


class Range(Struct, frozen=True):
    """A number that is not known yet: the likely one, and between which two it lies."""

    low: int
    likely: int
    high: int


def processes(line: CommandLine, config: Config, workers: int) -> int:
    """Processes in core.psx; modules that start more than those known here add to it."""
    udp = [each for each in config.listens if each.protocol in ("udp", "")]
    each = _count(line.children, config, "children")
    total = _ALWAYS + workers + each * max(1, sum(max(1, len(listen.addresses)) for listen in udp))
    if not udp and config.listens:
        total -= each
    total += sum(loads(config, name) for name in ("ctl", "dialog"))
    total += 2 * loads(config, "jsonrpcs")
    if loads(config, "websocket"):
        total += 1 + _parameter(config, "websocket", "keepalive_processes", 1)
    if loads(config, "usrloc"):
        total += _parameter(config, "usrloc", "timer_procs", 0)
    asynchronous = config.params.get("async_workers")
    return total + (asynchronous.value if asynchronous and isinstance(asynchronous.value, int) else 0)


def private_memory(line: CommandLine, config: Config, script: int, version: Version | None) -> Range:
    """Bytes that tcp main or a worker uses besides its table of descriptors.

    `script` is what the route blocks weigh (weight.py).
    """
    manager = line.pkg_manager or line.shm_manager or "qm"
    core = _CORE - _TABLES.get(manager, 0)
    rest = script + _MODULE * len(config.modules) + _LINE * (len(config.modparams) + len(config.defines))
    newest = 0 if version is not None and version.numbers[:2] == (5, 6) else _NEWEST
    off = _CORE_OFF if newest == 0 else 0
    known_new = version is not None and version.at_least(6, 1)
    return Range(
        core - off + int(rest * _LESS),
        core + rest + (newest if known_new else newest // 2),
        core + off + int(rest * _MORE) + newest,
    )


def shared_memory(config: Config, process_count: int) -> Range:
    """Bytes of the shared pool in use before the first connection."""
    likely = _SHM_CORE + _SHM_MODULE * len(config.modules)
    likely += _SHM_TM * loads(config, "tm") + _SHM_TLS * process_count * loads(config, "tls")
    return Range(likely // 2, likely, likely * 2)


def _count(given: int | None, config: Config, name: str) -> int:
    if given is not None and given > 0:
        return given
    found = config.params.get(name)
    value = found.value if found is not None else 0
    return value if isinstance(value, int) and value > 0 else DEFAULT_CHILDREN


def _parameter(config: Config, module: str, name: str, default: int) -> int:
    found = modparam(config, module, name)
    return found.value if found is not None and isinstance(found.value, int) else default
