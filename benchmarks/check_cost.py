"""What a look costs: `kamtcp --help` and `kamtcp check` against a bare start of the same interpreter.

    python benchmarks/check_cost.py [--here N] [--away N] [--repeat 15] [--json FILE]

A stand-in host (namespaces of its own, needs root) runs a real Kamailio with the packaged configuration, which
holds N real SIP connections of kamtcp's own load generator. With --here its clients are in the same network
namespace: both ends count, 10,000 connections are 20,000 sockets, and half of them are outbound, which a check
has reported one by one. With --away they come from another one over a veth pair, as on a real host.

The kernel keeps the sockets of all namespaces in one hash table and walks all of it for each dump; so that nobody
else's sockets are measured, this table is the stand-in's own, of the same size. kamtcp is installed with its runtime
dependencies alone into a virtual environment of its own below .cache, byte code compiled, because a developer's
environment is slower (msgspec imports typing_extensions where it is there).

Commands run in turns, so that whatever else the machine does meets all of them alike; ratios are those of medians.
CPU is what the process itself used (wait4), apart for its own code and for the kernel on its behalf.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

HERE = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE / "src"))

from kamtcp.loadgen.order import Order  # noqa: E402
from kamtcp.loadgen.processes import Load  # noqa: E402
from kamtcp.loadgen.schedule import Steady  # noqa: E402
from kamtcp.loadgen.sources import plan_sources  # noqa: E402
from kamtcp.rehearse.kamailio import STOCK_CONFIG, Running, packages_root, start_kamailio  # noqa: E402
from kamtcp.rehearse.standin import StandIn  # noqa: E402

VENV = HERE / ".cache" / "bench-venv"
BARE = "python -c pass"
REACH = {"kamtcp --help": 3.0, "kamtcp check": 8.0}
ANSWERS = {0, 1, 3}  # well, findings, could not see enough: 2 is an error
NOFILE = 20000
MARK = "CHECK_COST_INSIDE"
NETWORK, SERVER = "10.9", "10.9.0.1"


def clean_venv() -> pathlib.Path:
    """A virtual environment with this tree and what it needs to run; the tree is installed anew each time."""
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--compile"]
    subprocess.run([*install, str(HERE)], check=True)
    subprocess.run([*install, "--no-deps", "--force-reinstall", str(HERE)], check=True)
    return VENV / "bin"


def environment() -> dict[str, str]:
    """As an operator's shell: nothing that steers Python, output for people."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "KAMTCP"))}
    # these connections are no history of the machine
    return {**kept, "KAMTCP_STATE": str(HERE / ".cache" / "bench-state")}


@contextlib.contextmanager
def crowd(connections: int, *, away: bool = False) -> Iterator[Running]:
    """A Kamailio that holds so many connections, in a stand-in host; their clients there too, or away."""
    memory = ("-m", str(64 + connections // 40), "-M", "8")
    packages = packages_root()
    if packages is None:
        raise SystemExit("no Kamailio to measure: run scripts/fetch_packages.py, or set KAMTCP_KAMAILIO_ROOT")
    with StandIn(packages) as host, StandIn(name="clients") as clients, contextlib.ExitStack() as stack:
        connect(host, clients)
        with open(host.path(STOCK_CONFIG), encoding="utf-8") as file:
            config = f"{file.read()}\ntcp_max_connections={NOFILE}\n"
        running = stack.enter_context(
            start_kamailio(host, config=config, args=memory, nofile=(NOFILE, NOFILE))
        )
        if not connections:
            yield running
            return
        schedule = Steady(connections, 4000.0)  # below what makes Kamailio stall
        address, pid = (SERVER, clients.pid) if away else (host.address, host.pid)
        sources = plan_sources(connections, base=f"{NETWORK}.1.1") if away else None
        order = Order(address, 5060, schedule, (), hold_seconds=None, netns_pid=pid)
        with Load(order, sources=sources) as load:
            load.wait_settled(120)
            held = load.progress().held
            if held != connections:
                raise SystemExit(f"{held} of {connections} connections are held")
            yield running
            load.stop()


def connect(host: StandIn, clients: StandIn) -> None:
    """A veth pair between the two, IPv4 only; the clients own every address of NETWORK.1.0/24."""
    pair = ["name", "veth", "netns", str(host.pid), "type", "veth", "peer", "name", "veth", "netns"]
    subprocess.run(["ip", "link", "add", *pair, str(clients.pid)], check=True)
    for place, address in ((host, SERVER), (clients, f"{NETWORK}.0.2")):
        place.sysctl("net.ipv6.conf.veth.disable_ipv6", 1)
        place.run(["ip", "address", "add", f"{address}/16", "dev", "veth"])
        place.run(["ip", "link", "set", "veth", "up"])
    clients.run(["ip", "route", "add", "local", f"{NETWORK}.1.0/24", "dev", "lo"])


def timed(command: list[str], env: dict[str, str]) -> tuple[float, float, float]:
    """One run from start to exit, in milliseconds: wall, CPU in its own code, CPU in the kernel."""
    started = time.perf_counter()
    child = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in ANSWERS:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return 1e3 * wall, 1e3 * used.ru_utime, 1e3 * used.ru_stime


def in_turns(commands: dict[str, list[str]], repeat: int) -> dict[str, dict[str, float]]:
    """Medians of each command, and that of its wall time as a multiple of the first command's."""
    env = environment()
    rounds = []
    for turn in range(repeat + 2):
        taken = {name: timed(command, env) for name, command in commands.items()}
        if turn > 1:  # the first two fill caches
            rounds.append(taken)
    walls = {name: statistics.median(each[name][0] for each in rounds) for name in commands}
    return {
        name: {
            "wall_ms": wall,
            "least_ms": min(each[name][0] for each in rounds),
            "user_ms": statistics.median(each[name][1] for each in rounds),
            "kernel_ms": statistics.median(each[name][2] for each in rounds),
            "ratio": wall / next(iter(walls.values())),
        }
        for name, wall in walls.items()
    }


def in_own_namespace() -> None:
    """Start this program again in a network namespace whose children get a TCP hash table of their own."""
    entries = pathlib.Path("/proc/sys/net/ipv4/tcp_ehash_entries").read_text().strip().lstrip("-")
    script = f'echo {entries} > /proc/sys/net/ipv4/tcp_child_ehash_entries; exec "$@"'
    this = [sys.executable, str(pathlib.Path(__file__).resolve()), *sys.argv[1:]]
    os.execvpe("unshare", ["unshare", "--net", "sh", "-c", script, "sh", *this], {**os.environ, MARK: "1"})


def commands_of(programs: pathlib.Path) -> dict[str, list[str]]:
    """What is compared. Inside the stand-in, as on a host whose services have no namespaces of their own."""
    kamtcp = str(programs / "kamtcp")
    return {
        BARE: [str(programs / "python"), "-c", "pass"],
        "kamtcp --help": [kamtcp, "--help"],
        "kamtcp check": [kamtcp, "check"],
        "kamtcp check --json": [kamtcp, "check", "--json"],
    }


def measure(programs: pathlib.Path, connections: int, repeat: int, *, away: bool) -> dict:
    """Hold the connections, run everything in turns inside the stand-in and once more from outside it."""
    with crowd(connections, away=away) as running:
        inside = [
            sys.executable,
            str(pathlib.Path(__file__).resolve()),
            "--inside",
            str(programs),
            str(repeat),
        ]
        done = running.standin.run(inside, timeout=600, env={**os.environ, **environment()})
        rows = json.loads(done.stdout)
        check = commands_of(programs)["kamtcp check"]
        outside = {
            BARE: commands_of(programs)[BARE],
            "kamtcp check --instance": [*check, "--instance", str(running.pid)],
        }
        from_outside = in_turns(outside, repeat)
        rows["kamtcp check, from outside its namespaces"] = from_outside["kamtcp check --instance"]
    clients = "away" if away else "here"
    return {
        "connections": connections,
        "clients": clients,
        "sockets": connections * (1 if away else 2),
        "rows": rows,
    }


def show(found: dict) -> None:
    print(f"{found['connections']} connections held, clients {found['clients']}: {found['sockets']} sockets")
    print(f"{'':42}{'wall ms':>9}{'least':>8}{'user':>8}{'kernel':>8}{'x bare':>8}")
    for name, row in found["rows"].items():
        goal = REACH.get(name)
        said = "" if goal is None else f"  <= {goal:g} {'met' if row['ratio'] <= goal else 'NOT MET'}"
        print(f"{name[:41]:42}{row['wall_ms']:9.1f}{row['least_ms']:8.1f}{row['user_ms']:8.1f}"
              f"{row['kernel_ms']:8.1f}{row['ratio']:8.2f}{said}")  # fmt: skip


def main() -> None:
    if sys.argv[1:2] == ["--inside"]:
        print(json.dumps(in_turns(commands_of(pathlib.Path(sys.argv[2])), int(sys.argv[3]))))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    for place, text in (("here", "on the same host"), ("away", "elsewhere")):
        parser.add_argument(f"--{place}", type=int, metavar="N", action="append", default=[],
                            help=f"connections held meanwhile by clients {text}; may be repeated")  # fmt: skip
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="write the figures here; - for standard output alone")
    options = parser.parse_args()
    programs = clean_venv()
    if MARK not in os.environ:
        in_own_namespace()
    cases = [(each, False) for each in options.here] + [(each, True) for each in options.away]
    found = [
        measure(programs, count, options.repeat, away=away)
        for count, away in cases or ((0, False), (10000, False), (NOFILE - 100, True))
    ]
    result = {"python": platform.python_version(), "kernel": platform.release(), "cpus": os.cpu_count(),
              "repeat": options.repeat, "runs": found}  # fmt: skip
    if options.json != "-":
        print(f"Python {result['python']}, Linux {result['kernel']}, {result['cpus']} CPUs,"
              f" medians of {options.repeat} turns")  # fmt: skip
        for each in found:
            show(each)
    if options.json:
        text = json.dumps(result, indent=1) + "\n"
        if options.json == "-":
            sys.stdout.write(text)
        else:
            pathlib.Path(options.json).write_text(text)


if __name__ == "__main__":
    main()
