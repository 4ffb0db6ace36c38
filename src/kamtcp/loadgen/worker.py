"""One process of the load generator: `python -m kamtcp.loadgen.worker BOARD_FD WORKERS`, program on standard input."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys

import msgspec

from kamtcp.errors import UsageError
from kamtcp.loadgen.board import Board
from kamtcp.loadgen.engine import Engine
from kamtcp.loadgen.program import Program

_CLONE_NEWNET = 0x40000000


def main(argv: list[str]) -> int:
    """Carry out the program; the result goes to standard output as MessagePack."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's, which tells on the board
    board = Board(int(argv[2]), int(argv[1]))
    program = msgspec.json.decode(sys.stdin.buffer.read(), type=Program)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if program.netns_pid is not None:
        try:
            enter_network_of(program.netns_pid)
        except OSError as error:
            print(f"network namespace of process {program.netns_pid}: {error.strerror}", file=sys.stderr)
            return 2
    try:
        engine = Engine(program, board)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    gc.disable()  # nothing here makes cycles, and a collection walks every connection
    result = msgspec.msgpack.encode(engine.run())
    try:
        sys.stdout.buffer.write(result)
        sys.stdout.buffer.flush()
    except OSError:
        os._exit(1)  # nobody is left to read it
    return 0


def enter_network_of(pid: int) -> None:
    """Move this (single-threaded) process into another one's network namespace. Source: setns(2).

    Raises:
        OSError: as the kernel gave it.
    """
    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if hasattr(os, "setns"):  # Python 3.12
            os.setns(fd, _CLONE_NEWNET)
            return
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(fd, _CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(fd)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
