"""Local ports for outbound connections: a range that takes the ports of services."""

from __future__ import annotations

from collections.abc import Iterator

from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE, Code
from kamtcp.diagnose.finding import Cure, Finding, finding, no_cure
from kamtcp.diagnose.lines import keep, line_of, numbers, see, set_now
from kamtcp.diagnose.rule import Rule, Said
from kamtcp.model.absent import Absent

RANGE = "net.ipv4.ip_local_port_range"
RESERVED = "net.ipv4.ip_local_reserved_ports"
#: a range that begins below this takes ports of services that come later
BOTTOM = 10_000
SIP = (5060, 5061)


def ports_of(text: str) -> set[int]:
    """A list such as "5060-5061,8080"; what is no port is left out."""
    found: set[int] = set()
    for part in text.replace(" ", ",").split(","):
        first, _, last = part.partition("-")
        if first.isdecimal() and len(first) < 6 and (last or first).isdecimal() and len(last) < 6:
            found.update(range(int(first), min(int(last or first), 65535) + 1))
    return found


def _bounds(text: str) -> tuple[int, int] | None:
    found = numbers(text)
    return (found[0], found[1]) if len(found) == 2 and 0 <= found[0] <= found[1] <= 65535 else None


def _cases(s: Situation) -> Iterator[tuple[int, int, str, bool] | Absent]:
    """Range now and range at the next boot: low, high, how to say it, whether it is in force."""
    live, line = s.sysctl_text(RANGE), line_of(s, RANGE)
    here = None if isinstance(live, Absent) else _bounds(live)
    if isinstance(live, Absent):
        yield live
    elif here is not None:
        place = f" ({line.where})" if line is not None and _bounds(line.value or "") == here else ""
        yield (*here, f"{RANGE}={here[0]} {here[1]}{place}", True)
    filed = None if line is None else _bounds(line.value or "")
    if line is not None and filed is not None and filed != here:
        yield (*filed, f"{line.where} sets {RANGE}={line.value} at the next boot", False)


def _reserved(s: Situation, now: bool) -> set[int] | Absent:
    line, live = line_of(s, RESERVED), s.sysctl_text(RESERVED)
    if not now and line is not None:
        return ports_of(line.value or "")
    return live if isinstance(live, Absent) else ports_of(live)


def holds_listener(s: Situation, ladder: Ladder) -> Said:
    """A port that Kamailio listens on may be given to an outbound connection while it restarts."""
    listeners = s.require().listeners
    if isinstance(listeners, Absent):
        yield listeners
        return
    own = {each.port for each in listeners}
    for case in _cases(s):
        if isinstance(case, Absent):
            yield case
            continue
        low, high, said, now = case
        reserved = _reserved(s, now)
        if isinstance(reserved, Absent):
            yield reserved
            return
        taken = sorted(port for port in own - reserved if low <= port <= high)
        if taken:
            reserved = reserved | (_of_others(s) if low < BOTTOM else set()) & set(range(low, high + 1))
            yield _finding(
                s, BY_CODE["SYS008"], f"{said} holds {_list(taken)}, where Kamailio listens: an outbound connection that got"
                " such a port keeps the next start from listening", taken, reserved,
            )  # fmt: skip
            return


def from_the_bottom(s: Situation, ladder: Ladder) -> Said:
    """A range widened down to the ports of other services."""
    instance = s.instance
    own = (
        {each.port for each in instance.listeners}
        if instance is not None and not isinstance(instance.listeners, Absent)
        else set()
    )
    for case in _cases(s):
        if isinstance(case, Absent):
            yield case
            continue
        low, high, said, now = case
        if low >= BOTTOM:
            continue
        reserved = _reserved(s, now)
        if isinstance(reserved, Absent):
            yield reserved
            return
        if isinstance(s.namespace.listeners, Absent):
            yield s.namespace.listeners
        taken = sorted(port for port in _of_others(s) - own - reserved if low <= port <= high)
        if taken:
            reserved = reserved | own & set(range(low, high + 1))
            yield _finding(
                s, BY_CODE["SYS009"], f"{said} takes ports of services ({_list(taken)}): one that starts later may find its port"
                " in use; only outbound connections need the range", taken, reserved,
            )  # fmt: skip
            return


def _of_others(s: Situation) -> set[int]:
    """Ports of all listeners here, and those of SIP."""
    listeners = s.namespace.listeners
    return set(SIP) | (set() if isinstance(listeners, Absent) else {each.port for each in listeners})


def _list(ports: list[int]) -> str:
    return ", ".join(map(str, ports[:6])) + (f" and {len(ports) - 6} more" if len(ports) > 6 else "")


def _finding(s: Situation, code: Code, evidence: str, ports: list[int], reserved: set[int]) -> Finding:
    """With one list of ports to reserve, the same for both rules: the later would undo the earlier."""
    line = line_of(s, RANGE)
    value = _as_list(sorted(reserved | set(ports)))
    usable = value if len(value) < 2000 else ""
    return finding(
        code, evidence, f"{see(s, RANGE, line)} {RESERVED}" if line is None else f"{see(s, RANGE, line)}; sysctl {RESERVED}",
        set_now(s, RESERVED, usable, "none: only the automatic choice skips them") if usable else no_cure("the list of reserved ports is too long for a line"),
        keep(s, RESERVED, usable, line_of(s, RESERVED)) if usable else Cure(f"{RANGE} from {BOTTOM} on"),
        places=(line.where,) if line else (),
    )  # fmt: skip


def _as_list(ports: list[int]) -> str:
    """As the kernel prints it: "5060-5061,8080"."""
    runs: list[list[int]] = []
    for port in ports:
        if runs and runs[-1][1] == port - 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


RULES = (Rule(("SYS008",), holds_listener), Rule(("SYS009",), from_the_bottom, needs_instance=False))
