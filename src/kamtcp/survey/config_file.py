"""Files of a configuration, which others may have written: only whole, and only what reading doesn't change."""

from __future__ import annotations

import errno
import os
import posixpath

from kamtcp.host.door import MIB, Host


def opened(host: Host, name: str) -> bytes:
    """Contents of one file.

    Raises:
        OSError: EPERM below /proc and /sys, where reading may take from others (kmsg); EFBIG from 4 MiB on, since
            half a configuration is none; else as the kernel gave it.
    """
    if posixpath.normpath(name).startswith(("/proc/", "/sys/")):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), name)
    data = host.read(name)
    if len(data) >= 4 * MIB:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
    return data
