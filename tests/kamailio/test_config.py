from __future__ import annotations

import errno

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kamtcp.errors import NotRecorded
from kamtcp.kamailio.config import Config, loads, modparam, read_config
from kamtcp.model.absent import Absent, Why

MAIN = "/etc/kamailio/kamailio.cfg"


def read(text: str, files: dict[str, str | Exception] | None = None, defines=None, **more) -> Config:
    held = {MAIN: text, **(files or {})}

    def open_file(path: str) -> bytes:
        found = held.get(path, FileNotFoundError(errno.ENOENT, "No such file or directory", path))
        if isinstance(found, Exception):
            raise found
        return found.encode()

    return read_config(open_file, MAIN, defines or {}, **{"environ": {}, "version": (5, 6, 3), **more})


def values(config: Config) -> dict[str, object]:
    return {name: setting.value for name, setting in config.params.items()}


def test_last_assignment_wins_and_says_where_it_stands():
    config = read("tcp_children=4\n\ntcp_children = 8 # more\n")
    assert (config.params["tcp_children"].value, config.params["tcp_children"].where) == (8, f"{MAIN}:3")
    assert [setting.line for setting in config.assignments] == [1, 3]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("0x10", 16),
        ("010", 8),
        ("101b", 5),
        ("-1", -1),
        ("- 1", -1),
        ("yes", True),
        ("off", False),
        ("enable", True),
        ('"a" "b"', "ab"),
        ('"a\\tb\\x41\\101\\""', 'a\tbAA"'),
        ("'a\\t'", "a\\t"),
        ("epoll_lt", "epoll_lt"),
        ("10.0.0.1", "10.0.0.1"),
        ("2147483647", 2147483647),
    ],
)
def test_values_have_the_types_kamailio_gives_them(text, value):
    config = read(f"server_header={text}\nfork=no")
    found = config.params["server_header"].value
    assert (type(found), found) == (type(value), value)
    assert config.params["fork"].value is False
    assert bool(config.refusals) == (text[0] not in "\"'")  # it wants quotes


def test_a_number_beyond_32_bits_is_cut_as_kamailio_cuts_it_and_noted():
    config = read("tcp_wq_max=4294967297")
    assert config.params["tcp_wq_max"].value == 1
    assert "32 bits" in config.problems[0].detail


def test_a_text_where_a_number_belongs_is_noted():
    config = read("tcp_children=YES\ntcp_max_connections=\ntcp_async=no")
    assert {problem.source for problem in config.problems} == {f"{MAIN}:1", f"{MAIN}:2", f"{MAIN}:3"}
    assert [(each.line, each.column) for each in config.refusals] == [(1, 14), (3, 1)]
    assert values(config) == {"tcp_children": "YES", "tcp_async": False}


def test_other_spellings_become_one_name():
    config = read('tcp_buf_write=no\nshm=128\ntls_enable=yes\nwdir="/x"\n')
    assert values(config) == {
        "tcp_async": False,
        "shm_mem_size": 128,
        "enable_tls": True,
        "workdir": "/x",
    }


def test_several_statements_may_share_a_line_with_or_without_semicolons():
    assert values(read("debug=2 fork=yes;children=4 # x=1")) == {"debug": 2, "fork": True, "children": 4}


def test_conditions_nest_and_turn():
    text = (
        "\n".join(
            "#!ifdef A|children=1|#!ifdef B|children=2|#!else|children=3|#!endif|#!else|children=4|#!ifdef B|"  # noqa: SIM905
            "children=5|#!endif|#!endif".split("|")
        )
        + "\n"
    )
    assert values(read(text, defines={"A": None}))["children"] == 3
    assert values(read(text, defines={"A": "1", "B": ""}))["children"] == 2
    assert values(read(text))["children"] == 4
    assert values(read(text, defines={"B": None}))["children"] == 5


def test_defined_names_stand_for_their_values_but_keywords_stay():
    config = read(
        "#!define N 7\n#!define M N\n#!define children 9\n#!trydef N 8\n#!redef K 1\nchildren=M\ntcp_children=N\n"
    )
    assert values(config) == {"children": 7, "tcp_children": 7}
    assert config.problems == ()


def test_a_name_defined_twice_stops_kamailio_and_is_noted():
    config = read("#!define N 7\n#!define N 8\nchildren=N\n")
    assert values(config) == {"children": 7}
    assert "already defined" in config.problems[0].detail


def test_a_value_may_be_spread_over_lines_and_end_in_a_comment():
    config = read("#!define N server_id=1 \\\n children=7 // seven\nN debug=3\nfork=no\n")
    assert values(config) == {"server_id": 1, "children": 7, "fork": False}
    assert config.refusals == ()


def test_a_backslash_right_behind_a_name_continues_nothing():
    assert [each.line for each in read("#!define N \\\n 7\nchildren=N\n").refusals][:1] == [2]


def test_a_name_that_stands_for_itself_ends():
    config = read("#!define A B\n#!define B A\nchildren=A\ndebug=1\n")
    assert config.params["debug"].value == 1
    assert config.problems


def test_substitutions_reach_strings_and_substdefs_define():
    config = read(
        '#!subst "/DBHOST/db.example/g"\n#!substdef "!ADDR!192.0.2.1!g"\n#!substdefs "!LABEL!edge!"\n'
        'listen=tcp:ADDR:5060 name LABEL\nserver_header="DBHOST DBHOST ADDR"\n'
    )
    assert config.params["server_header"].value == "db.example db.example 192.0.2.1"
    assert (config.listens[0].addresses, config.listens[0].name) == (("192.0.2.1",), "edge")


def test_substitution_from_the_environment_is_unsure_where_that_is_not_known():
    text = '#!substdef "!ADDR!$env(MY_IP)!g"\nlisten=tcp:ADDR:5060\n'
    assert read(text, environ={"MY_IP": "192.0.2.9"}).listens[0].addresses == ("192.0.2.9",)
    assert "environment" in read(text, environ=None).unsure[0]


def test_environment_defines():
    text = "#!defenv A\n#!defenvs B=HOME\n#!trydefenv C\nchildren=A\nserver_header=B\n#!ifdef C\ndebug=1\n#!endif\n"
    config = read(text, environ={"A": "3", "HOME": "/root"})
    assert values(config) == {"children": 3, "server_header": "/root"}
    assert "is not set" in read(text).problems[0].detail
    unknown = read(text, environ=None)
    assert not unknown.params["debug"].sure
    assert len(unknown.unsure) >= 3


def test_a_condition_that_cannot_be_told_marks_both_branches():
    config = read(
        "children=1\n#!ifexp strlen(X) > 2\nchildren=2\n#!else\ntcp_children=3\n#!endif\ndebug=1\n",
        version=(5, 7, 1),
    )
    assert {name: setting.sure for name, setting in config.params.items()} == {
        "children": False,
        "tcp_children": False,
        "debug": True,
    }
    assert config.unsure[0].startswith(f"{MAIN}:2: #!ifexp strlen(X) > 2")


def test_names_of_the_version_are_unknown_while_the_version_is():
    text = "#!ifdef KAMAILIO_5_7\nchildren=2\n#!endif\n"
    assert read(text).params == {}
    assert read(text, version=(5, 7, 1)).params["children"].sure
    assert not read(text, version=None).params["children"].sure


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("KAMAILIO_VERSION >= 5006000", True),
        ("KAMAILIO_VERSION < 5007001", False),
        ("A && !B", True),
        ("(A || B) && 2 * 3 == 6", True),
        ('C == "x y"', True),
        ("C != 'x y'", False),
        ("B", False),
        ("A + 1 == 2", True),
    ],
)
def test_expressions_are_evaluated_where_that_is_safe(expression, holds):
    text = f'#!define A\n#!define C "x y"\n#!ifexp {expression}\nchildren=2\n#!endif\n'
    config = read(text, version=(5, 7, 1))
    assert ("children" in config.params) == holds
    assert config.unsure == ()


def test_included_files_are_found_and_missing_ones_noted():
    config = read(
        'include_file "a.cfg"\n#!include_file "/b.cfg"\nimport_file "c.cfg"\ninclude_file "d.cfg"\ndebug=1\n',
        {"/etc/kamailio/a.cfg": "children=3", "/b.cfg": "#!define N 5\ntcp_children=N\n"},
    )
    assert values(config) == {"children": 3, "tcp_children": 5, "debug": 1}
    assert config.params["children"].where == "/etc/kamailio/a.cfg:1"
    assert config.includes == (MAIN, "/etc/kamailio/a.cfg", "/b.cfg")
    assert [(p.source, p.why) for p in config.problems] == [("/etc/kamailio/d.cfg", Why.MISSING)]


def test_relative_includes_are_first_looked_for_where_kamailio_was_started():
    files = {"/a.cfg": "children=1", "/etc/kamailio/a.cfg": "children=2"}
    assert read('include_file "a.cfg"\n', files).params["children"].value == 1
    assert read('include_file "a.cfg"\n', files, directory=None).params["children"].value == 2


def test_after_an_include_that_could_not_be_read_undefined_names_are_unknown():
    for error, why in (
        (PermissionError(errno.EACCES, "x"), Why.DENIED),
        (NotRecorded("x"), Why.NOT_RECORDED),
    ):
        config = read('include_file "/s.cfg"\n#!ifdef A\nchildren=2\n#!endif\n', {"/s.cfg": error})
        assert config.problems[0].why is why
        assert not config.params["children"].sure


def test_files_that_include_themselves_end():
    config = read(
        'include_file "/a.cfg"\n', {"/a.cfg": 'debug=1\ninclude_file "/a.cfg"\ninclude_file "/a.cfg"\n'}
    )
    assert len(config.includes) <= 1000
    assert config.problems


def test_an_unreadable_main_file_is_an_oserror():
    with pytest.raises(FileNotFoundError):
        read_config(lambda path: open(path, "rb").read(), "/nonexistent/kamailio.cfg", {})  # noqa: SIM115


def test_route_blocks_are_passed_over_whatever_they_hold():
    config = read(
        """children=1
route[A] { if ($(ru{s.len}) > 1) { xlog("} $var(x{s})"); } # }
  /* } */ tcp_children = 7; $var(y) = '}';
#!ifdef X
  if (1) {
#!else
  if (2) {
#!endif
    exit; } }
event_route[xhttp:request] { debug = 5; }
onreply_route { debug=6; }
tcp_children=2
"""
    )
    assert values(config) == {"children": 1, "tcp_children": 2}
    assert config.problems == ()


def test_a_lost_brace_costs_one_block_and_is_noted():
    config = read("route[A] {\n if (1) {\n}\nroute[B] {\n exit;\n}\nchildren=3\n")
    assert values(config) == {"children": 3}
    assert "never closed" in config.problems[0].detail


def test_unclosed_strings_and_comments_are_noted():
    for text in ('children=1\nserver_header="x\n', "children=1\n/* /* */\nx=2", "children=1\nroute { $(x \n"):
        config = read(text)
        assert values(config)["children"] == 1
        assert "never closed" in config.problems[0].detail


def test_directives_count_in_comments_of_branches_that_are_left_out():
    config = read("#!ifdef A\n# this was #!endif\nchildren=1\n")
    assert values(config) == {"children": 1}


def test_endif_with_something_behind_it_is_read_and_noted():
    config = read("#!ifdef A\nchildren=1\n#!endif A\ndebug=1\n")
    assert values(config) == {"debug": 1}
    assert config.problems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("listen=udp:10.0.0.1:5060", [("udp", ("10.0.0.1",), 5060)]),
        ("listen=10.0.0.1", [("", ("10.0.0.1",), 0)]),
        ("listen=tls:eth0:5061", [("tls", ("eth0",), 5061)]),
        ('listen="eth0"', [("", ("eth0",), 0)]),
        ("listen=tcp:[2001:db8::1]:5060", [("tcp", ("2001:db8::1",), 5060)]),
        ("listen=sctp:(10.0.0.1, 10.0.0.2):5060", [("sctp", ("10.0.0.1", "10.0.0.2"), 5060)]),
        ("listen=*:sip-1.example.com:*", [("", ("sip-1.example.com",), 0)]),
        (
            "listen=tcp:10.0.0.1:5060 tls:10.0.0.1:5061\n  udp:10.0.0.2:5060",
            [("tcp", ("10.0.0.1",), 5060), ("tls", ("10.0.0.1",), 5061), ("udp", ("10.0.0.2",), 5060)],
        ),
    ],
)
def test_listeners(text, expected):
    config = read(text + "\nchildren=3\n")
    assert [(x.protocol, x.addresses, x.port) for x in config.listens] == expected
    assert values(config) == {"children": 3}
    assert config.problems == ()


def test_listener_options_and_workers():
    config = read(
        'socket_workers=4\nlisten=tcp:10.0.0.1:5060 advertise 192.0.2.1:5060 name "edge" virtual\n'
        "listen=tcp:10.0.0.2:5060\n"
    )
    first, second = config.listens
    assert (first.advertise, first.name, first.virtual, first.workers) == ("192.0.2.1:5060", "edge", True, 4)
    assert (second.workers, second.virtual) == (0, False)


def test_socket_blocks():
    config = read(
        'socket = {\n bind = tcp:10.0.0.1:5060-5070;\n workers = 0x8\n name = "s"; advertise = 192.0.2.1:5060;\n'
        ' virtual = yes;\n}\nsocket={ name="x" }\ndebug=1\n',
        version=(6, 0, 0),
    )
    (listen,) = config.listens
    assert (listen.protocol, listen.port, listen.port_end, listen.workers) == ("tcp", 5060, 5070, 8)
    assert (listen.name, listen.advertise, listen.virtual) == ("s", "192.0.2.1:5060", True)
    assert config.problems[0].detail == "socket without bind"
    assert values(config) == {"debug": 1}


def test_modules_and_their_parameters():
    config = read(
        'mpath="/usr/lib/kamailio/modules"\nloadmodule "tls.so"\nloadmodule("/x/websocket.so", "gb")\n'
        'modparam("tls|tm", "connection_timeout", 60)\nmodparam("^tls$", "x", -1)\n'
        'modparam("TLS", "connection_timeout", 30)\nmodparam("tm", "fr", "a" "b")\n'
        "#!ifdef MOD_tls\nenable_tls=yes\n#!endif\nalias=a.example b.example:5060\n"
    )
    assert [module.name for module in config.modules] == ["tls", "websocket"]
    assert loads(config, "websocket")
    assert not loads(config, "tm")
    found = modparam(config, "tls", "connection_timeout")
    assert (found.value, found.line) == (30, 6)
    assert modparam(config, "tm", "connection_timeout").value == 60
    assert modparam(config, "tls", "x").value == -1
    assert modparam(config, "tm", "fr").value == "ab"
    assert modparam(config, "tm", "nothing") is None
    assert config.params["enable_tls"].value is True
    assert config.aliases == ("a.example", "b.example:5060")


def test_kemi_files_are_read_like_any_other():
    config = read(
        '#!KAMAILIO\nchildren=2\nloadmodule "app_lua.so"\nmodparam("app_lua", "load", "/x.lua")\ncfgengine "lua"\n'
    )
    assert values(config) == {"children": 2, "cfgengine": "lua"}
    assert config.problems == ()


def test_windows_line_ends_and_broken_utf8_do_no_harm():
    config = read("#!define A\r\n#!ifdef A\r\nchildren=2\r\n#!endif\r\n")
    assert values(config) == {"children": 2}
    assert values(read_config(lambda _: b'children=3\nserver_header="\xff\xfe"\n', MAIN, {}))["children"] == 3


def test_a_config_survives_its_own_serialisation():
    config = read(
        'children=2\nfork=no\nlisten=tcp:10.0.0.1:5060\nmodparam("a","b",1)\ninclude_file "x"\n#!ifexp ?\n',
        version=(5, 7, 1),
    )
    assert config.problems
    assert config.unsure
    assert msgspec.json.decode(msgspec.json.encode(config), type=Config) == config
    assert isinstance(config.problems[0], Absent)


PIECES = st.sampled_from(
    """#!define|#!ifdef|#!ifndef|#!else|#!endif|#!ifexp|#!subst|#!substdef|#!defenv|#!redef|#!undef|!!ifdef|A|B|\n|\n|
    = |{|}|(|)|[|]|"|'|/*|*/|#|//|;|$|$(|$var(|listen|socket|children|route|modparam|loadmodule|include_file|"a.cfg"
    |"/A/B/g"|tcp:|1.2.3.4|:5060|::1|advertise|name|yes|-|0x1|\\|\\\n|é|\x00|alias|coreparam|KAMAILIO_5|&&|==""".split(  # noqa: SIM905
        "|"
    )
)


@settings(max_examples=100, deadline=2000)
@given(
    st.lists(PIECES, max_size=60).map(" ".join)
    | st.lists(PIECES, max_size=60).map("".join)
    | st.text(max_size=200)
)
@example("#!subst " * 3000)
@example("[" * 5000 + "((((" * 2000 + "{" * 5000)
@example('\\"' * 20000 + '"')
@example("#!ifdef A\n" * 3000)
@example("#!ifexp " + "(" * 3000)
@example("#!ifexp " + "!" * 150)
@example("listen=" + "a" * 20000)
def test_any_text_gives_a_config(text):
    config = read(text, {"/a.cfg": text, "/etc/kamailio/a.cfg": text}, environ=None, version=None)
    assert msgspec.json.decode(msgspec.json.encode(config), type=Config) == config


@settings(max_examples=50, deadline=2000)
@given(st.binary(max_size=300))
def test_any_bytes_give_a_config(data):
    read_config(lambda _: data, MAIN, {"A": "A B", "children": '"'})


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from(["children", "tcp_children", "debug", "tcp_wq_max"]),
        st.integers(-(2**31) + 1, 2**31 - 1),
    )
)
def test_what_is_written_is_read(numbers):
    text = "".join(f"{name} = {number}\n" for name, number in numbers.items())
    assert values(read(text)) == numbers
