"""Writing the target file: the one thing check writes, and only when told to.

The whole file is written anew beside the old one and renamed over it; other instances' tables stay.
"""

from __future__ import annotations

import os

from kamtcp.cli import target
from kamtcp.errors import UsageError
from kamtcp.model.target import Target


def save(stated: Target | None, name: str, *, recording: str | None) -> str:
    """Write the target of one instance ("" for all without one of their own); returns a line for people.

    Raises:
        UsageError: there is nothing to write, the present file is wrong, or it can't be written.
    """
    if stated is None:
        raise UsageError(
            "--save-target: state a target with --connections, --rate, --storm, --outbound or --outbound-rate"
        )
    if recording is not None:
        raise UsageError("--save-target writes to this host; leave out --from")
    path = target.TARGET_FILE
    try:
        with open(path, "rb") as file:
            present = target.parse_file(file.read())
    except FileNotFoundError:
        present = target.TargetFile()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; nothing was written") from None
    stated = target.with_surroundings(stated, present.instance.get(name, present.default))
    tables = {**present.instance, name: stated} if name else dict(present.instance)
    default = present.default if name else stated
    text = "# what this host is to hold; written by kamtcp check --save-target\n\n"
    text += target.as_toml(default, "") if default != Target() else ""
    text += "".join("\n" + target.as_toml(each, key) for key, each in sorted(tables.items()))
    target.parse_file(text.encode())
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        _replace(path, text.encode())
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; nothing was written") from None
    return f"kamtcp check: target written to {path}"


def _replace(path: str, data: bytes) -> None:
    fresh = f"{path}.{os.getpid()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError:
        os.unlink(fresh)
        raise
