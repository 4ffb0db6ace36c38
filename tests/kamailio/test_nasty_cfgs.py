"""Configurations written to be misread, against a running Kamailio and against `kamailio -c`."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import kamailio_check as checker
import nasty_cfgs as nasty
from kamtcp.host.door import Endpoint, Transport
from kamtcp.host.exchange import exchange
from kamtcp.kamailio import identity
from kamtcp.kamailio.commands import decode, encode
from kamtcp.kamailio.config import Config, read_config
from kamtcp.kamailio.fields import one_struct
from kamtcp.kamailio.values import Values
from kamtcp.rehearse.kamailio import Running, start_kamailio
from kamtcp.rehearse.standin import StandIn

pytestmark = [
    pytest.mark.kamailio,
    pytest.mark.netns,
    pytest.mark.skipif(
        not checker.PRESENT or os.geteuid() != 0,
        reason="KAMTCP_KAMAILIO_ROOT names no unpacked Kamailio, or not root",
    ),
]

VERSION = (5, 6, 3)


def read(files: dict[str, bytes], directory: str = nasty.DIRECTORY) -> Config:
    """As the file system would give them; relative names are looked for in the directory of the start first."""

    def open_file(path: str) -> bytes:
        name = os.path.relpath(path, directory)
        if name not in files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return files[name]

    return read_config(open_file, f"{directory}/main.cfg", {}, environ={}, version=VERSION, directory="/")


def ask(running: Running, method: str, *arguments: str) -> Values:
    endpoint = Endpoint(Transport.BINRPC_UNIX, running.ctl)
    return decode(
        Transport.BINRPC_UNIX, exchange(endpoint, encode(Transport.BINRPC_UNIX, method, *arguments), 5.0)
    )


def in_force(running: Running) -> dict[str, int]:
    """Core parameters as the server tells them, under the names of the file."""
    told: dict[str, int] = {}
    for name, value in one_struct("core.tcp_options", ask(running, "core.tcp_options")).pairs:
        if isinstance(value, int):
            told[f"tcp_{name}"] = value
    info = one_struct("core.tcp_info", ask(running, "core.tcp_info"))
    for name, value in info.pairs:
        if name == "max_connections" and isinstance(value, int):
            told["tcp_max_connections"] = value
    processes = identity.processes(ask(running, "core.psx"))
    generic = sum("tcp receiver (generic)" in each.description for each in processes)
    return {**told, "tcp_children": generic}


@pytest.fixture(scope="module")
def host() -> Iterator[StandIn]:
    with StandIn(checker.ROOT, name="nasty") as host:
        yield host


def lay(files: dict[str, bytes], directory: Path) -> None:
    for name, data in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)


@pytest.mark.parametrize("name", nasty.READ)
def test_it_is_read_as_the_running_server_reads_it(host, name):
    files, wanted = nasty.READ[name]
    files = {**files, "main.cfg": files["main.cfg"] + nasty.TAIL}
    lay(files, Path(host.path(nasty.DIRECTORY)))
    began = time.process_time()
    config = read(files)
    assert time.process_time() - began < 5
    assert config.refusals == ()
    assert config.unsure == ()
    with start_kamailio(host, args=("-f", nasty.MAIN), user=False, nofile=(4096, 4096)) as running:
        told = in_force(running)
        listening = identity.core_listeners(ask(running, "core.sockets_list"))
        loaded = identity.modules(ask(running, "core.modules"))
    params = {key: int(each.value) for key, each in config.params.items() if not isinstance(each.value, str)}
    assert {key: params[key] for key in wanted} == wanted
    assert {key: told[key] for key in wanted} == wanted
    # -1 stands for "the longest there is", which the server tells as a number of its own
    both = [key for key, value in params.items() if key in told and value >= 0]
    assert {key: params[key] for key in both} == {key: told[key] for key in both}
    assert {each.name for each in config.modules} == set(loaded)
    expected = set()
    for each in config.listens:
        for protocol in [each.protocol] if each.protocol else ["udp", "tcp"]:
            expected.add((protocol, each.addresses[0], each.port or 5060))
    assert {(each.proto, each.address, each.port) for each in listening} == expected


@pytest.mark.parametrize("name", nasty.REFUSED)
def test_it_is_refused_with_a_caret_on_the_line_where_kamailio_refuses_it(tmp_path, name):
    files, line = nasty.REFUSED[name]
    lay(files, tmp_path)
    done = checker.kamailio("-c", "-f", f"{tmp_path}/main.cfg")
    assert done.returncode != 0
    output = (done.stdout + done.stderr).decode(errors="replace")
    config = read(files, str(tmp_path))
    assert config.refusals
    refused = config.refusals[0]
    assert line in (0, refused.line)
    told = [int(each) for each in re.findall(r"parse error in config file .*?, (?:from )?line (\d+)", output)]
    if told and line:
        # Kamailio may notice at the next word; of what is never closed we name the beginning, it names the end
        assert refused.line in (told[0], told[0] - 1) or (
            "never closed" in refused.text and refused.line < told[0]
        )
    place, *shown = refused.shown.splitlines()
    assert place.startswith(f"{refused.file}:{refused.line}:{refused.column}: ")
    lines = files[os.path.relpath(refused.file, tmp_path)].decode(errors="replace").split("\n")
    assert shown == [f"    {lines[refused.line - 1]}", "    " + " " * (refused.column - 1) + "^"]


PIECES = (
    """#!define A 5~|#!define B tcp_syncnt=3~|#!trydef A 7~|#!redef A 8~|#!ifdef A~|#!ifdef Z~|#!ifndef Z~|#!else~|#!endif~
|#!endif~|#!substdef "!S!9!"~|tcp_syncnt|=|5|A|B |S|"x"|; |~| |server_header="x"|tcp_keepidle = 4 |debug=-1~|yes|-|,|(|}
|request_route { exit; }~|/* c */|// c~|# c~|listen=udp:127.0.0.1:5060~|mine.v=5 desc "d"~|flags f~|children=2~|\\~
|tcp_poll_method=poll~|port=5060~|advertised_address=192.0.2.4~""".replace("\n", "")
    .replace("~", "\n")
    .split("|")
)


def test_random_files_are_refused_if_and_only_if_kamailio_refuses_them(tmp_path):
    """250 files of words in any order; the same ones each time."""
    chance = random.Random(11)
    both = 0
    for _ in range(250):
        data = "".join(chance.choices(PIECES, k=chance.randint(1, 9))).encode()
        (tmp_path / "main.cfg").write_bytes(data)
        accepted = checker.kamailio("-c", "-f", f"{tmp_path}/main.cfg").returncode == 0
        assert accepted == (not read({"main.cfg": data}, str(tmp_path)).refusals), data
        both += accepted
    assert 20 < both < 230
