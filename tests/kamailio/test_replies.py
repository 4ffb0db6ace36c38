"""Typed facts from the captured replies: identity and levels, from both encodings."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError, RpcFault
from kamtcp.kamailio import binrpc, identity, jsonrpc, levels
from kamtcp.kamailio.fields import NULL, one_struct
from kamtcp.kamailio.values import Members
from kamtcp.model.absent import Absent, Why


def as_given(method):
    """The named values of one struct that are not NULL."""
    return lambda values: {
        name: value for name, value in one_struct(method, values).pairs if value not in (None, NULL)
    }


PARSERS = {
    "core.version": identity.version,
    "core.info": identity.info,
    "core.flags": identity.flags,
    "core.uptime": identity.uptime,
    "core.arg": identity.arguments,
    "core.modules": identity.modules,
    "core.ppdefines": identity.ppdefines,
    "core.psx": identity.processes,
    "corex.list_sockets": identity.corex_listeners,
    "core.sockets_list": identity.core_listeners,
    "core.tcp_info": levels.tcp_info,
    "tls.info": as_given("tls.info"),
    "shm.stats": levels.shm,
    "pkg.stats": levels.pkg,
    "stats.fetchn_tcp_websocket_tls_shmem": levels.counters,
    "stats.get_statistics_tcp": levels.counters,
    "core.tcp_options": as_given("core.tcp_options"),
    "cfg.get_tcp": as_given("cfg.get_tcp"),
    "cfg.get_tls": as_given("cfg.get_tls"),
    "cfg.get_websocket": as_given("cfg.get_websocket"),
}


@pytest.fixture(params=["binrpc", "json"])
def own(request, binrpc_reply, json_reply):
    """Parse a capture of the own run, from either encoding."""
    if request.param == "binrpc":
        return lambda name: PARSERS[name](binrpc.decode_reply(binrpc_reply(f"own/{name}")))
    return lambda name: PARSERS[name](jsonrpc.decode_reply(json_reply(f"own/{name}")))


@pytest.fixture
def lab(json_reply):
    return lambda name: jsonrpc.decode_reply(json_reply(f"lab/{name}"))


@pytest.mark.parametrize("name", [n for n in PARSERS if n not in ("core.uptime", "pkg.stats")])
def test_both_encodings_give_the_same_facts(name, binrpc_reply, json_reply):
    """NULL, repeated names and lists look different on the wire and are equal as facts."""
    by_binrpc = PARSERS[name](binrpc.decode_reply(binrpc_reply(f"own/{name}")))
    assert by_binrpc == PARSERS[name](jsonrpc.decode_reply(json_reply(f"own/{name}")))


def test_the_version_is_told_apart(own):
    """Name, text and numbers, in the order in which releases are compared."""
    assert own("core.version") == identity.Version("kamailio", "5.6.3", (5, 6, 3), "x86_64/linux")
    later = identity.version(["kamailio 6.2.0-dev1 (x86_64/linux) 1a2b3c"])
    assert (later.version, later.release) == ("6.2.0-dev1", (6, 2, 0))


def test_who_answers(own):
    """Build, command line, modules and defines."""
    assert own("core.info").compiler == "gcc 12.2.0"
    assert own("core.info").flags == own("core.flags")
    assert "FAST_LOCK-ADAPTIVE_WAIT" in own("core.flags")
    assert own("core.arg")[:4] == ("kamailio", "-DD", "-E", "-f")
    assert {"websocket", "tls", "ctl"} <= set(own("core.modules"))
    assert "KAMAILIO_5_6_3" in own("core.ppdefines")
    assert own("core.uptime").uptime == 2
    assert own("core.uptime").up_since == "Sun Nov 22 13:18:50 2026"


def test_processes_keep_their_order_and_descriptions(own):
    """Index 0 is the attendant; tcp main tells itself by its description."""
    rows = own("core.psx")
    assert [row.index for row in rows] == list(range(len(rows)))
    assert rows[0].description == "main process - attendant"
    assert rows[-1].description == "tcp main process"


def test_listeners_are_told_by_both_commands(own):
    """corex knows the name and the advertised address, core does not."""
    corex, core = own("corex.list_sockets"), own("core.sockets_list")
    assert [(each.proto, each.addresses, each.port) for each in corex] == [
        (each.proto, each.addresses, each.port) for each in core
    ]
    assert corex[2].proto == "tls"
    assert (corex[2].name, corex[2].advertise, corex[2].virtual) == ("outer", "192.0.2.1", False)
    assert (corex[0].name, corex[0].advertise) == ("", "")
    assert isinstance(core[0].name, Absent)


def test_listeners_of_a_newer_kamailio_have_lower_case_names():
    """6.1 renamed every member of corex.list_sockets, and added some."""
    row = (("af", "ipv4"), ("proto", "tcp"), ("name", "sip1"))
    row += (("addrlist", Members((("addr", "192.0.2.1"), ("addr", "192.0.2.2")))), ("port", "5060"))
    row += (("agname", "none"), ("virtual", "yes"), ("sockname", "-"), ("advertise", "-"))
    (found,) = identity.corex_listeners([Members(row)])
    assert found == identity.Listener("tcp", "sip1", ("192.0.2.1", "192.0.2.2"), 5060, "", "", True)


def test_a_listener_with_a_host_name_shows_its_number(lab):
    """Up to 5.6 core.sockets_list gives name and number; both commands agree on the number."""
    core = identity.core_listeners(lab("core.sockets_list"))
    corex = identity.corex_listeners(lab("corex.list_sockets"))
    assert [each.addresses for each in core] == [("127.0.0.1",)] * 3 == [each.addresses for each in corex]


def test_five_connections_are_five(lab, binrpc_reply):
    """tcp_info and the counters of the lab run, which had 2 TCP, 1 TLS, 1 WS and 1 WSS."""
    info = levels.tcp_info(lab("core.tcp_info"))
    assert (info.opened_connections, info.opened_tls_connections, info.max_connections) == (5, 2, 4096)
    assert levels.tcp_info(binrpc.decode_reply(binrpc_reply("lab/core.tcp_info"))) == info
    counted = levels.counters(lab("stats.fetchn_tcp"))
    names = ("current_opened_connections", "established", "local_reject")
    assert [counted[f"tcp:{name}"] for name in names] == [5, 4, 0]
    assert levels.counters(lab("stats.fetchn_tcp")) == levels.counters(lab("stats.get_statistics_tcp"))
    ws = levels.ws_counters(levels.counters(lab("stats.get_statistics_websocket")))
    assert (ws.ws_current_connections, ws.ws_successful_handshakes) == (2, 2)
    assert len(levels.counters(lab("stats.get_statistics_all"))) == 167


def test_a_group_that_is_not_there_is_absent_and_not_zero(json_reply):
    """Kamailio answers for an unknown group with nothing, without a fault."""
    nothing = levels.counters(jsonrpc.decode_reply(json_reply("own/stats.fetchn_nosuch")))
    found = levels.ws_counters(nothing).ws_current_connections
    assert isinstance(found, Absent)
    assert found.why is Why.MISSING
    assert levels.shm_of(nothing).why is Why.MISSING


def test_shared_memory_is_the_same_from_stats_and_counters(own, lab):
    """shm.stats where corex has it, the shmem: counters elsewhere."""
    assert levels.shm_of(own("stats.fetchn_tcp_websocket_tls_shmem")) == own("shm.stats")
    assert levels.shm_of(levels.counters(lab("stats.get_statistics_shmem"))) == levels.shm(lab("shm.stats"))
    assert own("shm.stats").free + own("shm.stats").real_used == own("shm.stats").total


def test_free_memory_below_zero_is_none_and_says_so():
    """The server subtracts unsigned numbers; over BINRPC it saturates, over JSON it is about 2**64."""
    for free in (-9_223_372_036_854_776, -8_000, 1 << 64):
        size = [("total", 100), ("free", free), ("used", 90), ("real_used", 101), ("max_used", 101)]
        found = levels.shm([Members(tuple(size))])
        assert (found.free, found.free_as_sent) == (0, False)
        assert isinstance(found.fragments, Absent)


def test_more_than_four_gibibytes_are_read_in_full():
    """shm.stats is 64-bit in all versions, which core.shmmem is not."""
    large = 64 << 30
    size = [("total", large), ("free", large - 10), ("used", 5), ("real_used", 10), ("max_used", 10)]
    assert levels.shm([Members(tuple(size))]).total == large


def test_private_memory_is_a_row_per_process(own, lab):
    """The rows are those of core.psx; unsigned sizes above 2 GiB arrive negative over BINRPC."""
    rows = own("pkg.stats")
    assert [(row.pid, row.desc) for row in rows] == [(row.pid, row.description) for row in own("core.psx")]
    assert rows[0].free + rows[0].real_used == rows[0].total_size == 4 << 20
    assert levels.pkg(lab("pkg.stats"))[-1].rank == -4
    fields = ("entry", "pid", "rank", "used", "free", "real_used", "total_size", "total_frags")
    numbers = (0, 1, 0, 5, -1_294_967_296, 5, -1_294_967_296, 3)
    (large,) = levels.pkg([Members(tuple(zip(fields, numbers, strict=True)))])
    assert (large.total_size, large.free, large.free_as_sent) == (3_000_000_000, 3_000_000_000, True)
    assert isinstance(large.desc, Absent)


def test_a_counter_below_zero_is_absent():
    """Unsigned 2**64−1 is how a gauge looks that was counted down once too often."""
    found = levels.counters(
        [Members((("websocket.ws_current_connections", 1 << 64), ("tcp.established", -3)))]
    )
    assert found == {}
    info = [("readers", 1), ("max_connections", 1), ("max_tls_connections", 1), ("opened_connections", 1)]
    info += [("opened_tls_connections", 0), ("write_queued_bytes", -5)]
    assert isinstance(levels.tcp_info([Members(tuple(info))]).write_queued_bytes, Absent)


def test_options_are_what_was_captured(own):
    """The values that parameters are taken from; what a release doesn't list is not there."""
    tcp = own("core.tcp_options")
    assert (tcp.get("max_connections(soft)"), tcp.get("async"), tcp.get("connection_lifetime")) == (
        4096,
        1,
        600,
    )
    assert (own("cfg.get_tcp").get("rd_buf_size"), own("cfg.get_tcp").get("wait_data_ms")) == (16384, 5000)
    assert "close_rst" not in own("cfg.get_tcp")
    tls = own("cfg.get_tls")
    assert (tls.get("low_mem_threshold1"), tls.get("method"), tls.get("certificate")) == (
        6_815_744, "TLSv1", "/run/cert.pem",
    )  # fmt: skip
    assert own("cfg.get_websocket") == {"keepalive_timeout": 180, "enabled": 1}


SCRAPS = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(
            st.tuples(
                st.none() | st.sampled_from(["total", "free", "PID", "port", "proto", "socket", "a.b"]), inner
            ),
            max_size=4,
        ).map(lambda pairs: Members(tuple(pairs)))
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=8,
)


@settings(max_examples=100)
@given(st.sampled_from(sorted(PARSERS)), st.lists(SCRAPS, max_size=3))
def test_only_parse_errors_escape(name, values):
    """No reply, of whatever shape, raises anything else."""
    with contextlib.suppress(ParseError):
        PARSERS[name](values)


@settings(max_examples=100)
@given(st.data())
def test_only_parse_errors_escape_from_damaged_replies(captures, data):
    """Nor does a real one with bytes changed."""
    name, _, whole = data.draw(st.sampled_from([c for c in captures["binrpc"] if c[0].startswith("own/")]))
    parser = PARSERS.get(name.removeprefix("own/"), levels.counters)
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ParseError, RpcFault):
        parser(binrpc.decode_reply(bytes(damaged)))
