"""Kamailio parameters that don't fit each other, the kernel, or the listeners that were opened before them."""

from __future__ import annotations

from collections.abc import Generator

from kamtcp.capacity import reference
from kamtcp.capacity.keepalive import TIMES, at_start, number_at_start
from kamtcp.capacity.ladder import Ladder
from kamtcp.capacity.situation import Situation
from kamtcp.diagnose.codes import BY_CODE
from kamtcp.diagnose.finding import Cure, Finding, finding, no_cure
from kamtcp.diagnose.kernel_defaults import default_of
from kamtcp.diagnose.lines import line_of, see, set_now
from kamtcp.diagnose.places import change, lines_of
from kamtcp.diagnose.restart import cost
from kamtcp.diagnose.rule import Rule, Said, lacking
from kamtcp.diagnose.see import kamcmd
from kamtcp.model.absent import Absent, Unlimited, Why
from kamtcp.model.instance import ListenerOptions, Parameter

KEEPALIVE_TIME = "net.ipv4.tcp_keepalive_time"
TWO_HOURS = 7200
MANY_WEBSOCKETS = 10_000
#: websocket's timer looks every connection up since then: Kamailio src/modules/websocket/ws_conn.c
LOOKUPS_SINCE = (5, 6, 2)
CAP_IPC_LOCK = 14
MIB = 1 << 20
_KEEPALIVE = ("tcp_keepalive", *TIMES)


def idle_two_hours(s: Situation, ladder: Ladder) -> Said:
    """Keepalive on, with the kernel's two hours before the first probe."""
    counts = {name: number_at_start(s, name) for name in _KEEPALIVE}
    idle, kernel = counts["tcp_keepidle"], s.sysctl(KEEPALIVE_TIME)
    lacking = [each for each in (*counts.values(), kernel) if isinstance(each, Absent)]
    if lacking or isinstance(idle, Absent) or isinstance(kernel, Absent):
        yield from lacking
        return
    if not any(counts.values()) or idle > 0 or kernel < TWO_HOURS:
        return
    line = line_of(s, KEEPALIVE_TIME)
    yield finding(
        BY_CODE["TIM001"],
        f"tcp_keepalive is on without tcp_keepidle, and {KEEPALIVE_TIME}={kernel:,}: a phone that vanished is first asked after"
        f" {kernel / 3600:.1f} hours, and is counted until then",
        f"{see(s, KEEPALIVE_TIME, line)}; {kamcmd(s)} cfg.get tcp keepidle; ss -tno state established | head",
        set_now(s, KEEPALIVE_TIME, "600", "a probe for each idle connection every 600 s; connections that wait now keep their time"),
        Cure(f"tcp_keepidle=600, tcp_keepintvl=30, tcp_keepcnt=4 {change(s, 'tcp_keepidle_file')}; takes a restart,"
             " since listeners are configured once", risk=cost(s, ladder)),
        places=(*((line.where,) if line else ()), *lines_of(s, "tcp_keepalive_file")),
    )  # fmt: skip


def sysctl_without_effect(s: Situation, ladder: Ladder) -> Said:
    """tcp_keepalive_time set, while Kamailio sets its own."""
    line, live = line_of(s, KEEPALIVE_TIME), s.sysctl(KEEPALIVE_TIME)
    by_hand = isinstance(live, int) and str(live) not in (default_of(KEEPALIVE_TIME, s) or ())
    if line is None and not by_hand:
        if isinstance(live, Absent):
            yield live
        return
    idle, found = number_at_start(s, "tcp_keepidle"), at_start(s, "tcp_keepidle")
    if isinstance(idle, Absent):
        yield idle
    elif idle > 0 and isinstance(found, Parameter):
        said = (
            f"{line.where} sets {KEEPALIVE_TIME}={line.value}"
            if line is not None
            else f"{KEEPALIVE_TIME}={live}"
        )
        yield finding(
            BY_CODE["TIM002"],
            f"{said}, but Kamailio's listeners have tcp_keepidle={idle} ({found.where}), and their connections take it over",
            f"{see(s, KEEPALIVE_TIME, line)}; ss -tno state established | head",
            no_cure("nothing is wrong for Kamailio"),
            Cure("none needed; other programs of this machine may count on it"),
            places=(line.where,) if line else (),
        )  # fmt: skip


def not_on_listeners(s: Situation, ladder: Ladder) -> Said:
    """Keepalive parameters changed at run time: new connections still get what the listeners have."""
    instance = s.require()
    if isinstance(instance.listener_options, Absent):
        found = yield from _differing_from_file(s)
    else:
        found = _differing_from_listener(s, instance.listener_options)
    if found:
        yield finding(
            BY_CODE["TIM003"],
            "; ".join(found) + ": accepted connections take the listener's, which is configured at start",
            f"{kamcmd(s)} core.tcp_options; ss -tno state established | head",
            no_cure("run-time changes reach outbound connections only"),
            Cure(f"the wanted value in {instance.config_path or 'kamailio.cfg'}; takes a restart", risk=cost(s, ladder)),
            places=lines_of(s, *(f"{name}_file" for name in _KEEPALIVE)),
        )  # fmt: skip


def _differing_from_listener(s: Situation, options: ListenerOptions) -> list[str]:
    """What RPC says and the listening socket doesn't have; 0 leaves it to the kernel, and so to the socket."""
    own = {
        "tcp_keepidle": options.keepidle,
        "tcp_keepintvl": options.keepintvl,
        "tcp_keepcnt": options.keepcnt,
    }
    now = {
        name: found.value for name in _KEEPALIVE if (found := s.require().parameters.get(name)) is not None
    }
    differing = [
        f"{name} is {now[name]} by RPC, {value} on the listener of port {options.port}"
        for name, value in own.items()
        if options.keepalive and isinstance(now.get(name), int) and now[name] and now[name] != value
    ]
    wanted = any(isinstance(value, int) and value for value in now.values())
    if now and wanted and not options.keepalive:
        differing.append(f"keepalive is on by RPC, off on the listener of port {options.port}")
    if now.keys() == set(_KEEPALIVE) and not wanted and options.keepalive:
        differing.append(f"keepalive is off by RPC, on on the listener of port {options.port}")
    return differing


def _differing_from_file(s: Situation) -> Generator[Finding | Absent, None, list[str]]:
    """What RPC says and the file that the listeners were opened with doesn't; and why that can't be told."""
    instance, found = s.require(), list[str]()
    changed = instance.config_changed_since_start
    if isinstance(changed, Absent):
        yield changed
        return found
    if changed:  # the file is not what the listeners were opened with
        yield Absent(
            instance.config_path or "configuration", Why.NOT_VISIBLE, "changed since Kamailio started"
        )
        return found
    times = [instance.parameters.get(f"{name}_file") for name in _KEEPALIVE[1:]]
    forced = any(each is not None and isinstance(each.value, int) and each.value > 0 for each in times)
    for name in _KEEPALIVE:
        if name == "tcp_keepalive" and forced:
            continue  # any of the times switches it on
        now, filed = instance.parameters.get(name), instance.parameters.get(f"{name}_file")
        if now is None or filed is None or now.where == filed.where:
            continue
        if isinstance(now.value, int) and isinstance(filed.value, int) and now.value != filed.value:
            found.append(f"{name} is {now.value} by RPC, {filed.value} on the listeners ({filed.where})")
    return found


def websocket_every_second(s: Situation, ladder: Ladder) -> Said:
    """More than 10,000 WebSockets walked through every second."""
    instance, target = s.require(), s.target
    wanted = target.ws + target.wss
    if isinstance(instance.modules, Absent):
        yield instance.modules
        return
    if "websocket" not in instance.modules:
        return
    if isinstance(instance.websocket, Absent) and wanted <= MANY_WEBSOCKETS:
        yield instance.websocket
        return
    count = max(wanted, instance.websocket if isinstance(instance.websocket, int) else 0)
    if count <= MANY_WEBSOCKETS:
        return
    found: list[str] = []
    mechanism = s.number("websocket.keepalive_mechanism")
    for name, runs in (
        ("websocket.timer_interval", _looks_up(s)),
        ("websocket.keepalive_interval", mechanism != 0),
    ):
        value, parameter = s.number(name), s.parameter(name)
        if isinstance(value, Absent) or isinstance(parameter, Absent):
            if isinstance(value, Absent):
                yield value
        elif value == 1 and runs:
            found.append(f"{name.partition('.')[2]}=1 ({parameter.where})")
    if found:
        yield finding(
            BY_CODE["TIM004"],
            f"{' and '.join(found)} with {count:,} WebSockets: each second a process walks through all of them, with a look-up"
            " under tcp main's global lock for each",
            f"{kamcmd(s)} stats.fetchn websocket:; top -H",
            no_cure("not settable at run time"),
            Cure('modparam("websocket", "timer_interval", 30) and "keepalive_interval", 30; takes a restart', risk=cost(s, ladder)),
            places=lines_of(s, "websocket.timer_interval", "websocket.keepalive_interval"),
        )  # fmt: skip


def _looks_up(s: Situation) -> bool:
    version = s.require().version
    return isinstance(version, Absent) or reference.version_tuple(version) >= LOOKUPS_SINCE


def receive_limit_below_buffer(s: Situation, ladder: Ladder) -> Said:
    """Messages that the read buffer takes and the limit refuses."""
    limit, buffer = s.number("msg_recv_max_size"), s.number("tcp_rd_buf_size")
    if isinstance(limit, Absent) or isinstance(buffer, Absent):
        yield from lacking(limit, buffer)
        return
    if limit >= buffer:
        return
    parameter = s.require().parameters["msg_recv_max_size"]
    yield finding(
        BY_CODE["CFG020"],
        f"msg_recv_max_size={limit:,} ({parameter.where}) is below tcp_rd_buf_size={buffer:,}: a message between the two fits the"
        " buffer and closes its connection",
        f"{kamcmd(s)} cfg.get tcp rd_buf_size; grep -n msg_recv_max_size {s.require().config_path}",
        Cure(f"smaller read buffers for new connections, {limit:,} bytes", f"{kamcmd(s)} cfg.set_now_int tcp rd_buf_size {max(512, limit)}",
             "none: larger messages are refused either way"),
        Cure(f"msg_recv_max_size={buffer} as well, {change(s, 'msg_recv_max_size')}; takes a restart", risk=cost(s, ladder)),
        places=lines_of(s, "msg_recv_max_size", "tcp_rd_buf_size"),
    )  # fmt: skip


def mlock_without_limit(s: Situation, ladder: Ladder) -> Said:
    """mlock_pages, and neither the privilege nor the limit to lock the pool."""
    wanted, main, pool = s.number("mlock_pages"), s.tcp_main, s.number("shm_megabytes")
    if isinstance(wanted, Absent) or not wanted:
        if isinstance(wanted, Absent):
            yield wanted
        return
    if isinstance(main, Absent) or isinstance(pool, Absent):
        yield from lacking(main, pool)
        return
    allowed = s.require().memlock_soft
    if isinstance(main.capabilities, Absent) or isinstance(allowed, Absent):
        yield from lacking(main.capabilities, allowed)
        return
    if main.capabilities >> CAP_IPC_LOCK & 1 or isinstance(allowed, Unlimited) or allowed >= pool * MIB:
        return
    where = s.require().parameters["mlock_pages"].where
    yield finding(
        BY_CODE["CFG021"],
        f"mlock_pages ({where}) has no effect: {main.label} may lock {allowed:,} bytes, the shared pool alone has"
        f" {pool * MIB:,}; Kamailio warns (failed to lock the memory pages) and starts all the same",
        f"grep 'locked memory' /proc/{main.pid}/limits; grep CapEff /proc/{main.pid}/status",
        no_cure("memory is locked at start"),
        Cure("LimitMEMLOCK=infinity in a drop-in of its unit, or no mlock_pages; takes a restart", risk=cost(s, ladder)),
        places=lines_of(s, "mlock_pages"),
    )  # fmt: skip


RULES = (
    Rule(("TIM001",), idle_two_hours),
    Rule(("TIM002",), sysctl_without_effect),
    Rule(("TIM003",), not_on_listeners),
    Rule(("TIM004",), websocket_every_second),
    Rule(("CFG020",), receive_limit_below_buffer),
    Rule(("CFG021",), mlock_without_limit),
)
