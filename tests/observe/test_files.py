from __future__ import annotations

import contextlib

from fake_host import ThisHost, TreeHost
from kamtcp.model.absent import Why
from kamtcp.observe import files
from kamtcp.observe.files import DentryState, FileNr, Files, InodeState


def test_three_files_of_an_old_kernel(linux_3_10):
    expected = Files(FileNr(1024, 382000), InodeState(30000, 500), DentryState(40000, 30000, 0))
    assert files.collect(linux_3_10) == expected


def test_each_fails_by_itself():
    host = TreeHost({"/proc/sys/fs/file-nr": b"509\t0\t9223372036854775807\n"})
    found = files.collect(host)
    assert found.file_nr == FileNr(509, 2**63 - 1)
    assert found.inode_state.why is Why.MISSING


def test_2300_more_open_files_are_seen():
    """The number is the machine's, and others open and close files too: one clear round of five is enough."""

    def growth():
        before = files.collect(ThisHost()).file_nr.allocated
        with contextlib.ExitStack() as held:
            for _ in range(2300):
                held.enter_context(open("/dev/null"))
            return files.collect(ThisHost()).file_nr.allocated - before

    assert any(2000 < growth() < 4000 for _ in range(5))
