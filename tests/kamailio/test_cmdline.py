from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamtcp.errors import ParseError
from kamtcp.kamailio.cmdline import DEFAULT_CONFIG, CommandLine, GivenModParam, parse


def line(*arguments: str) -> CommandLine:
    return parse("\0".join(["/usr/sbin/kamailio", *arguments, ""]).encode())


def test_the_packaged_unit_s_command_line():
    found = line(
        "-P", "/run/kamailio/kamailio.pid", "-f", "/etc/kamailio/kamailio.cfg", "-m", "64", "-M", "8"
    )
    assert (found.shm_mb, found.pkg_mb, found.config_path) == (64, 8, DEFAULT_CONFIG)
    assert found.pid_file == "/run/kamailio/kamailio.pid"
    assert found.tcp_children is None
    assert found.wrong == ()


def test_options_may_be_glued_bundled_or_separate():
    found = line("-m64", "-DDEdd", "-N", "4", "-n2", "-ETM16", "-x", "fm", "-Xtlsf", "-Wselect")
    assert (found.shm_mb, found.tcp_children, found.children, found.pkg_mb) == (64, 4, 2, 16)
    assert (found.stay_in_front, found.debug, found.log_stderr, found.disable_tcp) == (2, 2, True, True)
    assert (found.shm_manager, found.pkg_manager, found.poll_method) == ("fm", "tlsf", "select")


def test_the_last_of_several_counts_and_lists_keep_all():
    found = line("-m", "1", "-m", "2", "-l", "udp:127.0.0.1", "-ltcp:127.0.0.1:5060", "-AX", "-A", "Y=a=b")
    assert found.shm_mb == 2
    assert found.listens == ("udp:127.0.0.1", "tcp:127.0.0.1:5060")
    assert found.defines == {"X": None, "Y": "a=b"}


def test_long_options_take_their_value_either_way_and_may_be_cut():
    found = line(
        "--substdef=/A/B/",
        "--subst",
        "/C/D/",
        "--modparam=tls:x:s:a:b",
        "--modparam",
        "tm:fr:i:-5",
        "--loadmodule=tls.so",
        "--debug=3",
        "--server",
        "7",
        "--atexit=no",
        "--alias=x.example",
    )
    assert found.substitutions == (("substdef", "/A/B/"), ("subst", "/C/D/"))
    assert found.modparams == (GivenModParam("tls", "x", "a:b"), GivenModParam("tm", "fr", -5))
    assert (found.modules, found.debug, found.server_id, found.aliases) == (("tls.so",), 3, 7, ("x.example",))
    assert found.wrong == ()


def test_where_and_as_whom_it_runs():
    found = line(
        "-u", "kam", "-g", "kam", "-t", "/jail", "-w", "/tmp", "-Y", "/run/k", "-G", "/run/g", "-L/mods"
    )
    assert (found.user, found.group, found.chroot, found.workdir) == ("kam", "kam", "/jail", "/tmp")
    assert (found.runtime_dir, found.pgid_file, found.module_path) == ("/run/k", "/run/g", "/mods")


def test_what_kamailio_would_not_accept_is_kept_apart():
    found = line("-m", "64k", "stray", "-Z", "--nosuch=1", "--modparam=a:b", "-AX", "-AX=1", "-N")
    assert found.shm_mb is None
    assert len(found.wrong) == 7
    assert found.defines == {"X": None}


def test_nothing_behind_two_dashes_is_an_option():
    assert line("--", "-m", "64").shm_mb is None


def test_no_command_line_is_a_parse_error():
    for data in (b"", b"\0"):
        with pytest.raises(ParseError):
            parse(data)


@settings(max_examples=100)
@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            [
                "-m",
                "-f",
                "--modparam",
                "--sub",
                "-A",
                "=",
                "64",
                "-DDE",
                "--",
                "-",
                "a:b:i:9",
                "--modparam=a:b::",
            ]
        )
    ).map(lambda words: "\0".join(["k", *words]).encode())
)
def test_only_parse_error_escapes(data):
    try:
        found = parse(data)
    except ParseError:
        return
    assert msgspec.json.decode(msgspec.json.encode(found), type=CommandLine) == found
