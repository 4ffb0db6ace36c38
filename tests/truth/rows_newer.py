"""What only a newer Kamailio has: the cap on connections of one address, and the scan that counts them.

Needs a Kamailio from 5.7.3 on, built aside with PREFIX=/usr (modules kex corex pv sl textops ctl cfg_rpc counters
jsonrpcs) and installed into a folder of its own, which KAMTCP_NEWER_KAMAILIO_ROOT names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rows_queue import tcp_main
from rows_rates import cpu_seconds, of_this_machine
from truth_measure import number, one_load
from truth_row import COUNTS, RATES, NotProven, Outcome, Row

from kamtcp.loadgen.processes import Load
from kamtcp.loadgen.schedule import Steady
from kamtcp.loadgen.sources import Block, plan_sources
from kamtcp.rehearse.kamailio import Running, start_kamailio
from kamtcp.rehearse.scenario import Scenario
from kamtcp.rehearse.standin import StandIn
from stop_rig import HARD, causes, order, predict, settle

WHERE = "KAMTCP_NEWER_KAMAILIO_ROOT"


@contextmanager
def newer() -> Iterator[Running]:
    """A Kamailio from there.

    Raises:
        NotProven: there is none.
    """
    root = os.environ.get(WHERE, "")
    if not os.access(os.path.join(root, "usr/sbin/kamailio"), os.X_OK):
        raise NotProven(f"needs a Kamailio from 5.7.3 on, and {WHERE} names none")
    config, args = Scenario(tcp_max_connections=16_000), ("-m", "400", "-M", "8")
    with (
        StandIn(root) as host,
        start_kamailio(host, config=config, nofile=(HARD, HARD), args=args) as running,
    ):
        yield running


def per_source() -> Outcome:
    """All connections of one address."""
    with newer() as running:
        prediction = predict(running.pid)
        limit = number(prediction.ceiling("per-source-limit"))
        sources = (Block("127.0.1.1", 6000, limit + 150),)
        result = one_load(running, Steady(limit + 150, 1000.0), sources=sources, answer_timeout=2.0)
    return Outcome(
        limit, result.load.answered, "connections from one address", f"Kamailio {prediction.instance.version}, built aside",
        f"the others: {causes(result)}",
    )  # fmt: skip


def scan() -> Outcome:
    """CPU time of tcp main for each new connection beside many that are open."""
    held, more = 8000, 500
    with newer() as running:
        host = running.standin
        with Load(order(host, Steady(held, 1000.0)), sources=plan_sources(held, avoid=(5060,))) as load:
            settle(load, running, 120.0)
            prediction = predict(running.pid)
            before = cpu_seconds(tcp_main(prediction))
            sources = plan_sources(more, base="127.0.200.1", avoid=(5060,))
            one_load(running, Steady(more, 250.0), sources=sources)
            used = cpu_seconds(tcp_main(prediction)) - before
    return of_this_machine(
        prediction.ceiling("per-source-scan"), more / used, f"{more} new beside {held:,} / the CPU time of tcp main for them",
        f"{1e6 * used / more:.0f} us each, Kamailio {prediction.instance.version}",
    )  # fmt: skip


ROWS = (
    Row("per-source-limit", "tcp_accept_iplimit=1024, one address", "per-source-limit", COUNTS, per_source),
    Row("per-source-scan", "tcp_accept_iplimit=1024, 8,000 open", "per-source-scan", RATES, scan),
)
