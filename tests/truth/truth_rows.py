"""All rows, in the order of the page; and ceilings that have none, with the reason."""

from __future__ import annotations

import rows_cgroup
import rows_host
import rows_kamailio
import rows_kernel
import rows_network
import rows_queue
import rows_table
from truth_row import Row

ROWS: tuple[Row, ...] = (
    *rows_kamailio.ROWS,
    *rows_queue.ROWS,
    *rows_network.ROWS,
    *rows_host.ROWS,
    *rows_kernel.ROWS,
    *rows_cgroup.ROWS,
    *rows_table.ROWS,
)

#: timers of the chain that rows speak of
TIMERS = frozenset[str]()

#: ceilings without a row: what would have to be there
WITHOUT_ROW: dict[str, str] = {}
