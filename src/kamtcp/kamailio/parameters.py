"""Names in a kamailio.cfg: other spellings of core parameters, words that are never taken for defined names.

Source  Kamailio src/core/cfg.lex and cfg.y, 5.6.3 and 6.2.0-dev1
"""

from __future__ import annotations

from kamtcp.kamailio import kinds

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

ROUTES = frozenset(
    """
    route request_route reply_route onreply_route failure_route branch_route onsend_route event_route
    """.split()  # noqa: SIM905  (a list to read, not of quotes)
)

PROTOCOLS = frozenset(("udp", "tcp", "tls", "sctp", "ws", "wss"))

LISTEN_PROTOCOLS = frozenset(("", "udp", "tcp", "tls", "sctp"))

POLL_METHODS = frozenset(("poll", "epoll_lt", "epoll_et", "sigio_rt", "select", "kqueue", "/dev/poll"))

# Kamailio's scanner knows these words before it looks for defined names
KEYWORDS = (
    kinds.ALL
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
        INET INET6 IPV4 IPV6 IPv4 IPv6 SSLV2 SSLV23 SSLV3 SSLv2 SSLv23 SSLv3 TLSV1 TLSv1 add_local_rport
        add_tcp_alias af and avpflags bool break case cfg_reset cfg_select clear_branches defined drop dst_ip
        dst_port else eq error event_route_callback exec exit flags force_send_socket force_tcp_alias
        fork_delay forward forward_sctp forward_tcp forward_tls forward_udp from_uri ieq import_file
        include_file ine inet inet6 ipv4 ipv6 isavpflagset isflagset kemi log max_len method mod modinit_delay
        myself ne not onsend_route_callback or pre_routing_callback prefix proto received_route_callback
        remove_branch reply_route_callback resetavpflag resetflag return revert_uri rewritehost
        rewritehostport rewritehostporttrans rewriteport rewriteuri rewriteuser rewriteuserpass selval
        set_advertised_address set_advertised_port set_forward_close set_forward_no_connect set_reply_close
        set_reply_no_connect setavpflag setflag seth sethost sethostport sethostporttrans sethp sethpt setp
        setport setu setup seturi setuser setuserpass snd_af snd_ip snd_port snd_proto src_ip src_port sslv2
        sslv23 sslv3 statistics status strempty strip strip_tail strlen switch tlsv1 to_af to_ip to_port
        to_proto to_uri uri userphone while
        """.split()  # noqa: SIM905  (a list to read, not of quotes)
    )
)


def canonical(name: str) -> str:
    """The name kamtcp uses for a core parameter."""
    return ALIASES.get(name, name)
