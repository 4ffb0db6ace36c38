"""The reader against a real Kamailio: what RPC reports is the truth.

Needs KAMTCP_KAMAILIO_ROOT: the root below which a Kamailio package is unpacked (usr/sbin/kamailio, …).
"""

from __future__ import annotations

import glob
import json
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from kamtcp.kamailio import cmdline, loglines
from kamtcp.kamailio.config import Config, read_config
from kamtcp.kamailio.effective import shm_megabytes, tcp_children
from kamtcp.kamailio.versions import parse_version

ROOT = os.environ.get("KAMTCP_KAMAILIO_ROOT", "")

pytestmark = [
    pytest.mark.kamailio,
    pytest.mark.netns,
    pytest.mark.skipif(
        not os.path.exists(f"{ROOT}/usr/sbin/kamailio") or os.geteuid() != 0,
        reason="KAMTCP_KAMAILIO_ROOT names no unpacked Kamailio, or not root",
    ),
]

HEAD = """#!KAMAILIO
loadmodule "jsonrpcs.so"
modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "dgram_socket", "{folder}/rpc.sock")
"""
ROUTE = """
request_route {
    # unbalanced in a comment: }}}
    xdbg("and in a string {{{ $(ru{s.len})\\n");
    if (is_method("OPTIONS") && $(ru{s.len}) > 10) { exit; }
}
"""


class Running:
    """A Kamailio in network and process namespaces of its own."""

    def __init__(self, folder: str, text: str, options: list[str], environ: dict[str, str]) -> None:
        self.folder, self.path = folder, f"{folder}/kamailio.cfg"
        with open(self.path, "w") as file:
            file.write(text)
        modules = glob.glob(f"{ROOT}/usr/lib/*/kamailio/modules")[0]
        libraries = [os.path.dirname(os.path.dirname(modules)), *glob.glob(f"{ROOT}/lib/*-linux-gnu")]
        arguments = ["-f", self.path, "-L", modules, "-Y", folder, "-DD", "-E", *options]
        self.line = cmdline.parse("\0".join([f"{ROOT}/usr/sbin/kamailio", *arguments, ""]).encode())
        self.environ = environ
        self.log = open(f"{folder}/log", "wb")  # noqa: SIM115
        self.process = subprocess.Popen(
            [  # noqa: RUF005
                "unshare",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                'ip link set lo up; exec "$@"',
                "sh",
            ]
            + [f"{ROOT}/usr/sbin/kamailio", *arguments],
            env={**os.environ, **environ, "LD_LIBRARY_PATH": ":".join(libraries)},
            stdout=self.log,
            stderr=self.log,
        )

    def call(self, method: str, *params: object) -> object:
        deadline = time.monotonic() + 20
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.bind(f"{self.folder}/client{time.monotonic_ns()}")
            client.settimeout(5)
            while True:
                try:
                    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
                    client.sendto(json.dumps(request).encode(), f"{self.folder}/rpc.sock")
                    return json.loads(client.recv(1 << 17))["result"]
                except (FileNotFoundError, ConnectionRefusedError):
                    if self.process.poll() is not None or time.monotonic() > deadline:
                        with open(f"{self.folder}/log") as log:
                            pytest.fail("kamailio did not start: " + log.read()[-2000:])
                    time.sleep(0.02)  # it is still starting

    def config(self) -> Config:
        def open_file(path: str) -> bytes:
            with open(path, "rb") as file:
                return file.read()

        version = parse_version(str(self.call("core.version"))).numbers
        return read_config(
            open_file,
            self.path,
            self.line.defines,
            environ=self.environ,
            version=version,
            substitutions=self.line.substitutions,
            modules=self.line.modules,
        )

    def stop(self) -> None:
        self.process.kill()  # of unshare; --kill-child takes the rest
        self.process.wait(10)
        self.log.close()


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def begin(text: str, *options: str, route: str = ROUTE, **environ: str) -> Running:
        folder = f"{tmp_path}/{len(running)}"
        os.mkdir(folder)
        head = HEAD.format(folder=folder)
        shm = "".join(line + "\n" for line in text.splitlines() if "shm" in line)
        rest = "".join(line + "\n" for line in text.splitlines() if "shm" not in line)
        found = Running(
            folder,
            "#!KAMAILIO\n" + shm + head + rest + 'loadmodule "xlog"\nloadmodule "textops"\n'
            'loadmodule "pv.so"\n' + route,
            list(options),
            environ,
        )
        running.append(found)
        return found

    yield begin
    for each in running:
        each.stop()


def shm_total(running: Running) -> int:
    return int(running.call("core.shmmem", "m")["total"])


LISTEN = "listen=udp:127.0.0.1:5090\nlisten=tcp:127.0.0.1:5090\nchildren=1\n"


@pytest.mark.parametrize(
    ("options", "file", "megabytes"),
    [
        (["-m", "64"], "shm_mem_size=80", 80),
        (["-m64"], "shm_mem=80\nshm_mem_size=96", 80),
        (["-m", "64"], "shm=64\nshm_mem_size=96\nshm=80", 96),
        (["-m", "65"], "shm_mem_size=80", 65),
        ([], "", 64),
        ([], "shm_mem_size = 0x48", 72),
    ],
)
def test_shared_memory_is_what_the_precedence_rules_say(start, options, file, megabytes):
    running = start(file + "\n" + LISTEN, *options)
    assert shm_total(running) == megabytes
    assert shm_megabytes(running.line, running.config()).value == megabytes


@pytest.mark.parametrize(
    ("options", "file", "readers"),
    [
        ([], "tcp_children=3\ntcp_children=2", 2),
        (["-N", "5"], "tcp_children=3", 5),
        (["-n4"], "", 4),
        (["-n", "4"], "tcp_children=3", 3),
        (["-N0"], "tcp_children=3", 1),  # LISTEN's children=1
        ([], "", 1),
    ],
)
def test_tcp_workers_are_what_the_precedence_rules_say(start, options, file, readers):
    running = start(LISTEN + file + "\n", *options)
    assert running.call("core.tcp_info")["readers"] == readers
    assert tcp_children(running.line, running.config()).value == readers


def test_workers_of_a_listener_come_on_top(start):
    running = start(
        "children=1\ntcp_children=2\nsocket_workers=3\nlisten=tcp:127.0.0.1:5091\nlisten=tcp:127.0.0.1:5092\n"
    )
    config = running.config()
    assert [listen.workers for listen in config.listens] == [3, 0]
    assert running.call("core.tcp_info")["readers"] == 2 + 3


ODD = """
#!define LIMIT 700 # a comment in a value
#!define ADDRESS 127.0.0.1
#!trydef LIMIT 1
#!redefine BACK 5093
#!substdef "!NAMED_PORT!5094!g"
#!defenv FROM_ENV=KAMTCP_TEST
/* /* nested */ tcp_max_connections=1 */
tcp_max_connections = 100 // first
tcp_max_connections=LIMIT
#!ifdef WITH_MORE
tcp_max_connections=0x400
  #!ifndef KAMAILIO_5
tcp_max_connections=1
  #!endif
#!else
tcp_max_connections=2
## #!else
#!endif
##!ifdef NOTHING
tls_max_connections=0100
!!ifdef MOD_jsonrpcs
tcp_connection_lifetime=-
   1
!!endif
include_file "more.cfg"
#!import_file "not-there.cfg"
#!ifdef NOT_DEFINED
#!ifdef WITH_MORE
#!else
tcp_send_timeout=99
#!endif
tcp_connect_timeout=99
#!else
tcp_send_timeout=FROM_ENV tcp_connect_timeout=7; tcp_crlf_ping=no
#!endif
listen=udp:ADDRESS:NAMED_PORT tcp : ADDRESS : BACK
listen=tcp:127.0.0.1:5095 advertise 192.0.2.7:5060 name "edge"
tcp_keepalive=no
tcp_keepidle=60 tcp_buf_write=yes
tcp_conn_wq_max=11b
tcp_wq_max=4294967297
children=2
"""


def test_an_odd_file_is_read_as_kamailio_reads_it(start, tmp_path):
    os.mkdir(f"{tmp_path}/0")
    with open(f"{tmp_path}/0/more.cfg", "w") as file:
        file.write(
            'tcp_fd_cache=off\n#!ifdef WITH_MORE\ntcp_syncnt="a" "b"'.replace('"a" "b"', "4") + "\n#!endif\n"
        )
    os.rename(f"{tmp_path}/0/more.cfg", f"{tmp_path}/more.cfg")
    os.rmdir(f"{tmp_path}/0")
    text = ODD.replace('"more.cfg"', f'"{tmp_path}/more.cfg"')
    running = start(text, "-A", "WITH_MORE", "-AUNUSED=3", KAMTCP_TEST="6")
    info, options = running.call("core.tcp_info"), running.call("core.tcp_options")
    config = running.config()
    assert config.unsure == ()

    read = {
        name: int(setting.value)
        for name, setting in config.params.items()
        if not isinstance(setting.value, str)
    }
    assert info["max_connections"] == read["tcp_max_connections"] == 1024
    assert info["max_tls_connections"] == read["tls_max_connections"] == 64
    for name in (
        "connect_timeout",
        "send_timeout",
        "fd_cache",
        "async",
        "conn_wq_max",
        "wq_max",
        "syncnt",
        "keepidle",
    ):
        assert options[name] == read[f"tcp_{name}"], name
    assert options["crlf_ping"] == read["tcp_crlf_ping"] == 0
    assert read["tcp_connection_lifetime"] == -1

    sockets = [(s["proto"], s["address"], int(s["port"])) for s in _sockets(running)]
    assert sorted(sockets) == sorted((x.protocol, x.addresses[0], x.port) for x in config.listens)
    assert set(running.call("core.ppdefines")) <= set(config.defines) | {"OS_NAME"}
    assert {name for name in config.defines if not name.startswith("MOD_")} <= set(
        running.call("core.ppdefines")
    )


def _sockets(running: Running) -> list[dict[str, str]]:
    # the reply repeats the member "socket": JSON readers keep the last, so ask kamailio for pairs
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        client.bind(f"{running.folder}/pairs")
        client.settimeout(5)
        request = {"jsonrpc": "2.0", "id": 1, "method": "core.sockets_list"}
        client.sendto(json.dumps(request).encode(), f"{running.folder}/rpc.sock")
        found: list[dict[str, str]] = []

        def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
            found.extend(value for key, value in items if key == "socket")  # type: ignore[misc]
            return dict(items)

        json.loads(client.recv(1 << 17), object_pairs_hook=pairs)
        return found


def test_the_packaged_file_is_read_whole_and_without_a_doubt():
    """Only read: it wants modules and users of its own to start."""
    path = f"{ROOT}/etc/kamailio/kamailio.cfg"

    def open_file(name: str) -> bytes:
        with open(name, "rb") as file:
            return file.read()

    for defines in ({}, {"WITH_TLS": None}, {"WITH_TLS": None, "WITH_NAT": None, "WITH_MYSQL": None}):
        config = read_config(open_file, path, defines, environ={}, version=(5, 6, 3))
        assert config.problems == ()
        assert config.unsure == ()
        assert config.params["tcp_connection_lifetime"].value == 3605
        assert ("enable_tls" in config.params) == ("WITH_TLS" in defines)
        assert ("tls" in [module.name for module in config.modules]) == ("WITH_TLS" in defines)


def _printed(path: str, *options: str) -> str:
    """What --cfg-print leaves of a file."""
    libraries = glob.glob(f"{ROOT}/usr/lib/*-linux-gnu") + glob.glob(f"{ROOT}/lib/*-linux-gnu")
    return subprocess.run(
        [f"{ROOT}/usr/sbin/kamailio", "--cfg-print", "-f", path, *options],
        env={**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)},
        capture_output=True,
        check=False,
        timeout=20,
    ).stdout.decode()


@pytest.mark.parametrize("define", [[], ["-A", "WITH_TLS"], ["-A", "WITH_NAT", "-A", "WITH_WEBSOCKETS"]])
def test_kamailio_prints_the_same_modules_that_are_read(define):
    """--cfg-print leaves out what conditions leave out: a second witness for them."""
    path = f"{ROOT}/etc/kamailio/kamailio.cfg"
    printed = _printed(path, *define)
    expected = [
        line.split('"')[1].rpartition("/")[2].removesuffix(".so")
        for line in printed.splitlines()
        if line.strip().startswith("loadmodule")
    ]

    def open_file(name: str) -> bytes:
        with open(name, "rb") as file:
            return file.read()

    line = cmdline.parse("\0".join(["kamailio", *define, ""]).encode())
    config = read_config(open_file, path, line.defines, environ={}, version=(5, 6, 3))
    assert [module.name for module in config.modules] == expected
    assert expected


CONNECT = """
import socket
held = []
for _ in range(5):
    s = socket.create_connection(("127.0.0.1", 5090), 5)
    s.settimeout(0.3)
    held.append(s)
closed = 0
for s in held:
    try:
        closed += s.recv(1) == b""
    except TimeoutError:
        pass
print(closed)
"""


def test_refused_connections_show_in_the_log_as_many_times_as_they_were_refused(start):
    running = start("tcp_max_connections=2\n" + LISTEN)
    running.call("core.tcp_info")
    with open(f"/proc/{running.process.pid}/task/{running.process.pid}/children") as file:
        inside = file.read().split()[0]
    with open(f"/proc/{inside}/cmdline", "rb") as file:
        assert cmdline.parse(file.read()) == running.line
    refused = int(
        subprocess.run(
            ["nsenter", "-t", inside, "-n", sys.executable, "-c", CONNECT],
            capture_output=True,
            check=True,
            timeout=30,
        ).stdout
    )
    with open(f"{running.folder}/log", "rb") as file:
        found = loglines.count(file.read(1 << 20))
    assert refused == 3
    assert {key: seen.times for key, seen in found.items()} == {"tcp-max-connections": 3}
    assert "handle_new_connect" in found["tcp-max-connections"].last


def _program(chance: random.Random) -> str:
    """A file of nested conditions, definitions, comments and blocks; `children=N` marks what is read."""
    lines: list[str] = []
    depth = 0
    for number in range(1, chance.randint(6, 30)):
        kind = chance.random()
        if kind < 0.3:
            lines.append(f"children={number}" + chance.choice(["", " # x", "; ", "//y", " /* z */"]))
        elif kind < 0.5:
            test = chance.choice(["ifdef", "ifndef"])
            lines.append(
                chance.choice(["#!", "!!", "  #!"])
                + f"{test} {chance.choice('ABC')}"
                + chance.choice(["", " "])
            )
            depth += 1
        elif kind < 0.6 and depth:
            lines.append(chance.choice(["#!else", "!!else", "#!else "]))
        elif kind < 0.75 and depth:
            lines.append("#!endif")
            depth -= 1
        elif kind < 0.85:
            define = chance.choice(["trydef", "trydefine", "redef", "redefine"])
            lines.append(f"#!{define} {chance.choice('ABC')}" + chance.choice(["", " 5", " \\\n  6"]))
        elif kind < 0.92:
            lines.append(
                chance.choice(
                    ["## #!endif", "# #!else", "/* #!ifdef A\n */", "/* a /* b */ c */", "##!ifdef A"]
                )
            )
        else:
            lines.append('route[X] {\n  if (1) { xlog("}"); }\n}')
    return "\n".join(lines + ["#!endif"] * depth) + "\n"


@pytest.mark.parametrize("seed", range(25))
def test_the_same_branches_are_left_out_as_by_kamailio(seed, tmp_path):
    text = _program(random.Random(seed))
    path = f"{tmp_path}/k.cfg"
    with open(path, "w") as file:
        file.write(text)
    printed = _printed(path, "-A", "B")
    expected = [int(found) for found in re.findall(r"^ *children=(\d+)", printed, re.MULTILINE)]
    config = read_config(lambda _: text.encode(), path, {"B": None}, environ={}, version=(5, 6, 3))
    assert [setting.value for setting in config.assignments] == expected
