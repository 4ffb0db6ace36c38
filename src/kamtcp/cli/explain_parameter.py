"""The value of one parameter of one Kamailio: what RPC reports, else what its configuration says, else the default.

The configuration is read again, through the same Host: a snapshot keeps those parameters only that are judged.
"""

from __future__ import annotations

from kamtcp.catalogue.entry import Entry, Kind
from kamtcp.catalogue.versions import default_on, exists_on
from kamtcp.errors import ParseError
from kamtcp.host.door import Host
from kamtcp.kamailio import versions
from kamtcp.kamailio.config import Config, Value, modparam
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Instance
from kamtcp.survey.instance import configuration

#: names in a Kamailio's parameters that differ from the catalogue's
_SPELLED = {"-m": "shm_megabytes", "-M": "pkg_megabytes", "-x": "shm_manager"}
#: values that RPC tells in bytes and the file in KB
_KILOBYTES = ("tls.low_mem_threshold1", "tls.low_mem_threshold2")


def parameter(entry: Entry, host: Host, instance: Instance, netns: str) -> tuple[str | Absent, str]:
    """Value and where it comes from.

    Args:
        entry: a parameter, modparam or option of the command line.
        host: where the snapshot was taken.
        instance: as seen in it.
        netns: id of the reader's network namespace.
    """
    name = entry.id
    module = name.partition(".")[0]
    if (
        entry.kind is Kind.MODPARAM
        and not isinstance(instance.modules, Absent)
        and module not in instance.modules
    ):
        return Absent(name, Why.MISSING, f"the {module} module is not loaded"), ""
    found = instance.parameters.get(_SPELLED.get(name, name))
    if found is not None:
        return ("not in this release" if found.value == "none" else str(found.value)), found.where
    if entry.is_gone:
        return Absent(name, Why.MISSING, "not in this release"), ""
    config = configuration(host, instance.attendant, netns)
    if isinstance(config, Absent):
        return Absent(
            name, config.why, "RPC doesn't tell, and the configuration could not be read"
        ), config.source
    silent = "; RPC doesn't answer" if isinstance(instance.rpc, Absent) else ""
    written = _written(entry, config)
    if written is not None:
        value, where = written
        return value, where + silent
    return _default(entry, instance, silent)


def _written(entry: Entry, config: Config) -> tuple[str, str] | None:
    """What the file says and where; None where it doesn't."""
    name = entry.id
    if name == "socket_workers":
        own = [each for each in config.listens if each.workers]
        shown = ", ".join(f"{each.workers} for {each.protocol or 'all'}:{each.addresses[0]}" for each in own)
        return (shown, ", ".join(f"{each.file}:{each.line}" for each in own)) if own else None
    if entry.kind is Kind.MODPARAM:
        module, _, short = name.partition(".")
        given = modparam(config, module, short)
        if given is None:
            return None
        value = given.value
        if name in _KILOBYTES and isinstance(value, int) and value > 0:
            value *= 1024
        return str(value), _at(given.file, given.line, sure=given.sure)
    setting = config.params.get(name)
    return (
        None
        if setting is None
        else (_shown(setting.value), _at(setting.file, setting.line, sure=setting.sure))
    )


def _default(entry: Entry, instance: Instance, silent: str) -> tuple[str | Absent, str]:
    release = instance.version if isinstance(instance.version, str) else ""
    if exists_on(entry, release) is False or not _known(entry.id, release):
        return "not in this release", f"not in {release}"
    if not entry.default:
        return Absent(entry.id, Why.NOT_ASKED, "the file doesn't set it, and no default is known"), ""
    return default_on(entry, release), "compiled default" + silent


def _known(name: str, release: str) -> bool:
    """Whether the release has it: maintenance releases of older branches got some as well."""
    try:
        return versions.has_parameter(versions.parse_version(release), name)
    except ParseError:
        return True


def _shown(value: Value) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _at(file: str, line: int, *, sure: bool) -> str:
    return f"{file}:{line}" + ("" if sure else ", if what stands around it holds")
