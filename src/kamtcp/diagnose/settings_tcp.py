"""TCP settings of the kernel that are wrong, or don't do what recipes say of them."""

from __future__ import annotations

from collections.abc import Callable

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.kernel_defaults import default_of, hash_buckets
from kamtcp.diagnose.lines import Wrong, judged
from kamtcp.diagnose.rule import Rule, Said
from kamtcp.model.absent import Absent

Numbers = tuple[int, ...]
#: fewer TIME-WAIT sockets than this are soon used up: a second of 550 closes at 60 s each
FEW_BUCKETS = 32768
FIN_TIMEOUT = 60


def _is(value: int) -> Callable[[Numbers, Situation], bool]:
    return lambda found, _s: found[:1] == (value,)


def _says(text: str) -> Callable[[Numbers, Situation], str]:
    return lambda _found, _s: text


def _good(value: str) -> Callable[[Situation], str]:
    return lambda _s: value


def _no_outbound(found: Numbers, s: Situation) -> bool | Absent:
    if found[:1] != (1,):
        return False
    return s.namespace.outbound if isinstance(s.namespace.outbound, Absent) else not s.namespace.outbound


def _few_buckets(found: Numbers, s: Situation) -> bool | Absent:
    if found[0] < 0:  # unlimited on 6.x
        return False
    buckets = hash_buckets(s)
    return buckets if isinstance(buckets, Absent) else found[0] < min(buckets // 2, FEW_BUCKETS)


def _own_buckets(s: Situation) -> str:
    buckets = hash_buckets(s)
    return str(max(FEW_BUCKETS, 0 if isinstance(buckets, Absent) else buckets // 2))


def _idle_syn_backlog(found: Numbers, s: Situation) -> bool | Absent:
    """Set by hand, while cookies make it of no effect."""
    cookies = s.sysctl("net.ipv4.tcp_syncookies")
    if isinstance(cookies, Absent):
        return cookies
    usual = default_of("net.ipv4.tcp_max_syn_backlog", s)
    return cookies > 0 and usual is not None and str(found[0]) not in usual


WRONG: tuple[Wrong, ...] = (
    Wrong(
        "SYS002", "net.ipv4.tcp_timestamps", _is(0),
        _says("without timestamps tcp_tw_reuse does nothing, old segments are not told from new ones (PAWS), and"
              " connections made by SYN cookies lose window scaling; it saves 12 bytes a segment"),
        _good("1"), "none known: connections that are open stay without",
    ),
    Wrong(
        "SYS003", "net.ipv4.tcp_syncookies", _is(0),
        _says("when the SYN queue is full, by a flood or by phones coming back, SYNs are dropped instead of answered"
              " (383 of 400 in a test)"),
        _good("1"), "none: cookies are sent only where SYNs would be dropped",
    ),
    Wrong(
        "SYS004", "net.ipv4.tcp_tw_reuse", _no_outbound,
        _says("it is looked at in connect() only, and nothing here connects out; a client that comes back takes over its"
              " TIME-WAIT with 0, 1 and 2 alike"),
        _good(""),
    ),
    Wrong(
        "SYS005", "net.ipv4.tcp_fin_timeout", lambda found, _s: 0 <= found[0] < FIN_TIMEOUT,
        lambda found, _s: f"TIME-WAIT stays 60 s, whatever stands here; {found[0]} s is how long a closed socket waits"
        " for the FIN of a peer that is gone (FIN-WAIT-2), which is harmless",
        _good(""),
    ),
    Wrong(
        "SYS006", "net.ipv4.tcp_max_tw_buckets", _few_buckets,
        lambda found, _s: f"from {found[0]:,} on, sockets close without TIME-WAIT: late segments are answered with RST and"
        f" may hit a new connection; a bucket costs 256 bytes ({found[0] * 256 / 1e6:.1f} MB are saved)",
        _own_buckets,
    ),
    Wrong(
        "SYS007", "net.ipv4.tcp_max_syn_backlog", _idle_syn_backlog,
        _says("it has no effect while tcp_syncookies is on: since Linux 4.4 the SYN queue is bounded by the listener's"
              " backlog, min(backlog, somaxconn)"),
        _good(""),
    ),
    Wrong(
        "ACC004", "net.ipv4.tcp_abort_on_overflow", lambda found, _s: found[0] != 0,
        _says("a client that meets a full accept queue gets RST, where it would have been served some seconds later"
              " (15 of 15 in a test)"),
        _good("0"),
    ),
    Wrong(
        "SYS027", "net.core.netdev_max_backlog", lambda found, _s: found[0] > 1000,
        _says("the queue of loopback, veth, tunnels and RPS only: packets of a network card with NAPI don't pass it"
              " (its ring is ethtool -g)"),
        _good(""), only_files=True,
    ),
)  # fmt: skip


def _rule(wrong: Wrong) -> Rule:
    def judge(s: Situation, _ladder: Ladder) -> Said:
        return judged(s, wrong)

    return Rule((wrong.code,), judge, needs_instance=False)


RULES: tuple[Rule, ...] = tuple(_rule(wrong) for wrong in WRONG)
