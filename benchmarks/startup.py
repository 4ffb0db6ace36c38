"""What starting kamtcp costs, against a bare start of the same interpreter: medians of interleaved runs.

    python benchmarks/startup.py [--repeat 15] [--json FILE] [--sockets N] [-- COMMAND ...]

Without COMMAND it is `kamtcp check`, run as `python -m kamtcp check`. With --sockets the runs take place in a
network namespace of their own that holds that many connected TCP sockets (both ends counted), the state that
the measure for `check` is stated for: 20,000 connections are 40,000 sockets there, both ends being local.
Byte code is kept as an installed package has it, in a directory that goes with the benchmark.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SRC = HERE.parent / "src"
BARE = "pass"
ANSWERS = {0, 1, 3}  # well, findings, could not see enough


def environment(bytecode: str) -> dict[str, str]:
    """Ours, with byte code written to a directory: compiling anew at each start would be measured else."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(SRC), "PYTHONPYCACHEPREFIX": bytecode}


def run(command: list[str], env: dict[str, str]) -> tuple[float, float, int]:
    """One run from start to exit: wall and CPU time in milliseconds, exit code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.perf_counter()
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, env=env,
    )  # fmt: skip
    wall = time.perf_counter() - wall
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    silent = not done.stdout and command[-1] != BARE  # python itself exits 1 where it can't find the program
    if done.returncode not in ANSWERS or silent:
        raise SystemExit(f"{' '.join(command)} exited {done.returncode}: {done.stderr.decode()[-400:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return 1e3 * wall, 1e3 * cpu, done.returncode


def measure(commands: dict[str, list[str]], repeat: int) -> dict:
    """Medians per command and, per round, the ratio to the bare start (the first command)."""
    taken: dict[str, list[tuple[float, float, int]]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory(prefix="startup-") as bytecode:
        env = environment(bytecode)
        for command in commands.values():
            run(command, env)  # writes the byte code, fills the page cache
        for _ in range(repeat):
            for name, command in commands.items():
                taken[name].append(run(command, env))
    bare = taken[next(iter(commands))]
    return {
        name: {
            "wall_ms": statistics.median(one[0] for one in found),
            "cpu_ms": statistics.median(one[1] for one in found),
            "ratio": statistics.median(one[0] / base[0] for one, base in zip(found, bare, strict=True)),
            "exit": found[-1][2],
        }
        for name, found in taken.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument(
        "--sockets", type=int, default=0, help="hold this many sockets meanwhile (needs root)"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="write the figures here too, - for standard output alone"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs="*", help="what to run instead of kamtcp check")
    options = parser.parse_args()
    if options.sockets and not options.inside:
        command = ["unshare", "--net", "--kill-child", sys.executable, __file__, "--inside", *sys.argv[1:]]
        raise SystemExit(subprocess.run(command, check=False).returncode)
    python = [sys.executable]
    commands = {
        "python -c pass": [*python, "-c", BARE],
        "kamtcp --help": [*python, "-m", "kamtcp", "--help"],
        " ".join(options.command) or "kamtcp check": options.command or [*python, "-m", "kamtcp", "check"],
    }
    crowded: contextlib.AbstractContextManager[int] = contextlib.nullcontext(0)
    if options.sockets:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        sys.path.insert(0, str(HERE))
        from crowd import crowd

        crowded = crowd(options.sockets)
    with crowded as sockets:
        rows = measure(commands, options.repeat)
    goals = dict(zip(rows, (None, 3.0, 8.0), strict=True))
    result = {
        "sockets": sockets,
        "repeat": options.repeat,
        "python": platform.python_version(),
        "rows": {name: {**row, "reach": goals[name]} for name, row in rows.items()},
    }
    if options.json == "-":
        print(json.dumps(result, indent=1))
        return
    print(f"{sockets} sockets held, medians of {options.repeat} interleaved runs, Python {result['python']}")
    for name, row in result["rows"].items():
        goal = row["reach"]
        verdict = "" if goal is None else f"<= {goal:g} {'met' if row['ratio'] <= goal else 'NOT MET'}"
        print(
            f"{name[:40]:42}{row['wall_ms']:9.1f} ms{row['cpu_ms']:9.1f} ms CPU{row['ratio']:8.2f} x  {verdict}"
        )
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
