"""The load generator against others: CPU and memory for connections opened, answered (OPTIONS, 200) and kept open.

    python benchmarks/generator.py [--connections 10000] [--rounds 5] [--tls 2000] [--json FILE]

Needs root, cc and SIPp (`make packages`). All contenders load the same responder (kamtcp's, two processes) in a
stand-in network of this script's own, in turns. CPU is what the contender's processes used from their start to their
end (wait4), imports and closing included; memory is PSS of all of them while everything is held, less that of the
same program with half of it.

SIPp can't plan its source ports: the kernel chooses them, once from the range it has by default and once from the
widest there is. All others bind to planned addresses and ports.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "src"))

from kamtcp.loadgen.responder.started import Started  # noqa: E402
from kamtcp.rehearse.kamailio import packages_root  # noqa: E402
from kamtcp.rehearse.standin import StandIn, children_of  # noqa: E402

ADDRESS = "127.0.0.1"
C, OURS, EPOLL, ASYNCIO, SIPP = "C", "kamtcp", "plain epoll loop", "plain asyncio", "SIPp -t tn"
SIPP_WIDE = "SIPp -t tn, ports 1024-65535"
STOCK_PORTS, WIDE_PORTS = "32768 60999", "1024 65535"
REACH_C, REACH_SIPP = 1.8, 20.0
PATIENCE = 180.0


class Bench:
    """A stand-in host with a responder in it.

    Args:
        host: it. folder: for what is compiled and written.
        started: the responder.
    """

    def __init__(self, host: StandIn, folder: str, started: Started) -> None:
        self.host, self.folder, self.started = host, folder, started
        self.port = {target.split(":")[0]: target.rsplit(":", 1)[1] for target in started.targets}
        self.turn = 0

    def argv(self, who: str, carrier: str, count: int) -> list[str]:
        """The contender's command line. SIPp gets another source address each turn: its ports are in TIME-WAIT."""
        port = self.port[carrier]
        if who == C:
            return [f"{self.folder}/limit", ADDRESS, port, str(count)]
        if who in (SIPP, SIPP_WIDE):
            self.host.sysctl("net.ipv4.ip_local_port_range", STOCK_PORTS if who == SIPP else WIDE_PORTS)
            self.turn += 1
            rate = 2000
            hold = pathlib.Path(f"{self.folder}/hold.xml")
            hold.write_text(
                (HERE / "generator_sipp.xml").read_text().replace("HOLD", str(int(1000 * PATIENCE)))
            )
            words = [
                "sipp",
                f"{ADDRESS}:{port}",
                "-sf",
                str(hold),
                "-t",
                "tn",
                "-i",
                f"127.0.0.{100 + self.turn % 100}",
            ]
            words += [
                "-m",
                str(count),
                "-l",
                str(count),
                "-r",
                str(rate),
                "-max_socket",
                str(count + 100),
                "-nostdin",
            ]
            return words
        name = {OURS: "ours", EPOLL: "epoll", ASYNCIO: "asyncio"}[who]
        return [sys.executable, str(HERE / "generator_peers.py"), name, carrier, ADDRESS, port, str(count)]

    @contextlib.contextmanager
    def holding(self, who: str, carrier: str, count: int) -> Iterator[subprocess.Popen[bytes]]:
        """The contender, while it holds all; afterwards it has ended well and `used` of the Popen is its CPU."""
        enter = ["nsenter", f"--net=/proc/{self.host.pid}/ns/net", "--", "prlimit", "--nofile=20000:20000"]
        with tempfile.TemporaryFile() as out:
            process = subprocess.Popen(
                [*enter, *self.argv(who, carrier, count)],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, "TERM": "dumb", "PATH": f"{self.folder}:{os.environ['PATH']}"},
            )
            try:
                self.await_held(process, out, who, carrier, count)
                yield process
                assert process.stdin is not None
                process.stdin.close()
                if who in (SIPP, SIPP_WIDE):  # its pause would last for minutes; it closes nothing itself
                    process.terminate()
                _, status, used = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                process.used = used.ru_utime + used.ru_stime  # type: ignore[attr-defined]
                if process.returncode and who not in (SIPP, SIPP_WIDE):
                    out.seek(0)
                    raise SystemExit(f"{who} ended with {process.returncode}: {out.read()[-500:].decode()}")
                out.seek(0)
                process.said = out.read().decode(errors="replace").splitlines()  # type: ignore[attr-defined]
            finally:
                if process.returncode is None:
                    process.kill()
                    process.wait()
                if process.stdin is not None:
                    process.stdin.close()

    def await_held(
        self, process: subprocess.Popen[bytes], out: object, who: str, carrier: str, count: int
    ) -> None:
        """All are answered and open: the contender says so, of SIPp the kernel does."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if process.poll() is not None:
                break
            if who in (SIPP, SIPP_WIDE):
                if self.established(self.port[carrier]) >= count:
                    return
            else:
                text = os.pread(out.fileno(), 200, 0).decode()  # type: ignore[attr-defined]
                if text.endswith("\n"):
                    if text.split()[:2] != ["held", str(count)]:
                        raise SystemExit(f"{who}: {text}")
                    return
            time.sleep(0.05)
        out.seek(0)  # type: ignore[attr-defined]
        raise SystemExit(f"{who} doesn't hold {count}: {out.read()[-500:].decode()}")  # type: ignore[attr-defined]

    def established(self, port: str) -> int:
        words = ["ss", "-Htn", "state", "established", "dport", "=", f":{port}"]
        return self.host.run(words).stdout.count(b"\n")


def pss_of(pid: int) -> int:
    """Bytes of a process and all its descendants (PSS: pages that several share are split between them)."""
    total = 0
    for each in (pid, *descendants(pid)):
        with open(f"/proc/{each}/smaps_rollup", encoding="ascii") as file:
            total += next(1024 * int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total


def descendants(pid: int) -> list[int]:
    found = []
    for child in children_of(pid):
        found += [child, *descendants(child)]
    return found


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    root = packages_root()
    if root is None or not pathlib.Path(f"{root}/usr/bin/sipp").exists():
        raise SystemExit("SIPp is missing: make packages")
    with tempfile.TemporaryDirectory(prefix="kamtcp-bench-") as folder, StandIn(root) as host:
        host.sysctl("net.ipv4.tcp_max_syn_backlog", 65536)
        host.sysctl("net.core.somaxconn", 65535)
        subprocess.run(["cc", "-O2", "-o", f"{folder}/limit", str(HERE / "generator_limit.c")], check=True)
        library = f"{root}/usr/lib/x86_64-linux-gnu"
        sipp = pathlib.Path(f"{folder}/sipp")
        sipp.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={library} exec {root}/usr/bin/sipp "$@"\n')
        sipp.chmod(0o755)
        inside = ["nsenter", f"--net=/proc/{host.pid}/ns/net", "--"]
        argv = [f"tcp:{ADDRESS}:5060", f"tls:{ADDRESS}:5061", "--processes", "2", "--backlog", "65535"]
        with Started(argv, within=inside) as started:
            yield Bench(host, folder, started)


def side_by_side(connections: int, rounds: int, tls: int) -> dict[str, object]:
    cpu: dict[str, list[float]] = {who: [] for who in (C, OURS, EPOLL, ASYNCIO, SIPP, SIPP_WIDE)}
    loop: list[float] = []
    memory: dict[str, dict[str, float]] = {"tcp": {}, "tls": {}}
    with bench() as it:
        for turn in range(rounds):
            for who, found in cpu.items():
                if who in (SIPP, SIPP_WIDE) and turn >= 3:
                    continue  # up to half a minute each
                with it.holding(who, "tcp", connections) as process:
                    pass
                found.append(process.used)  # type: ignore[attr-defined]
                if who == OURS:
                    loop.append(float(process.said[-1]))  # type: ignore[attr-defined]
                print(f"  turn {turn + 1}: {who}: {found[-1]:.2f} s", file=sys.stderr)
        for carrier, many, contenders in (
            ("tcp", connections, (C, OURS, EPOLL, ASYNCIO, SIPP_WIDE)),
            ("tls", tls, (OURS, ASYNCIO)),
        ):
            for who in contenders:
                sizes = []
                for count in (many // 2, many):
                    with it.holding(who, carrier, count) as process:
                        sizes.append(pss_of(process.pid))
                memory[carrier][who] = (sizes[1] - sizes[0]) / (many - many // 2)
                print(f"  {carrier}: {who}: {memory[carrier][who]:.0f} bytes a client", file=sys.stderr)
    return {
        "connections": connections,
        "tls": tls,
        "cpu_seconds": {who: statistics.median(found) for who, found in cpu.items() if found},
        "cpu_all": cpu,
        "loop_seconds": statistics.median(loop),
        "bytes": memory,
    }


def report(found: dict[str, object]) -> None:
    cpu, memory = found["cpu_seconds"], found["bytes"]
    assert isinstance(cpu, dict)
    assert isinstance(memory, dict)
    connections = found["connections"]
    assert isinstance(connections, int)
    loop = float(str(found["loop_seconds"]))
    print(
        f"{connections} connections, each OPTIONS and 200, all kept open; {platform.release()}, {os.cpu_count()} CPUs\n"
    )
    print(
        "| generator | CPU s | us per connection | to C | bytes per TCP client | per TLS client |\n|---|---|---|---|---|---|"
    )
    rows = [(who, seconds) for who, seconds in cpu.items()]
    rows.insert(2, (f"{OURS}, its loops alone", loop))
    for who, seconds in rows:
        sizes = [
            f"{memory[carrier][who]:.0f}" if who in memory[carrier] else "" for carrier in ("tcp", "tls")
        ]
        print(
            f"| {who} | {seconds:.2f} | {1e6 * seconds / connections:.0f} | {seconds / cpu[C]:.2f} | {sizes[0]} | {sizes[1]} |"
        )
    print()
    verdict("kamtcp ÷ C, CPU", cpu[OURS] / cpu[C], f"≤ {REACH_C}", cpu[OURS] / cpu[C] <= REACH_C)
    verdict("kamtcp's loops ÷ C, CPU", loop / cpu[C], f"≤ {REACH_C}", loop / cpu[C] <= REACH_C)
    verdict(
        "SIPp ÷ kamtcp, CPU", cpu[SIPP] / cpu[OURS], f"≥ {REACH_SIPP:g}", cpu[SIPP] / cpu[OURS] >= REACH_SIPP
    )
    per_gb = 1e9 / memory["tls"][OURS]
    verdict("TLS clients per GB", per_gb, "≥ 40000", per_gb >= 40_000)


def verdict(what: str, value: float, reach: str, met: bool) -> None:
    print(f"{what}: {value:.2f} (reach {reach}: {'met' if met else 'NOT MET'})")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tls", type=int, default=6000)
    parser.add_argument("--json", help="write the numbers there as well")
    options = parser.parse_args()
    if shutil.which("cc") is None:
        raise SystemExit("needs cc")
    found = side_by_side(options.connections, options.rounds, options.tls)
    report(found)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
