"""Which path, from here, is that path within another root?

`/proc/831/root/var/run/x` goes wrong when /var/run is a link to `/run`: the kernel follows an absolute link from the
*reader's* root, and the reader ends in its own /run, with the wrong host's socket. So links are followed here.

Source: man path_resolution(7), man proc(5) on /proc/PID/root.
"""

from __future__ import annotations

import errno
import os

_MAX_LINKS = 40  # as the kernel


def in_root(root: str, path: str) -> str:
    """`path`, as a process whose root is `root` means it, as a path of ours without links in it.

    Args:
        root: "/proc/831/root", or "" for our own root: then `path` comes back as it is.
        path: absolute. What does not exist is taken as it stands, so that the open that follows says ENOENT.

    Raises:
        OSError: ELOOP after 40 links; EACCES where a directory may not be searched.
    """
    if not root:
        return path
    todo, done, links = path.split("/")[::-1], "", 0
    while todo:
        part = todo.pop()
        if part == "..":
            done = done.rpartition("/")[0]
        elif part not in ("", "."):
            here = f"{root}{done}/{part}"
            try:
                target = os.readlink(here)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                    raise
                done = f"{done}/{part}"
                continue
            links += 1
            if links > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith("/"):
                done = ""
            todo.extend(target.split("/")[::-1])
    return root + done
