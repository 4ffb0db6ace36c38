"""What the start of the command line loads: benchmarks/check_cost.py measures it, these tests keep it."""

import subprocess
import sys

import pytest

#: modules that a check gets along without, with what they cost: 1 to 100 ms of the 100 that it may take
DEAR = {
    "concurrent", "ctypes", "dataclasses", "heapq", "json", "logging", "mmap", "numpy", "queue", "selectors", "shutil",
    "socket", "ssl", "subprocess", "threading", "tomllib",
}  # fmt: skip
CHECK = (
    "import sys, importlib\n"
    "for name in ('cli.check', 'cli.report', 'host.live', 'host.netlink', 'host.exchange', 'host.probes',"
    " 'kamailio.preprocess', 'kamailio.statements'):\n"
    "    importlib.import_module('kamtcp.' + name)\n"
    "from kamtcp.cli.run import parser_of\n"
    "parser_of('check')[0].parse_args([])\n"
    "print(*sys.modules)\n"
)


def loaded(*command: str) -> set[str]:
    return set(
        subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True).stdout.split()
    )


def test_a_check_loads_nothing_dear():
    assert loaded("-c", CHECK) & DEAR == set()


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_loads_next_to_nothing(option):
    """Not even msgspec, which takes as long as the interpreter itself."""
    code = f"import sys; from kamtcp.__main__ import main; main([{option!r}]); print(*sys.modules)"
    assert loaded("-c", code) & (DEAR | {"msgspec", "argparse", "kamtcp.cli.run"}) == set()
