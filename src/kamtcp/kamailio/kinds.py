"""Core parameters of a kamailio.cfg by the kind of value that Kamailio's grammar takes; anything else stops it.

Names are as written in files; other spellings stand beside. What a version doesn't have yet: versions.SINCE.

Source  Kamailio src/core/cfg.y (assign_stm), 5.6.3 and 6.2.0-dev1: no kind changed between them
"""

from __future__ import annotations

# a number, or one of the words for yes and no
UNSIGNED = frozenset(
    """
    add_rport advertised_port async_nonblock async_usleep async_workers auto_aliases auto_bind_ipv6
    auto_domains bind_ipv6_link_local check_via children disable_core_dump disable_sctp disable_tcp
    disable_tls dns dns_cache_del_nonexp dns_cache_delete_nonexpired dns_cache_flags dns_cache_gc_interval
    dns_cache_init dns_cache_max_ttl dns_cache_mem dns_cache_min_ttl dns_cache_negative_ttl dns_cache_rec_pref
    dns_naptr_ignore_rfc dns_retr_no dns_retr_time dns_rev_via dns_search_full_match dns_servers_no
    dns_slow_query_ms dns_srv_lb dns_srv_loadbalancing dns_try_ipv6 dns_try_naptr dns_use_cache
    dns_use_failover dns_use_search_list dst_blocklist_expire dst_blocklist_gc_interval dst_blocklist_init
    dst_blocklist_mem dst_blocklist_sctp_imask dst_blocklist_tcp_imask dst_blocklist_tls_imask
    dst_blocklist_ttl dst_blocklist_udp_imask enable_sctp enable_tls exit_timeout force_rport fork
    http_reply_hack http_reply_parse latency_limit_action latency_limit_cfg latency_limit_db local_rport
    log_color log_prefix_mode log_stderror max_branches max_recursive_level max_while_loops maxbuffer
    maxsndbuffer mcast_loopback mcast_ttl mhomed mlock_pages msg_apply_changes_mode msg_clone_extra_size
    msg_recv_max_size msg_time onsend_route_reply open_files_limit phone2tel pmtu_discovery port
    pv_buffer_size pv_buffer_slots pv_cache_action pv_cache_limit real_time reply_to_via return_mode rev_dns
    route_locks_size rpc_exec_delta rpc_exec_locks rpc_exec_locks_mode rt_fast_timer_prio rt_ftimer_policy
    rt_ftimer_prio rt_policy rt_prio rt_stimer_policy rt_stimer_prio rt_timer1_policy rt_timer1_prio
    rt_timer2_policy rt_timer2_prio sctp_children ser_kill_timeout server_id server_signature shm
    shm_force_alloc shm_mem shm_mem_size sip_warning socket_workers sql_buffer_size tcp_accept_aliases
    tcp_accept_haproxy tcp_accept_hep3 tcp_accept_iplimit tcp_accept_no_cl tcp_accept_unique tcp_async
    tcp_buf_write tcp_check_timer tcp_children tcp_clone_rcvbuf tcp_close_rst tcp_conn_wq_max
    tcp_connection_match tcp_crlf_ping tcp_defer_accept tcp_delayed_ack tcp_fd_cache tcp_keepalive tcp_keepcnt
    tcp_keepidle tcp_keepintvl tcp_linger2 tcp_listen_backlog tcp_main_threads tcp_max_connections
    tcp_msg_data_timeout tcp_msg_read_timeout tcp_no_connect tcp_rd_buf_size tcp_reuse_port tcp_syncnt
    tcp_wq_blk_size tcp_wq_max tls_connection_match_domain tls_disable tls_enable tls_handshake_timeout
    tls_log tls_max_connections tls_port_no tls_require_certificate tls_send_timeout tls_threads_mode
    tls_verify tlslog udp4_raw_mtu udp4_raw_ttl udp_accept_proxy udp_mtu udp_receiver_mode use_dns_cache
    use_dns_failover use_dst_blocklist verbose_startup wait_worker1_mode wait_worker1_time wait_worker1_usleep
    """.split()  # noqa: SIM905  (a list to read, not of quotes)
)

# the same, and a minus may stand before it
SIGNED = frozenset(
    """
    core_log corelog debug dns_sctp_pref dns_sctp_preference dns_tcp_pref dns_tcp_preference dns_tls_pref
    dns_tls_preference dns_udp_pref dns_udp_preference ip_free_bind ip_nonlocal_bind ipfreebind
    latency_cfg_log latency_log mem_add_size mem_dbg mem_join mem_log mem_safety mem_status_mode mem_summary
    memdbg memlog received_route_mode sip_parser_log sip_parser_log_oneline sip_parser_mode
    tcp_connect_timeout tcp_connection_lifetime tcp_script_mode tcp_send_timeout tcp_wait_data udp4_raw
    """.split()  # noqa: SIM905  (a list to read, not of quotes)
)

# a text in quotes
QUOTED = frozenset(
    """
    async_tkv_evcb async_tkv_gname async_workers_group hdr_name_extra_chars ipv6_hex_style log_engine_data
    log_engine_type log_name log_prefix server_header stats_name_separator tls_ca_list tls_certificate
    tls_private_key uri_host_extra_chars user_agent_header version_table xavp_via_fields xavp_via_params
    xavp_via_reply_params
    """.split()  # noqa: SIM905  (a list to read, not of quotes)
)

# a text in quotes, or a name without
NAMED = frozenset(
    """
    chroot gid group mcast run_dir rundir tcp_poll_method uid user wdir workdir
    """.split()  # noqa: SIM905  (a list to read, not of quotes)
)

# addresses, protocols and other words, each with a rule of its own
SPECIAL = frozenset(
    """
    advertised_address log_facility tcp_accept_protocols tcp_accept_protos tcp_source_ipv4 tcp_source_ipv6
    tls_method tos udp_mtu_try_proto
    """.split()  # noqa: SIM905  (a list to read, not of quotes)
)

# of these, which take no quotes
BARE = SPECIAL - {"advertised_address", "tcp_accept_protocols", "tcp_accept_protos"}

NUMERIC = UNSIGNED | SIGNED
# values of one word
SINGLE = NUMERIC | NAMED | {"tos", "log_facility", "tls_method", "udp_mtu_try_proto"}
ALL = UNSIGNED | SIGNED | QUOTED | NAMED | SPECIAL
