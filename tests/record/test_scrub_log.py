"""Log lines of other programs do not leave the host; those of Kamailio, the kernel and systemd keep their words."""

from __future__ import annotations

import os

import pytest

from kamtcp.record.scrub import Scrubber

KEY = ("within:831", "tail", "/var/log/syslog")


def scrubbed(text: str) -> str:
    answer = Scrubber(os.urandom(32)).answer(KEY, text.encode())
    assert isinstance(answer, bytes)
    return answer.decode()


@pytest.mark.parametrize(
    "line",
    [
        "Nov 22 10:00:01 sip1 CRON[812]: (root) CMD (mysqldump -u root -pGEHEIM7 kamailio)",
        "Nov 22 10:00:01 sip1 sudo: peter : TTY=pts/0 ; COMMAND=/usr/bin/kamctl add 77 GEHEIM7",
        "2025-11-22T10:00:01.123456+01:00 sip1 backup[9]: using GEHEIM7 today\n  and GEHEIM7 again",
        "<13>1 2025-11-22T10:00:01Z sip1 app 12 ID GEHEIM7",
    ],
)
def test_other_programs_lose_their_words(line):
    found = scrubbed(line)
    assert "GEHEIM7" not in found
    assert found.count("\n") == line.count("\n")


@pytest.mark.parametrize(
    "words",
    [
        "/usr/sbin/kamailio[831]: CRITICAL: <core> [core/tcp_main.c:5073]: maximum number of connections exceeded: 2048",
        "sbc[831]: ERROR: <core> [core/tcp_main.c:5073]: maximum number of connections exceeded: 2048",
        "kernel: [ 12.5] TCP: too many orphaned sockets",
        "systemd[1]: kamailio.service: Main process exited, code=exited, status=255",
    ],
)
def test_messages_that_are_counted_stay(words):
    assert scrubbed(f"Nov 22 10:00:01 sip1 {words}\n").endswith(words + "\n")
