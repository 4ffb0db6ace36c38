"""Sysctl files for a situation: as written, and in force or not."""

from __future__ import annotations

from typing import Any

from fake_host import TreeHost
from kamtcp.model.absent import Absent
from kamtcp.model.settings import SettingFiles
from kamtcp.observe.sysctlfiles import collect, parse
from situations import MACHINE_SYSCTLS, NETNS_SYSCTLS

FILE = "/etc/sysctl.d/90-recipe.conf"
#: the one file of the healthy machine
OWN = {"/etc/sysctl.d/60-kamtcp.conf": "net.ipv4.tcp_keepalive_time = 600\n"}


def settings(
    files: dict[str, str] | str, live: dict[str, str] | None = None, *, links: dict[str, str] | None = None, systemd: bool = True
) -> SettingFiles:  # fmt: skip
    """What kamtcp reads of these files; one text is FILE. Present values are the healthy machine's, and `live`."""
    texts = {**OWN, **({FILE: files} if isinstance(files, str) else files)}
    values = {**MACHINE_SYSCTLS, **NETNS_SYSCTLS, **(live or {})}
    tree = {
        f"/proc/sys/{name.replace('.', '/')}": f"{value}\n".encode()
        for name, value in values.items()
        if not isinstance(value, Absent)
    }
    tree |= {path: text.encode() for path, text in texts.items()}
    if systemd:
        tree["/run/systemd/system/x"] = b""
    return collect(TreeHost(tree, links))


def at_boot(files: dict[str, str] | str, live: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """Changes of a situation: the files are written, and nothing of them is in force."""
    return {"settings": settings(files, live, **more), "sysctls": live or {}}


def in_force(text: str) -> dict[str, Any]:
    """Changes of a situation: the file is written, and its values are in force."""
    values = {
        each.name: each.value for each in parse(text.encode(), FILE).assignments if each.value is not None
    }
    return {"settings": settings(text, values), "sysctls": values}
