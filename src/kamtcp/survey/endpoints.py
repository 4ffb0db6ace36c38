"""Where an instance may be asked by RPC: what its configuration says, what its kernel sockets show, the defaults.

Source  Kamailio src/modules/ctl/ctl.c (DEFAULT_CTL_SOCKET), src/modules/jsonrpcs/jsonrpcs_mod.c
"""

from __future__ import annotations

from functools import partial

from kamtcp.host.door import Endpoint, Host, Transport
from kamtcp.kamailio.cmdline import CommandLine
from kamtcp.kamailio.config import Config, modparam
from kamtcp.model.absent import Absent
from kamtcp.observe.attempt import attempt

DEFAULT_DIRECTORIES = ("/run/kamailio", "/var/run/kamailio")
CTL_NAME, DGRAM_NAME, FIFO_NAME = "kamailio_ctl", "kamailio_rpc.sock", "kamailio_rpc.fifo"
CTL_PORT = 2049
HTTP_PATH = "/RPC"


def candidates(
    host: Host, inside: Host, pid: int, line: CommandLine | Absent, config: Config | Absent
) -> tuple[Endpoint, ...]:
    """Endpoints in the order they should be tried: those with processes of their own first.

    Args:
        host: where /proc/PID/net is read.
        inside: the machine as the instance sees it.
        pid: a process of the instance.
        line: its command line.
        config: its configuration.
    """
    directories = _directories(line, config)
    bound = _bound_paths(host, pid)
    ctl = [*_ctl(config), *_named(bound, CTL_NAME), *_in(directories, CTL_NAME, Transport.BINRPC_UNIX)]
    dgram = [
        *_configured(config, "dgram_socket", directories, Transport.JSON_DGRAM),
        *_named(bound, DGRAM_NAME, Transport.JSON_DGRAM),
        *_in(directories, DGRAM_NAME, Transport.JSON_DGRAM),
    ]
    fifo = [
        *_configured(config, "fifo_name", directories, Transport.JSON_FIFO),
        *_in(directories, FIFO_NAME, Transport.JSON_FIFO),
    ]
    return _distinct(inside, (*ctl, *dgram, *fifo, *_http(config)))


def _distinct(inside: Host, found: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Each socket once: /var/run is /run on most hosts, and a server that hangs must not be asked twice."""
    seen: dict[object, Endpoint] = {}
    for endpoint in found:
        stat = (
            attempt(endpoint.address, partial(inside.stat, endpoint.address))
            if endpoint.address[0] == "/"
            else None
        )
        inode = None if stat is None or isinstance(stat, Absent) else stat.inode
        seen.setdefault((endpoint.transport, inode or endpoint.address), endpoint)
    return tuple(seen.values())


def _directories(line: CommandLine | Absent, config: Config | Absent) -> tuple[str, ...]:
    given = None if isinstance(line, Absent) else line.runtime_dir
    if given is None and not isinstance(config, Absent) and "rundir" in config.params:
        given = str(config.params["rundir"].value)
    return (given,) if given else DEFAULT_DIRECTORIES


def _ctl(config: Config | Absent) -> list[Endpoint]:
    """Every `modparam("ctl", "binrpc", …)`: unixs:PATH or PATH, and tcp:ADDR:PORT."""
    if isinstance(config, Absent):
        return []
    found = []
    for param in config.modparams:
        if param.name != "binrpc" or "ctl" not in param.modules:
            continue
        text = str(param.value)
        scheme, _, rest = text.partition(":")
        if text.startswith("/"):
            found.append(Endpoint(Transport.BINRPC_UNIX, text))
        elif scheme in ("unix", "unixs"):
            found.append(Endpoint(Transport.BINRPC_UNIX, rest))
        elif scheme == "tcp":
            found.append(Endpoint(Transport.BINRPC_TCP, _with_port(rest)))
    return found


def _with_port(text: str) -> str:
    """ADDR:PORT of "127.0.0.1:2046", "127.0.0.1" or "*:2046"."""
    address, _, port = text.rpartition(":")
    if not address or not port.isdigit():
        address, port = text, str(CTL_PORT)
    return f"{'127.0.0.1' if address in ('*', '0.0.0.0') else address}:{port}"  # noqa: S104


def _configured(
    config: Config | Absent, name: str, directories: tuple[str, ...], transport: Transport
) -> list[Endpoint]:
    if isinstance(config, Absent):
        return []
    param = modparam(config, "jsonrpcs", name)
    if param is None:
        return []
    path = str(param.value)
    if path.startswith("udp:"):
        return []
    path = path if path.startswith("/") else f"{directories[0]}/{path}"
    reply = modparam(config, "jsonrpcs", "fifo_reply_dir")
    return [Endpoint(transport, path, str(reply.value) if reply else "/tmp")]  # noqa: S108


def _in(directories: tuple[str, ...], name: str, transport: Transport) -> list[Endpoint]:
    return [Endpoint(transport, f"{directory}/{name}") for directory in directories]


def _named(paths: tuple[str, ...], name: str, transport: Transport = Transport.BINRPC_UNIX) -> list[Endpoint]:
    return [Endpoint(transport, path) for path in paths if path.rsplit("/", 1)[-1] == name]


def _bound_paths(host: Host, pid: int) -> tuple[str, ...]:
    """Paths of bound UNIX sockets in the namespace of `pid`, from /proc/PID/net/unix."""
    source = f"/proc/{pid}/net/unix"
    data = attempt(source, lambda: host.read(source))
    if isinstance(data, Absent):
        return ()
    rows = (line.split(None, 7) for line in data.decode("utf-8", "replace").splitlines()[1:])
    return tuple(dict.fromkeys(row[7] for row in rows if len(row) > 7 and row[7].startswith("/")))


def _http(config: Config | Absent) -> list[Endpoint]:
    """JSON-RPC over HTTP goes through the TCP workers, so it comes last, and only where it is configured."""
    if isinstance(config, Absent) or not any(module.name == "xhttp" for module in config.modules):
        return []
    return [
        Endpoint(Transport.JSON_HTTP, f"http://{listen.addresses[0]}:{listen.port or 5060}{HTTP_PATH}")
        for listen in config.listens
        if listen.protocol == "tcp" and listen.addresses
    ]
