"""A descriptor number beyond the table of tcp main: the server starts with descriptors of whoever started it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from truth_measure import number, until
from truth_row import COUNTS, Outcome, Row

from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import Steady
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from stop_rig import has_ended, log_of, order, predict, server

INHERITED = 900
PLACE = "/run/inherits"
# opens descriptors 100 to 999 and becomes the server
_SCRIPT = f"""#!/bin/bash
for ((n = 100; n < {100 + INHERITED}; n++)); do eval "exec $n</dev/null"; done
PATH=${{PATH#{PLACE}:}} exec kamailio "$@"
"""


@contextmanager
def inheriting() -> Iterator[None]:
    """Commands of stand-in hosts look into `PLACE` first."""
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{PLACE}:{before}"
    try:
        yield
    finally:
        os.environ["PATH"] = before


def wrap(host: StandIn) -> None:
    os.mkdir(host.path(PLACE))
    with open(host.path(f"{PLACE}/kamailio"), "w", encoding="ascii") as script:
        script.write(_SCRIPT)
    os.chmod(host.path(f"{PLACE}/kamailio"), 0o755)


def beyond_the_table() -> Outcome:
    """Connections until tcp main writes beyond its table; what that breaks stays in the stand-in host."""
    with (
        inheriting(),
        server(Scenario(tcp_max_connections=2000), shm_megabytes=128, log=True, prepare=wrap) as running,
    ):
        prediction = predict(running.pid)
        limit = number(prediction.ceiling("descriptor-table"))
        assert prediction.name == "descriptor-table", f"{prediction.name} at {prediction.at}"
        with Load(order(running.standin, Steady(limit + 200, 500.0), answer_timeout=3.0)) as load:
            until(lambda: load.wait_settled(0.1) or has_ended(running), 30.0)
            held = load.progress().held
        told = [line for line in log_of(running).splitlines() if "invalid fd" in line]
    return Outcome(
        limit, held, "connections held", f"{INHERITED} descriptors inherited: answered",
        f"{len(told):,} lines like: {told[0][told[0].index('invalid fd') :] if told else 'none'}",
    )  # fmt: skip


ROWS = (
    Row(
        "table",
        "900 inherited descriptors, tcp_max_connections=2000",
        "descriptor-table",
        COUNTS,
        beyond_the_table,
    ),
)
