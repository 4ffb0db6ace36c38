"""What command line and files together say is in force, against what the server started with them reports."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from msgspec import Struct

import kamailio_check as checker
from kamtcp.host.door import Endpoint, Transport
from kamtcp.host.live import Live
from kamtcp.kamailio import cmdline, identity, levels
from kamtcp.kamailio.config import Config, read_config
from kamtcp.kamailio.rpc import Rpc
from kamtcp.model.absent import Absent
from kamtcp.model.instance import Parameter
from kamtcp.model.origin import Origin
from kamtcp.rehearse.kamailio import start_kamailio
from kamtcp.rehearse.standin import StandIn
from kamtcp.survey import parameters

pytestmark = [
    pytest.mark.kamailio,
    pytest.mark.netns,
    pytest.mark.skipif(
        not checker.PRESENT or os.geteuid() != 0,
        reason="KAMTCP_KAMAILIO_ROOT names no unpacked Kamailio, or not root",
    ),
]

FOLDER = "/etc/kamailio"
MAIN = f"{FOLDER}/standin.cfg"
HEAD = "#!KAMAILIO\ndebug=0\nlog_stderror=no\n"
TAIL = """
loadmodule "kex"
loadmodule "corex"
loadmodule "ctl"
loadmodule "cfg_rpc"
listen=udp:127.0.0.1:5060
listen=tcp:127.0.0.1:5060
request_route { exit; }
"""


class Start(Struct, frozen=True):
    """A way to start: options, the core lines of the file, files beside it, the environment."""

    args: tuple[str, ...] = ()
    core: str = ""
    files: dict[str, str] = {}
    environ: dict[str, str] = {}


VARIANTS = {
    "as the Debian unit does": Start(("-m", "64", "-M", "8"), "shm_mem_size=80\nchildren=2"),
    "-m 65 beats the file": Start(("-m", "65"), "shm_mem_size=80"),
    "-m 64 counts as not given": Start(("-m64",), "shm=72\nshm_mem_size=80"),
    "no -m, no file": Start(),
    "-M alone sets private memory": Start(("-M", "12"), "tcp_max_connections=700"),
    "-N beats the file": Start(("-N", "5"), "tcp_children=3\nchildren=2"),
    "-N 0 is not given": Start(("-N0",), "tcp_children=3"),
    "-n beats children, not tcp_children": Start(("-n", "3"), "children=2"),
    "tcp_children beats -n": Start(("-n", "3"), "children=2\ntcp_children=4"),
    "nobody says how many workers": Start(),
    "-A gives a value": Start(("-A", "LIMIT=711"), "#!trydef LIMIT 1\ntcp_max_connections=LIMIT"),
    "-A names a branch": Start(
        ("-AWITH_MORE", "-A", "OTHER="), "#!ifdef WITH_MORE\ntcp_syncnt=4\n#!else\ntcp_syncnt=5\n#!endif"
    ),
    "--substdef": Start(("--substdef=!LIMIT!712!g",), "tcp_max_connections=LIMIT"),
    "the last of the included files": Start(
        (),
        'tcp_syncnt=1\ninclude_file "more.cfg"\nimport_file "less.cfg"\nimport_file "none.cfg"',
        {"more.cfg": "tcp_syncnt=2\ntcp_wq_max=3000", "less.cfg": "#!ifndef X\ntcp_syncnt=3\n#!endif\n"},
    ),
    "from the environment": Start(
        (), "#!defenv LIMIT=KAMTCP_LIMIT\ntcp_max_connections=LIMIT", {}, {"KAMTCP_LIMIT": "713"}
    ),
    "-l adds to the file": Start(("-l", "tcp:127.0.0.1:5070", "-l", "udp:127.0.0.1:5071"), "tcp_children=1"),
    "-x and -X": Start(("-x", "fm", "-X", "fm"), "mem_join=1"),
    "-W": Start(("-W", "poll"), "debug=2\ntcp_poll_method=epoll_lt"),
    "-T": Start(("-T",), "tcp_max_connections=700"),
    "--modparam, and the file's which wins": Start(
        (
            "--loadmodule=tm",
            "--loadmodule=sl",
            "--loadmodule=xhttp",
            "--loadmodule=websocket",
            "--modparam=websocket:keepalive_timeout:i:77",
            "--modparam=websocket:timer_interval:i:7",
        ),
        'modparam("websocket", "timer_interval", 9)\nevent_route[xhttp:request] { exit; }',
    ),
    "-w changes where it works, not what it reads": Start(
        ("-w", "/run"), 'include_file "more.cfg"', {"more.cfg": "tcp_keepcnt=6"}
    ),
    "disabled in the file": Start((), "disable_tcp=yes"),
}


class Silent:
    """A host on which nobody answers."""

    def call(self, endpoint: Endpoint, request: bytes, timeout: float = 2.0) -> bytes:
        raise ConnectionRefusedError


@pytest.fixture(scope="module")
def host() -> Iterator[StandIn]:
    with StandIn(checker.ROOT, name="variants") as host:
        yield host


def config_of(host: StandIn, line: cmdline.CommandLine, environ: dict[str, str]) -> Config:
    def open_file(path: str) -> bytes:
        with open(host.path(path), "rb") as file:
            return file.read()

    return read_config(
        open_file,
        line.config_path,
        line.defines,
        environ=environ,
        version=(5, 6, 3),
        substitutions=line.substitutions,
        modules=line.modules,
        directory="/",
    )


@pytest.mark.parametrize("name", VARIANTS)
def test_what_files_and_options_say_is_what_the_server_reports(host, name, monkeypatch):
    start = VARIANTS[name]
    for each, text in start.files.items():
        with open(host.path(f"{FOLDER}/{each}"), "w") as file:
            file.write(text)
    for key, value in start.environ.items():
        monkeypatch.setenv(key, value)
    with start_kamailio(
        host, config=f"{HEAD}{start.core}\n{TAIL}", args=start.args, user=False, log=True, nofile=(4096, 4096)
    ) as running:
        rpc = Rpc(Live(), [Endpoint(Transport.BINRPC_UNIX, running.ctl)])
        with open(f"/proc/{running.pid}/cmdline", "rb") as raw:
            line = cmdline.parse(raw.read())
        config = config_of(host, line, dict(start.environ))
        assert config.refusals == ()
        assert config.unsure == ()
        derived = parameters.collect(Rpc(Silent(), []), line, config, "5.6.3")
        told = parameters.collect(rpc, line, config, "5.6.3")
        shm = rpc.fact(levels.shm, "shm.stats")
        pkg = rpc.fact(levels.pkg, "pkg.stats")
        described = rpc.fact(identity.processes, "core.psx")
        timeout = rpc.fact(str, "cfg.get", "websocket", "keepalive_timeout")
        with open(str(running.log), errors="replace") as log:
            said = log.read()
        listening = rpc.fact(identity.core_listeners, "core.sockets_list")
    assert not isinstance(shm, Absent)
    assert not isinstance(pkg, Absent)
    assert not isinstance(described, Absent)
    assert not isinstance(listening, Absent)
    assert shm.total == int(derived["shm_megabytes"].value) << 20
    # the pool takes a page or so for itself
    assert pkg[0].total_size == pytest.approx(derived["pkg_bytes"].value, rel=0.01)
    workers = sum("tcp receiver" in each.description for each in described)
    udp = [each for each in described if "udp receiver" in each.description]
    sockets = sum(each.proto == "udp" for each in listening)
    assert len(udp) == int(derived["children"].value) * sockets
    off = bool(derived.get("disable_tcp", Parameter(0, Origin.DEFAULT, "")).value)
    assert workers == (0 if off else derived["tcp_children"].value)
    asked = {
        key: value.value
        for key, value in told.items()
        if value.where.startswith(("core.tcp_", "cfg.get tcp"))
    }
    both = {key for key in asked if key in derived}
    if not off:
        assert len(both) >= 5
        assert {key: asked[key] for key in both} == {key: derived[key].value for key in both}
    if line.poll_method:
        assert f"init_tcp(): using {derived['tcp_poll_method'].value} io watch method (config)" in said
    if line.modparams:
        assert str(derived["websocket.keepalive_timeout"].value) in str(timeout)
        assert derived["websocket.keepalive_timeout"].where.startswith("command line --modparam=")
        assert derived["websocket.timer_interval"].where == f"{MAIN}:4"
    given = {(each.partition(":")[0], int(each.rpartition(":")[2])) for each in line.listens}
    filed = {(each.protocol, each.port) for each in config.listens if not (off and each.protocol == "tcp")}
    assert {(each.proto, each.port) for each in listening} == given | filed
