"""Settings of the kernel that make a host fail in its own way: too few processes, no overcommit, no SACK, impatience."""

from __future__ import annotations

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, finding
from kamtcp.diagnose.kernel_defaults import hash_buckets
from kamtcp.diagnose.lines import Wrong, judged, line_of, see, set_now, take_out
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.model.absent import Absent

Numbers = tuple[int, ...]
#: fewer than this, and a machine with Kamailio, a shell and a monitor runs out
FEW_PROCESSES = 2048
FEW_ORPHANS = 4096
#: RFC 1122 4.2.3.5: at least 100 s; Linux counts 8 repetitions for that
PATIENCE = 8
ESTABLISHED = "net.netfilter.nf_conntrack_tcp_timeout_established"
RTO_MIN, RTO_MAX = 0.2, 120.0


def _few_orphans(found: Numbers, s: Situation) -> bool | Absent:
    buckets = hash_buckets(s)
    return buckets if isinstance(buckets, Absent) else 0 <= found[0] < min(FEW_ORPHANS, buckets // 2)


def _own_orphans(s: Situation) -> str:
    buckets = hash_buckets(s)
    return "" if isinstance(buckets, Absent) else str(buckets // 2)


def _own_threads(s: Situation) -> str:
    memory = s.machine.memory_total_bytes
    return "" if isinstance(memory, Absent) else str(memory // (128 << 10))


def _off(name: str, why: str) -> Wrong:
    return Wrong(
        "SYS042", name, lambda found, _s: found[:1] == (0,), lambda _f, _s: why, lambda _s: "1",
        "none: connections that are open stay without",
    )  # fmt: skip


def gives_up_after(retries: int) -> float:
    """Seconds until a connection with unacknowledged data is given up: net/ipv4/tcp_timer.c tcp_model_timeout()."""
    return sum(min(RTO_MIN * (1 << each), RTO_MAX) for each in range(max(0, min(retries, 255)) + 1))


WRONG: tuple[Wrong, ...] = (
    Wrong(
        "SYS037", "kernel.threads-max", lambda found, _s: found[0] < FEW_PROCESSES,
        lambda found, _s: f"the machine can have {found[0]:,} threads: Kamailio's next start, or the login of whoever comes to mend it,"
        " fails with EAGAIN; the kernel takes any number, however small",
        _own_threads,
    ),
    Wrong(
        "SYS037", "kernel.pid_max", lambda found, _s: found[0] < FEW_PROCESSES,
        lambda found, _s: f"process ids end at {found[0]:,}: fork() fails with EAGAIN beyond that many processes and threads",
        lambda _s: "4194304",
    ),
    Wrong(
        "SYS041", "vm.overcommit_memory", lambda found, _s: found[:1] == (2,),
        lambda _f, _s: "memory is promised only as far as it is there: Kamailio's shared pool (-m) counts whole from the start, and"
        " so does private memory (-M) of each process, though most of it is never touched; a larger -m may fail to start",
        lambda _s: "0", "other programs get memory promised that isn't there, as they do by default",
    ),
    _off(
        "net.ipv4.tcp_sack",
        "without selective acknowledgement one lost segment costs a timeout and everything after it is sent again; it was switched off"
        " against a fault (SACK panic) that Linux 5.2 and all stable series of 2019 have mended",
    ),
    _off("net.ipv4.tcp_window_scaling", "no window grows beyond 64 KB; it saves 3 bytes of each SYN"),
    Wrong(
        "SYS043", "net.ipv4.tcp_retries2", lambda found, _s: found[0] < PATIENCE,
        lambda found, _s: f"a connection with unanswered data is given up after {gives_up_after(found[0]):.0f} s: a phone in a tunnel or"
        " between two cells loses its registration, and all of them come back at once; RFC 1122 asks for 100 s",
        lambda _s: str(PATIENCE), "dead peers stay counted for about 100 s",
    ),
    Wrong(
        "SYS045", "net.ipv4.tcp_max_orphans", _few_orphans,
        lambda found, _s: f"with {found[0]:,} closed sockets whose peers haven't answered, on the whole machine, each further close is a"
        " reset: a mass close tells phones of an error",
        _own_orphans,
    ),
)  # fmt: skip


def _rule(code: str) -> Rule:
    def judge(s: Situation, _ladder: Ladder) -> Said:
        for wrong in WRONG:
            if wrong.code == code:
                yield from judged(s, wrong)

    return Rule((code,), judge, needs_instance=False)


def conntrack_forgets(s: Situation, ladder: Ladder) -> Said:
    """Entries of connections that are only idle go before Kamailio closes them."""
    active = s.namespace.conntrack_active
    if active is False or s.sysctl("net.netfilter.nf_conntrack_tcp_loose") == 0:
        return  # with 0 it is worse, and TIM009 says so
    stay, idle = s.sysctl(ESTABLISHED), _longest_idle(s)
    if isinstance(active, Absent) or isinstance(stay, Absent) or isinstance(idle, Absent):
        yield from lacking(active, stay, idle)
        return
    if stay >= idle[0]:
        return
    line = line_of(s, ESTABLISHED)
    wanted = str(idle[0] + 600)
    yield finding(
        BY_CODE["SYS044"],
        f"{ESTABLISHED}={stay:,}{f' ({line.where})' if line else ''}: an idle connection is forgotten after {stay:,} s, and Kamailio"
        f" keeps it for {idle[0]:,} s ({idle[1]}); its next packet is INVALID or a new flow: behind NAT, or with a rule that drops"
        " INVALID, a call to that phone is lost",
        see(s, ESTABLISHED, line),
        set_now(s, ESTABLISHED, wanted, "entries of peers that vanished stay longer"),
        take_out(line) if line is not None else Cure(f"{ESTABLISHED} = {wanted} in /etc/sysctl.d/60-kamtcp.conf, or where the namespace is made"),
        places=(line.where,) if line else (),
    )  # fmt: skip


def _longest_idle(s: Situation) -> tuple[int, str] | Absent:
    lives = [(name, s.number(name)) for name in ("tcp_connection_lifetime", "tls.connection_timeout")]
    known = [(value, name) for name, value in lives if isinstance(value, int)]
    return max(known) if known else next(value for _, value in lives if isinstance(value, Absent))


RULES: tuple[Rule, ...] = (
    *(_rule(code) for code in dict.fromkeys(wrong.code for wrong in WRONG)),
    Rule(("SYS044",), conntrack_forgets),
)
