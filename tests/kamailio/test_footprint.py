"""Processes and memory of a Kamailio that is not started: the parts, and how sure they are.

Whether the sums are right is measured with a real one in tests/stops/test_before_start.py.
"""

from __future__ import annotations

import pytest

from kamtcp.kamailio import cmdline, footprint
from kamtcp.kamailio.config import Config, read_config
from kamtcp.kamailio.preprocess import Stream
from kamtcp.kamailio.versions import parse_version
from kamtcp.kamailio.weight import weigh

OLD, NEW = parse_version("5.6.3"), parse_version("6.1.4")


def line(*arguments: str) -> cmdline.CommandLine:
    return cmdline.parse("\0".join(("kamailio", *arguments)).encode())


def config(text: str) -> Config:
    return read_config(lambda _: f"#!KAMAILIO\n{text}".encode(), "/k.cfg", {}, version=(5, 6, 3))


def weight(script: str) -> int:
    text = f"#!KAMAILIO\nrequest_route {{\n{script}\n}}\n"
    stream = Stream(lambda _: text.encode(), {}, environ=None, version=(5, 6, 3), directory="/")
    stream.frames.push_file("/k.cfg", text.encode())
    return weigh(stream, "/k.cfg")


@pytest.mark.parametrize(
    ("statement", "measured"),
    [
        ('sl_send_reply("404", "Not");', 1607), ('is_method("INVITE");', 1107), ("exit;", 348),
        ('xlog("hello");', 1243), ('$var(a) = "value";', 2916), ("$var(a) = 5;", 2572), ("$var(a) = $rU;", 2808),
        ('$var(a) = $rU + "x";', 6832), ('if (is_method("INVITE")) { exit; }', 3667),
        ('if ($rU == "x") { exit; }', 6784), ("if ($rs == 200) { exit; }", 6440), ("if ($rU) { exit; }", 2760),
        ('if (is_method("INVITE") && is_method("ACK")) { exit; }', 8491), ('if (!is_method("INVITE")) { exit; }', 5507),
    ],
)  # fmt: skip
def test_statements_weigh_what_was_measured(statement, measured):
    each = (weight(statement * 40) - weight("")) / 40
    assert each == pytest.approx(measured, rel=0.2)


def test_comments_and_branches_left_out_weigh_nothing():
    assert weight("# if ($rU == 1) { exit; }\n/* exit; */\n#!ifdef NO\nexit;\n#!endif\n") == weight("")


@pytest.mark.parametrize(
    "script", ["{" * 5000, "if (" * 5000, '"' + "$" * 100_000 + '";', "&" * 5000, "}" * 10]
)
def test_nonsense_is_weighed_without_complaint(script):
    assert weight(script) >= 0


class TestProcesses:
    def count(self, text: str, *arguments: str, workers: int = 4) -> int:
        return footprint.processes(line(*arguments), config(text), workers)

    def test_each_part(self):
        base = self.count("listen=udp:127.0.0.1:5060\nchildren=1\n")
        assert base == 5 + 4 + 1
        assert self.count("listen=udp:127.0.0.1:5060\nlisten=udp:127.0.0.2:5060\nchildren=3\n") == base + 5
        assert self.count("listen=udp:127.0.0.1:5060\nchildren=3\n", "-n", "1") == base
        assert self.count("listen=tcp:127.0.0.1:5060\nchildren=3\n") == base - 1
        assert (
            self.count('listen=tcp:127.0.0.1:5060\nloadmodule "ctl.so"\nloadmodule "jsonrpcs.so"\n')
            == base + 2
        )
        assert self.count('listen=tcp:127.0.0.1:5060\nloadmodule "websocket.so"\n') == base + 1
        assert self.count("listen=tcp:127.0.0.1:5060\nasync_workers=4\n") == base + 3


class TestMemory:
    def test_more_of_everything_is_more(self):
        small = footprint.private_memory(line(), config(""), 0, OLD)
        more = footprint.private_memory(
            line(), config('loadmodule "tm.so"\nmodparam("tm", "a", 1)\n'), 100_000, OLD
        )
        assert small.low < small.likely < small.high
        assert more.low > small.low
        assert more.high - more.low > small.high - small.low

    def test_an_unknown_version_is_less_sure(self):
        old, new = (footprint.private_memory(line(), config(""), 0, each) for each in (OLD, NEW))
        unknown = footprint.private_memory(line(), config(""), 0, None)
        assert new.likely > old.likely + 500_000
        assert unknown.low <= old.likely
        assert unknown.high >= new.likely

    def test_the_manager_counts(self):
        assert (
            footprint.private_memory(line("-x", "fm"), config(""), 0, OLD).likely
            < footprint.private_memory(line("-x", "fm", "-X", "qm"), config(""), 0, OLD).likely
        )

    def test_tls_takes_shared_memory_for_each_process(self):
        tls = config('loadmodule "tls.so"\n')
        assert (
            footprint.shared_memory(tls, 40).likely - footprint.shared_memory(tls, 20).likely == 20 * 170_000
        )
