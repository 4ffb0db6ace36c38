"""Run in a network namespace of its own: what its files say, and what they take. Prints JSON.

stdin   {"read": [names], "write": {name: [values]}}
stdout  {"values": {name: text or null}, "modes": {name: octal bits}, "taken": {name: {value: text read back or null}}}

Every file that is written is put back; the namespace ends with this process anyway.
"""

from __future__ import annotations

import json
import os
import sys


def path(name: str) -> str:
    return "/proc/sys/" + name.replace(".", "/")


def read(name: str) -> str | None:
    try:
        with open(path(name)) as file:
            return " ".join(file.read().split())
    except OSError:
        return None


def write(name: str, value: str) -> bool:
    try:
        fd = os.open(path(name), os.O_WRONLY)
    except OSError:
        return False
    try:
        os.write(fd, value.encode())
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def main() -> None:
    asked = json.load(sys.stdin)
    values = {name: read(name) for name in asked["read"]}
    modes = {
        name: os.stat(path(name)).st_mode & 0o777 for name in asked["read"] if os.path.exists(path(name))
    }
    taken: dict[str, dict[str, str | None]] = {}
    for name, wanted in asked["write"].items():
        before = values.get(name) or read(name)
        taken[name] = {value: read(name) if write(name, value) else None for value in wanted}
        if before is not None:
            write(name, before)
    json.dump({"values": values, "modes": modes, "taken": taken}, sys.stdout)


if __name__ == "__main__":
    main()
