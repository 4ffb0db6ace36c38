"""Files that are taken for settings of a service: limits.conf and modprobe.d."""

from __future__ import annotations

import errno

from hypothesis import given, settings
from hypothesis import strategies as st

from fake_host import TreeHost
from kamtcp.observe import modprobe, pamlimits


def test_limits_on_files_and_locked_memory_are_kept_with_their_places():
    text = b"# kamailio soft nofile 1\nkamailio soft nofile 65535\n@sip hard  nofile  unlimited # why\n* - memlock 64\n* soft core 0\nbad line\n"
    found = pamlimits.parse(text, "/etc/security/limits.conf")
    assert [(each.domain, each.kind, each.item, each.value, each.line) for each in found] == [
        ("kamailio", "soft", "nofile", "65535", 2), ("@sip", "hard", "nofile", "unlimited", 3), ("*", "-", "memlock", "64", 4),
    ]  # fmt: skip


def test_the_directory_comes_after_the_file():
    files = {"/etc/security/limits.d/b.conf": b"* - nofile 2\n", "/etc/security/limits.d/a.conf": b"* - nofile 1\n",
             "/etc/security/limits.conf": b"* - nofile 0\n", "/etc/security/limits.d/README": b"* - nofile 9\n"}  # fmt: skip
    lines, problems = pamlimits.collect(TreeHost(files))
    assert [each.value for each in lines] == ["0", "1", "2"]
    assert problems == ()


def test_what_may_not_be_read_is_told():
    _, problems = pamlimits.collect(TreeHost({"/etc/security/limits.conf": errno.EACCES}))
    assert [each.source for each in problems] == ["/etc/security/limits.conf"]
    _, problems = modprobe.collect(TreeHost({"/etc/modprobe.d/x.conf": errno.EACCES}))
    assert [each.source for each in problems] == ["/etc/modprobe.d/x.conf"]


def test_options_of_connection_tracking_are_kept_and_lines_joined():
    text = b"# options nf_conntrack hashsize=1\noptions nf-conntrack \\\n  hashsize=65536 acct=1\nblacklist ip_conntrack\noptions snd_hda x=1\ninstall nf_nat /bin/true\n"
    found = modprobe.parse(text, "/etc/modprobe.d/nf.conf")
    assert [(each.command, each.module, each.where) for each in found] == [
        ("options", "nf_conntrack", "/etc/modprobe.d/nf.conf:2"), ("blacklist", "ip_conntrack", "/etc/modprobe.d/nf.conf:4"),
        ("install", "nf_nat", "/etc/modprobe.d/nf.conf:6"),
    ]  # fmt: skip
    assert found[0].option("hashsize") == "65536"
    assert found[0].option("nothing") is None
    assert found[1].option("hashsize") is None


def test_a_file_of_the_same_name_is_read_once():
    files = {
        "/lib/modprobe.d/nf.conf": b"options nf_conntrack hashsize=1\n",
        "/etc/modprobe.d/nf.conf": b"options nf_conntrack hashsize=2\n",
    }
    lines, _ = modprobe.collect(TreeHost(files))
    assert [each.option("hashsize") for each in lines] == ["2"]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read(data):
    for parse in (pamlimits.parse, modprobe.parse):
        for each in parse(data, "f"):
            assert each.line >= 1
