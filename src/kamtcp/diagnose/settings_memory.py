"""Sizes of socket memory: absurd ones, disordered ones, and those that TCP never looks at."""

from __future__ import annotations

from collections.abc import Callable

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import Severity
from kamtcp.diagnose.kernel_defaults import default_of
from kamtcp.diagnose.lines import Wrong, judged
from kamtcp.diagnose.rule import Rule, Said
from kamtcp.model.absent import Absent

Numbers = tuple[int, ...]
MIB = 1 << 20
#: default buffers of UDP, unix and netlink sockets above this hold seconds of traffic that nobody waits for any more
HUGE_DEFAULT = 8 * MIB
#: more than any kernel has by itself (32 MiB)
LARGE_BUFFER = 64 * MIB


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if count < 10240 or unit == "TiB":
            return f"{count:,.0f} {unit}"
        count /= 1024
    raise AssertionError


def _usual(name: str) -> Callable[[Situation], str]:
    def value(s: Situation) -> str:
        found = default_of(name, s)
        return found[0] if found else ""

    return value


def _beyond_memory(found: Numbers, s: Situation) -> bool | Absent:
    memory = s.machine.memory_total_bytes
    if isinstance(memory, Absent):
        return memory
    return len(found) == 3 and found[2] * s.machine.page_size > memory


def _why_beyond(found: Numbers, s: Situation) -> str:
    memory = s.machine.memory_total_bytes
    top = found[2] if len(found) > 2 else found[-1]
    has = "" if isinstance(memory, Absent) else f", this machine has {_size(memory)}"
    return (
        f"the unit is pages of {s.machine.page_size:,} bytes: {top:,} are {_size(top * s.machine.page_size)}{has}; the"
        " kernel runs out of memory before it holds TCP back"
    )


def _tcp_mem(s: Situation) -> str:
    """What the kernel takes by itself: 4.68, 6.25 and 9.37 % of memory, in pages."""
    memory = s.machine.memory_total_bytes
    if isinstance(memory, Absent):
        return ""
    sixteenth = memory // s.machine.page_size // 16
    return f"{sixteenth * 3 // 4} {sixteenth} {sixteenth * 3 // 2}"


def _disordered(found: Numbers, _s: Situation) -> bool:
    return len(found) == 3 and not 0 < found[0] <= found[1] <= found[2]


def _more_than_a_kernel_has(name: str) -> Callable[[Numbers, Situation], bool]:
    def judge(found: Numbers, s: Situation) -> bool:
        usual = default_of(name, s) or ()
        return str(found[0]) not in usual and found[0] > max((int(each) for each in usual), default=0)

    return judge


def _holds(found: Numbers, _s: Situation) -> str:
    return (
        f"a cap, not an allocation: an idle connection uses nothing of it, but each peer that reads slowly may hold"
        f" {_size(found[2])} of kernel memory"
    )


_DISORDER = "the kernel takes any order and doesn't check: min <= {} <= max must hold, or windows and buffers are cut at random"
WRONG: tuple[Wrong, ...] = (
    Wrong("MEM002", "net.ipv4.tcp_mem", _beyond_memory, _why_beyond, _tcp_mem),
    Wrong("MEM003", "net.ipv4.tcp_mem", _disordered, lambda _f, _s: _DISORDER.format("pressure"), _tcp_mem),
    *(
        Wrong("MEM004", name, _disordered, lambda _f, _s: _DISORDER.format("default"), _usual(name),
              "none known: sockets that are open keep theirs")
        for name in ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")
    ),
    Wrong(
        "MEM005", "net.core.rmem_default", lambda found, _s: found[0] > HUGE_DEFAULT,
        lambda found, _s: f"it sizes UDP, unix and netlink sockets, never TCP: a UDP listener may queue {_size(found[0])} of"
        " requests whose senders have long repeated them",
        _usual("net.core.rmem_default"), "sockets that are open keep theirs",
    ),
    Wrong(
        "MEM005", "net.core.wmem_default", lambda found, _s: found[0] > HUGE_DEFAULT,
        lambda found, _s: f"it never sizes TCP; of Kamailio it sizes the sockets from tcp main to the workers: each takes"
        f" about {found[0] // 768:,} connections, so that a worker that hangs hides as many",
        _usual("net.core.wmem_default"), "sockets that are open keep theirs", severity=Severity.INFO,
    ),
    *(
        Wrong(
            "MEM006", name, _more_than_a_kernel_has(name),
            lambda _f, _s: "it caps SO_RCVBUF and SO_SNDBUF, which Kamailio sets on UDP sockets only; TCP's own tuning goes by"
            " tcp_rmem and tcp_wmem",
            lambda _s: "", only_files=True,
        )
        for name in ("net.core.rmem_max", "net.core.wmem_max")
    ),
    *(
        Wrong("MEM007", name, lambda found, _s: len(found) == 3 and found[2] > LARGE_BUFFER, _holds, lambda _s: "")
        for name in ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")
    ),
)  # fmt: skip


def _rule(code: str) -> Rule:
    def judge(s: Situation, _ladder: Ladder) -> Said:
        for wrong in WRONG:
            if wrong.code == code:
                yield from judged(s, wrong)

    return Rule((code,), judge, needs_instance=False)


RULES: tuple[Rule, ...] = tuple(_rule(code) for code in dict.fromkeys(wrong.code for wrong in WRONG))
