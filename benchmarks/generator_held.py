"""As many TCP connections as one machine holds: both ends here, a CRLF ping on each every 30 s, none lost.

    python benchmarks/generator_held.py [--connections 150000] [--seconds 60] [--rate 5000]

Needs root, about 10 KiB of memory per connection for both ends and the kernel, and a hard descriptor limit of which
as many processes are made on both sides as the connections ask for. Runs in a stand-in network of its own.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import platform
import resource
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "src"))

from kamtcp.loadgen.order import Order  # noqa: E402
from kamtcp.loadgen.population import Keepalive  # noqa: E402
from kamtcp.loadgen.processes import Load  # noqa: E402
from kamtcp.loadgen.responder.started import Started  # noqa: E402
from kamtcp.loadgen.schedule import Steady  # noqa: E402
from kamtcp.rehearse.standin import StandIn, children_of  # noqa: E402

RESERVE = 1000  # descriptors of a responder process for what the kernel's hash deals unevenly
EVERY = 30.0  # seconds between two pings of a connection


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=150_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=5000.0)
    options = parser.parse_args()
    count = options.connections
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    servers = -(-count // max(1, hard - RESERVE))
    with StandIn() as host:
        host.sysctl("net.core.somaxconn", 65535)
        inside = ["nsenter", f"--net=/proc/{host.pid}/ns/net", "--"]
        argv = ["tcp:127.0.0.1:5060", "--processes", str(servers), "--backlog", "65535"]
        before = available()
        with Started(argv, within=inside) as started:
            order = Order(
                "127.0.0.1",
                5060,
                Steady(count, options.rate),
                keepalive=Keepalive("crlf", EVERY),
                hold_seconds=None,
                netns_pid=host.pid,
            )
            with Load(order) as load:
                settled = load.wait_settled(count / options.rate + 120)
                workers = [pid for pid in children_of(os.getpid()) if "kamtcp.loadgen.worker" in command(pid)]
                print(
                    f"settled: {settled}; held {load.progress().held} by {len(workers)} processes and {servers} of the responder"
                )
                begin, used = time.monotonic(), cpu(workers)
                served = cpu([each.pid for each in started.ready.listeners])
                memory, kernel = sum(map(pss, workers)), before - available()
                print(f"sockets in this network: {inuse(host.pid)}")
                lowest = count
                while time.monotonic() < begin + options.seconds:
                    lowest = min(lowest, load.progress().held)
                    time.sleep(0.1)
                seconds = time.monotonic() - begin
                mine = (cpu(workers) - used) / seconds
                theirs = (cpu([each.pid for each in started.ready.listeners]) - served) / seconds
                load.stop()
                result = load.result()
            totals = started.stop()
    print(f"{platform.release()}, {os.cpu_count()} CPUs, {hard} descriptors per process at most")
    print(f"held for {seconds:.0f} s: least {lowest}, at the end {result.held_end}, lost {result.load.lost}")
    print(
        f"pings: {result.load.keepalives} sent, {result.load.keepalives_answered} answered, each {EVERY:.0f} s"
    )
    print(
        f"generator: {memory / count:.0f} bytes of PSS per connection, {100 * mine:.1f} % of a CPU while it holds"
    )
    print(f"responder: {100 * theirs:.1f} % of a CPU; accepted {totals.accepted}, answered {totals.answered}")
    print(f"memory of the machine, all of it: {kernel / count:.0f} bytes per connection (two sockets)")
    print(
        f"opened at {result.load.answered / result.seconds:.0f} per second; {result.load.failures.total()} failed"
    )
    if (lowest, result.held_end) != (count, count):
        raise SystemExit(f"NOT MET: {count} were to be held all the time")


def available() -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("MemAvailable"))


def command(pid: int) -> str:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().replace(b"\0", b" ").decode()


def pss(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith("Pss:"))


def cpu(pids: list[int]) -> float:
    """Seconds of user and system time."""
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            words = file.read().rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def inuse(pid: int) -> int:
    with open(f"/proc/{pid}/net/sockstat", encoding="ascii") as file:
        return next(int(line.split()[2]) for line in file if line.startswith("TCP:"))


if __name__ == "__main__":
    main()
