"""Names of core parameters: other spellings, which want numbers, which are never taken for defined names.

Source  Kamailio src/core/cfg.lex and cfg.y, 5.6.3 and 6.2.0-dev1
"""

from __future__ import annotations

# other spelling -> the name that kamtcp uses
ALIASES = {
    "core_log": "corelog",
    "gid": "group",
    "ip_nonlocal_bind": "ip_free_bind",
    "ipfreebind": "ip_free_bind",
    "mem_dbg": "memdbg",
    "mem_log": "memlog",
    "mpath": "loadpath",
    "run_dir": "rundir",
    "ser_kill_timeout": "exit_timeout",
    "shm": "shm_mem_size",
    "shm_mem": "shm_mem_size",
    "tcp_accept_protos": "tcp_accept_protocols",
    "tcp_buf_write": "tcp_async",
    "tls_disable": "disable_tls",
    "tls_enable": "enable_tls",
    "tls_log": "tlslog",
    "uid": "user",
    "wdir": "workdir",
}

# a text here is a mistake that Kamailio refuses
NUMERIC = frozenset(
    """
    async_workers children debug disable_tcp disable_tls enable_tls fork log_stderror mem_add_size mem_join memdbg
    memlog mlock_pages msg_recv_max_size open_files_limit port real_time rt_policy rt_prio server_id shm_force_alloc
    shm_mem_size socket_workers tcp_accept_aliases tcp_accept_haproxy tcp_accept_hep3 tcp_accept_iplimit
    tcp_accept_no_cl tcp_accept_unique tcp_async tcp_check_timer tcp_children tcp_clone_rcvbuf tcp_close_rst
    tcp_conn_wq_max tcp_connect_timeout tcp_connection_lifetime tcp_connection_match tcp_crlf_ping tcp_defer_accept
    tcp_delayed_ack tcp_fd_cache tcp_keepalive tcp_keepcnt tcp_keepidle tcp_keepintvl tcp_linger2 tcp_listen_backlog
    tcp_main_threads tcp_max_connections tcp_msg_data_timeout tcp_msg_read_timeout tcp_no_connect tcp_rd_buf_size
    tcp_reuse_port tcp_script_mode tcp_send_timeout tcp_syncnt tcp_wait_data tcp_wq_blk_size tcp_wq_max
    tls_max_connections tls_port_no tls_threads_mode
    """.split()  # noqa: SIM905  (a list to read, not of quotes)
)

ROUTES = frozenset(
    """
    route request_route reply_route onreply_route failure_route branch_route onsend_route event_route
    """.split()  # noqa: SIM905  (a list to read, not of quotes)
)

PROTOCOLS = frozenset(("udp", "tcp", "tls", "sctp", "ws", "wss"))

# Kamailio's scanner knows these words before it looks for defined names
KEYWORDS = (
    NUMERIC
    | ROUTES
    | PROTOCOLS
    | frozenset(p.upper() for p in PROTOCOLS)
    | frozenset(ALIASES)
    | frozenset(
        """
        ADVERTISE NAME advertise advertised_address advertised_port agname alias avpflags bind cfgengine chroot
        coreparam corelog default desc descr description disable domain enable exit_timeout false flags group if
        ip_free_bind listen loadmodule loadmodulex loadpath modparam modparamx name no off on rundir server_header
        server_signature socket tcp_accept_protocols tcp_poll_method tcp_source_ipv4 tcp_source_ipv6 tls_method true
        user user_agent_header virtual vrf workdir workers yes
        """.split()  # noqa: SIM905  (a list to read, not of quotes)
    )
)


def canonical(name: str) -> str:
    """The name kamtcp uses for a core parameter."""
    return ALIASES.get(name, name)
