"""DefaultLimitNOFILE of systemd: which line counts."""

from __future__ import annotations

import errno

from fake_host import TreeHost
from kamtcp.model.absent import UNLIMITED, Why
from kamtcp.model.settings import ManagerLimit
from kamtcp.observe.managerconf import collect, parse

FILE = "/etc/systemd/system.conf"


def test_lines_of_the_manager_alone_count_and_an_empty_one_takes_back():
    text = (
        b"[Manager]\n#DefaultLimitNOFILE=1\nDefaultLimitNOFILE=1024:infinity\n[Other]\nDefaultLimitNOFILE=7\n"
    )
    assert parse(text, FILE) == (ManagerLimit(1024, UNLIMITED, FILE, 3),)
    assert parse(text + b"[Manager]\nDefaultLimitNOFILE=\n", FILE) == ()
    assert parse(b"[Manager]\nDefaultLimitNOFILE=many\nDefaultLimitNOFILE=9:5\n", FILE) == ()


def test_files_go_by_name_behind_the_first_main_file():
    line = b"[Manager]\nDefaultLimitNOFILE=%d\n"
    lines, problems = collect(TreeHost({
        FILE: line % 1, "/usr/lib/systemd/system.conf": line % 2, "/usr/lib/systemd/system.conf.d/10-x.conf": line % 3,
        "/etc/systemd/system.conf.d/20-y.conf": line % 4, "/etc/systemd/system.conf.d/10-x.conf": line % 5,
    }))  # fmt: skip
    assert [each.soft for each in lines] == [1, 5, 4]
    assert lines[-1].where == "/etc/systemd/system.conf.d/20-y.conf:2"
    assert problems == ()


def test_what_may_not_be_read_is_said():
    lines, problems = collect(TreeHost({FILE: errno.EACCES}))
    assert lines == ()
    assert [(each.source, each.why) for each in problems] == [(FILE, Why.DENIED)]


def test_no_bytes_whatever_break_it():
    for data in (
        b"",
        b"\xff\x00",
        b"[Manager]\nDefaultLimitNOFILE=" + b"9" * 5000,
        b"[Manager]\nDefaultLimitNOFILE=1:2:3\n",
    ):
        parse(data, FILE)
