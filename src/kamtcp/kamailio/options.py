"""What is in force in the running server? TCP, TLS and WebSocket options, from decoded RPC replies.

Reads   core.tcp_options, cfg.get tcp, cfg.get tls, cfg.get websocket
Source  Kamailio src/core/tcp_options.c, src/core/core_cmd.c, src/modules/tls/tls_cfg.c,
        src/modules/websocket/config.c, src/modules/cfg_rpc/cfg_rpc.c (rpc_get)

`cfg.get GROUP` leaves out, without a word, options that have a get callback; core.tcp_options has those of `tcp`
(connect_timeout, send_timeout, connection_lifetime and the two maxima). For a group that does not exist it answers
with an empty struct, so that every field here is Absent.
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.kamailio.fields import number, numbers, one_struct, text
from kamtcp.kamailio.values import Values
from kamtcp.model.absent import Absent


class TcpOptions(Struct, frozen=True):
    """core.tcp_options. Times in seconds, sizes in bytes, switches 0 or 1.

    `max_connections_soft` is sent as "max_connections(soft)": the limit in force now, at most the hard one of
    core.tcp_info; so is the TLS one. `connection_lifetime` is what idle connections get.
    """

    connect_timeout: int | Absent
    send_timeout: int | Absent
    connection_lifetime: int | Absent
    max_connections_soft: int | Absent
    max_tls_connections_soft: int | Absent
    no_connect: int | Absent
    fd_cache: int | Absent
    # `async` is a keyword in Python; the field is the member of that name.
    async_: int | Absent
    connect_wait: int | Absent
    conn_wq_max: int | Absent
    wq_max: int | Absent
    defer_accept: int | Absent
    delayed_ack: int | Absent
    syncnt: int | Absent
    linger2: int | Absent
    keepalive: int | Absent
    keepidle: int | Absent
    keepintvl: int | Absent
    keepcnt: int | Absent
    crlf_ping: int | Absent
    accept_aliases: int | Absent
    alias_flags: int | Absent
    new_conn_alias_flags: int | Absent


def tcp_options(values: Values) -> TcpOptions:
    """Raises ParseError unless the reply is one struct of numbers."""
    method, members = "core.tcp_options", one_struct("core.tcp_options", values)
    sent = {name: name.replace("_soft", "(soft)").rstrip("_") for name in TcpOptions.__struct_fields__}
    return TcpOptions(**{name: number(method, members, member) for name, member in sent.items()})


class CfgTcp(Struct, frozen=True):
    """Of `cfg.get tcp`, what core.tcp_options lacks. Sizes in bytes.

    Args:
        rd_buf_size: read buffer of each connection, in shared memory (tcp_rd_buf_size).
        wq_blk_size: smallest block of a write queue.
        wait_data_ms: how long tcp main sleeps for a PROXY header (tcp_wait_data); 5.2 and newer.
        accept_no_cl, reuse_port, close_rst: switches; close_rst 6.0 and newer.
    """

    rd_buf_size: int | Absent
    wq_blk_size: int | Absent
    wait_data_ms: int | Absent
    accept_no_cl: int | Absent
    reuse_port: int | Absent
    close_rst: int | Absent


def cfg_tcp(values: Values) -> CfgTcp:
    """Raises ParseError unless the reply is one struct."""
    return numbers(CfgTcp, "cfg.get tcp", one_struct("cfg.get tcp", values))


class CfgTls(Struct, frozen=True):
    """Of `cfg.get tls`, what decides memory and protocol. Sizes in bytes; −1 is OpenSSL's own default.

    Args:
        low_mem_threshold1: free shared memory below which new TLS connections are refused; threshold2: existing ones
            fail. 0 switches the guard off.
        ct_wq_max, con_ct_wq_max: clear text that may wait, over all connections and for one.
        method: "TLSv1", "TLSv1.2+", …, of the default profile only; others are in the file that `config` names.
    """

    low_mem_threshold1: int | Absent
    low_mem_threshold2: int | Absent
    ct_wq_max: int | Absent
    con_ct_wq_max: int | Absent
    ct_wq_blk_size: int | Absent
    session_cache: int | Absent
    disable_compression: int | Absent
    ssl_release_buffers: int | Absent
    ssl_free_list_max: int | Absent
    ssl_max_send_fragment: int | Absent
    ssl_read_ahead: int | Absent
    verify_certificate: int | Absent
    require_certificate: int | Absent
    method: str | Absent
    certificate: str | Absent


def cfg_tls(values: Values) -> CfgTls:
    """Raises ParseError unless the reply is one struct."""
    source, members = "cfg.get tls", one_struct("cfg.get tls", values)
    words = ("method", "certificate")
    fields = {name: number(source, members, name) for name in CfgTls.__struct_fields__ if name not in words}
    return CfgTls(
        **fields, method=text(source, members, "method"), certificate=text(source, members, "certificate")
    )


class CfgWebsocket(Struct, frozen=True):
    """`cfg.get websocket`: keepalive_timeout in seconds; enabled 0 or 1 (ws.disable and ws.enable turn it)."""

    keepalive_timeout: int | Absent
    enabled: int | Absent


def cfg_websocket(values: Values) -> CfgWebsocket:
    """Raises ParseError unless the reply is one struct of numbers."""
    return numbers(CfgWebsocket, "cfg.get websocket", one_struct("cfg.get websocket", values))
