"""What counting TCP sockets costs: kamtcp, the same dump in C, ss, psutil and pyroute2, side by side in one run.

    python benchmarks/census.py [--sockets 300000] [--repeat 7] [--json FILE] [--no-slow] [--quiet SECONDS]

Needs root, cc and ss; psutil and pyroute2 where they are to be compared. Makes a network namespace of its own,
opens the sockets there (about 8 KB of kernel memory each) and takes everything down again. All but the slow
peers run in turn, one after the other, as often as --repeat says; the table shows medians. --quiet waits before each
run until all CPUs together are 80 % idle, at most so long: two threads can show what they save on two free CPUs only. The slow ones run
once and are cut at 120 s. kamtcp and C are timed around the reading itself, the others as whole processes;
"in a new process" is kamtcp as a whole process too, with the start of Python and the import of numpy.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

HERE = pathlib.Path(__file__).resolve().parent
SRC = HERE.parent / "src"
sys.path[:0] = [str(HERE), str(SRC)]

CUT_SECONDS = 120
PSUTIL = "import psutil; print(len(psutil.net_connections('tcp')))"
PYROUTE2 = (
    "import socket\nfrom pyroute2 import DiagSocket\nwith DiagSocket() as ds:\n ds.bind()\n"
    " print(sum(len(list(ds.get_sock_stats(family=f, states=0xffe))) for f in (socket.AF_INET, socket.AF_INET6)))"
)
NEW_PROCESS = (
    "from kamtcp.host.live import Live\nfrom kamtcp.observe import census\n"
    "print(census.summary(census.collect(Live())).sockets)"
)


class Sample:
    """Wall and CPU time of one run, in milliseconds, and what it counted."""

    def __init__(self, wall: float, cpu: float, counted: int | None) -> None:
        self.wall, self.cpu, self.counted = wall, cpu, counted


def in_process(read: Callable[[], int]) -> Sample:
    wall, cpu = time.perf_counter(), time.process_time()
    counted = read()
    return Sample(1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu), counted)


def whole(command: list[str], *, counted: Callable[[bytes], int | None] = lambda _: None) -> Sample:
    """A command from start to exit; its output goes to a file in memory, as into a pipe that is never full."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as out:
        wall = time.perf_counter()
        subprocess.run(
            command, stdout=out, check=True, timeout=CUT_SECONDS, env={**os.environ, "PYTHONPATH": str(SRC)}
        )
        wall = time.perf_counter() - wall
        out.seek(0)
        count = counted(out.read())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(1e3 * wall, 1e3 * cpu, count)


def in_c(program: str, states: int) -> Sample:
    done = subprocess.run([program, hex(states)], check=True, capture_output=True, text=True)
    sockets, _, wall, user, system = map(int, done.stdout.split())
    return Sample(wall / 1e6, (user + system) / 1e3, sockets)


def lines(data: bytes) -> int:
    return data.count(b"\n")


def last_number(data: bytes) -> int:
    return int(data.split()[-1])


def curr_estab() -> int:
    with open("/proc/thread-self/net/snmp") as file:
        names, values = (line.split() for line in file if line.startswith("Tcp:"))
    return int(dict(zip(names, values, strict=True))["CurrEstab"])


def contenders(program: str) -> dict[str, Callable[[], Sample]]:
    from kamtcp.host.live import Live
    from kamtcp.observe import census, inet_diag, sockets

    host = Live()
    no_established = inet_diag.EVERY & ~inet_diag.mask(inet_diag.State.ESTABLISHED)

    def full(*, at_once: bool) -> int:
        return census.summary(census.collect(host, at_once=at_once)).sockets

    def steady() -> int:
        found = sockets.states(host, curr_estab(), close_wait_counted=True)
        return sum(found.by_state.values()) + found.established

    def outbound() -> int:
        return sockets.outbound(host, [one.port for one in sockets.listeners(host)]).sockets

    return {
        "kamtcp full census": lambda: in_process(lambda: full(at_once=True)),
        "kamtcp full, one thread": lambda: in_process(lambda: full(at_once=False)),
        "C, same dump": lambda: in_c(program, inet_diag.EVERY),
        "kamtcp states census": lambda: in_process(steady),
        "C, all but ESTABLISHED": lambda: in_c(program, no_established),
        "kamtcp outbound": lambda: in_process(outbound),
        "kamtcp listeners": lambda: in_process(lambda: len(sockets.listeners(host))),
        "kamtcp full, in a new process": lambda: whole(
            [sys.executable, "-c", NEW_PROCESS], counted=last_number
        ),
        "ss -tan": lambda: whole(["ss", "-Htan"], counted=lines),
        "ss -tan exclude established": lambda: whole(
            ["ss", "-Htan", "exclude", "established"], counted=lines
        ),
        "ss -tan state established": lambda: whole(["ss", "-Htan", "state", "established"], counted=lines),
        "ss -s": lambda: whole(["ss", "-s"]),
    }


def slow_peers() -> dict[str, Sample | str]:
    found: dict[str, Sample | str] = {}
    for name, code in (("psutil", PSUTIL), ("pyroute2", PYROUTE2)):
        if subprocess.run(
            [sys.executable, "-c", f"import {name}"], check=False, capture_output=True
        ).returncode:
            found[name] = "not installed"
            continue
        print(f"  {name} (once, at most {CUT_SECONDS} s) ...", file=sys.stderr, flush=True)
        try:
            found[name] = whole([sys.executable, "-c", code], counted=last_number)
        except subprocess.TimeoutExpired:
            found[name] = f"> {CUT_SECONDS} s"
        except subprocess.CalledProcessError as error:
            found[name] = f"failed ({error.returncode})"
    return found


def idle_share(seconds: float = 0.2) -> float:
    """Share of all CPUs that nobody wants, over so long."""

    def times() -> tuple[int, int]:
        with open("/proc/stat") as file:
            values = [int(value) for value in file.readline().split()[1:9]]
        return values[3] + values[4], sum(values)

    before = times()
    time.sleep(seconds)
    after = times()
    return (after[0] - before[0]) / max(1, after[1] - before[1])


def wait_for_quiet(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and idle_share() < 0.8:
        pass


def measure(wanted: int, repeat: int, *, slow: bool, quiet: float) -> dict:
    from crowd import crowd

    program = os.path.join(tempfile.mkdtemp(prefix="census-"), "census_dump")
    try:
        subprocess.run(["cc", "-O2", "-o", program, str(HERE / "census_dump.c")], check=True)
        start = time.perf_counter()
        with crowd(wanted) as sockets:
            print(
                f"  {sockets} sockets open after {time.perf_counter() - start:.1f} s",
                file=sys.stderr,
                flush=True,
            )
            runners = contenders(program)
            samples: dict[str, list[Sample]] = {name: [] for name in runners}
            for run in runners.values():
                run()  # the first dump gives each socket its cookie; and caches get warm for all alike
            for _ in range(repeat):
                for name, run in runners.items():
                    wait_for_quiet(quiet)
                    samples[name].append(run())
            peers = slow_peers() if slow else {}
    finally:
        shutil.rmtree(os.path.dirname(program))
    return report(sockets, repeat, samples, peers)


def report(
    sockets: int, repeat: int, samples: dict[str, list[Sample]], peers: dict[str, Sample | str]
) -> dict:
    rows = {
        name: {
            "wall_ms": statistics.median(one.wall for one in taken),
            "wall_ms_least": min(one.wall for one in taken),
            "wall_ms_most": max(one.wall for one in taken),
            "cpu_ms": statistics.median(one.cpu for one in taken),
            "us_per_socket": 1e3 * statistics.median(one.wall for one in taken) / sockets,
            "counted": taken[-1].counted,
        }
        for name, taken in samples.items()
    }
    cut: dict[str, str] = {}
    for name, one in peers.items():
        if isinstance(one, str):
            cut[name] = one
        else:
            rows[name] = {
                "wall_ms": one.wall, "wall_ms_least": one.wall, "wall_ms_most": one.wall, "cpu_ms": one.cpu,
                "us_per_socket": 1e3 * one.wall / sockets, "counted": one.counted,
            }  # fmt: skip

    def ratio(over: str, under: str) -> float:
        """Median of the ratios within each round: what else ran on the machine then hit both alike."""
        return statistics.median(a.wall / b.wall for a, b in zip(samples[over], samples[under], strict=True))

    def cpu_ratio(over: str, under: str) -> float:
        """The same of CPU times: steadier where others want the processors too."""
        return statistics.median(a.cpu / b.cpu for a, b in zip(samples[over], samples[under], strict=True))

    ratios = {
        "full census / C": (ratio("kamtcp full census", "C, same dump"), "<=", 1.3),
        "full census / C, CPU": (cpu_ratio("kamtcp full census", "C, same dump"), "", 0.0),
        "one thread / C": (ratio("kamtcp full, one thread", "C, same dump"), "<=", 1.3),
        "one thread / C, CPU": (cpu_ratio("kamtcp full, one thread", "C, same dump"), "", 0.0),
        "full census / one thread": (ratio("kamtcp full census", "kamtcp full, one thread"), "", 0.0),
        "full census / one thread, CPU": (cpu_ratio("kamtcp full census", "kamtcp full, one thread"), "", 0.0),
        "ss -tan / full census": (ratio("ss -tan", "kamtcp full census"), ">=", 3.0),
        "ss -tan / one thread": (ratio("ss -tan", "kamtcp full, one thread"), "", 0.0),
        "ss -tan / C (the most one reader could reach)": (ratio("ss -tan", "C, same dump"), "", 0.0),
        "states census, us per socket": (rows["kamtcp states census"]["us_per_socket"], "<=", 0.3),
        "states census / C": (ratio("kamtcp states census", "C, all but ESTABLISHED"), "", 0.0),
        "ss -tan exclude established / states census": (ratio("ss -tan exclude established", "kamtcp states census"), "", 0.0),
    }  # fmt: skip
    return {
        "sockets": sockets,
        "repeat": repeat,
        "machine": {
            "kernel": platform.release(), "cpus": os.cpu_count(), "python": platform.python_version(),
            "cpu": cpu_model(), "load": os.getloadavg()[0],
        },
        "rows": rows,
        "cut": cut,
        "kernel_us_per_socket": rows["C, same dump"]["us_per_socket"],
        "kernel_us_per_socket_walked_past": rows["C, all but ESTABLISHED"]["us_per_socket"],
        "ratios": {
            name: {"value": value, "reach": f"{sign} {goal:g}" if sign else "", "met": met(value, sign, goal)}
            for name, (value, sign, goal) in ratios.items()
        },
    }  # fmt: skip


def met(value: float, sign: str, goal: float) -> bool | None:
    """Whether a measure is reached; None where nothing is to be reached."""
    return {"<=": value <= goal, ">=": value >= goal}.get(sign)


def cpu_model() -> str:
    with open("/proc/cpuinfo") as file:
        return next(
            (line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown"
        )


def table(result: dict) -> str:
    full = result["rows"]["kamtcp full census"]["wall_ms"]
    out = [
        f"{result['sockets']} sockets, medians of {result['repeat']} interleaved runs, kernel {result['machine']['kernel']}",
        f"{'':32}{'wall ms':>10}{'least':>9}{'most':>9}{'CPU ms':>9}{'us/socket':>11}{'/ full':>8}{'counted':>10}",
    ]
    for name, row in result["rows"].items():
        counted = "" if row["counted"] is None else row["counted"]
        out.append(
            f"{name:32}{row['wall_ms']:10.1f}{row['wall_ms_least']:9.1f}{row['wall_ms_most']:9.1f}"
            f"{row['cpu_ms']:9.1f}{row['us_per_socket']:11.3f}{row['wall_ms'] / full:8.2f}{counted:>10}"
        )
    out += [f"{name:32}{text:>10}" for name, text in result["cut"].items()]
    for name, one in result["ratios"].items():
        verdict = {True: "met", False: "NOT MET", None: ""}[one["met"]]
        out.append(f"{name:56}{one['value']:8.2f}  {one['reach']:8}{verdict}")
    out.append(
        f"kernel's own cost (C): {result['kernel_us_per_socket']:.2f} us per socket reported,"
        f" {result['kernel_us_per_socket_walked_past']:.2f} us walked past"
    )
    if result["sockets"] < 100_000:
        out.append("below 100,000 sockets fixed costs decide: the measures to reach are meant for more")
    return "\n".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sockets", type=int, default=300_000, help="both ends counted (default 300000)")
    parser.add_argument("--repeat", type=int, default=7, help="interleaved runs (default 7)")
    parser.add_argument(
        "--json", metavar="FILE", help="write the figures here too, - for standard output alone"
    )
    parser.add_argument("--no-slow", action="store_true", help="leave psutil and pyroute2 out")
    parser.add_argument(
        "--quiet",
        type=float,
        default=0,
        metavar="SECONDS",
        help="wait for idle CPUs, at most so long (default 0)",
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        command = ["unshare", "--net", "--kill-child", sys.executable, __file__, "--inside", *sys.argv[1:]]
        raise SystemExit(subprocess.run(command, check=False).returncode)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    result = measure(options.sockets, options.repeat, slow=not options.no_slow, quiet=options.quiet)
    if options.json == "-":
        print(json.dumps(result, indent=1))
        return
    print(table(result))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
