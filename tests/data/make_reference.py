"""Makes reference.kamtcp: what kamtcp reads on the reference set-up. Needs root and a Kamailio (make packages).

Kamailio 5.6.3 of Debian 12 in a stand-in host, with TCP, TLS and WebSocket listeners, systemd's soft limit of 1,024
descriptors, -m 64 -M 8, and no connection. Recorded from within, so that nothing of the machine's own processes is in it.

    PYTHONPATH=src python tests/data/make_reference.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from msgspec.structs import replace

from kamtcp.host.door import Reader
from kamtcp.observe.sysctl import GLOBAL_NET_NAMES, GLOBAL_READ_ONLY_NAMES, path_of
from kamtcp.record.archive import Answer, Key, Recording, load, write
from kamtcp.rehearse.kamailio import packages_root, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn

FILE = Path(__file__).with_name("reference.kamtcp")
NOTE = "the reference set-up: Debian 12's Kamailio 5.6.3 in a stand-in host, no connections"


def main() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    with StandIn(packages_root(), name="sip1") as host:
        with start_kamailio(host, config=Scenario(tls_port=5061, websocket=True), log=True):
            line = [sys.executable, "-m", "kamtcp", "record", "-o", "/run/reference.kamtcp", "--note", NOTE]
            print(host.run(line, env=environment).stdout.decode(), end="")
        made = load(host.path("/run/reference.kamtcp"))
    samples = [
        {key: without_this_machine(key, answer) for key, answer in each.items() if not of_a_cgroup(key)}
        | initial_namespace()
        for each in made.samples
    ]
    write(FILE, Recording(made.header, samples), overwrite=True)
    os.chmod(FILE, 0o644)


def initial_namespace() -> dict[Key, Answer]:
    """What only the initial network namespace shows, which the stand-in is not in: read here, on the same kernel."""
    paths = [path_of(name) for name in (*GLOBAL_READ_ONLY_NAMES, *GLOBAL_NET_NAMES)]
    return {("", "read", path): Path(path).read_bytes() for path in paths if Path(path).exists()}


def of_a_cgroup(key: Key) -> bool:
    """Whether it is below a hierarchy's root: this machine's names for its own cgroups."""
    parts = str(key[2]).split("/") if len(key) > 2 else []
    return parts[:4] == ["", "sys", "fs", "cgroup"] and len(parts) > 6


def without_this_machine(key: Key, answer: Answer) -> Answer:
    """Of the mounts only those that are judged: the others tell where on this machine things lie."""
    if key[1:] == ("read", "/proc/self/mountinfo") and isinstance(answer, bytes):
        return b"".join(line for line in answer.splitlines(keepends=True) if b" - cgroup" in line)
    if str(key[2:]).endswith("/cgroup',)") and isinstance(answer, bytes):
        return b"".join(line.rpartition(b":")[0] + b":/\n" for line in answer.splitlines())
    if isinstance(answer, Reader):
        return replace(answer, release="6.18.0", node="sip1")
    return answer


if __name__ == "__main__":
    main()
