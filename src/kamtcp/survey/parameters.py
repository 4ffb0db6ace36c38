"""Parameters of one instance in force: what RPC reports, else command line, file, compiled default.

The value in force is what RPC reports, not what the file says. What RPC doesn't expose is taken from the
file, marked with its line; what nobody mentions is the compiled default of the version.
"""

from __future__ import annotations

from msgspec.structs import replace

from kamtcp.kamailio import effective, versions
from kamtcp.kamailio.cmdline import CommandLine
from kamtcp.kamailio.config import Config, modparam
from kamtcp.kamailio.fields import NULL, one_struct
from kamtcp.kamailio.rpc import Rpc
from kamtcp.kamailio.values import Members
from kamtcp.model.absent import Absent
from kamtcp.model.instance import Parameter
from kamtcp.model.origin import Origin

MIB = 1 << 20

#: names of RPC replies that differ from the configuration's
_RPC_NAMES = {
    "max_connections(soft)": "tcp_max_connections",
    "max_tls_connections(soft)": "tls_max_connections",
    "wait_data_ms": "tcp_wait_data",
}
#: compiled defaults of what RPC doesn't show; None: the version has no such parameter before it was added
_DEFAULTS: dict[str, int] = {
    "tcp_accept_iplimit": 1024,
    "tcp_accept_haproxy": 0,
    "tcp_msg_data_timeout": 20,
    "tcp_msg_read_timeout": 20,
    "tcp_check_timer": -1,
    "tcp_main_threads": 0,
    "tcp_listen_backlog": 1024,
    "tcp_rd_buf_size": 16384,
    "tcp_max_connections": 2048,
    "tls_max_connections": 2048,
    "tcp_connection_lifetime": 120,
    "tcp_send_timeout": 10,
    "tcp_connect_timeout": 10,
    "tcp_linger2": 0,
    "tcp_keepalive": 1,
    "enable_tls": 0,
    "msg_recv_max_size": 32767,
}
#: configured once on each listener: what RPC shows later may never have reached them
_OF_LISTENERS = {
    "tcp_keepalive": 1, "tcp_keepidle": 0, "tcp_keepintvl": 0, "tcp_keepcnt": 0,
    "tcp_linger2": 0, "tcp_syncnt": 0, "tcp_reuse_port": 0, "tcp_send_timeout": 10,
}  # fmt: skip
#: settable at run time: what the file says of them is kept beside what is in force ("NAME_file")
_OF_RUNTIME = {
    "tls_max_connections": 2048, "tcp_connection_lifetime": 120, "tcp_connect_timeout": 10, "tcp_conn_wq_max": 32768,
    "tcp_crlf_ping": 1, "tcp_delayed_ack": 1, "tcp_no_connect": 0, "tcp_rd_buf_size": 16384, "tcp_wait_data": 5000,
    "tcp_wq_max": 10485760,
}  # fmt: skip
#: what the command line overrules: option -N, -m, -W
_OF_COMMAND_LINE = ("tcp_children", "shm_mem_size", "tcp_poll_method")
#: read from the file as they are, absent where it doesn't set them
FILE_ONLY = (
    "open_files_limit", "tcp_poll_method", "mlock_pages", "tls_threads_mode", "tcp_accept_unique",
    "tcp_accept_hep3", "tcp_accept_protocols", "tcp_connection_match", "msg_recv_max_size", "tcp_clone_rcvbuf",
    "tcp_script_mode", "tcp_source_ipv4", "tcp_close_rst", "disable_tcp", "shm_force_alloc", "mem_join", "mem_add_size",
    "real_time", "async_workers", "tcp_accept_no_cl", "tcp_reuse_port",
)  # fmt: skip
_MODPARAMS = (
    ("websocket", "keepalive_mechanism", 1),
    ("websocket", "keepalive_timeout", 180),
    ("websocket", "keepalive_interval", 1),
    ("websocket", "keepalive_processes", 1),
    ("websocket", "timer_interval", 1),
    ("websocket", "rm_delay_interval", 5),
    ("tls", "connection_timeout", 600),
)


def collect(
    rpc: Rpc, line: CommandLine | Absent, config: Config | Absent, version: str | Absent
) -> dict[str, Parameter]:
    """All parameters that are judged, by configuration name ("tls.NAME", "websocket.NAME" for module parameters)."""
    found: dict[str, Parameter] = {}
    known = None if isinstance(version, Absent) else versions.parse_version(version)
    for name, default in _DEFAULTS.items():
        value = _from_file(name, default, config, known)
        if value is not None:
            found[name] = value
    for name in FILE_ONLY:
        if not isinstance(config, Absent) and name in config.params:
            found[name] = _setting(config, name)
        elif name == "tls_threads_mode" and known is not None and versions.has_parameter(known, name):
            found[name] = Parameter(2 if known.at_least(6, 0) else 0, Origin.DEFAULT, "compiled default")
    if not isinstance(config, Absent) and "tcp_max_connections" in config.params:
        found["tcp_max_connections_file"] = _setting(config, "tcp_max_connections")
    for name in _OF_COMMAND_LINE:
        if not isinstance(config, Absent) and name in config.params:
            found[f"{name}_file"] = _setting(config, name)
    for name, default in {**_OF_LISTENERS, **_OF_RUNTIME}.items():
        value = _from_file(name, default, config, known)
        if value is not None:
            found[f"{name}_file"] = value
    _add_modparams(found, line, config)
    _add_rpc(found, rpc, config)
    _add_memory(found, line, config)
    if not isinstance(config, Absent) and "user" in config.params:
        found["user"] = _setting(config, "user")
    if not isinstance(line, Absent) and line.user:
        found["user"] = Parameter(line.user, Origin.READ, "command line -u")
    if not isinstance(line, Absent) and line.poll_method:
        found["tcp_poll_method"] = Parameter(line.poll_method, Origin.READ, "command line -W")
    if known is not None:
        size = versions.connection_bytes(known)
        origin = Origin.REFERENCE if size.measured else Origin.ASSUMED
        found["tcp_connection_bytes"] = Parameter(
            size.value, origin, f"struct tcp_connection as in {size.basis}"
        )
    return found


def _setting(config: Config, name: str) -> Parameter:
    setting = config.params[name]
    value = int(setting.value) if isinstance(setting.value, bool) else setting.value
    return Parameter(value, Origin.READ if setting.sure else Origin.ASSUMED, setting.where)


def _from_file(
    name: str, default: int, config: Config | Absent, known: versions.Version | None
) -> Parameter | None:
    """What the file says, else the compiled default; None where neither can be told.

    A default stands only behind a file that was read: an unread one may say anything.
    """
    if known is not None and not versions.has_parameter(known, name):
        if name == "tcp_listen_backlog":
            return Parameter(default, Origin.DEFAULT, f"compiled in, no parameter before 6.1 ({known.text})")
        return Parameter("none", Origin.DEFAULT, f"not in {known.text}")
    if isinstance(config, Absent):
        return None
    if name in config.params:
        return _setting(config, name)
    return Parameter(default, Origin.DEFAULT if known is not None else Origin.ASSUMED, "compiled default")


def _add_modparams(found: dict[str, Parameter], line: CommandLine | Absent, config: Config | Absent) -> None:
    if isinstance(config, Absent):
        return
    for module, name, default in _MODPARAMS:
        param = _modparam(line, config, module, name)
        found[f"{module}.{name}"] = param or Parameter(default, Origin.DEFAULT, "compiled default")
    threshold = _modparam(line, config, "tls", "low_mem_threshold1")
    if threshold is not None and isinstance(threshold.value, int):
        value = (
            threshold.value * 1024 if threshold.value > 0 else threshold.value
        )  # the file counts in KB, RPC in bytes
        found["tls.low_mem_threshold1"] = replace(threshold, value=value)


def _modparam(line: CommandLine | Absent, config: Config, module: str, name: str) -> Parameter | None:
    """The file's, which is read after the options and so wins; else that of the last --modparam."""
    param = modparam(config, module, name)
    if param is not None:
        origin = Origin.READ if param.sure else Origin.ASSUMED
        return Parameter(param.value, origin, f"{param.file}:{param.line}")
    for given in reversed(() if isinstance(line, Absent) else line.modparams):
        if given.name == name and given.module.lower() == module:
            return Parameter(given.value, Origin.READ, f"command line --modparam={module}:{name}")
    return None


def _add_rpc(found: dict[str, Parameter], rpc: Rpc, config: Config | Absent) -> None:
    """What the running server says overrules every file."""
    for command, arguments, prefix in (
        ("cfg.get", ("tcp",), "tcp_"),
        ("core.tcp_options", (), "tcp_"),
        ("tls.options", (), "tls."),
    ):
        where = " ".join((command, *arguments))
        members = rpc.fact(lambda values, where=where: one_struct(where, values), command, *arguments)  # type: ignore[misc]
        if isinstance(members, Members):
            _take(found, members, prefix, where, config)
    info = rpc.fact(lambda values: one_struct("core.tcp_info", values), "core.tcp_info")
    if isinstance(info, Members):
        for name, key in (
            ("max_connections", "tcp_max_connections"),
            ("max_tls_connections", "tls_max_connections"),
        ):
            value = info.get(name) if any(pair[0] == name for pair in info.pairs) else None
            if isinstance(value, int):
                found[f"{key}_hard"] = Parameter(value, Origin.READ, "core.tcp_info")
                if key not in found or found[key].where != "core.tcp_options":
                    found[key] = Parameter(value, Origin.READ, "core.tcp_info", _setter(found, config, key))


def _setter(found: dict[str, Parameter], config: Config | Absent, name: str) -> str:
    """The line or option that a value comes from before RPC overrules it; "" if there is none."""
    old = found.get(name)
    if old is not None and (old.set_by or old.origin is not Origin.READ):
        return old.set_by
    if old is not None:
        return old.where
    return config.params[name].where if not isinstance(config, Absent) and name in config.params else ""


def _take(
    found: dict[str, Parameter], members: Members, prefix: str, where: str, config: Config | Absent
) -> None:
    for name, value in members.pairs:
        if name is not None and isinstance(value, int | str) and value != NULL:
            key = _RPC_NAMES.get(name, prefix + name)
            found[key] = Parameter(value, Origin.READ, where, _setter(found, config, key))


def _add_memory(found: dict[str, Parameter], line: CommandLine | Absent, config: Config | Absent) -> None:
    if isinstance(line, Absent):
        return
    for name, value in (
        ("shm_megabytes", effective.shm_megabytes(line, config)),
        ("pkg_megabytes", effective.pkg_megabytes(line)),
        ("tcp_children", effective.tcp_children(line, config)),
        ("children", effective.children(line, config)),
    ):
        if not isinstance(value.value, Absent):
            found[name] = Parameter(value.value, Origin.READ if value.sure else Origin.ASSUMED, value.origin)
    if "pkg_megabytes" in found:
        megabytes = found["pkg_megabytes"]
        assert isinstance(megabytes.value, int)
        found["pkg_bytes"] = Parameter(megabytes.value * MIB, megabytes.origin, megabytes.where)
    if line.disable_tcp:
        found["disable_tcp"] = Parameter(1, Origin.READ, "command line -T")
    if line.shm_manager:
        found["shm_manager"] = Parameter(line.shm_manager, Origin.READ, "command line -x")
