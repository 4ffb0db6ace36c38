"""One process of the load generator: `python -m kamtcp.loadgen.worker BOARD_FD WORKERS`, order on standard input."""

from __future__ import annotations

import gc
import os
import resource
import sys

import msgspec

from kamtcp.loadgen.board import Board
from kamtcp.loadgen.engine import Engine
from kamtcp.loadgen.order import Order

_CLONE_NEWNET = 0x40000000


def main(argv: list[str]) -> int:
    """Carry out the order; the result goes to standard output as MessagePack."""
    board = Board(int(argv[2]), int(argv[1]))
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if order.netns_pid is not None:
        try:
            enter_network_of(order.netns_pid)
        except OSError as error:
            print(f"network namespace of process {order.netns_pid}: {error.strerror}", file=sys.stderr)
            return 2
    engine = Engine(order, board)
    gc.disable()  # nothing here makes cycles, and a collection walks every connection
    board.row(order.worker)[7] = 1
    sys.stdout.buffer.write(msgspec.msgpack.encode(engine.run()))
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
