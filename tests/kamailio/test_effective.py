from __future__ import annotations

from kamtcp.kamailio.cmdline import CommandLine
from kamtcp.kamailio.config import Config, read_config
from kamtcp.kamailio.effective import pkg_megabytes, shm_megabytes, tcp_children
from kamtcp.model.absent import Absent, Why

GONE = Absent("/k.cfg", Why.DENIED)


def config(text: str) -> Config:
    return read_config(lambda _: text.encode(), "/k.cfg", {})


def line(**options: int) -> CommandLine:
    return CommandLine("kamailio", **options)


def test_the_default_on_the_command_line_counts_as_not_given():
    found = shm_megabytes(line(shm_mb=64), config("shm_mem_size=128"))
    assert (found.value, found.origin) == (128, "/k.cfg:1")
    assert "counts as not given" in found.note
    found = shm_megabytes(line(shm_mb=65), config("shm_mem_size=128"))
    assert (found.value, found.origin) == (65, "command line -m 65")
    assert "/k.cfg:1 is ignored" in found.note


def test_the_first_size_in_the_file_that_is_not_the_default_counts():
    found = shm_megabytes(line(), config("shm=64\nshm=96\nshm=128"))
    assert (found.value, found.origin) == (96, "/k.cfg:2")
    assert "/k.cfg:3 is ignored" in found.note


def test_without_a_file_only_another_size_than_the_default_is_known():
    assert shm_megabytes(line(shm_mb=64), GONE).value == GONE
    assert shm_megabytes(line(shm_mb=128), GONE).value == 128
    assert tcp_children(line(children=4), GONE).value == GONE
    assert tcp_children(line(tcp_children=4), GONE).value == 4


def test_defaults():
    assert shm_megabytes(line(), config("")).value == 64
    assert shm_megabytes(line(shm_mb=64), config("")).origin == "command line -m 64"
    assert shm_megabytes(line(), config(""), default=32).value == 32
    assert pkg_megabytes(line()).value == 8
    assert pkg_megabytes(line(pkg_mb=16)).value == 16
    assert tcp_children(line(), config("")).value == 8


def test_workers_in_the_order_of_the_sources():
    assert tcp_children(line(tcp_children=5, children=6), config("tcp_children=3")).value == 5
    assert tcp_children(line(children=6), config("tcp_children=3\nchildren=4")).value == 3
    assert tcp_children(line(children=6), config("children=4")).origin == "command line -n 6"
    assert tcp_children(line(), config("children=4")).origin == "/k.cfg:1"


def test_doubt_is_passed_on():
    text = "#!ifexp nosuch(1)\nshm=128\ntcp_children=2\n#!endif\n"
    assert not shm_megabytes(line(), config(text)).sure
    assert not tcp_children(line(), config(text)).sure
