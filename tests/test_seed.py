"""docs/seed.md: a row for each line of the page that kamtcp grew from, and each command in it works."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from commands import run

from kamtcp.capacity.catalogue import BY_NAME as CEILINGS
from kamtcp.cli.explain_find import find
from kamtcp.diagnose.codes import BY_CODE

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/seed.md").read_text(encoding="utf-8")
RECORDING = str(ROOT / "tests/data/reference.kamtcp")

#: the lines of the page that say something, in its order and in few words: section, and what the row's first cell holds
LINES = (
    ("0.", "more than 1,000 open connections"),
    ("0.", "Linux only"),
    ("1.1", "connection rate is too small"),
    ("1.1", "net.core.somaxconn"),
    ("1.1", "net.ipv4.tcp_max_syn_backlog"),
    ("1.1", "net.ipv4.tcp_timestamps"),
    ("1.1", "tcp_tw_recycle"),
    ("1.2", "close_wait"),
    ("1.2", "break normal TCP use"),
    ("1.2", "net.ipv4.tcp_max_tw_buckets"),
    ("1.2", "net.ipv4.tcp_tw_recycle"),
    ("1.2", "net.ipv4.tcp_tw_reuse"),
    ("1.2", "net.ipv4.tcp_syncookies"),
    ("1.3", "net.ipv4.ip_local_port_range"),
    ("1.4", "fs.file-max"),
    ("1.5", "other sysctls"),
    ("1.5", "fs.epoll.max_user_instances"),
    ("1.5", "fs.epoll.max_user_watches"),
    ("1.5", "net.ipv4.tcp_max_orphans"),
    ("1.5", "net.core.netdev_max_backlog"),
    ("Related", "txqueuelen"),
    ("Related", "ip_conntrack"),
    ("Related", "iptables modules"),
    ("2.1", "fs.dentry-state"),
    ("2.1", "fs.file-nr"),
    ("2.1", "fs.inode-state"),
    ("2.2", "TW"),
    ("2.2", "TWRecycled"),
    ("2.2", "TWKilled"),
    ("2.2", "PAWPassive"),
    ("2.2", "PAWActive"),
    ("2.2", "PASWEstab"),
    ("2.2", "cut columns"),
    ("2.2", "/proc/net/sockstat"),
    ("3.", "tcp_max_connections"),
    ("3.", "shared memory"),
    ("3.", "tcp_children"),
    ("3.", "2,000 connections"),
    ("3.", "TCP_BUF_SIZE"),
    ("3.", "PKG_MEM_POOL_SIZE"),
    ("3.", "ulimit -n"),
)  # fmt: skip


def rows() -> list[tuple[str, str, str, str]]:
    """Section, and the three cells of each row."""
    found, section = [], ""
    for line in PAGE.splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif line.startswith("| ") and not line.startswith("| the page says"):
            cells = [each.strip() for each in line.strip("|").split(" | ")]
            assert len(cells) == 3, line
            found.append((section, *cells))
    return found


ROWS = rows()
COMMANDS = list(dict.fromkeys(re.findall(r"`(kamtcp [^`]+)`", PAGE)))


def test_each_line_has_its_row_in_its_place():
    assert len(ROWS) == len(LINES)
    for (section, says, _, _), (wanted, words) in zip(ROWS, LINES, strict=True):
        assert section.startswith(wanted), (section, says)
        assert words in says


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1][:40])
def test_a_row_says_what_is_true_today_and_names_a_command(row):
    _, _, today, does = row
    assert len(today) > 30
    assert "`kamtcp " in does


def test_every_name_of_the_page_is_explained_by_its_row():
    """As the page spells it, PAWPassive and PASWEstab included; what is a name stands in the row's command."""
    names = (ROOT / "tests/catalogue/seed_names.txt").read_text().splitlines()
    named = {each for command in COMMANDS for each in shlex.split(command)[2:]}
    meant = {subject for each in named for subject in (find(each) if isinstance(find(each), tuple) else ())}
    for name in names:
        if name and not name.startswith("#"):
            found = find(name)
            assert isinstance(found, tuple), name
            assert set(found) & meant, name


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_works(command, capsys):
    words = shlex.split(command)[1:]
    told = run(capsys, *words, *(() if "--list" in words else ("--from", RECORDING)))
    assert told.err == ""
    assert told.code in ((0,) if words[0] == "explain" else (0, 1, 3))
    assert len(told.out.splitlines()) > 3


def test_each_code_and_each_ceiling_exists():
    codes = set(re.findall(r"`([A-Z]{3}\d{3})`", PAGE))
    assert codes <= set(BY_CODE)
    assert len(codes) > 30
    for _, _, _, does in ROWS:
        for listed in re.findall(r"ceilings? ((?:`[a-z-]+`(?:, | and )?)+)", does):
            for name in re.findall(r"`([a-z-]+)`", listed):
                assert name in CEILINGS, name
