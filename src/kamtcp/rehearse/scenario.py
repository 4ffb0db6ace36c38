"""Kamailio configurations for tests and rehearsals: small, complete, and answering OPTIONS at once.

A scenario is a set of facts about the server that is wanted; `render` turns it into a kamailio.cfg, `render_tls`
into a tls.cfg. The route answers OPTIONS and REGISTER with 200 statelessly, so that nothing but the transport is tried.

Source  Kamailio doc/cookbooks core and modules ctl, jsonrpcs, sl, tls, websocket, xhttp; parameters as of 5.6
"""

from __future__ import annotations

from msgspec import Struct

from kamtcp.host.certificate import Key

TLS_DIRECTORY = "/etc/kamailio"
RUN_DIRECTORY = "/run/kamailio"


class Scenario(Struct, frozen=True):
    """What kind of Kamailio is wanted. None leaves a parameter to Kamailio's own default.

    Args:
        address: every listener binds to it. port, tls_port: 0 leaves that listener out.
        websocket: WebSocket over TCP (and, with `tls_port`, over TLS) is accepted as well.
        key: kind of the self-signed server key ("ecdsa" P-256 or "rsa" 2048).
        tcp_children: TCP workers, processes. children: UDP workers (there is always one UDP listener).
        tcp_connection_lifetime: seconds; also the lifetime of TLS connections.
        core: further core lines ("tcp_defer_accept=3"). modparams: further lines after the modules.
    """

    address: str = "127.0.0.1"
    port: int = 5060
    tls_port: int = 0
    websocket: bool = False
    key: Key = "ecdsa"
    tcp_children: int = 4
    children: int = 1
    tcp_max_connections: int | None = None
    tls_max_connections: int | None = None
    open_files_limit: int | None = None
    tcp_rd_buf_size: int | None = None
    tcp_connection_lifetime: int = 3605
    debug: int = 2
    core: tuple[str, ...] = ()
    modparams: tuple[str, ...] = ()

    def render(self) -> str:
        """The kamailio.cfg. Same scenario, same text."""
        lines = [
            "#!KAMAILIO",
            f"debug={self.debug}",
            "log_stderror=no",
            "auto_aliases=no",
            "dns=no",
            "rev_dns=no",
            f"children={self.children}",
            f"tcp_children={self.tcp_children}",
            f"tcp_connection_lifetime={self.tcp_connection_lifetime}",
            f"listen=udp:{self.address}:{self.port or 5060}",
        ]
        lines += [
            f"{name}={value}"
            for name, value in (
                ("tcp_max_connections", self.tcp_max_connections),
                ("tls_max_connections", self.tls_max_connections),
                ("open_files_limit", self.open_files_limit),
                ("tcp_rd_buf_size", self.tcp_rd_buf_size),
            )
            if value is not None
        ]
        if self.port:
            lines += [f"listen=tcp:{self.address}:{self.port}"]
        if self.tls_port:
            lines += ["enable_tls=yes", f"listen=tls:{self.address}:{self.tls_port}"]
        if self.websocket:
            lines += ["tcp_accept_no_cl=yes"]
        lines += self.core
        modules = ["kex", "corex", "pv", "sl", "textops", "ctl", "cfg_rpc", "counters", "jsonrpcs"]
        modules += ["tls"] if self.tls_port else []
        modules += ["xhttp", "websocket", "nathelper"] if self.websocket else []
        lines += [f'loadmodule "{name}.so"' for name in modules]
        if self.tls_port:
            lines += [
                f'modparam("tls", "config", "{TLS_DIRECTORY}/tls.cfg")',
                f'modparam("tls", "connection_timeout", {self.tcp_connection_lifetime})',
            ]
        lines += self.modparams
        lines += [
            "request_route {",
            '    if (is_method("OPTIONS|REGISTER")) {',
            '        sl_send_reply("200", "OK");',
            "        exit;",
            "    }",
            '    sl_send_reply("405", "Method Not Allowed");',
            "}",
        ]
        if self.websocket:
            lines += [
                "event_route[xhttp:request] {",
                '    if ($hdr(Upgrade) =~ "websocket" && ws_handle_handshake()) exit;',
                '    xhttp_reply("404", "Not Found", "", "");',
                "}",
            ]
        return "\n".join(lines) + "\n"

    def render_tls(self) -> str:
        """The tls.cfg of a server that asks nobody for a certificate."""
        pem = f"{TLS_DIRECTORY}/server.pem"
        return (
            "[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n"
            f"private_key = {pem}\ncertificate = {pem}\n"
            "[client:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n"
        )
