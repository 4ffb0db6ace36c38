"""Parameters of Kamailio that RPC doesn't tell: from its configuration with file and line, else its default."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from commands import REFERENCE
from msgspec.structs import replace

from fake_host import TreeHost
from kamtcp.catalogue.entry import Kind
from kamtcp.catalogue.load import entries
from kamtcp.cli.explain_parameter import parameter
from kamtcp.host.live import Live
from kamtcp.model.absent import Absent, Why
from kamtcp.model.instance import Instance
from kamtcp.record.archive import load
from kamtcp.record.recorded import samples
from kamtcp.rehearse.kamailio import packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from kamtcp.survey.take import take
from situations import DENIED, situation

FILE = "/etc/kamailio/kamailio.cfg"
CONFIG = b"""\
#!define PINGS 1
children = 3
tcp_reuse_port = yes
mem_add_size = 64
loadmodule "tls.so"
loadmodule "websocket.so"
modparam("tls|websocket", "ssl_freelist_max_len", 7)
modparam("tls", "low_mem_threshold2", 100)
#!ifdef PINGS
modparam("websocket", "ping_application_data", "are " "you there")
#!endif
modparam("websocket", "cors_mode", 1)
modparam("websocket", "cors_mode", 2)
socket_workers = 2
listen = tcp:10.0.0.1:5060
listen = tcp:10.0.0.2:5060
socket_workers = 5
listen = tls:10.0.0.1:5061
request_route { exit; }
"""


def at(config: bytes | int, **changes) -> SimpleNamespace:
    """A host with that configuration and an instance of which RPC tells nothing."""
    host = TreeHost({"/proc/812/cmdline": f"kamailio\0-f\0{FILE}\0".encode(), "/proc/812/environ": b"", FILE: config},
                    {"/proc/812/ns/net": "net:[4026531833]", "/proc/812/cwd": "/"})  # fmt: skip
    host.namespaces[812] = host
    known = {"version": "5.6.3", "modules": ("tls", "websocket", "tm"), **changes}
    instance = replace(situation().require(), parameters={}, **known)
    return SimpleNamespace(host=host, instance=instance)


def value(name: str, there: SimpleNamespace) -> tuple[str | Absent, str]:
    return parameter(entries()[name], there.host, there.instance, "net:[4026531833]")


@pytest.mark.parametrize(
    ("name", "told", "where"),
    [
        ("tcp_reuse_port", "1", f"{FILE}:3"),
        ("children", "3", f"{FILE}:2"),
        ("tls.ssl_freelist_max_len", "7", f"{FILE}:7"),
        ("tls.low_mem_threshold2", "102400", f"{FILE}:8"),
        ("websocket.ping_application_data", "are you there", f"{FILE}:10"),
        ("websocket.cors_mode", "2", f"{FILE}:13"),
        ("socket_workers", "2 for tcp:10.0.0.1, 5 for tls:10.0.0.1", f"{FILE}:15, {FILE}:18"),
        ("websocket.sub_protocols", "1, or 3 with msrp", "compiled default"),
        ("tcp_rd_buf_size", "16384", "compiled default"),
        ("tls_threads_mode", "not in this release", "not in 5.6.3"),
        ("tcp_accept_protocols", "not in this release", "not in 5.6.3"),
        ("mem_add_size", "64", f"{FILE}:4"),  # it is there, whatever the catalogue says of releases
    ],
)
def test_the_file_is_asked_where_rpc_does_not_tell(name, told, where):
    assert value(name, at(CONFIG)) == (told, where)


def test_a_default_is_that_of_the_release():
    old = at(b"request_route { exit; }", version="4.1.0")
    assert value("tcp_rd_buf_size", old) == ("4096", "compiled default")
    assert value("tcp_accept_protocols", at(b"", version="6.0.3")) == ("not in this release", "not in 6.0.3")
    assert value("tcp_accept_protocols", at(b"", version="6.0.7"))[1] == "compiled default"


def test_a_file_that_can_not_be_read_hides_the_value():
    found, _ = value("tcp_rd_buf_size", at(13))
    assert isinstance(found, Absent)
    assert found.why is Why.DENIED
    assert "could not be read" in found.detail


def test_a_module_that_is_not_loaded_has_no_values():
    found, _ = value("websocket.cors_mode", at(CONFIG, modules=("tls",)))
    assert isinstance(found, Absent)
    assert (found.why, found.detail) == (Why.MISSING, "the websocket module is not loaded")


def test_a_server_that_does_not_answer_may_have_been_changed_since():
    mute = at(CONFIG, rpc=DENIED)
    assert value("tcp_reuse_port", mute) == ("1", f"{FILE}:3; RPC doesn't answer")
    assert value("tcp_rd_buf_size", mute) == ("16384", "compiled default; RPC doesn't answer")


def test_what_a_condition_hides_is_marked():
    found = value("tcp_reuse_port", at(b'#!ifexp $env(A) == "b"\ntcp_reuse_port = yes\n#!endif\n'))
    assert found == ("1", f"{FILE}:2, if what stands around it holds")


def plain(told: str | Absent) -> object:
    return {"yes": "1", "no": "0"}.get(str(told), told)


def test_file_and_defaults_say_what_a_real_kamailio_says():
    """The reference set-up is a recording of one; without its RPC replies the same must come out."""
    host = samples(load(REFERENCE))[-1]
    seen = take(host)
    (told,) = seen.instances
    mute: Instance = replace(told, parameters={})
    compared = 0
    for entry in entries().values():
        if entry.kind in (Kind.PARAMETER, Kind.MODPARAM) and entry.id in told.parameters:
            answered, where = parameter(entry, host, told, seen.machine.netns)
            computed = entry.id.startswith(
                "tls.low_mem_threshold"
            )  # -1 in the file; RPC shows what it comes to
            if where.startswith(("core.", "cfg.get", "tls.options")) and not computed:
                compared += 1
                assert plain(parameter(entry, host, mute, seen.machine.netns)[0]) == plain(answered), entry.id
    assert compared > 30


@pytest.mark.kamailio
@pytest.mark.skipif(
    packages_root() is None or os.geteuid() != 0, reason="needs root and a Kamailio (make packages)"
)
def test_a_running_kamailio_is_explained_from_outside_its_namespaces(alone):
    """The configuration is that in its own mount namespace; RPC still wins where it tells."""
    scenario = Scenario(
        websocket=True, core=("tcp_reuse_port=yes", "tcp_script_mode=1", "socket_workers=2", "listen=tcp:127.0.0.1:5070"),
        modparams=('modparam("websocket", "cors_mode", 2)',),
    )  # fmt: skip
    with StandIn(packages_root(), name="sip1") as inside, start_kamailio(inside, config=scenario) as running:
        alone |= {running.pid, *running.children()}
        host = Live()
        seen = take(host)
        (instance,) = seen.instances

        def told(name: str) -> tuple[str | Absent, str]:
            return parameter(entries()[name], host, instance, seen.machine.netns)

        lines = scenario.render().splitlines()
        where = {text: f":{number}" for number, text in enumerate(lines, start=1)}
        value, source = told("socket_workers")
        assert value == "2 for tcp:127.0.0.1"
        assert source.endswith(where["listen=tcp:127.0.0.1:5070"])
        value, source = told("websocket.cors_mode")
        assert (value, source.endswith(where['modparam("websocket", "cors_mode", 2)'])) == ("2", True)
        assert told("tcp_reuse_port") == ("1", "cfg.get tcp")
        assert told("tcp_script_mode")[0] == "1"
        assert told("tls.connection_timeout")[0].why is Why.MISSING
