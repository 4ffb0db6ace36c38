"""How large a setting should be: its name in the catalogue -> the function.

A function takes what is judged and the present value, and gives the value to set with its arithmetic, or says why there
is none. It reads nothing; explain shows what it gives, and a plan writes it.
"""

from __future__ import annotations

from collections.abc import Mapping

from kamtcp.catalogue import size_kamailio, size_kernel
from kamtcp.catalogue.size import Sizing, at_least_always, exactly

SIZES: Mapping[str, Sizing] = {
    "accept_iplimit": size_kamailio.accept_iplimit,
    "connection_lifetime": size_kamailio.connection_lifetime,
    "conntrack_buckets": size_kernel.conntrack_buckets,
    "conntrack_established": size_kernel.conntrack_established,
    "conntrack_max": size_kernel.conntrack_max,
    "dgram_queue": at_least_always(512),
    "epoll_watches": size_kernel.epoll_watches,
    "file_max": size_kernel.file_max,
    "listen_backlog": size_kernel.listen_backlog,
    "max_orphans": size_kernel.max_orphans,
    "memlock": size_kamailio.memlock,
    "memory_max": size_kamailio.memory_max,
    "min_free": size_kernel.min_free,
    "netdev_max_backlog": size_kernel.netdev_backlog,
    "nofile": size_kamailio.nofile,
    "nr_open": size_kernel.nr_open,
    "one": exactly("1"),
    "pkg": size_kamailio.pkg,
    "port_range": size_kernel.port_range,
    "rd_buf_size": size_kamailio.rd_buf_size,
    "reserved_ports": size_kernel.reserved_ports,
    "shm": size_kamailio.shm,
    "somaxconn": size_kernel.somaxconn,
    "swappiness": size_kernel.swappiness,
    "tasks_max": size_kamailio.tasks_max,
    "tcp_children": size_kamailio.tcp_children,
    "tcp_max_connections": size_kamailio.tcp_max_connections,
    "tcp_mem": size_kernel.tcp_mem,
    "thash_entries": size_kernel.thash_entries,
    "threads_mode": size_kamailio.threads_mode,
    "tls_max_connections": size_kamailio.tls_max_connections,
    "tw_buckets": size_kernel.tw_buckets,
    "tw_reuse": size_kernel.tw_reuse,
    "websocket_interval": size_kamailio.websocket_interval,
    "wmem_default": size_kamailio.wmem_default,
    "zero": exactly("0"),
}
