"""Paths of another root are followed within that root."""

from __future__ import annotations

import pytest

from kamtcp.host.inroot import in_root


def test_an_absolute_link_stays_within_the_root(tmp_path):
    """/var/run is a link to /run on every Debian; the kernel would follow it into our own /run."""
    (tmp_path / "run/kamailio").mkdir(parents=True)
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("/run")
    (tmp_path / "up").symlink_to("../../../run")
    root = str(tmp_path)
    assert in_root(root, "/var/run/kamailio//kamailio_ctl") == f"{root}/run/kamailio/kamailio_ctl"
    assert in_root(root, "/up/kamailio") == f"{root}/run/kamailio"
    assert in_root(root, "/../../etc/./passwd") == f"{root}/etc/passwd"
    assert in_root(root, "/") == root


def test_our_own_root_changes_nothing():
    """Without a root the path comes back as it was given."""
    assert in_root("", "/var/run/kamailio//kamailio_ctl") == "/var/run/kamailio//kamailio_ctl"


def test_links_in_a_circle_end(tmp_path):
    """ELOOP, as from the kernel."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        in_root(str(tmp_path), "/a")
