from __future__ import annotations

import errno
import os
import subprocess
import sys

from fake_host import ThisHost, TreeHost
from kamtcp.model.absent import Absent, Why
from kamtcp.observe import logs

LINE = b"Nov 22 12:00:00 sip1 kamailio[831]: ERROR: <core> could not accept\n"


def test_the_file_of_stderr_comes_first():
    host = TreeHost(
        {"/srv/sip.log": LINE * 3, "/var/log/syslog": LINE},
        {"/proc/831/fd/1": "/dev/null", "/proc/831/fd/2": "/srv/sip.log"},
    )
    found = logs.collect(host, 831)
    assert (found.log.path, found.log.chosen, len(found.lines), found.whole) == (
        "/srv/sip.log",
        "fd 2 of 831",
        3,
        True,
    )


def test_a_device_or_a_deleted_file_is_no_log():
    """Then the usual files are looked at."""
    links = {"/proc/831/fd/1": "/dev/null", "/proc/831/fd/2": "/srv/sip.log (deleted)"}
    host = TreeHost({"/dev/null": b"", "/var/log/syslog": LINE}, links)
    assert logs.find(host, 831).path == "/var/log/syslog"


def test_files_are_looked_for_where_the_process_lives():
    links = {"/proc/831/fd/2": "/srv/sip.log"}
    found = logs.collect(TreeHost({"/srv/sip.log": b"mine\n"}, links), 831, TreeHost({"/srv/sip.log": LINE}))
    assert found.lines == (LINE.decode().rstrip(),)


def test_a_long_log_is_read_from_its_end_only():
    """The line that the cut went through is dropped."""
    found = logs.collect(TreeHost({"/var/log/messages": LINE * 1000}), 831, limit=200)
    assert not found.whole
    assert found.lines == (LINE.decode().rstrip(),) * 2


def test_the_journal_is_named_and_not_read():
    host = TreeHost({"/run/systemd/journal/socket": b""}, {"/proc/831/fd/2": "socket:[4711]"})
    found = logs.collect(host, 831)
    assert found.why is Why.NOT_ASKED
    assert "journalctl" in found.detail


def test_no_log_at_all_is_missing_and_a_hidden_one_denied():
    assert logs.collect(TreeHost(), 831).why is Why.MISSING
    assert logs.collect(TreeHost({"/var/log/syslog": errno.EACCES}), 831).why is Why.DENIED


def test_a_real_process_that_writes_to_a_file(tmp_path):
    path = tmp_path / "sip.log"
    code = "import sys; print('one\\ntwo', file=sys.stderr, flush=True); print(flush=True); input()"
    with (
        open(path, "w") as log,
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        ) as child,
    ):
        child.stdout.readline()
        found = logs.collect(ThisHost(), child.pid)
        child.communicate(b"\n")
    assert not isinstance(found, Absent)
    assert (found.log.path, found.lines) == (os.fspath(path), ("one", "two"))


def test_bytes_that_are_no_text_stay_readable():
    assert logs.parse(b"caf\xe9\n") == ("caf\\xe9",)
