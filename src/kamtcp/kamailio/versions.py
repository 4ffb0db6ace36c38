"""What is different between versions of Kamailio, and whether a version's figures were measured.

Test for the feature where a running server can be asked; this is for what it doesn't tell.

Source  Kamailio tags 3.3.5 to 6.1.4: src/core/cfg.lex (parameters), src/core/tcp_conn.h (structures);
        sizes and overheads measured on 5.6.3 (Debian 12), 5.7.7, 6.0.7 and 6.1.4, x86-64
"""

from __future__ import annotations

import re

from msgspec import Struct

from kamtcp.errors import ParseError

Numbers = tuple[int, int, int]


class Version(Struct, frozen=True):
    """A version, as `core.version`, `kamailio -v` or a package name prints it.

    Args:
        numbers: (major, minor, patch).
        text: as printed.
        devel: built from a branch before its release ("6.2.0-dev1", "6.0.0-pre1", "-rc0").
    """

    numbers: Numbers
    text: str
    devel: bool = False

    def at_least(self, *numbers: int) -> bool:
        """Whether this is version `numbers` or a later one; a development version of it counts as it."""
        return self.numbers[: len(numbers)] >= numbers


class Known(Struct, frozen=True):
    """A figure that depends on the version.

    Args:
        value: the figure.
        measured: it was measured on this very version; else it is taken from the nearest older one measured.
        basis: that version.
    """

    value: int
    measured: bool
    basis: str


# first version that has it; parameters older than 3.3 are not listed
SINCE: dict[str, tuple[Numbers, ...]] = {
    # several: it was added to maintenance releases of older branches as well
    "async_tkv_evcb": ((6, 0, 0),),
    "async_tkv_gname": ((6, 0, 0),),
    "async_workers": ((4, 2, 0),),
    "async_workers_group": ((5, 5, 0),),
    "auto_domains": ((5, 7, 0),),
    "dns_rev_via": ((5, 7, 0),),
    "dns_use_cache": ((5, 7, 0),),
    "dns_use_failover": ((5, 7, 0),),
    "domain": ((5, 7, 0),),
    "maxsndbuffer": ((5, 8, 0),),
    "mem_add_size": ((5, 8, 0),),
    "msg_apply_changes_mode": ((6, 1, 0),),
    "msg_clone_extra_size": ((6, 1, 0),),
    "msg_recv_max_size": ((5, 7, 3),),
    "return_mode": ((5, 7, 0),),
    "rpc_exec_delta": ((5, 7, 0),),
    "rpc_exec_locks": ((6, 2, 0),),
    "rpc_exec_locks_mode": ((6, 2, 0),),
    "sip_parser_log_oneline": ((5, 6, 0),),
    "socket": ((5, 7, 0),),
    "socket_workers": ((3, 3, 0),),
    "tcp_accept_haproxy": ((5, 3, 0),),
    "tcp_accept_hep3": ((5, 1, 0),),
    "tcp_accept_iplimit": ((5, 7, 3),),
    "tcp_accept_protocols": ((5, 8, 8), (6, 0, 7), (6, 1, 1)),
    "tcp_accept_protos": ((5, 8, 8), (6, 0, 7), (6, 1, 1)),
    "tcp_accept_unique": ((5, 3, 0),),
    "tcp_check_timer": ((5, 7, 3),),
    "tcp_close_rst": ((5, 7, 0),),
    "tcp_connection_match": ((5, 3, 0),),
    "tcp_listen_backlog": ((6, 1, 0),),
    "tcp_main_threads": ((6, 1, 0),),
    "tcp_msg_data_timeout": ((5, 7, 3),),
    "tcp_msg_read_timeout": ((5, 7, 3),),
    "tcp_reuse_port": ((5, 1, 0),),
    "tcp_script_mode": ((5, 6, 0),),
    "tcp_wait_data": ((5, 6, 0),),
    "tls_connection_match_domain": ((6, 1, 0),),
    "tls_max_connections": ((3, 3, 0),),
    "tls_threads_mode": ((5, 7, 5),),
    "udp_accept_proxy": ((6, 2, 0),),
    "udp_receiver_mode": ((6, 0, 0),),
    "xavp_via_reply_params": ((5, 8, 0),),
}


_MEASURED = ((5, 6, 3), (5, 7, 7), (6, 0, 7), (6, 1, 4))
_CONNECTION_BYTES: tuple[tuple[Numbers, int, Numbers], ...] = (
    # from version, sizeof(struct tcp_connection), where measured
    ((6, 1, 0), 984, (6, 1, 4)),
    ((5, 7, 3), 952, (5, 7, 7)),
    ((0, 0, 0), 928, (5, 6, 3)),
)


def parse_version(text: str) -> Version:
    """Find the version in "kamailio 5.6.3 (x86_64/linux)", "6.2.0-dev1", "5.6.3-2+deb12u1", ….

    Raises:
        ParseError: there is none.
    """
    found = re.search(
        r"(?<![\d.])(\d{1,3})\.(\d{1,3})(?:\.(\d{1,3}))?(?:[-~.]?(dev|pre|rc|beta)\d*)?(?!\d)", text
    )
    if found is None or not text.isprintable():
        raise ParseError("version of kamailio", "major.minor.patch", text)
    major, minor, patch = (int(part or 0) for part in found.groups()[:3])
    return Version((major, minor, patch), text.strip(), found.group(4) is not None)


def has_parameter(version: Version, name: str) -> bool:
    """Whether this version knows a core parameter; those not in `SINCE` are older than 3.3."""
    firsts = SINCE.get(name)
    if not firsts:
        return True
    branch = version.numbers[:2]
    for first in firsts:
        if first[:2] == branch:
            return version.numbers >= first
    # in a branch without an entry it came with the branch, if with any
    return any(branch > first[:2] for first in firsts) and (len(firsts) == 1 or branch > firsts[-1][:2])


def connection_bytes(version: Version) -> Known:
    """sizeof(struct tcp_connection) on x86-64, aliases included, read buffer and allocator not."""
    for first, size, basis in _CONNECTION_BYTES:
        if version.numbers >= first:
            return Known(size, version.numbers in _MEASURED, ".".join(map(str, basis)))
    raise AssertionError  # the last row is for every version
