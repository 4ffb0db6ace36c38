#!/usr/bin/env python3
"""What `make run` shows: a real check of this machine, then of a real Kamailio under real connections.

The Kamailio runs with the stock configuration in namespaces of its own: nothing listens outside, nothing is
installed. Where that can't be (no root, no packages) the check of this machine stands alone and it is said why.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

CONNECTIONS = 500
OUT = ".cache/run"
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main() -> int:
    os.chdir(HERE)
    os.makedirs(OUT, exist_ok=True)
    os.environ["KAMTCP_STATE"] = os.path.abspath(f"{OUT}/state")  # this run is no history of the machine
    title("1. This machine, as it is now")
    check("this-machine")
    why_not = missing()
    if why_not:
        print(f"Not shown: a real Kamailio under {CONNECTIONS} connections, because {why_not}.")
        return 0
    title(
        f"2. Kamailio with Debian's stock configuration, {CONNECTIONS} SIP-over-TCP connections, in a namespace of its own"
    )
    return stand_in()


def title(text: str) -> None:
    print(f"\n=== {text} ===\n", flush=True)


def missing() -> str:
    """Why the second part can't run here; "" where it can."""
    from kamtcp.rehearse.kamailio import packages_root

    if os.geteuid() != 0:
        return "namespaces need root (run it as root, in a container or a disposable machine if you like)"
    if packages_root() is None:
        return "Kamailio is neither installed nor could its Debian packages be fetched (see above)"
    return ""


def stand_in() -> int:
    from kamtcp.errors import StandInError
    from kamtcp.loadgen.order import Order
    from kamtcp.loadgen.processes import Load
    from kamtcp.loadgen.schedule import AtOnce
    from kamtcp.rehearse.kamailio import packages_root, start_kamailio
    from kamtcp.rehearse.standin import StandIn

    root = packages_root()
    assert root is not None
    try:
        with StandIn(root) as host, start_kamailio(host, nofile=(1024, hard_limit())) as kamailio:
            order = Order("127.0.0.1", 5060, AtOnce(CONNECTIONS), (), hold_seconds=None, netns_pid=host.pid)
            with Load(order) as load:
                load.wait_settled()
                held = load.progress().held
                print(
                    f"{held} of {CONNECTIONS} connections answered a SIP OPTIONS and are held.\n", flush=True
                )
                check("stock-kamailio", "--instance", str(kamailio.pid))
                agree(kamailio.pid, held)
    except StandInError as error:
        print(f"Not shown: a real Kamailio under connections: {error}.")
        return 0
    print(f"The same as JSON: {OUT}/this-machine.json, {OUT}/stock-kamailio.json")
    print("Next: kamtcp check --connections 20000 --rate 500   (.venv/bin/kamtcp)")
    return 0 if held == CONNECTIONS else 1


def hard_limit() -> int:
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def check(name: str, *options: str) -> None:
    """One check, on screen and as JSON. Its findings are the result, not a failure."""
    command = [sys.executable, "-m", "kamtcp", "check", *options]
    shown = subprocess.run(command, check=False)
    with open(f"{OUT}/{name}.json", "wb") as file:
        subprocess.run([*command, "--json"], stdout=file, check=False)
    if shown.returncode == 2:
        raise SystemExit("kamtcp check failed; see the line above")


def agree(pid: int, held: int) -> None:
    """The three counts that must be the same: our clients, the kernel, Kamailio."""
    from kamtcp.host.live import Live
    from kamtcp.survey.take import take

    time.sleep(0.2)
    snapshot = take(Live(), only=str(pid))
    instance = next(each for each in snapshot.instances if each.attendant == pid)
    established = snapshot.namespaces[instance.netns].established
    print(
        f"Held, counted three ways: {held} by our clients, {instance.opened} by core.tcp_info,"
        f" {established} sockets by the kernel (both ends of each are in this namespace)."
    )


if __name__ == "__main__":
    sys.exit(main())
