"""What is wrong with a configuration, with the line and a caret below the word."""

from __future__ import annotations

import pytest

from kamtcp.kamailio.caret import pointed, refused
from kamtcp.kamailio.config import read_config


def problems(text: str, version=(5, 6, 3)):
    files = {"/etc/k.cfg": text.encode()}

    def open_file(name: str) -> bytes:
        if name not in files:
            raise FileNotFoundError(2, "No such file or directory", name)
        return files[name]

    found = read_config(open_file, "/etc/k.cfg", {}, version=version)
    return [pointed(each, open_file) for each in found.problems], [refused(each) for each in found.problems]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("#!KAMAILIO\n  tcp_children=lots\n", 2, "lots"),
        ("#!KAMAILIO\nlisten=tcp:1:2:3:x\n", 2, "tcp:1:2:3:x"),
        ('#!KAMAILIO\n\ninclude_file "gone.cfg"\n', 3, "gone.cfg"),
        ('#!KAMAILIO\n\tmodparam("tm")\n', 2, "modparam"),
        ("#!KAMAILIO\n#!define A A\ntcp_children=A\n", 3, "A"),
        ('#!KAMAILIO\nloadmodule "tm.so"\nmodparam("tm", "x", 1)\nshm_mem_size=128\n', 4, "shm_mem_size"),
    ],
)
def test_the_caret_stands_below_the_word(text, line, word):
    shown, wrong = problems(text)
    head, source, caret = shown[0]
    assert head.startswith(f"/etc/k.cfg:{line}: ")
    assert source[caret.index("^") :].startswith(word)
    assert caret.strip() == "^"
    assert wrong[0]


def test_what_kamailio_takes_otherwise_is_no_refusal():
    assert problems("#!KAMAILIO\ntcp_max_connections=99999999999\n")[1] == [False]
    assert problems("#!KAMAILIO\n#!ifexp 1\n#!endif\n")[1] == [False]


def test_a_very_long_line_is_cut_around_the_word():
    shown, _ = problems("#!KAMAILIO\n" + " " * 5000 + "tcp_children=lots\n")
    assert len(shown[0][1]) < 120
    assert shown[0][1][shown[0][2].index("^") :].startswith("lots")


def test_a_place_behind_the_end_has_no_line():
    shown, _ = problems("#!KAMAILIO\n#!ifdef A\n")
    assert len(shown[0]) == 1
