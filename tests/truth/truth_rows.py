"""All rows, in the order of the page; and ceilings that have none, with the reason."""

from __future__ import annotations

import rows_cgroup
import rows_far
import rows_host
import rows_kamailio
import rows_kernel
import rows_network
import rows_newer
import rows_queue
import rows_rates
import rows_table
import rows_timers
from truth_row import Row

ROWS: tuple[Row, ...] = (
    *rows_kamailio.ROWS,
    *rows_queue.ROWS,
    *rows_far.ROWS,
    *rows_network.ROWS,
    *rows_host.ROWS,
    *rows_kernel.ROWS,
    *rows_cgroup.ROWS,
    *rows_table.ROWS,
    *rows_rates.ROWS,
    *rows_timers.ROWS,
    *rows_newer.ROWS,
)

#: timers of the chain that rows speak of
TIMERS = frozenset(("tcp-lifetime", "tls-lifetime", "websocket-ping"))

#: ceilings without a row: what would have to be there
WITHOUT_ROW: dict[str, str] = {
    "nr-open": "no process here may have more than the hard limit of descriptors, which lies far below fs.nr_open",
    "kernel-memory": "the memory of the whole machine would have to be used up",
    "cgroup-pids": "bounds tcp_children, not connections",
    "hash-chains": "no counter tells; what a longer chain costs is lost in the noise of a shared machine",
    "conntrack-churn": "the kernel collects closed flows each 1 to 60 s as it sees fit (27, 58 and 61 s were seen):"
    " the ceiling is the lower end; that they fill the table until then was seen",
    "packet-backlog": "when softirq pauses, and for how long, can't be brought about on purpose",
}
